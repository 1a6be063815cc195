//! Levels and tiers. Handler: `workers/src/tier.rs`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{About, Policy, Subject};

/// "Look at this incident's level and tier."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalculateTier {
    /// The incident, or the canary.
    pub incident: Uuid,
    /// Whether it is a canary's. An older version finds no incident of that ID and is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary: bool,
}

impl CalculateTier {
    /// Of an incident.
    #[must_use]
    pub const fn of(incident: Uuid) -> Self {
        Self {
            incident,
            canary: false,
        }
    }
}

impl About for CalculateTier {
    /// Many at once, because the handler works through them in batches.
    const RUN: Policy = Policy {
        concurrency: 256,
        ..Policy::USUAL
    };

    fn subject(&self) -> Option<Subject> {
        (!self.canary).then_some(Subject::Incident(self.incident))
    }
}
