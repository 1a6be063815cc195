//! A queue's store that does not always answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use tocsin::queue::about::{WorkerInfo, WorkerStatus};
use tocsin::queue::store::{
    Answer, Capacity, Delivery, Depth, Lease, NewJob, QueueError, QueueStore, Queued, Reclaimed,
    Schedule,
};
use tocsin::time::Timestamp;
use uuid::Uuid;

/// Every counter says how many of the next calls go wrong.
pub struct Unreliable {
    pub inner: Arc<dyn QueueStore>,
    /// Calls that reach nothing.
    pub unreachable: AtomicU32,
    /// Settlements that remove a job and reach nothing.
    pub removal_unreachable: AtomicU32,
    /// Fetches that are done and not answered.
    pub fetch_unanswered: AtomicU32,
    /// Settlements that are done and not answered.
    pub settle_unanswered: AtomicU32,
    /// Settlements that are answered only after the next fetch has handed something out.
    pub settle_slow: AtomicU32,
    /// Fetches that handed something out.
    pub fetched: AtomicU32,
    /// Fetches and take-overs that were asked for.
    pub asked: AtomicU32,
}

impl Unreliable {
    pub fn new(inner: Arc<dyn QueueStore>) -> Self {
        Self {
            inner,
            unreachable: AtomicU32::default(),
            removal_unreachable: AtomicU32::default(),
            fetch_unanswered: AtomicU32::default(),
            settle_unanswered: AtomicU32::default(),
            settle_slow: AtomicU32::default(),
            fetched: AtomicU32::default(),
            asked: AtomicU32::default(),
        }
    }

    fn reach(&self) -> Result<&dyn QueueStore, QueueError> {
        fails(&self.unreachable)?;
        Ok(self.inner.as_ref())
    }
}

fn fails(times: &AtomicU32) -> Result<(), QueueError> {
    let order = Ordering::SeqCst;
    match times.fetch_update(order, order, |left| left.checked_sub(1)) {
        Ok(_) => Err(QueueError("out of order".into())),
        Err(_) => Ok(()),
    }
}

#[async_trait]
impl QueueStore for Unreliable {
    async fn takes(&self) -> Result<(), QueueError> {
        self.reach()?.takes().await
    }

    async fn push(&self, jobs: &[NewJob]) -> Result<(), QueueError> {
        self.reach()?.push(jobs).await
    }

    async fn fetch(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
    ) -> Result<Vec<Delivery>, QueueError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let jobs = self.reach()?.fetch(queue, consumer, room).await?;
        if !jobs.is_empty() {
            self.fetched.fetch_add(1, Ordering::SeqCst);
            fails(&self.fetch_unanswered)?;
        }
        Ok(jobs)
    }

    async fn is_turn_to_reclaim(&self, queue: &str) -> Result<bool, QueueError> {
        self.reach()?.is_turn_to_reclaim(queue).await
    }

    async fn reclaim(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
        alone: bool,
    ) -> Result<Reclaimed, QueueError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let store = self.reach()?;
        store.reclaim(queue, consumer, room, alone).await
    }

    async fn settle(
        &self,
        queue: &str,
        consumer: &str,
        answers: &[(Lease, Answer)],
    ) -> Result<(), QueueError> {
        let removes = |(_, answer): &(Lease, Answer)| matches!(answer, Answer::Remove);
        if answers.iter().any(removes) {
            fails(&self.removal_unreachable)?;
        }
        let fetched = self.fetched.load(Ordering::SeqCst);
        self.reach()?.settle(queue, consumer, answers).await?;
        if fails(&self.settle_slow).is_err() {
            super::until("something is fetched", || {
                self.fetched.load(Ordering::SeqCst) > fetched
            })
            .await;
        }
        fails(&self.settle_unanswered)
    }

    async fn now(&self) -> Result<Timestamp, QueueError> {
        self.reach()?.now().await
    }

    async fn extend(
        &self,
        queue: &str,
        consumer: &str,
        leases: &[Lease],
    ) -> Result<Vec<Uuid>, QueueError> {
        self.reach()?.extend(queue, consumer, leases).await
    }

    async fn promote(&self, queue: &str, limit: usize) -> Result<usize, QueueError> {
        self.reach()?.promote(queue, limit).await
    }

    async fn tick(
        &self,
        queue: &'static str,
        jobs: &[(Schedule, String)],
    ) -> Result<usize, QueueError> {
        self.reach()?.tick(queue, jobs).await
    }

    async fn heartbeat(
        &self,
        queue: &str,
        consumer: &str,
        about: &WorkerInfo,
    ) -> Result<(), QueueError> {
        self.reach()?.heartbeat(queue, consumer, about).await
    }

    async fn leave(&self, queue: &str, consumer: &str) -> Result<(), QueueError> {
        self.reach()?.leave(queue, consumer).await
    }

    async fn consumers(&self, queue: &str) -> Result<Vec<WorkerStatus>, QueueError> {
        self.reach()?.consumers(queue).await
    }

    async fn depth(&self, queue: &str) -> Result<Depth, QueueError> {
        self.reach()?.depth(queue).await
    }

    async fn search(
        &self,
        queue: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, QueueError> {
        self.reach()?.search(queue, text, limit).await
    }

    async fn paused(
        &self,
        queues: &[&'static str],
    ) -> Result<Vec<(&'static str, Timestamp)>, QueueError> {
        self.reach()?.paused(queues).await
    }

    async fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError> {
        self.reach()?.set_paused(queue, paused).await
    }

    async fn pushed(&self, queue: &str) {
        self.inner.pushed(queue).await;
    }
}
