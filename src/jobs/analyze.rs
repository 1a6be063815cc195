//! Analyses of incidents. Handler: `workers/src/analyze.rs`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{About, Policy, Subject};

/// "Work out what is known of this incident's past."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analyze {
    /// The incident.
    pub incident: Uuid,
}

impl About for Analyze {
    /// One at a time in each process, so that many incidents which open together delay other work as little as possible.
    const RUN: Policy = Policy {
        concurrency: 1,
        attempts: 3,
        ..Policy::USUAL
    };

    fn subject(&self) -> Option<Subject> {
        Some(Subject::Incident(self.incident))
    }
}
