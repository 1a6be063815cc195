//! Analyses of incidents.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// "Work out what is known of this incident's past."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analyze {
    /// The incident.
    pub incident: Uuid,
}
