//! The state of a channel that workers share: of a chat, one of its topics, or all of a provider.

use sea_orm::entity::prelude::*;

use crate::time::Timestamp;

/// What the workers share about one channel: a chat, one of its topics, or all of a provider.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "channels")]
pub struct Model {
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel: String,
    /// When what was taken of the budget of a second will have been paid back.
    pub second_tat: Timestamp,
    /// Likewise, of the budget of a minute.
    pub minute_tat: Timestamp,
    /// Likewise, of the part of it that edits may take.
    pub edit_tat: Timestamp,
    /// Until when the provider wants nothing.
    pub paused_until: Timestamp,
    /// Since when its messages are sent in digests.
    pub storm_since: Option<Timestamp>,
    /// The digest that gathers them now.
    pub digest_id: Option<Uuid>,
    /// How many digests it had.
    pub digests: i64,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
