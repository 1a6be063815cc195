//! Repair: appends what was tried, and what it was worth.

use std::sync::Arc;

use apalis::prelude::Data;
use tocsin::context::Context;
use tocsin::jobs::{JobError, RecordRepair};
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::queue::consumer::JobHandle;
use tocsin::store::{anomalies, incidents, levels, repairs};

/// One repair. Its id is the job's, so it is recorded once.
///
/// # Errors
/// The incident is gone, or the store cannot be reached now.
pub async fn handle(
    job: RecordRepair,
    held: Data<Arc<JobHandle>>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let incident = incidents::find(context.db.read(), job.incident).await?;
    let gone = || JobError::GiveUp("the incident no longer exists".to_owned());
    let key = incident.ok_or_else(gone)?.anomaly_key;

    let tx = context.db.begin().await?;
    let (anomaly, now) = anomalies::lock(&tx, &key).await?.ok_or_else(gone)?;
    let longest = context.config.effectiveness.bounds().1;
    let is_new = repairs::record(&tx, held.id(), &anomaly, &job, longest).await?;
    let mut due = vec![job.incident];
    if is_new {
        // The anomaly's other incidents say what was tried on it, too.
        let now = context.clock.of_store(now);
        due.extend(levels::concerned(&tx, &[(key, anomaly.newest_incident)]).await?);
        due = incidents::mark_due(&tx, &due, now).await?;
    }
    tx.commit().await?;

    let tiers = FollowUp::of_tiers(due);
    Ok(tiers
        .try_push(&context, Cause::Burst, Traces::OfTask)
        .await?)
}
