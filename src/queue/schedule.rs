//! Clocks that push jobs. Every replica runs them; the store decides who claims a tick.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Queues;
use super::store::{QueueError, Schedule};
use crate::jobs::{Job, Recount};

/// When levels and counts are looked at again.
pub const RECOUNT: Schedule = Schedule {
    name: "recount",
    every: Duration::from_secs(60),
};

/// How often a replica asks whether a tick has come.
const ASK: Duration = Duration::from_secs(5);

/// Claims the present tick if nobody has; returns whether this call did.
///
/// # Errors
/// The store did not answer.
pub async fn pass(queues: &Queues) -> Result<bool, QueueError> {
    let payload = serde_json::to_string(&Recount {}).map_err(|error| QueueError(error.into()))?;
    queues
        .store()
        .tick(RECOUNT, Recount::POLICY.queue, payload)
        .await
}

/// Claims ticks until `stop`.
pub async fn run(queues: Queues, stop: CancellationToken) {
    loop {
        if let Err(error) = pass(&queues).await {
            tracing::warn!("cannot claim a tick, trying again: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(ASK) => {}
            () = stop.cancelled() => return,
        }
    }
}
