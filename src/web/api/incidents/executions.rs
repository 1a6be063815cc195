//! Executions, as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::execution::{Reason, State};
use crate::entity::executions::Model;
use crate::time::Timestamp;

/// An action that an executor is asked to run, or may be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Execution)]
pub(in crate::web::api) struct View {
    /// Its id; also that of its repair.
    id: Uuid,
    /// Its incident.
    incident_id: Uuid,
    /// Its anomaly.
    anomaly_key: String,
    /// The action.
    action: String,
    /// The action's tier.
    #[schema(minimum = 1, maximum = 4)]
    tier: i32,
    /// The name of its hook (`repairs.hooks`).
    hook: String,
    /// How far it is.
    state: State,
    /// Why the executor was not asked (`refused`), or did not take the request (`failed`).
    reason: Option<Reason>,
    /// What the executor answered, or why it was not reached.
    answer: Option<String>,
    /// Who wanted it; null: nobody did yet, or Tocsin by itself.
    wanted_by: Option<String>,
    /// When it was recommended.
    created_at: Timestamp,
    /// When it was decided that the executor is asked.
    wanted_at: Option<Timestamp>,
    /// When the request was sent first.
    sent_at: Option<Timestamp>,
    /// When the executor took it.
    asked_at: Option<Timestamp>,
    /// When the executor said that it started.
    started_at: Option<Timestamp>,
    /// When the executor said that it finished.
    finished_at: Option<Timestamp>,
    /// Until when the next report is expected.
    expires_at: Option<Timestamp>,
    /// Whether it helped, by the executor.
    success: Option<bool>,
}

impl View {
    pub(in crate::web::api) fn of(row: Model, now: Timestamp) -> Self {
        Self {
            state: row.state.at(row.expires_at, now),
            id: row.id,
            incident_id: row.incident_id,
            anomaly_key: row.anomaly_key,
            action: row.action,
            tier: row.tier,
            hook: row.hook,
            reason: row.reason,
            answer: row.answer,
            wanted_by: row.wanted_by,
            created_at: row.created_at,
            wanted_at: row.wanted_at,
            sent_at: row.sent_at,
            asked_at: row.asked_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            expires_at: row.expires_at,
            success: row.success,
        }
    }
}
