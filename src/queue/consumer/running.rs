//! A consumer's running tasks, and how they stop.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Consumer;
use crate::queue::store::{Answer, Lease};

/// A consumer and its running tasks.
pub struct Running {
    pub(super) consumer: Arc<Consumer>,
    pub(super) tasks: JoinSet<()>,
}

impl Running {
    /// Stops fetching. Jobs that run go on.
    pub fn stop(&self) {
        self.consumer.stopping.cancel();
    }

    /// Stops fetching, settles answered jobs, ends the tasks, gives back the jobs that did not finish, and unregisters
    /// the worker.
    pub async fn finish(mut self) {
        self.stop();
        self.consumer.stopped.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.give_back().await;
        self.consumer.leave().await;
    }

    pub(super) async fn give_back(&self) {
        let left: Vec<(Lease, Answer)> = {
            let in_flight = self.consumer.in_flight();
            in_flight
                .iter()
                .map(|entry| (entry.held.lease, Answer::GiveBack))
                .collect()
        };
        if left.is_empty() {
            return;
        }
        let (store, queue) = (self.consumer.queues.store(), self.consumer.policy.queue);
        tracing::info!(
            queue,
            jobs = left.len(),
            "releasing jobs that did not finish"
        );
        if let Err(error) = store.settle(queue, &self.consumer.name, &left).await {
            self.consumer.store_failed("release jobs", &error);
        }
    }
}
