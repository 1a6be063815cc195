//! Repairs that were reported. Handler: `workers/src/repair.rs`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{About, Subject};
use crate::time::Timestamp;

/// "This was tried on that incident." The job's id becomes the repair's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRepair {
    /// The incident it was tried on.
    pub incident: Uuid,
    /// What was done, for instance `restart_pod`.
    pub action: String,
    /// Whether it helped.
    pub success: bool,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// When it was reported.
    pub at: Timestamp,
    /// When it started, if that was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it finished, if that was not when it was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl RecordRepair {
    /// When it finished.
    #[must_use]
    pub fn repaired_at(&self) -> Timestamp {
        self.finished_at.unwrap_or(self.at)
    }
}

impl RecordRepair {
    /// The longest duration, in milliseconds: up to here every whole number is exact in JSON.
    pub const LONGEST_MS: i64 = 9_007_199_254_740_991;
}

impl About for RecordRepair {
    fn subject(&self) -> Option<Subject> {
        Some(Subject::Incident(self.incident))
    }
}
