//! What repairs were worth.

use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};

use super::tier::Tier;
use crate::time::Timestamp;

/// How one action did on one anomaly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effectiveness {
    /// What was done.
    pub action: String,
    /// How often.
    pub attempts: i64,
    /// How often it helped.
    pub successes: i64,
}

/// One repair as an incident's history shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RepairEntry {
    /// What was done.
    pub action: String,
    /// Whether it helped.
    pub success: bool,
    /// When.
    pub timestamp: Timestamp,
    /// The operator's name, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
}

/// How many repairs an incident's history shows.
pub const HISTORY: usize = 20;

/// An anomaly's repairs as an incident carries them, readable without another query.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult, utoipa::ToSchema,
)]
pub struct RepairStats {
    /// Repairs recorded on this anomaly.
    pub total_attempts: i64,
    /// Those that helped.
    pub successful_attempts: i64,
    /// The newest repair's action.
    pub last_repair_action: Option<String>,
    /// The newest repair's time.
    pub last_repair_time: Option<Timestamp>,
    /// The newest repairs, newest first, at most [`HISTORY`].
    pub repair_history: Vec<RepairEntry>,
    /// The tier that this history and the level call for, 1 to 4.
    pub recommended_tier: i32,
}

impl RepairStats {
    /// Summarises an anomaly's repairs; `newest` comes newest first.
    #[must_use]
    pub fn summarise(totals: &[Effectiveness], newest: Vec<RepairEntry>, tier: Tier) -> Self {
        Self {
            total_attempts: totals.iter().map(|entry| entry.attempts).sum(),
            successful_attempts: totals.iter().map(|entry| entry.successes).sum(),
            last_repair_action: newest.first().map(|entry| entry.action.clone()),
            last_repair_time: newest.first().map(|entry| entry.timestamp),
            repair_history: newest,
            recommended_tier: tier.number(),
        }
    }
}
