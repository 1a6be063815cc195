//! The figures that are kept of anomalies and incidents, and compared with the rows that they are made of.

use serde::{Deserialize, Serialize};

/// Which figure.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = Figure)]
pub enum Figure {
    /// How often an anomaly was counted in all.
    Total,
    /// When it was first seen.
    FirstSeen,
    /// When it was last seen.
    LastSeen,
    /// What the counter says of a window.
    Counter,
    /// What an incident says of a window.
    FrequencyStats,
    /// How many episodes an incident says that are in it.
    AggregatedCount,
    /// How many of them it says that are open.
    OpenEpisodes,
    /// What silence says of a repair.
    Verdict,
    /// What an action was worth.
    Effectiveness,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Total,
        Self::FirstSeen,
        Self::LastSeen,
        Self::Counter,
        Self::FrequencyStats,
        Self::AggregatedCount,
        Self::OpenEpisodes,
        Self::Verdict,
        Self::Effectiveness,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::FirstSeen => "first_seen",
            Self::LastSeen => "last_seen",
            Self::Counter => "counter",
            Self::FrequencyStats => "frequency_stats",
            Self::AggregatedCount => "aggregated_count",
            Self::OpenEpisodes => "open_episodes",
            Self::Verdict => "verdict",
            Self::Effectiveness => "effectiveness",
        }
    }
}
