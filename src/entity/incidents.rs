//! One incident.

use sea_orm::entity::prelude::*;

use crate::domain::aggregation::{ResolvedBy, Status};
use crate::domain::analysis::Analysis;
use crate::domain::effectiveness::RepairStats;
use crate::domain::frequency::FrequencyStats;
use crate::domain::reason::TierReason;
use crate::time::Timestamp;

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, utoipa::ToSchema)]
#[sea_orm(table_name = "incidents")]
#[schema(as = IncidentRow)]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// Its number within the anomaly, from 1.
    pub number: i64,
    /// What a person reads first.
    pub title: String,
    /// The highest severity that an alert of it had, as its source wrote it.
    pub severity: String,
    /// The same as a figure to sort by, the most severe highest.
    #[serde(skip)]
    pub severity_order: i64,
    /// The rank of its anomaly's level, to sort by, while it is not resolved.
    #[serde(skip)]
    pub level_order: i64,
    /// How often a later alert had a higher severity than those before it.
    pub severity_rises: i64,
    /// Its status.
    pub status: Status,
    /// Who resolved it.
    pub resolved_by: Option<ResolvedBy>,
    /// Who acknowledged or resolved it last.
    pub operator: Option<String>,
    /// The opening alert's labels.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Json,
    /// The opening alert's annotations.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub annotations: Json,
    /// The opening alert's source.
    pub source: String,
    /// Where the source shows what made it fire.
    pub generator_url: Option<String>,
    /// How deep the next repair must go, 1 to 4; null until it is calculated.
    #[schema(minimum = 1, maximum = 4)]
    pub tier: Option<i32>,
    /// Why.
    #[schema(value_type = Option<String>)]
    pub tier_reason: Option<TierReason>,
    /// How often its anomaly came back.
    pub frequency_stats: Option<FrequencyStats>,
    /// What was tried on its anomaly.
    pub repair_stats: Option<RepairStats>,
    /// Whether it has more than one firing.
    pub is_aggregated: bool,
    /// Number of its firings.
    pub aggregated_count: i64,
    /// How many of these retention has pruned.
    #[serde(skip)]
    pub pruned_episodes: i64,
    /// When its aggregation window began.
    pub aggregation_window_start: Timestamp,
    /// Number of its firings that have not ended.
    pub open_episodes: i64,
    /// When one of them was last seen firing.
    pub last_firing_at: Timestamp,
    /// How often it reopened with a notification: it was resolved, but its alert still fired.
    pub reopened: i64,
    /// Since when its alert fires again after a `resolved`, in a way that may still turn out to be late.
    #[serde(skip)]
    pub doubted_since: Option<Timestamp>,
    /// When an open firing of it was last received, if it is stale (`counting.unheard`).
    pub unheard_since: Option<Timestamp>,
    /// Since when its tier must be calculated again.
    pub tier_due_since: Option<Timestamp>,
    /// Since when its analysis must be made, for the first time or again.
    pub analyze_due_since: Option<Timestamp>,
    /// What its analysis found out.
    #[schema(value_type = Option<Analysis>)]
    pub analysis: Option<Analysis>,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was acknowledged.
    pub acknowledged_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
