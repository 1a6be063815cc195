//! The contract of a queue's store. Two drivers implement it ([`super::sql`], [`super::redis`]), and one
//! conformance suite tests both against it.

mod jobs;

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use super::about::{WorkerInfo, WorkerStatus};
use crate::jobs::JobError;
pub use crate::jobs::Schedule;
pub use crate::jobs::lease::{
    DEAD_AFTER, FailedAttempt, LEASE, Lease, SUSPECT_AFTER, StorePosition,
};
use crate::redis::Memory;
use crate::store::error::STORE_DELAY;
use crate::time::Timestamp;
pub use jobs::{Answer, Capacity, Delivery, NewJob, Reclaimed};

/// How often expired leases are searched for.
pub const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// Jobs that would be suspects after another crash are taken over in batches smaller by this factor.
pub const SUSPECT_BATCH_DIVISOR: usize = 10;
/// How often a consumer sends a heartbeat.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// The most jobs of one state that a search reads.
pub const SEARCHED: usize = 5000;
/// A consumer without a heartbeat for this long counts as dead.
pub const CONSUMER_GONE: Duration = Duration::from_secs(30);

/// A queue's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Depth {
    /// Jobs that can run now.
    pub ready: u64,
    /// Jobs that may not run yet: deferred, or waiting for a retry.
    pub delayed: u64,
    /// Jobs that a worker holds.
    pub in_flight: u64,
    /// How long the oldest ready job has waited, in milliseconds.
    pub oldest_age_ms: Option<u64>,
    /// Workers with a heartbeat within [`CONSUMER_GONE`].
    pub workers: u64,
    /// Whether the queue is paused.
    pub paused: bool,
    /// When it was paused.
    pub paused_since: Option<Timestamp>,
    /// An ID that changes whenever the store loses its data; none for a store that cannot. See
    /// [`super::data_loss`].
    #[serde(skip)]
    pub epoch: Option<Uuid>,
}

/// The state of a queued job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobState)]
pub enum JobState {
    /// It can run now.
    Ready,
    /// It may not run yet.
    Delayed,
    /// A consumer holds it.
    InFlight,
}

/// A job that was found in a queue.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The job. Its lease is for display only.
    pub job: Delivery,
    /// Its state.
    pub stand: JobState,
    /// When it becomes ready, if it is delayed.
    pub due_at: Option<Timestamp>,
}

/// The store's error, usually that it cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the queue's store: {0}")]
pub struct QueueError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

impl From<QueueError> for JobError {
    fn from(error: QueueError) -> Self {
        Self::RetryAfter {
            after: STORE_DELAY,
            why: error.to_string(),
        }
    }
}

/// A queue's store. All times are by the store's clock, so that processes need not agree on the time.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Stores all of `jobs` durably, in one round trip for each queue.
    async fn push(&self, jobs: &[NewJob]) -> Result<(), QueueError>;

    /// Hands out ready jobs up to `room`, oldest first; none of a paused queue. A store that cannot know the size of
    /// jobs beforehand may hand out a few hundred more than fit into `room.bytes`.
    async fn fetch(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
    ) -> Result<Vec<Delivery>, QueueError>;

    /// Whether this consumer may search for expired leases now. Where the search costs more with more consumers,
    /// one of them may in each [`RECLAIM_EVERY`]; a consumer that found some goes on without asking.
    async fn is_turn_to_reclaim(&self, _queue: &str) -> Result<bool, QueueError> {
        Ok(true)
    }

    /// Takes over jobs with expired leases up to `room`. Of jobs that would be suspects next it takes a
    /// [`SUSPECT_BATCH_DIVISOR`]th as many, so that one crash makes few suspects. A suspect is handed out only if
    /// the consumer is `alone` (holds nothing of this queue), and only one. After the store was unreachable, it hands
    /// out nothing for one lease, so that live workers can extend theirs first.
    async fn reclaim(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
        alone: bool,
    ) -> Result<Reclaimed, QueueError>;

    /// Settles the consumer's answers. An answer from a consumer that may not give it ([`Answer`]) is dropped.
    async fn settle(
        &self,
        queue: &str,
        consumer: &str,
        answers: &[(Lease, Answer)],
    ) -> Result<(), QueueError>;

    /// Extends `leases` by another [`LEASE`]; returns the IDs of the jobs that the consumer still holds.
    async fn extend(
        &self,
        queue: &str,
        consumer: &str,
        leases: &[Lease],
    ) -> Result<Vec<Uuid>, QueueError>;

    /// Makes up to `limit` delayed jobs ready whose time has come; returns how many.
    async fn promote(&self, queue: &str, limit: usize) -> Result<usize, QueueError>;

    /// Claims the current tick of each schedule of the queue and pushes its job, the payload beside it, in one step.
    /// Returns how many were claimed: of each tick one call claims it. Missed ticks are not pushed.
    async fn tick(
        &self,
        queue: &'static str,
        jobs: &[(Schedule, String)],
    ) -> Result<usize, QueueError>;

    /// Records a heartbeat, and removes consumers without one for [`CONSUMER_GONE`]. Their jobs stay leased until
    /// the leases expire.
    async fn heartbeat(
        &self,
        queue: &str,
        consumer: &str,
        about: &WorkerInfo,
    ) -> Result<(), QueueError>;

    /// Removes a consumer that has stopped. Jobs that it still holds stay leased until the leases expire.
    async fn leave(&self, queue: &str, consumer: &str) -> Result<(), QueueError>;

    /// The consumers with a heartbeat within [`CONSUMER_GONE`], by name.
    async fn consumers(&self, queue: &str) -> Result<Vec<WorkerStatus>, QueueError>;

    /// The queue's figures.
    async fn depth(&self, queue: &str) -> Result<Depth, QueueError>;

    /// The time by the store's clock.
    async fn now(&self) -> Result<Timestamp, QueueError>;

    /// Tries a write, and undoes it.
    ///
    /// # Errors
    /// The store accepts no writes.
    async fn takes(&self) -> Result<(), QueueError>;

    /// Whether polling loads a server that all consumers share; then each polls less often the more there are.
    fn is_asked_dearly(&self) -> bool {
        false
    }

    /// How much of the store's memory is used; none if it has no limit or keeps jobs on disk.
    async fn memory(&self) -> Result<Option<Memory>, QueueError> {
        Ok(None)
    }

    /// Up to `limit` jobs with `text` in their payload, of the newest [`SEARCHED`] in each state.
    async fn search(
        &self,
        queue: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, QueueError>;

    /// Whether it can lose jobs that were pushed. Then its depth has an epoch.
    fn can_lose(&self) -> bool {
        false
    }

    /// Those of `queues` that are paused, each with when it was. Its cost does not grow with the number of jobs.
    async fn paused(
        &self,
        queues: &[&'static str],
    ) -> Result<Vec<(&'static str, Timestamp)>, QueueError>;

    /// Pauses the queue (no job is handed out) or resumes it. Pausing a paused queue keeps its time.
    async fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError>;

    /// Returns soon after this process pushed to the queue. May return without a push.
    async fn pushed(&self, queue: &str);
}
