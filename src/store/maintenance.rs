//! What recount reads and writes: levels and figures that decay, work that is owed, rows that are
//! old.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, statement};
use crate::domain::frequency::FrequencyStats;
use crate::entity::anomalies;
use crate::time::Timestamp;

/// The keys of up to `limit` anomalies after `key`, in order, that have something to decay.
///
/// # Errors
/// What the database says.
pub async fn decaying(
    db: &impl ConnectionTrait,
    key: &str,
    seen_since: Timestamp,
    limit: i64,
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT key FROM anomalies \
               WHERE key > $1 AND (level <> 'NONE' OR last_seen > $2) ORDER BY key LIMIT $3";
    let values = [
        Value::from(key),
        Value::from(seen_since.0),
        Value::from(limit),
    ];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    rows.iter().map(|row| row.try_get("", "key")).collect()
}

/// Locks up to `limit` anomalies after `key`, in order, that have something to decay: a level, or
/// counts in the longest window.
///
/// # Errors
/// What the database says.
pub async fn lock_decaying(
    tx: &impl ConnectionTrait,
    key: &str,
    seen_since: Timestamp,
    limit: i64,
) -> Result<Vec<anomalies::Model>, DbErr> {
    let sql = "SELECT * FROM anomalies \
               WHERE key > $1 AND (level <> 'NONE' OR last_seen > $2) \
               ORDER BY key LIMIT $3 {lock}";
    let values = [
        Value::from(key),
        Value::from(seen_since.0),
        Value::from(limit),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    anomalies::Model::find_by_statement(sql).all(tx).await
}

/// The store's time.
///
/// # Errors
/// What the database says.
pub async fn now(db: &impl ConnectionTrait) -> Result<Timestamp, DbErr> {
    let row = db
        .query_one_raw(statement(
            db.get_database_backend(),
            "SELECT {now} AS now",
            [],
        ))
        .await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the time".to_owned()))?;
    Ok(Timestamp(row.try_get("", "now")?))
}

/// Writes fresh figures to the unresolved incidents of locked anomalies, and to each one's newest.
///
/// # Errors
/// What the database says.
pub async fn refresh_stats(
    tx: &impl ConnectionTrait,
    stats: &[FrequencyStats],
) -> Result<(), DbErr> {
    // As the entity writes them, so that equal figures are equal texts on SQLite.
    let json = |s: &FrequencyStats| serde_json::json!(s).to_string();
    let rows = Rows::new()
        .text("key", stats.iter().map(|s| s.anomaly_key.clone()))
        .text("stats", stats.iter().map(json));
    let sql = "UPDATE incidents SET frequency_stats = r.stats{json} \
               FROM {rows} WHERE incidents.anomaly_key = r.key \
                   AND (incidents.status <> 'RESOLVED' OR incidents.id = \
                       (SELECT a.newest_incident FROM anomalies a WHERE a.key = r.key)) \
                   AND incidents.frequency_stats IS NOT NULL \
                   AND incidents.frequency_stats <> r.stats{json}";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

/// Incidents that have been due for a tier since before `moment`, those that wait longest first.
///
/// # Errors
/// What the database says.
pub async fn overdue_tiers(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: i64,
) -> Result<Vec<Uuid>, DbErr> {
    let sql = "SELECT id FROM incidents WHERE tier_due_since < $1 ORDER BY tier_due_since LIMIT $2";
    let values = [Value::from(moment.0), Value::from(limit)];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// One thing that is pruned, by a statement that takes the moment before which rows are old and
/// how many to take.
#[derive(Clone, Copy, Debug)]
pub struct Prune {
    /// What it is called in the log.
    pub what: &'static str,
    sql: &'static str,
}

/// Dead letters, past their death and what was decided about them. One whose push is owed stays.
pub const DEAD_LETTERS: Prune = Prune {
    what: "dead letters",
    sql: "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters \
          WHERE died_at < $1 AND COALESCE(decided_at, died_at) < $1 AND push_owed_since IS NULL \
          ORDER BY died_at, id LIMIT $2)",
};

/// What grows and nothing is counted by.
pub const REST: [Prune; 5] = [
    Prune {
        what: "deeds in the audit",
        sql: "DELETE FROM audit WHERE id IN (SELECT id FROM audit \
              WHERE at < $1 ORDER BY id LIMIT $2)",
    },
    Prune {
        what: "notifications",
        sql: "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications \
              WHERE owed_since < $1 AND state NOT IN ('owed', 'sending') ORDER BY id LIMIT $2)",
    },
    Prune {
        what: "repairs",
        sql: "DELETE FROM repairs WHERE id IN (SELECT id FROM repairs \
              WHERE repaired_at < $1 ORDER BY id LIMIT $2)",
    },
    Prune {
        what: "presses",
        sql: "DELETE FROM presses WHERE id IN (SELECT id FROM presses \
              WHERE at < $1 ORDER BY at LIMIT $2)",
    },
    Prune {
        what: "losses",
        sql: "DELETE FROM losses WHERE epoch IN (SELECT epoch FROM losses \
              WHERE noticed_at < $1 ORDER BY epoch LIMIT $2)",
    },
];

/// Deletes at most `limit` old rows; returns how many there were.
///
/// # Errors
/// What the database says.
pub async fn prune(
    db: &impl ConnectionTrait,
    prune: Prune,
    before: Timestamp,
    limit: i64,
) -> Result<u64, DbErr> {
    let values = [Value::from(before.0), Value::from(limit)];
    let sql = statement(db.get_database_backend(), prune.sql, values);
    Ok(db.execute_raw(sql).await?.rows_affected())
}
