//! A job's lease, and its failed attempts.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// How long a lease lasts unless the consumer extends it.
pub const LEASE: Duration = Duration::from_secs(15);
/// Deliveries without an answer after which a job is a suspect, which runs alone: its worker may have died of it.
pub const SUSPECT_AFTER: u32 = 3;
/// Deliveries without an answer after which a job becomes a dead letter.
pub const DEAD_AFTER: u32 = 5;

/// One attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FailedAttempt {
    /// When it failed, by the worker's clock.
    pub at: Timestamp,
    /// The handler's error.
    pub error: String,
}

impl FailedAttempt {
    /// Reads a store's JSON list of attempts; an unreadable list counts as empty.
    pub(crate) fn read_all(json: &[u8]) -> Vec<Self> {
        let mut all: Vec<Self> = serde_json::from_slice(json).unwrap_or_default();
        for attempt in &mut all {
            // PostgreSQL's JSON refuses NUL, so the job could never become a dead letter.
            attempt.error = attempt.error.replace('\0', "\u{fffd}");
        }
        all
    }
}

/// Where a store keeps a job that it handed out, if it cannot find it by ID. Only the store reads it: it returns
/// with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StorePosition {
    /// In Redis the first half of the stream entry's ID (milliseconds).
    pub major: u64,
    /// The second half (sequence number).
    pub minor: u64,
    /// Whether the job was pushed as `named`.
    pub named: bool,
}

/// A consumer's hold on a job: which job, and which delivery of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job's ID.
    pub id: Uuid,
    /// Deliveries since its last answer, this one included.
    pub delivery: u32,
    /// How often the job was replayed from the dead letters.
    pub replay: u32,
    /// Where its store keeps it.
    pub place: StorePosition,
}

impl Lease {
    /// Whether it was delivered too often without an answer to run again ([`DEAD_AFTER`]).
    #[must_use]
    pub const fn is_poison(&self) -> bool {
        self.delivery > DEAD_AFTER
    }

    /// Whether it may run only while nothing else of its queue is in flight ([`SUSPECT_AFTER`]).
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.delivery > SUSPECT_AFTER
    }
}
