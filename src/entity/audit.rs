//! One thing that an operator did.

use sea_orm::entity::prelude::*;

use crate::time::Timestamp;

/// One audit entry.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, utoipa::ToSchema)]
#[sea_orm(table_name = "audit")]
#[schema(as = Deed)]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// The token: its role, and the beginning of its hash.
    pub actor: String,
    /// The operator's name.
    pub operator: Option<String>,
    /// What was done, for instance `incident.resolve`.
    pub action: String,
    /// To what, for instance an incident's id or a queue's name.
    pub target: String,
    /// What else there is to know.
    #[schema(value_type = Object)]
    pub detail: Json,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
