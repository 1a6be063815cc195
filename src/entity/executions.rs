//! An action that an executor is asked to run, or may be.

use sea_orm::entity::prelude::*;

use crate::domain::execution::{Reason, State};
use crate::time::Timestamp;

/// An action that an executor is asked to run, or may be.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "executions")]
pub struct Model {
    /// Its id; also that of its job and of its repair.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its incident.
    pub incident_id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// The action.
    pub action: String,
    /// The action's tier.
    pub tier: i32,
    /// The name of its hook.
    pub hook: String,
    /// How far it is; that it expired is not stored.
    pub state: State,
    /// Why the executor was not asked, or did not take the request.
    pub reason: Option<Reason>,
    /// What the executor answered, or why it was not reached.
    pub answer: Option<String>,
    /// Who wanted it; none: nobody did, or Tocsin by itself.
    pub wanted_by: Option<String>,
    /// The recommendation that it follows, without its alternatives.
    pub recommendation: Json,
    /// When it was recommended.
    pub created_at: Timestamp,
    /// When it was decided that the executor is asked.
    pub wanted_at: Option<Timestamp>,
    /// When the request was sent first.
    pub sent_at: Option<Timestamp>,
    /// When the executor took it.
    pub asked_at: Option<Timestamp>,
    /// When the executor said that it started.
    pub started_at: Option<Timestamp>,
    /// When the executor said that it finished.
    pub finished_at: Option<Timestamp>,
    /// Until when the next report is expected; until when it may be asked.
    pub expires_at: Option<Timestamp>,
    /// Whether it helped, by the executor.
    pub success: Option<bool>,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
