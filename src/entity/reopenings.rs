//! One time that an incident was resolved and opened again.

use sea_orm::entity::prelude::*;

use crate::domain::aggregation::ResolvedBy;
use crate::time::Timestamp;

/// One reopening of an incident. The incident's row has the last resolve only.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, utoipa::ToSchema)]
#[sea_orm(table_name = "reopenings")]
#[schema(as = Reopening)]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    #[serde(skip)]
    pub id: Uuid,
    /// Its incident.
    pub incident_id: Uuid,
    /// When that was resolved.
    pub resolved_at: Timestamp,
    /// Who resolved it.
    pub resolved_by: Option<ResolvedBy>,
    /// Who that was, if it was a person.
    pub operator: Option<String>,
    /// When it opened again.
    pub reopened_at: Timestamp,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
