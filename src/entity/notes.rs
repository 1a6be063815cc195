//! One note.

use sea_orm::entity::prelude::*;

use crate::time::Timestamp;

/// What a person wrote about an incident.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, utoipa::ToSchema)]
#[sea_orm(table_name = "notes")]
#[schema(as = Note)]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its incident.
    pub incident_id: Uuid,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub operator: Option<String>,
    /// What it says.
    pub note: String,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
