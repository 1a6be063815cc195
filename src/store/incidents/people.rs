//! People's operations on incidents: acknowledge, resolve.

use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveEnum, ConnectionTrait, DbErr, EntityTrait, QueryResult};
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

/// What a person's change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes the incident.
    Change,
    /// The incident is so already.
    Nothing,
    /// It cannot be done.
    Impossible,
}

impl StatusChange {
    /// What it comes to for an incident of this status.
    #[must_use]
    pub const fn of(self, status: Status) -> Effect {
        match (self, status) {
            (Self::Acknowledge, Status::Resolved) => Effect::Impossible,
            (Self::Acknowledge, Status::Acknowledged) | (Self::Resolve, Status::Resolved) => {
                Effect::Nothing
            }
            (Self::Acknowledge, Status::Open | Status::Analyzing) | (Self::Resolve, _) => {
                Effect::Change
            }
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
    match change.of(incident.status) {
        Effect::Impossible => return Ok(None),
        Effect::Nothing => return Ok(Some(incident)),
        Effect::Change => {}
    }
    match change {
        StatusChange::Acknowledge => {
            row.status = Set(Status::Acknowledged);
            row.acknowledged_at = Set(Some(now));
        }
        StatusChange::Resolve => {
            row.status = Set(Status::Resolved);
            row.resolved_by = Set(Some(ResolvedBy::Person));
            row.resolved_at = Set(Some(now));
            row.unheard_since = Set(None);
        }
    }
    Entity::update(row).exec(tx).await.map(Some)
}

/// Says that somebody else has an incident that is acknowledged. Returns it as it is then. Since when it is acknowledged
/// stays.
pub async fn take_over(
    tx: &impl ConnectionTrait,
    incident: Uuid,
    operator: &str,
    now: Timestamp,
) -> Result<Model, DbErr> {
    let row = ActiveModel {
        id: Set(incident),
        operator: Set(Some(operator.to_owned())),
        updated_at: Set(now),
        ..Default::default()
    };
    Entity::update(row).exec(tx).await
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

impl ExpectedState {
    /// Whether an incident stands so.
    #[must_use]
    pub fn holds(&self, incident: &Model) -> bool {
        let is_of = |status: Status| {
            let is_analyzed = status == Status::Open && incident.status == Status::Analyzing;
            incident.status == status || is_analyzed
        };
        self.status.is_none_or(is_of)
            && self
                .unheard
                .is_none_or(|unheard| incident.unheard_since.is_some() == unheard)
    }
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
    with_opened_at(&resolved)
}

/// Acknowledges those of these incidents that are open, for a person. Returns which these were, and when each opened.
pub async fn acknowledge_some(
    tx: &impl ConnectionTrait,
    ids: &[Uuid],
    operator: Option<&str>,
    now: Timestamp,
) -> Result<Vec<(Uuid, Timestamp)>, DbErr> {
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "UPDATE incidents SET status = 'ACKNOWLEDGED', acknowledged_at = $1, operator = $2, \
                   updated_at = $1 \
               FROM {rows} WHERE incidents.id = r.id AND incidents.status IN ('OPEN', 'ANALYZING') \
               RETURNING incidents.id, incidents.opened_at";
    let values = [now.0.into(), operator.into()];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let acknowledged = tx.query_all_raw(sql).await?;
    with_opened_at(&acknowledged)
}

fn with_opened_at(rows: &[QueryResult]) -> Result<Vec<(Uuid, Timestamp)>, DbErr> {
    let entry = |row: &QueryResult| Ok((row.try_get("", "id")?, row.try_get("", "opened_at")?));
    rows.iter().map(entry).collect()
}

/// How many incidents are not resolved.
pub async fn unresolved(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS n FROM incidents WHERE status <> 'RESOLVED'";
    let sql = statement(db.get_database_backend(), sql, []);
    let row = db.query_one_raw(sql).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("a count".to_owned()))?;
    row.try_get("", "n")
}
