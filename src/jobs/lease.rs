//! Who holds a job, and for how long: its lease, and the attempts that failed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// How long a consumer holds a job without saying so again.
pub const LEASE: Duration = Duration::from_secs(15);
/// After so many unanswered deliveries a job is a suspect: it is run alone.
pub const SUSPECT_AFTER: u32 = 3;
/// After so many of them it is a dead letter.
pub const DEAD_AFTER: u32 = 5;

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
    pub(crate) fn read_all(json: &[u8]) -> Vec<Self> {
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
pub struct StorePosition {
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
    pub place: StorePosition,
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
