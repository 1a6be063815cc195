//! Levels and tiers. Handler: `workers/src/tier.rs`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{About, Policy, Subject};

/// "Look at this incident's level and tier."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalculateTier {
    /// The incident.
    pub incident: Uuid,
}

impl About for CalculateTier {
    /// Many at once, because the handler works through them in batches.
    const RUN: Policy = Policy {
        concurrency: 256,
        ..Policy::USUAL
    };

    fn subject(&self) -> Option<Subject> {
        Some(Subject::Incident(self.incident))
    }
}
