//! Repair: appends what was tried, and what it was worth.

use std::sync::Arc;

use apalis::prelude::Data;
use tocsin::context::Context;
use tocsin::jobs::{CalculateTier, JobError, RecordRepair};
use tocsin::queue::Push;
use tocsin::queue::consumer::JobHandle;
use tocsin::store::{anomalies, incidents, levels, repairs};
use tocsin::telemetry::task_context;

use crate::tier::SETTLE;

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
    let is_new = repairs::record(&tx, held.id(), &key, &job).await?;
    let mut due = vec![job.incident];
    if is_new {
        // The anomaly's other incidents say what was tried on it, too.
        let now = context.clock.of_store(now);
        due.extend(levels::concerned(&tx, &[(key, anomaly.newest_incident)]).await?);
        due = incidents::mark_due(&tx, &due, now).await?;
    }
    tx.commit().await?;

    let jobs: Vec<_> = due
        .into_iter()
        .map(|incident| CalculateTier { incident })
        .collect();
    let pushes = jobs
        .iter()
        .map(|job| Push::new(job).after(SETTLE).trace(task_context::trace()));
    Ok(context.queues.push_all(pushes).await?)
}
