//! Flapping that is over: once an anomaly has been steady for long enough, a notification says so, and its incidents
//! open as ever. Each anomaly is a transaction of its own under its lock, which ends its flapping once: the pass may run
//! twice, at the same time, or be cut short without harm.

use tocsin::context::Context;
use tocsin::domain::flapping::Limits;
use tocsin::domain::messages;
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::store::{anomalies, flapping, levels, maintenance, outbox};

/// Anomalies in one query.
const TOGETHER: u64 = 200;
/// The most anomalies in one pass; of more, those with the lowest keys come first.
const AT_MOST: usize = 10_000;

/// Ends the flapping of anomalies that are steady, and has that told. Returns how many there were.
///
/// # Errors
/// The store cannot be reached now.
pub async fn end_flapping(context: &Context) -> Result<u64, JobError> {
    let (db, limits) = (context.db.read(), context.config.flapping.limits());
    let (mut after, mut looked_at, mut ended) = (String::new(), 0, 0);
    while looked_at < AT_MOST {
        let keys = flapping::flapping(db, &after, TOGETHER).await?;
        let Some(last) = keys.last() else { break };
        after.clone_from(last);
        looked_at += keys.len();
        let now = context.clock.of_store(maintenance::now(db).await?);
        let firings = flapping::firings(db, &keys, limits.since(now)).await?;
        let is_over = |key: &&String| {
            let firings = firings.get(*key).map_or(&[][..], Vec::as_slice);
            limits.is_over(firings, now)
        };
        for key in keys.iter().filter(is_over) {
            ended += u64::from(end(context, key, &limits).await?);
        }
    }
    Ok(ended)
}

/// Ends the flapping of one anomaly, if it is over still.
async fn end(context: &Context, key: &String, limits: &Limits) -> Result<bool, JobError> {
    let tx = context.db.begin().await?;
    let Some((anomaly, now)) = anomalies::lock(&tx, key).await? else {
        return Ok(false);
    };
    let now = context.clock.of_store(now);
    let keys = std::slice::from_ref(key);
    let firings = flapping::firings(&tx, keys, limits.since(now)).await?;
    let firings = firings.get(key).map_or(&[][..], Vec::as_slice);
    if anomaly.flapping_since.is_none() || !limits.is_over(firings, now) {
        return Ok(false);
    }
    flapping::end(&tx, key).await?;
    let policy = context.config.messages();
    let candidates = anomaly.newest_incident.into_iter();
    let candidates = candidates.map(|incident| messages::of_steady(incident, now));
    let concerned = levels::concerned(&tx, &[(key.clone(), anomaly.newest_incident)]).await?;
    let follow_up: FollowUp =
        outbox::write(&tx, &policy, candidates.collect(), &concerned, now).await?;
    tx.commit().await?;
    tracing::info!(
        anomaly.key,
        alert.name = anomaly.alert_name,
        service = anomaly.service,
        "an anomaly no longer flaps"
    );
    let pushed = follow_up.try_push(context, Cause::Single, Traces::None);
    pushed.await?;
    Ok(true)
}
