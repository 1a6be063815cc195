//! Jobs as they are pushed, delivered and answered.

use std::time::Duration;

use uuid::Uuid;

use crate::jobs::lease::{FailedAttempt, Lease};
use crate::time::Timestamp;

/// A job to be pushed.
#[derive(Clone, Debug, Default)]
pub struct NewJob {
    /// Its queue.
    pub queue: &'static str,
    /// Its ID.
    pub id: Uuid,
    /// Whether the ID was given by the caller, so that the job may be queued already; then it is not pushed twice.
    /// For an ID that was made for this push the store need not check.
    pub named: bool,
    /// The payload, as JSON.
    pub payload: String,
    /// How long it is delayed.
    pub delay: Duration,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// Which replay from the dead letters this is; 0 for a job that was never replayed.
    pub replay: u32,
}

/// A job, handed to a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The consumer's hold on it.
    pub lease: Lease,
    /// The payload's bytes, as they were stored.
    pub payload: Vec<u8>,
    /// Failed attempts, oldest first.
    pub failed: Vec<FailedAttempt>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// When it was pushed, by the store's clock.
    pub enqueued_at: Timestamp,
    /// Whether it was answered with [`Answer::Again`] before, so a handler may have done part of it.
    pub put_off: bool,
}

/// How many jobs, and bytes of payload, a consumer has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most jobs.
    pub jobs: usize,
    /// The bytes of their payloads together. The last job may exceed it, so that a job larger than all the room is
    /// still handed out.
    pub bytes: usize,
}

impl Capacity {
    /// Room for this many jobs of any size.
    #[must_use]
    pub const fn jobs(jobs: usize) -> Self {
        Self {
            jobs,
            bytes: usize::MAX,
        }
    }

    /// The room left after these jobs.
    #[must_use]
    pub fn without(self, jobs: &[Delivery]) -> Self {
        let bytes: usize = jobs.iter().map(|job| job.payload.len()).sum();
        Self {
            jobs: self.jobs.saturating_sub(jobs.len()),
            bytes: self.bytes.saturating_sub(bytes),
        }
    }

    /// How many jobs of the average size of these have room; none if there are none to average.
    #[must_use]
    pub fn fits(self, jobs: &[Delivery]) -> Option<usize> {
        let bytes: usize = jobs.iter().map(|job| job.payload.len()).sum();
        let each = bytes.div_ceil(jobs.len().max(1)).max(1);
        (!jobs.is_empty()).then(|| (self.bytes / each).max(1))
    }

    /// Whether there is no room.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.jobs == 0 || self.bytes == 0
    }
}

/// Jobs that were taken over because their leases had expired.
#[derive(Debug, Default)]
pub struct Reclaimed {
    /// The jobs, oldest lease first. A suspect comes alone.
    pub jobs: Vec<Delivery>,
    /// Whether suspects wait for a consumer with nothing else of the queue in flight.
    pub suspects_wait: bool,
}

/// A consumer's answer for a job that it holds.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Done, or a dead letter: remove it. Accepted from a former holder, too, because the work is done.
    Remove,
    /// Run it again after the delay. Accepted only from its current holder.
    Again {
        /// How long it is delayed.
        delay: Duration,
        /// All failed attempts so far.
        failed: Vec<FailedAttempt>,
    },
    /// It was not started; this delivery does not count. Accepted only from its current holder.
    GiveBack,
}
