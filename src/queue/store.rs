//! What a queue's store must be able to do. Two drivers implement it; one conformance suite holds
//! both to it.

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

/// How often it is looked for leases that have expired.
pub const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// Of jobs that would be suspects next, so many times fewer are taken over at once.
pub const SUSPECT_BATCH_DIVISOR: usize = 10;
/// How often a consumer says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Jobs in one state that a search looks at, at most.
pub const SEARCHED: usize = 5000;
/// Consumers without a heartbeat for so long are gone.
pub const CONSUMER_GONE: Duration = Duration::from_secs(30);

/// A queue in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Depth {
    /// Jobs that could run now.
    pub ready: u64,
    /// Jobs that wait for their time.
    pub delayed: u64,
    /// Jobs that a worker holds.
    pub in_flight: u64,
    /// How long the oldest ready job has waited, in milliseconds.
    pub oldest_age_ms: Option<u64>,
    /// Workers with a heartbeat within [`CONSUMER_GONE`].
    pub workers: u64,
    /// Whether the queue is paused.
    pub paused: bool,
    /// Since when.
    pub paused_since: Option<Timestamp>,
    /// Since when the store has not lost its data: another word after every time that it did. None
    /// for a store that does not.
    #[serde(skip)]
    pub epoch: Option<Uuid>,
}

/// Where a queued job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobState)]
pub enum JobState {
    /// It could run now.
    Ready,
    /// It waits for its time.
    Delayed,
    /// A consumer holds it.
    InFlight,
}

/// A job that was found in a queue.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The job, which is not held under this lease any more.
    pub job: Delivery,
    /// Where it stands.
    pub stand: JobState,
    /// When it is due, if it waits for that.
    pub due_at: Option<Timestamp>,
}

/// Why the store did not do it.
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

/// A queue's store. All times are the store's own.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Makes all of `jobs` durable in one round trip.
    async fn push(&self, jobs: &[NewJob]) -> Result<(), QueueError>;

    /// Hands out as many ready jobs as there is room for, those that waited longest first; none of a
    /// paused queue. A store that cannot weigh jobs before it hands them out may hand out a few hundred
    /// more than there are bytes for.
    async fn fetch(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
    ) -> Result<Vec<Delivery>, QueueError>;

    /// Whether it is this consumer's turn to look for leases that have expired, where looking costs all
    /// consumers the more the more there are of them: one consumer's of each [`RECLAIM_EVERY`]. Who found some
    /// goes on without a turn.
    async fn is_turn_to_reclaim(&self, _queue: &str) -> Result<bool, QueueError> {
        Ok(true)
    }

    /// Takes over as many jobs as there is room for whose lease has expired, and of those that would be suspects
    /// next a [`SUSPECT_BATCH_DIVISOR`]th as many: a crash with them makes few suspects. A suspect is handed out
    /// only if the consumer is `alone` (holds nothing of this queue), and then nothing beside it.
    /// Where the store was away, nothing is handed out for one lease from when it is back.
    async fn reclaim(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
        alone: bool,
    ) -> Result<Reclaimed, QueueError>;

    /// Settles what the consumer held. An answer that comes from another than it must is dropped.
    async fn settle(
        &self,
        queue: &str,
        consumer: &str,
        answers: &[(Lease, Answer)],
    ) -> Result<(), QueueError>;

    /// Holds `leases` for another [`LEASE`]; returns those that are still held.
    async fn extend(
        &self,
        queue: &str,
        consumer: &str,
        leases: &[Lease],
    ) -> Result<Vec<Uuid>, QueueError>;

    /// Makes at most `limit` delayed jobs whose time has come ready; returns how many.
    async fn promote(&self, queue: &str, limit: usize) -> Result<usize, QueueError>;

    /// Claims the schedule's present tick and pushes its job, in one step; false if the tick was
    /// claimed already. Ticks that were missed are made up for by this one.
    async fn tick(
        &self,
        schedule: Schedule,
        queue: &'static str,
        payload: String,
    ) -> Result<bool, QueueError>;

    /// Says that the consumer is there, and forgets those without a heartbeat for
    /// [`CONSUMER_GONE`]. What they hold stays theirs until its lease has run out.
    async fn heartbeat(
        &self,
        queue: &str,
        consumer: &str,
        about: &WorkerInfo,
    ) -> Result<(), QueueError>;

    /// Forgets a consumer that has stopped. What it holds all the same stays its own until its lease
    /// has run out.
    async fn leave(&self, queue: &str, consumer: &str) -> Result<(), QueueError>;

    /// The consumers with a heartbeat within [`CONSUMER_GONE`], by name.
    async fn consumers(&self, queue: &str) -> Result<Vec<WorkerStatus>, QueueError>;

    /// The queue in figures.
    async fn depth(&self, queue: &str) -> Result<Depth, QueueError>;

    /// The store's clock, which says when jobs were pushed.
    async fn now(&self) -> Result<Timestamp, QueueError>;

    /// Whether the store takes what is written to it, which is tried.
    async fn takes(&self) -> Result<(), QueueError>;

    /// Whether asking for work costs a server that all share: where consumers are many, each asks less often then.
    fn is_asked_dearly(&self) -> bool {
        false
    }

    /// How much of the store's memory is used; nothing where that is not bounded, or it keeps jobs on a disk.
    async fn memory(&self) -> Result<Option<Memory>, QueueError> {
        Ok(None)
    }

    /// Jobs with `text` in their payload: at most `limit`, of the newest [`SEARCHED`] in each state.
    async fn search(
        &self,
        queue: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, QueueError>;

    /// Whether it may come back without what it held. Then its depth has an epoch.
    fn can_lose(&self) -> bool {
        false
    }

    /// Those of `queues` that are paused, each with since when. Costs little, however many jobs there are.
    async fn paused(
        &self,
        queues: &[&'static str],
    ) -> Result<Vec<(&'static str, Timestamp)>, QueueError>;

    /// Pauses the queue (nothing new is handed out) or lets it go on. One that is paused already
    /// stays paused since then.
    async fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError>;

    /// Returns soon after something was pushed to the queue by this process; may return early.
    async fn pushed(&self, queue: &str);
}
