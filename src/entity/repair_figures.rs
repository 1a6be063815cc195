//! Repairs with one action, counted for one anomaly, alert name or service, or for all, in one period.

use sea_orm::entity::prelude::*;

use crate::time::Timestamp;

/// Repairs with one action of one period.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "repair_figures")]
pub struct Model {
    /// What is counted for: `anomaly`, `alert_name`, `service` or `all`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    /// Which of these; empty for `all`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: String,
    /// The action.
    #[sea_orm(primary_key, auto_increment = false)]
    pub action: String,
    /// Its number: four weeks each, since 1970.
    #[sea_orm(primary_key, auto_increment = false)]
    pub period: i64,
    /// Repairs that finished.
    pub attempts: i64,
    /// Those that were reported to have helped.
    pub claimed: i64,
    /// Those that were verified.
    pub verified: i64,
    /// Those that were disproved.
    pub disproved: i64,
    /// Those that were superseded.
    pub superseded: i64,
    /// Those of which nothing can be known.
    pub unknown: i64,
    /// The last of them.
    pub last_at: Timestamp,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
