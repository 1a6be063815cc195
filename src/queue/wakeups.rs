//! Bells that a push rings, so that a fetcher in the same process need not wait for its next look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::store::NewJob;

/// One bell for each queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakeups(Arc<Mutex<HashMap<String, Arc<Notify>>>>);

impl Wakeups {
    /// Rings the bell of this queue.
    pub(super) fn notify(&self, queue: &str) {
        self.of(queue).notify_one();
    }

    /// Rings for jobs that were pushed together.
    pub(super) fn notify_of(&self, jobs: &[NewJob]) {
        let mut rung = "";
        for job in jobs {
            if job.queue != rung {
                self.notify(job.queue);
                rung = job.queue;
            }
        }
    }

    /// Returns when the bell rings, or has rung since it was last heard.
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
