//! One action on one anomaly.

use sea_orm::entity::prelude::*;

use crate::time::Timestamp;

/// One action on one anomaly.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "effectiveness")]
pub struct Model {
    /// The anomaly.
    #[sea_orm(primary_key, auto_increment = false)]
    pub anomaly_key: String,
    /// The action.
    #[sea_orm(primary_key, auto_increment = false)]
    pub action: String,
    /// How often it was tried.
    pub attempts: i64,
    /// How often it helped.
    pub successes: i64,
    /// Whether it helped the last time.
    pub last_success: bool,
    /// The last time.
    pub last_at: Timestamp,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
