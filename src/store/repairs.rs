//! Repairs, and what they were worth.

pub mod baselines;
pub mod breakers;
pub mod by_anomaly;
pub mod differences;
pub mod evidence;
pub mod figures;
pub mod known;
pub mod verdicts;

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use uuid::Uuid;

use super::rows::statement;
use crate::domain::effectiveness::{Counted, Effectiveness, HISTORY, NOTE, RepairEntry, excerpt};
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::{effectiveness, repairs};
use crate::jobs::RecordRepair;
use crate::time::Timestamp;
use figures::{Delta, Subject};

/// A repair that began and has not finished.
#[derive(Clone, Debug)]
pub struct Started {
    /// Its id.
    pub id: Uuid,
    /// Its incident.
    pub incident: Uuid,
    /// What is being done.
    pub action: String,
    /// Who does it.
    pub operator: Option<String>,
    /// Note.
    pub note: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
}

/// How a repair that began has finished.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Whether it helped, by the report.
    pub success: bool,
    /// Who reported it; none: who began it.
    pub operator: Option<String>,
    /// Note; none: that of its start.
    pub note: Option<String>,
    /// How long it took, in milliseconds; none: from its start.
    pub duration_ms: Option<i64>,
    /// When.
    pub at: Timestamp,
}

/// The repair with this id.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<repairs::Model>, DbErr> {
    repairs::Entity::find_by_id(id).one(db).await
}

/// Appends a repair of a locked anomaly and adds it to what its action is worth, in one transaction's worth of
/// truth: the repair's id is its job's, and only the one that inserts it adds it. Verdicts on repairs that
/// finished up to `longest` before it are to be given again.
pub async fn record(
    tx: &impl ConnectionTrait,
    job: Uuid,
    anomaly: &Anomaly,
    repair: &RecordRepair,
    longest: Duration,
) -> Result<bool, DbErr> {
    let backend = tx.get_database_backend();
    let insert = "INSERT INTO repairs (id, incident_id, anomaly_key, action, success, operator, \
                      note, duration_ms, repaired_at, started_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING";
    let values = [
        Value::from(job),
        Value::from(repair.incident),
        Value::from(anomaly.key.clone()),
        Value::from(repair.action.clone()),
        Value::from(repair.success),
        Value::from(repair.operator.clone()),
        Value::from(repair.note.clone()),
        Value::from(repair.duration_ms),
        Value::from(repair.repaired_at().0),
        Value::from(repair.started_at.map(|at| at.0)),
    ];
    let inserted = tx.execute_raw(statement(backend, insert, values)).await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    let at = repair.repaired_at();
    add_attempt(tx, anomaly, &repair.action, repair.success, at).await?;
    let began = repair.started_at.map_or(at, |began| began.min(at));
    verdicts::doubt(tx, &anomaly.key, (began.before(longest), at)).await?;
    Ok(true)
}

/// Writes that a repair of a locked anomaly began. It is no attempt before it has finished. Begun again under its
/// id, it is the same.
pub async fn start(
    tx: &impl ConnectionTrait,
    key: &str,
    started: &Started,
    longest: Duration,
) -> Result<bool, DbErr> {
    let sql = "INSERT INTO repairs (id, incident_id, anomaly_key, action, success, operator, note, \
                   repaired_at, started_at, unfinished) \
               VALUES ($1, $2, $3, $4, false, $5, $6, $7, $7, true) ON CONFLICT (id) DO NOTHING";
    let values = [
        Value::from(started.id),
        Value::from(started.incident),
        Value::from(key),
        Value::from(started.action.clone()),
        Value::from(started.operator.clone()),
        Value::from(started.note.clone()),
        Value::from(started.started_at.0),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    let is_new = tx.execute_raw(sql).await?.rows_affected() > 0;
    if is_new {
        let span = (started.started_at.before(longest), started.started_at);
        verdicts::doubt(tx, key, span).await?;
    }
    Ok(is_new)
}

/// Finishes a repair of a locked anomaly that began, and adds it to what its action is worth. None if it is
/// finished: only one finishes it.
pub async fn finish(
    tx: &impl ConnectionTrait,
    anomaly: &Anomaly,
    id: Uuid,
    finished: &Finished,
    longest: Duration,
) -> Result<Option<repairs::Model>, DbErr> {
    let sql = "UPDATE repairs SET unfinished = false, success = $2, \
                   operator = COALESCE($3, operator), note = COALESCE($4, note), \
                   duration_ms = COALESCE($5, $6 - started_at), repaired_at = $6 \
               WHERE id = $1 AND unfinished";
    let values = [
        Value::from(id),
        Value::from(finished.success),
        Value::from(finished.operator.clone()),
        Value::from(finished.note.clone()),
        Value::from(finished.duration_ms),
        Value::from(finished.at.0),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    if tx.execute_raw(sql).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let Some(repair) = find(tx, id).await? else {
        return Ok(None);
    };
    add_attempt(tx, anomaly, &repair.action, repair.success, finished.at).await?;
    let span = (repair.began_at().before(longest), finished.at);
    verdicts::doubt(tx, &anomaly.key, span).await?;
    Ok(Some(repair))
}

async fn add_attempt(
    tx: &impl ConnectionTrait,
    anomaly: &Anomaly,
    action: &str,
    success: bool,
    at: Timestamp,
) -> Result<(), DbErr> {
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
        Value::from(anomaly.key.clone()),
        Value::from(action),
        Value::from(i64::from(success)),
        Value::from(success),
        Value::from(at.0),
    ];
    let add = statement(tx.get_database_backend(), add, values);
    tx.execute_raw(add).await?;
    let counted = Counted {
        attempts: 1,
        claimed: i64::from(success),
        ..Counted::default()
    };
    let delta = Delta {
        action: action.to_owned(),
        at,
        counted,
        times: Vec::new(),
    };
    figures::add(tx, &Subject::of(anomaly), vec![delta]).await
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
            .filter(repairs::Column::Unfinished.eq(false))
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
            verdict: row.verdict,
            duration_ms: row.duration_ms,
            quiet_after_ms: row.quiet_after_ms,
            note: row.note.map(|note| excerpt(&note, NOTE)),
        };
        history.newest = newest.into_iter().map(entry).collect();
    }
    Ok(histories)
}
