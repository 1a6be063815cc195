//! One job that could not be done.

use sea_orm::entity::prelude::*;

use crate::time::Timestamp;

/// One job that could not be done.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_letters")]
pub struct Model {
    /// The job's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its queue.
    pub queue: String,
    /// Its payload's bytes.
    pub payload: Vec<u8>,
    /// Attempts that failed.
    pub attempts: i32,
    /// Each failed attempt with its time.
    pub errors: Json,
    /// Why it died.
    pub reason: String,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// dead, replayed or discarded.
    pub state: String,
    /// How often it was replayed: the number that its job is pushed under.
    pub replay: i32,
    /// When it was last pushed.
    pub enqueued_at: Timestamp,
    /// When it died.
    pub died_at: Timestamp,
    /// Since when its replay is pending: its job is not enqueued yet; null if it is.
    pub push_owed_since: Option<Timestamp>,
    /// When it was replayed or discarded.
    pub decided_at: Option<Timestamp>,
    /// Who did.
    pub decided_by: Option<String>,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
