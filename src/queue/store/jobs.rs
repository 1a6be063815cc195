//! Jobs as a store takes them, hands them out, and gets them back.

use std::time::Duration;

use uuid::Uuid;

use crate::jobs::lease::{FailedAttempt, Lease};
use crate::time::Timestamp;

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
    /// Whether it was answered with [`Answer::Again`] before: a handler worked on it.
    pub put_off: bool,
}

/// How many jobs and bytes a consumer can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// So many jobs at most.
    pub jobs: usize,
    /// Payloads of so many bytes together, and one more, which may be larger: a job that weighs more
    /// than there is room for is handed out all the same.
    pub bytes: usize,
}

impl Capacity {
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
    /// It is done, or buried: remove it. Accepted from any worker that did it.
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
