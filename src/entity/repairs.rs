//! One repair attempt.

use sea_orm::entity::prelude::*;

use crate::time::Timestamp;

/// One repair attempt.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, utoipa::ToSchema)]
#[sea_orm(table_name = "repairs")]
#[schema(as = Repair)]
pub struct Model {
    /// The id of the job that recorded it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its incident.
    pub incident_id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// What was done.
    pub action: String,
    /// Whether it helped.
    pub success: bool,
    /// Who did it.
    pub operator: Option<String>,
    /// Note.
    pub note: Option<String>,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0)]
    pub duration_ms: Option<i64>,
    /// When.
    pub repaired_at: Timestamp,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
