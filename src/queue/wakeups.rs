//! Wakes the fetchers of this process when it pushes a job, so that they need not wait for their next poll.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::store::NewJob;

/// One `Notify` for each queue, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakeups(Arc<Mutex<HashMap<String, Arc<Notify>>>>);

impl Wakeups {
    /// Wakes one fetcher of `queue`, now or when it next waits.
    pub(super) fn notify(&self, queue: &str) {
        self.of(queue).notify_one();
    }

    /// Wakes a fetcher of each queue that `jobs` belong to.
    pub(super) fn notify_of(&self, jobs: &[NewJob]) {
        let mut rung = "";
        for job in jobs {
            if job.queue != rung {
                self.notify(job.queue);
                rung = job.queue;
            }
        }
    }

    /// Returns when a job was pushed to `queue` since the last return.
    pub(super) async fn wait(&self, queue: &str) {
        self.of(queue).notified().await;
    }

    fn of(&self, queue: &str) -> Arc<Notify> {
        let mut wakeups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match wakeups.get(queue) {
            Some(bell) => Arc::clone(bell),
            None => Arc::clone(wakeups.entry(queue.to_owned()).or_default()),
        }
    }
}
