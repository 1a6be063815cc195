//! The policy of counting: what is counted, and how long an incident can be joined.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::level::Rises;

/// What is counted: which id stands for one occurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Each firing counts once, however often it is sent.
    #[default]
    Episode,
    /// Every accepted delivery counts, re-sends included.
    Delivery,
    /// What fails together counts once.
    Incident,
}

impl Unit {
    /// As it is written in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Episode => "episode",
            Self::Delivery => "delivery",
            Self::Incident => "incident",
        }
    }
}

/// How long an incident can be joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// For a fixed window from its first alert.
    #[default]
    Window,
    /// For as long as it is open, too.
    Resolved,
}

/// The settings that aggregation obeys.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What is counted.
    pub unit: Unit,
    /// How far apart starts of one firing may lie.
    pub skew: Duration,
    /// How long an incident can be joined, from its first alert.
    pub window: Duration,
    /// Whether it can be joined for as long as it is open instead.
    pub until: Until,
    /// Whether an incident resolves when all its episodes are closed.
    pub auto_resolve: bool,
    /// How long an alert has to last to escalate.
    pub open_for: Duration,
    /// Whether an incident that opens is analyzed.
    pub analyze: bool,
    /// When more firings can raise a level.
    pub rises: Rises,
    /// How long figures may be behind where they cannot.
    pub figures: Duration,
}
