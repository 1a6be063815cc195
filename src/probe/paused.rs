//! Queues that a person paused. Their jobs wait until a person resumes them, so everybody is reminded of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::{PATIENCE, Stores};
use crate::jobs::QUEUES;
use crate::queue::store::QueueError;
use crate::store::audit::{self, Action};
use crate::time::Timestamp;

/// How long what was found is shown, unless this process pauses or resumes a queue.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// A queue that is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// Its name.
    pub queue: &'static str,
    /// Since when, by the clock of the queue's store.
    pub since: Timestamp,
    /// Who paused it, by their own account.
    pub by: Option<String>,
}

/// The queues that are paused; none if that is not known.
type Found = Option<Arc<[Paused]>>;

/// What was found last.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Option<(Instant, Found)>>);

impl Seen {
    /// Asks, or says what was found within the last second. Who asks meanwhile waits for the same answer.
    pub(super) async fn look(&self, stores: &Stores) -> Found {
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

    /// Asks anew the next time.
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
