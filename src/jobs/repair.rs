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
}

impl About for RecordRepair {
    fn subject(&self) -> Option<Subject> {
        Some(Subject::Incident(self.incident))
    }
}
