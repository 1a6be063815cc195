//! Paused queues. Their jobs wait until an operator resumes them, so every page shows a reminder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::{PATIENCE, Stores};
use crate::jobs::QUEUES;
use crate::queue::store::QueueError;
use crate::store::audit::{self, Action};
use crate::time::Timestamp;

/// How long an answer is reused, unless this process pauses or resumes a queue.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// A queue that is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// Its name.
    pub queue: &'static str,
    /// Since when, by the clock of the queue's store.
    pub since: Timestamp,
    /// The operator who paused it.
    pub by: Option<String>,
}

/// `None`: not known.
type PausedQueues = Option<Arc<[Paused]>>;

/// The last answer, and when it was read.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<Option<(Instant, PausedQueues)>>);

impl Latest {
    /// Asks the stores, or returns an answer of the last second. Concurrent callers wait for one query.
    pub(super) async fn get(&self, stores: &Stores) -> PausedQueues {
        let mut seen = self.0.lock().await;
        if let Some((at, found)) = seen.as_ref()
            && at.elapsed() < GOOD_FOR
        {
            return found.clone();
        }
        let found = tokio::time::timeout(PATIENCE, paused(stores)).await;
        let found = found.ok().and_then(Result::ok).map(Arc::from);
        *seen = Some((Instant::now(), found.clone()));
        found
    }

    /// Has the next call ask the stores.
    pub(super) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

async fn paused(stores: &Stores) -> Result<Vec<Paused>, QueueError> {
    let mut paused = Vec::new();
    for (queue, since) in stores.queues.store().paused(&QUEUES).await? {
        // That it is paused matters more than who did it.
        let entry = audit::beginning(
            stores.db.view(),
            queue,
            Action::PauseQueue,
            Action::ResumeQueue,
        );
        let by = entry.await.ok().flatten().and_then(|entry| entry.operator);
        paused.push(Paused { queue, since, by });
    }
    Ok(paused)
}
