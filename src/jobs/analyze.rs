//! Analyses of incidents. Handler: `workers/src/analyze.rs`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{About, Subject};

/// "Work out what is known of this incident's past."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analyze {
    /// The incident.
    pub incident: Uuid,
}

impl About for Analyze {
    fn subject(&self) -> Option<Subject> {
        Some(Subject::Incident(self.incident))
    }
}
