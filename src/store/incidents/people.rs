//! People's operations on incidents: acknowledge, resolve.

use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveEnum, ConnectionTrait, DbErr, EntityTrait};
use uuid::Uuid;

use crate::domain::aggregation::{ResolvedBy, Status};
use crate::entity::incidents::{ActiveModel, Entity, Model};
use crate::store::audit::Action;
use crate::store::rows::{Rows, statement};
use crate::time::Timestamp;

/// What a person does to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange {
    /// Takes it.
    Acknowledge,
    /// Says that it is over.
    Resolve,
}

impl StatusChange {
    /// As the audit calls it.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Acknowledge => Action::AcknowledgeIncident,
            Self::Resolve => Action::ResolveIncident,
        }
    }
}

/// Writes what a person did, if it changes anything: doing it again does not. Returns the incident
/// as it is then, or `None` if a resolved one was to be acknowledged.
pub async fn act(
    tx: &impl ConnectionTrait,
    incident: Model,
    change: StatusChange,
    operator: Option<String>,
    now: Timestamp,
) -> Result<Option<Model>, DbErr> {
    let mut row = ActiveModel {
        id: Set(incident.id),
        operator: Set(operator),
        updated_at: Set(now),
        ..Default::default()
    };
    match (change, incident.status) {
        (StatusChange::Acknowledge, Status::Resolved) => return Ok(None),
        (StatusChange::Acknowledge, Status::Acknowledged)
        | (StatusChange::Resolve, Status::Resolved) => {
            return Ok(Some(incident));
        }
        (StatusChange::Acknowledge, Status::Open | Status::Analyzing) => {
            row.status = Set(Status::Acknowledged);
            row.acknowledged_at = Set(Some(now));
        }
        (StatusChange::Resolve, _) => {
            row.status = Set(Status::Resolved);
            row.resolved_by = Set(Some(ResolvedBy::Person));
            row.resolved_at = Set(Some(now));
            row.unheard_since = Set(None);
        }
    }
    Entity::update(row).exec(tx).await.map(Some)
}

/// How incidents must still stand when they are locked: since they were found, an operator may have taken one, or
/// its firings may have been delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpectedState {
    /// In this state; `Open` includes `Analyzing`.
    pub status: Option<Status>,
    /// Whether none of its firings was delivered lately.
    pub unheard: Option<bool>,
}

/// Resolves those of these incidents that are not and still stand so, for a person. Returns which these were, and when
/// each opened.
pub async fn resolve_some(
    tx: &impl ConnectionTrait,
    ids: &[Uuid],
    still: &ExpectedState,
    operator: Option<&str>,
    now: Timestamp,
) -> Result<Vec<(Uuid, Timestamp)>, DbErr> {
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "UPDATE incidents SET status = 'RESOLVED', resolved_by = $1, resolved_at = $2, \
                   unheard_since = NULL, operator = $3, updated_at = $2 \
               FROM {rows} WHERE incidents.id = r.id AND incidents.status <> 'RESOLVED' \
                   AND (incidents.status = COALESCE($4, incidents.status) \
                       OR (incidents.status = 'ANALYZING' AND $4 = 'OPEN')) \
                   AND (incidents.unheard_since IS NOT NULL) = \
                       COALESCE($5, incidents.unheard_since IS NOT NULL) \
               RETURNING incidents.id, incidents.opened_at";
    let by = ResolvedBy::Person.to_value();
    let status = still.status.map(|status| status.to_value());
    let values = [
        by.into(),
        now.0.into(),
        operator.into(),
        status.into(),
        still.unheard.into(),
    ];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let resolved = tx.query_all_raw(sql).await?;
    let resolved = resolved.iter();
    resolved
        .map(|row| Ok((row.try_get("", "id")?, row.try_get("", "opened_at")?)))
        .collect()
}

/// How many incidents are not resolved.
pub async fn unresolved(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS n FROM incidents WHERE status <> 'RESOLVED'";
    let sql = statement(db.get_database_backend(), sql, []);
    let row = db.query_one_raw(sql).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("a count".to_owned()))?;
    row.try_get("", "n")
}
