//! Repairs, and what they were worth.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use uuid::Uuid;

use super::rows::statement;
use crate::domain::effectiveness::{Effectiveness, HISTORY, RepairEntry};
use crate::entity::{effectiveness, repairs};
use crate::jobs::RecordRepair;

/// Appends a repair and adds it to its action's effectiveness, in one statement's worth of truth:
/// the repair's id is its job's, and only the one that inserts it adds it.
///
/// # Errors
/// What the database says.
pub async fn record(
    tx: &impl ConnectionTrait,
    job: Uuid,
    key: &str,
    repair: &RecordRepair,
) -> Result<bool, DbErr> {
    let backend = tx.get_database_backend();
    let insert = "INSERT INTO repairs (id, incident_id, anomaly_key, action, success, operator, \
                      note, duration_ms, repaired_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
    let values = [
        Value::from(job),
        Value::from(repair.incident),
        Value::from(key),
        Value::from(repair.action.clone()),
        Value::from(repair.success),
        Value::from(repair.operator.clone()),
        Value::from(repair.note.clone()),
        Value::from(repair.duration_ms),
        Value::from(repair.at.0),
    ];
    let inserted = tx.execute_raw(statement(backend, insert, values)).await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    let add = "INSERT INTO effectiveness \
                   (anomaly_key, action, attempts, successes, last_success, last_at) \
               VALUES ($1, $2, 1, $3, $4, $5) \
               ON CONFLICT (anomaly_key, action) DO UPDATE SET \
                   attempts = effectiveness.attempts + 1, \
                   successes = effectiveness.successes + excluded.successes, \
                   last_success = CASE WHEN excluded.last_at >= effectiveness.last_at \
                       THEN excluded.last_success ELSE effectiveness.last_success END, \
                   last_at = CASE WHEN excluded.last_at >= effectiveness.last_at \
                       THEN excluded.last_at ELSE effectiveness.last_at END";
    let values = [
        Value::from(key),
        Value::from(repair.action.clone()),
        Value::from(i64::from(repair.success)),
        Value::from(repair.success),
        Value::from(repair.at.0),
    ];
    tx.execute_raw(statement(backend, add, values)).await?;
    Ok(true)
}

/// What was tried on an anomaly: by action, and the newest repairs, newest first.
///
/// # Errors
/// What the database says.
pub async fn history(
    tx: &impl ConnectionTrait,
    key: &str,
) -> Result<(Vec<Effectiveness>, Vec<RepairEntry>), DbErr> {
    let totals = effectiveness::Entity::find()
        .filter(effectiveness::Column::AnomalyKey.eq(key))
        .all(tx)
        .await?;
    if totals.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let newest = repairs::Entity::find()
        .filter(repairs::Column::AnomalyKey.eq(key))
        .order_by_desc(repairs::Column::RepairedAt)
        .order_by_desc(repairs::Column::Id)
        .limit(HISTORY as u64)
        .all(tx)
        .await?;
    let totals = totals.into_iter().map(|row| Effectiveness {
        action: row.action,
        attempts: row.attempts,
        successes: row.successes,
    });
    let newest = newest.into_iter().map(|row| RepairEntry {
        action: row.action,
        success: row.success,
        timestamp: row.repaired_at,
    });
    Ok((totals.collect(), newest.collect()))
}
