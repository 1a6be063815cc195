//! Clocks that push jobs. Every replica runs them; the store decides who claims a tick.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Queues;
use super::store::{QueueError, Schedule};
use crate::jobs::{Job, Recount, Verification};

/// When levels and counts are looked at again.
pub const RECOUNT: Schedule = Schedule {
    name: "recount",
    every: Duration::from_secs(60),
};

/// When figures are compared with the rows.
pub const VERIFY: Schedule = Schedule {
    name: "verify",
    every: Duration::from_secs(3600),
};

/// How often a replica asks whether a tick has come.
const ASK: Duration = Duration::from_secs(5);

/// Claims the schedules' current ticks that are unclaimed; returns how many.
///
/// # Errors
/// The store did not answer.
pub async fn pass(queues: &Queues) -> Result<usize, QueueError> {
    let mut claimed = 0;
    for (schedule, job) in [
        (RECOUNT, Recount::Tick),
        (VERIFY, Recount::Verify(Verification::default())),
    ] {
        let payload = serde_json::to_string(&job).map_err(|error| QueueError(error.into()))?;
        let queue = Recount::POLICY.queue;
        claimed += usize::from(queues.store().tick(schedule, queue, payload).await?);
    }
    Ok(claimed)
}

/// Claims ticks until `stop`.
pub async fn run(queues: Queues, stop: CancellationToken) {
    loop {
        if let Err(error) = pass(&queues).await {
            tracing::warn!("cannot claim a tick of the schedule, will retry: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(ASK) => {}
            () = stop.cancelled() => return,
        }
    }
}
