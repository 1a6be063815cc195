//! Incidents: what a batch, a tier and people do to them.

mod batch;
mod people;
mod tiers;

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryResult,
    Value,
};
use uuid::Uuid;

use super::rows::{Rows, statement};
use crate::config::Escalation;
use crate::entity::incidents::{Column, Entity, Model};
use crate::time::{Timestamp, millis};
pub use batch::{load, save};
pub use people::{
    Effect, ExpectedState, StatusChange, acknowledge_some, act, resolve_some, take_over, unresolved,
};
pub use tiers::{Finding, due, keys_due, mark_due, set_tiers};

/// One incident as its row has it.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// These incidents, as far as there are, by id.
pub async fn find_all(
    db: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Model>, DbErr> {
    let found = Entity::find()
        .filter(Column::Id.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    Ok(found.into_iter().map(|row| (row.id, row)).collect())
}

/// The same without a lock on an anomaly, after the count: a tier pass that holds these incidents is
/// waited for, and what it missed is due again. Outside a transaction: nearly always all are marked
/// still, and of the others each is marked by itself, so that it holds none while it waits for another.
pub async fn mark_counted(
    db: &DatabaseConnection,
    due: &HashMap<Uuid, Timestamp>,
) -> Result<Vec<Uuid>, DbErr> {
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let backend = db.get_database_backend();
    let rows = Rows::new().uuid("id", due.keys().copied());
    let sql = "WITH found AS (SELECT i.id, i.tier_due_since FROM incidents i \
                   WHERE i.id IN (SELECT r.id FROM {rows}) ORDER BY i.id {after_lock}) \
               SELECT id FROM found WHERE tier_due_since IS NULL";
    let missed = db.query_all_raw(rows.statement(backend, sql, [])).await?;
    let mut marked = Vec::with_capacity(missed.len());
    for row in missed {
        let id: Uuid = row.try_get("", "id")?;
        let Some(at) = due.get(&id) else { continue };
        let sql =
            "UPDATE incidents SET tier_due_since = $1 WHERE id = $2 AND tier_due_since IS NULL";
        let sql = statement(backend, sql, [Value::from(at.0), id.into()]);
        if db.execute_raw(sql).await?.rows_affected() > 0 {
            marked.push(id);
        }
    }
    Ok(marked)
}

/// For each of the anomalies that has one, since when an incident lasts: it is not resolved, and
/// one of its open episodes was seen firing `open_for` or more after it opened, and within
/// `unseen_for`.
pub async fn lasting(
    tx: &impl ConnectionTrait,
    keys: &[String],
    escalation: &Escalation,
    now: Timestamp,
) -> Result<HashMap<String, Timestamp>, DbErr> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Rows::new().text("key", keys.iter().cloned());
    // Only what did not end is in the index of an incident's open episodes. The offset keeps PostgreSQL
    // from joining with all occurrences there are, as it does while it knows nothing of the tables yet.
    let sql = "SELECT i.anomaly_key AS key, min(i.opened_at) AS since \
               FROM {rows} JOIN incidents i ON i.anomaly_key = r.key \
                   AND i.status <> 'RESOLVED' \
                   AND i.last_firing_at >= i.opened_at + $1 AND i.last_firing_at >= $2 \
               WHERE EXISTS (SELECT 1 FROM occurrences o \
                   WHERE o.incident_id = i.id \
                       AND o.ended_at IS NULL AND o.series IS NOT NULL \
                       AND o.last_seen_at >= i.opened_at + $1 AND o.last_seen_at >= $2 \
                   LIMIT 1 OFFSET 0) \
               GROUP BY i.anomaly_key";
    let values = [
        Value::from(millis(escalation.open_for.0)),
        Value::from(now.before(escalation.unseen_for.0).0),
    ];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let found = tx.query_all_raw(sql).await?;
    let entry = |row: &QueryResult| {
        Ok((
            row.try_get("", "key")?,
            Timestamp(row.try_get("", "since")?),
        ))
    };
    found.iter().map(entry).collect()
}
