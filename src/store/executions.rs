//! Executions: each written once for an incident and action, and taken from state to state by statements that look at
//! the state that they leave.

use std::time::Duration;

use sea_orm::prelude::Json;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, Value,
};
use uuid::Uuid;

use super::rows::statement;
use crate::domain::execution::{Before, HOUR, Reason, State};
use crate::entity::executions::{Column, Entity, Model};
use crate::time::Timestamp;

/// One that runs was wanted within this time: an executor has a day for each of two reports.
const LONGEST: Duration = Duration::from_secs(2 * 86_400);
/// The most that are shown of an incident: it has one for each action.
const SHOWN: u64 = 100;

/// An execution as it is written first.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// Its id.
    pub id: Uuid,
    /// Its incident.
    pub incident: Uuid,
    /// Its anomaly.
    pub anomaly_key: &'a str,
    /// The action.
    pub action: &'a str,
    /// The action's tier.
    pub tier: i32,
    /// The name of its hook.
    pub hook: &'a str,
    /// The recommendation that it follows.
    pub recommendation: Json,
}

/// That somebody wants it to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Who; none: Tocsin by itself.
    pub by: Option<&'a str>,
    /// When.
    pub at: Timestamp,
    /// Until when the executor may be asked.
    pub until: Timestamp,
}

/// An execution that is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueExecution {
    /// Its id.
    pub id: Uuid,
    /// Its incident.
    pub incident: Uuid,
}

/// The execution with this id.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// The execution of an action on an incident.
pub async fn of_action(
    db: &impl ConnectionTrait,
    incident: Uuid,
    action: &str,
) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::IncidentId.eq(incident))
        .filter(Column::Action.eq(action))
        .one(db)
        .await
}

/// Those of an incident, the oldest first.
pub async fn of_incident(db: &impl ConnectionTrait, incident: Uuid) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::IncidentId.eq(incident))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(SHOWN)
        .all(db)
        .await
}

/// What was asked for on a locked anomaly so far.
pub async fn before(tx: &impl ConnectionTrait, key: &str, now: Timestamp) -> Result<Before, DbErr> {
    let sql = "SELECT COALESCE(SUM(CASE WHEN wanted_at > $2 THEN 1 ELSE 0 END), 0) AS in_hour, \
                   COALESCE(SUM(CASE WHEN state IN ('asking', 'asked', 'started') AND expires_at > $3 \
                       THEN 1 ELSE 0 END), 0) AS running \
               FROM executions WHERE anomaly_key = $1 AND wanted_at > $4";
    let values = [
        Value::from(key),
        now.before(HOUR).0.into(),
        now.0.into(),
        now.before(LONGEST).0.into(),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    let Some(row) = tx.query_one_raw(sql).await? else {
        return Ok(Before::default());
    };
    let (in_hour, running): (i64, i64) = (row.try_get("", "in_hour")?, row.try_get("", "running")?);
    Ok(Before {
        in_hour: u32::try_from(in_hour).unwrap_or(u32::MAX),
        is_running: running > 0,
    })
}

/// Writes one in a state that it begins with: suggested, to be asked for, or refused. False if its incident has one of
/// this action: that stays as it is.
pub async fn add(
    tx: &impl ConnectionTrait,
    new: &New<'_>,
    (state, reason): (State, Option<Reason>),
    wanted: Option<Wanted<'_>>,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let sql = "INSERT INTO executions (id, incident_id, anomaly_key, action, tier, hook, state, \
                   reason, recommendation, created_at, wanted_by, wanted_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9{json}, $10, $11, $12, $13) \
               ON CONFLICT (incident_id, action) DO NOTHING";
    let by = wanted.and_then(|wanted| wanted.by);
    let values = [
        Value::from(new.id),
        new.incident.into(),
        new.anomaly_key.into(),
        new.action.into(),
        new.tier.into(),
        new.hook.into(),
        state.name().into(),
        reason.map(Reason::name).into(),
        new.recommendation.to_string().into(),
        now.0.into(),
        by.into(),
        wanted.map(|wanted| wanted.at.0).into(),
        wanted.map(|wanted| wanted.until.0).into(),
    ];
    changes(tx, sql, values).await
}

/// Has one that was not sent be asked for, as a person wants it. False if it is asked for already.
pub async fn want(
    tx: &impl ConnectionTrait,
    new: &New<'_>,
    wanted: Wanted<'_>,
) -> Result<bool, DbErr> {
    let sql = "UPDATE executions SET state = 'asking', reason = NULL, answer = NULL, wanted_by = $2, \
                   wanted_at = $3, expires_at = $4, tier = $5, hook = $6, recommendation = $7{json} \
               WHERE id = $1 AND state IN ('suggested', 'refused')";
    let values = [
        Value::from(new.id),
        wanted.by.into(),
        wanted.at.0.into(),
        wanted.until.0.into(),
        new.tier.into(),
        new.hook.into(),
        new.recommendation.to_string().into(),
    ];
    changes(tx, sql, values).await
}

/// Those that have been to be asked for since before `moment`.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: u64,
) -> Result<Vec<DueExecution>, DbErr> {
    let sql = "SELECT id, incident_id FROM executions WHERE state = 'asking' AND wanted_at < $1 \
               ORDER BY wanted_at LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(moment.0), limit.into()];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    let due = |row: &QueryResult| {
        Ok(DueExecution {
            id: row.try_get("", "id")?,
            incident: row.try_get("", "incident_id")?,
        })
    };
    rows.iter().map(due).collect()
}

/// Notes that its request is sent: before it is.
pub async fn sending(tx: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<bool, DbErr> {
    let sql = "UPDATE executions SET sent_at = COALESCE(sent_at, $2) \
               WHERE id = $1 AND state IN ('asking', 'failed')";
    changes(tx, sql, [Value::from(id), now.0.into()]).await
}

/// Notes that the executor took the request, unless it reported already.
pub async fn asked(
    db: &impl ConnectionTrait,
    id: Uuid,
    answer: &str,
    (now, until): (Timestamp, Timestamp),
) -> Result<bool, DbErr> {
    let sql = "UPDATE executions SET state = 'asked', reason = NULL, answer = $2, asked_at = $3, \
                   expires_at = $4 \
               WHERE id = $1 AND state IN ('asking', 'failed')";
    let values = [Value::from(id), answer.into(), now.0.into(), until.0.into()];
    changes(db, sql, values).await
}

/// Notes why the executor is not asked, or did not take the request: refused if nothing was sent, else failed.
pub async fn fail(
    tx: &impl ConnectionTrait,
    id: Uuid,
    reason: Reason,
    answer: Option<&str>,
) -> Result<bool, DbErr> {
    let sql = "UPDATE executions SET reason = $2, answer = COALESCE($3, answer), \
                   state = CASE WHEN sent_at IS NULL THEN 'refused' ELSE 'failed' END \
               WHERE id = $1 AND state IN ('asking', 'failed')";
    let values = [Value::from(id), reason.name().into(), answer.into()];
    changes(tx, sql, values).await
}

/// Notes that the executor started.
pub async fn started(
    tx: &impl ConnectionTrait,
    id: Uuid,
    (now, until): (Timestamp, Timestamp),
) -> Result<bool, DbErr> {
    let sql = "UPDATE executions SET state = 'started', reason = NULL, started_at = $2, expires_at = $3 \
               WHERE id = $1 AND state IN ('asking', 'asked', 'failed')";
    changes(tx, sql, [Value::from(id), now.0.into(), until.0.into()]).await
}

/// Notes that the executor finished.
pub async fn finished(
    tx: &impl ConnectionTrait,
    id: Uuid,
    success: bool,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let sql = "UPDATE executions SET state = 'finished', reason = NULL, finished_at = $2, success = $3 \
               WHERE id = $1 AND state IN ('asking', 'asked', 'started', 'failed')";
    changes(tx, sql, [Value::from(id), now.0.into(), success.into()]).await
}

async fn changes<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<bool, DbErr> {
    let sql = statement(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(sql).await?.rows_affected() > 0)
}
