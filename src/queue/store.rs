//! What a queue's store must be able to do. Two drivers implement it; one conformance suite holds
//! both to it.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::about::{About, Known};
use crate::redis::Memory;
use crate::time::Timestamp;

/// How often it is looked for leases that have expired.
pub const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// How long a consumer holds a job without saying so again.
pub const LEASE: Duration = Duration::from_secs(15);
/// After so many unanswered deliveries a job is a suspect: it is run alone.
pub const SUSPECT_AFTER: u32 = 3;
/// Of jobs that would be suspects next, so many times fewer are taken over at once.
pub const WARY: usize = 10;
/// After so many it is a dead letter.
pub const DEAD_AFTER: u32 = 5;
/// How often a consumer says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Jobs in one state that a search looks at, at most.
pub const SEARCHED: usize = 5000;
/// Consumers that were not heard of for so long are not workers any more.
pub const CONSUMER_GONE: Duration = Duration::from_secs(30);

/// A job to be pushed.
#[derive(Clone, Debug, Default)]
pub struct NewJob {
    /// The queue it goes to.
    pub queue: &'static str,
    /// Its id.
    pub id: Uuid,
    /// Whether its id has a meaning, so that it may be queued already: then it is not pushed again.
    /// A store need not look for an id that was made for this push.
    pub named: bool,
    /// The payload, as JSON.
    pub payload: String,
    /// How long it must wait.
    pub delay: Duration,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// How often it was replayed from the dead letters.
    pub replay: u32,
}

/// One attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FailedAttempt {
    /// When, by the clock of the process that tried.
    pub at: Timestamp,
    /// What went wrong.
    pub error: String,
}

impl FailedAttempt {
    /// Reads the attempts that a store keeps, as JSON. What cannot be read is none.
    pub(super) fn read_all(json: &[u8]) -> Vec<Self> {
        let mut all: Vec<Self> = serde_json::from_slice(json).unwrap_or_default();
        for attempt in &mut all {
            // With NUL in it, PostgreSQL's JSON would not take them among the dead letters, ever.
            attempt.error = attempt.error.replace('\0', "\u{fffd}");
        }
        all
    }
}

/// Where a store keeps what it handed out, if the job's id does not tell: its own business, which
/// comes back to it with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The first half.
    pub major: u64,
    /// The second half.
    pub minor: u64,
    /// Whether the job was pushed as one that is `named`.
    pub named: bool,
}

/// What a consumer holds: which job, and which of its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub id: Uuid,
    /// How often it was delivered since it was last answered, this one included.
    pub delivery: u32,
    /// How often it was replayed.
    pub replay: u32,
    /// Where it is.
    pub place: Place,
}

impl Lease {
    /// It went unanswered so often that it is not run any more.
    #[must_use]
    pub const fn is_poison(&self) -> bool {
        self.delivery > DEAD_AFTER
    }

    /// It went unanswered so often that it is run with nothing else of its queue in flight.
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.delivery > SUSPECT_AFTER
    }
}

/// A job, handed to a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What is held.
    pub lease: Lease,
    /// The payload's bytes, as they were stored.
    pub payload: Vec<u8>,
    /// Attempts that failed, oldest first.
    pub failed: Vec<FailedAttempt>,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// When it was pushed, by the store's clock.
    pub enqueued_at: Timestamp,
    /// Whether it was answered with [`Answer::Again`] before: somebody worked on it.
    pub put_off: bool,
}

/// How much may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many jobs at most.
    pub jobs: usize,
    /// Of payloads that come to so many bytes, and one more, which may be larger: a job that weighs more
    /// than there is room for is handed out all the same.
    pub bytes: usize,
}

impl Room {
    /// For so many jobs, whatever they weigh.
    #[must_use]
    pub const fn jobs(jobs: usize) -> Self {
        Self {
            jobs,
            bytes: usize::MAX,
        }
    }

    /// What is left when these were handed out.
    #[must_use]
    pub fn without(self, jobs: &[Delivery]) -> Self {
        let bytes: usize = jobs.iter().map(|job| job.payload.len()).sum();
        Self {
            jobs: self.jobs.saturating_sub(jobs.len()),
            bytes: self.bytes.saturating_sub(bytes),
        }
    }

    /// How many more there is room for if they weigh as much as these; not known if there are none.
    #[must_use]
    pub fn fits(self, jobs: &[Delivery]) -> Option<usize> {
        let bytes: usize = jobs.iter().map(|job| job.payload.len()).sum();
        let each = bytes.div_ceil(jobs.len().max(1)).max(1);
        (!jobs.is_empty()).then(|| (self.bytes / each).max(1))
    }

    /// Whether nothing may be handed out.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.jobs == 0 || self.bytes == 0
    }
}

/// Expired leases that were taken over.
#[derive(Debug, Default)]
pub struct Reclaimed {
    /// The jobs, oldest lease first. One that is a suspect comes alone.
    pub jobs: Vec<Delivery>,
    /// Suspects wait for a process with nothing else of the queue in flight.
    pub suspects_wait: bool,
}

/// How a held job leaves its consumer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is done, or buried: remove it. Accepted from whoever did it.
    Remove,
    /// Run it again after the delay. Accepted from its present holder only.
    Again {
        /// How long it must wait.
        delay: Duration,
        /// All attempts that failed so far.
        failed: Vec<FailedAttempt>,
    },
    /// It was not tried: as if it had not been delivered. Accepted from its present holder only.
    GiveBack,
}

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
    /// The job; nobody holds it under this lease.
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

/// A clock that pushes a job at every multiple of its period.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Its name.
    pub name: &'static str,
    /// The period.
    pub every: Duration,
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
        room: Room,
    ) -> Result<Vec<Delivery>, QueueError>;

    /// Whether it is this consumer's turn to look for leases that have expired, where looking costs all
    /// consumers the more the more there are of them: one consumer's of each [`RECLAIM_EVERY`]. Who found some
    /// goes on without a turn.
    async fn is_turn_to_reclaim(&self, _queue: &str) -> Result<bool, QueueError> {
        Ok(true)
    }

    /// Takes over as many jobs as there is room for whose lease has expired, and of those that would be suspects
    /// next a [`WARY`]th as many: whoever dies with them makes few suspects. A suspect is handed out
    /// only if the consumer is `alone` (holds nothing of this queue), and then nothing beside it.
    /// Where the store was away, nothing is handed out for one lease from when it is back.
    async fn reclaim(
        &self,
        queue: &str,
        consumer: &str,
        room: Room,
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

    /// Says that the consumer is there, and forgets those that were not heard of for
    /// [`CONSUMER_GONE`]. What they hold stays theirs until its lease has run out.
    async fn heartbeat(&self, queue: &str, consumer: &str, about: &About)
    -> Result<(), QueueError>;

    /// Forgets a consumer that has stopped. What it holds all the same stays its own until its lease
    /// has run out.
    async fn leave(&self, queue: &str, consumer: &str) -> Result<(), QueueError>;

    /// The consumers heard of within [`CONSUMER_GONE`], by name.
    async fn consumers(&self, queue: &str) -> Result<Vec<Known>, QueueError>;

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

    /// Pauses the queue (nothing new is handed out) or lets it go on. One that is paused already
    /// stays paused since then.
    async fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError>;

    /// Returns soon after something was pushed to the queue by this process; may return early.
    async fn pushed(&self, queue: &str);
}
