//! Pushes the jobs that have a schedule. Every process runs it; the store decides which of them claims a tick.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Queues;
use super::store::QueueError;
use crate::jobs::{Scheduled, scheduled};

/// How often a process asks the store whether a tick has come.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Pushes the jobs whose schedules have a tick now that no process has claimed; returns how many.
///
/// # Errors
/// The store did not answer.
pub async fn pass(
    queues: &Queues,
    jobs: impl IntoIterator<Item = Scheduled>,
) -> Result<usize, QueueError> {
    let mut by_queue: BTreeMap<&'static str, Vec<_>> = BTreeMap::new();
    for job in jobs {
        let payload = job.payload.map_err(|error| QueueError(error.into()))?;
        let of_queue = by_queue.entry(job.queue).or_default();
        of_queue.push((job.schedule, payload));
    }
    let mut pushed = 0;
    for (queue, jobs) in by_queue {
        pushed += queues.store().tick(queue, &jobs).await?;
    }
    Ok(pushed)
}

/// Pushes what is due every 5 s until `stop`.
pub async fn run(queues: Queues, stop: CancellationToken) {
    loop {
        if let Err(error) = pass(&queues, scheduled()).await {
            tracing::warn!("cannot claim a tick of the schedule, will retry: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}
