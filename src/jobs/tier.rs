//! Levels and tiers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// "Look at this incident's level and tier."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalculateTier {
    /// The incident.
    pub incident: Uuid,
}
