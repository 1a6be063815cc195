//! Repairs, and what they were worth.

use std::collections::HashMap;

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

/// What was tried on an anomaly.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By action.
    pub totals: Vec<Effectiveness>,
    /// The newest repairs, newest first.
    pub newest: Vec<RepairEntry>,
}

/// What was tried on each of the anomalies that has repairs.
pub async fn history(
    tx: &impl ConnectionTrait,
    keys: &[String],
) -> Result<HashMap<String, History>, DbErr> {
    let totals = effectiveness::Entity::find()
        .filter(effectiveness::Column::AnomalyKey.is_in(keys))
        .all(tx)
        .await?;
    let mut histories: HashMap<String, History> = HashMap::new();
    for row in totals {
        let history = histories.entry(row.anomaly_key).or_default();
        history.totals.push(Effectiveness {
            action: row.action,
            attempts: row.attempts,
            successes: row.successes,
        });
    }
    for (key, history) in &mut histories {
        let newest = repairs::Entity::find()
            .filter(repairs::Column::AnomalyKey.eq(key))
            .order_by_desc(repairs::Column::RepairedAt)
            .order_by_desc(repairs::Column::Id)
            .limit(HISTORY as u64)
            .all(tx)
            .await?;
        let entry = |row: repairs::Model| RepairEntry {
            action: row.action,
            success: row.success,
            timestamp: row.repaired_at,
            operator: row.operator,
        };
        history.newest = newest.into_iter().map(entry).collect();
    }
    Ok(histories)
}
