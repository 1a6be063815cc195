//! Anomalies that flap: the firings that it is known by, and since when they do.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};

use super::rows::{Rows, statement};
use crate::domain::flapping::Firing;
use crate::time::Timestamp;

/// The most firings of an anomaly that are read, the newest first.
const NEWEST: i64 = 500;

/// The newest firings of each of these anomalies that were first received after `moment`.
pub async fn firings(
    db: &impl ConnectionTrait,
    keys: &[String],
    moment: Timestamp,
) -> Result<HashMap<String, Vec<Firing>>, DbErr> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let backend = db.get_database_backend();
    // A limit keeps both databases from reading a storm of firings whole.
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT r.key, o.series, o.occurred_at, o.ended_at, o.end_received_at FROM {rows} \
             JOIN LATERAL (SELECT n.series, n.occurred_at, n.ended_at, n.end_received_at \
                 FROM occurrences n WHERE n.anomaly_key = r.key AND n.occurred_at > $1 \
                 ORDER BY n.occurred_at DESC LIMIT $2) o ON true WHERE o.series IS NOT NULL"
        }
        _ => {
            "SELECT r.key, o.series, o.occurred_at, o.ended_at, o.end_received_at FROM {rows} \
             CROSS JOIN occurrences o ON o.id IN (SELECT n.id FROM occurrences n \
                 WHERE n.anomaly_key = r.key AND n.occurred_at > $1 \
                 ORDER BY n.occurred_at DESC LIMIT $2) WHERE o.series IS NOT NULL"
        }
    };
    let rows = Rows::new().text("key", keys.iter().cloned());
    let values = [Value::from(moment.0), NEWEST.into()];
    let mut found: HashMap<String, Vec<Firing>> = HashMap::new();
    for row in db
        .query_all_raw(rows.statement(backend, sql, values))
        .await?
    {
        let ended: Option<i64> = row.try_get("", "ended_at")?;
        let received: Option<i64> = row.try_get("", "end_received_at")?;
        let firing = Firing {
            series: row.try_get("", "series")?,
            from: Timestamp(row.try_get("", "occurred_at")?),
            to: ended.and(received.or(ended)).map(Timestamp),
        };
        found
            .entry(row.try_get("", "key")?)
            .or_default()
            .push(firing);
    }
    Ok(found)
}

/// Records since when these locked anomalies flap.
pub async fn begin(
    tx: &impl ConnectionTrait,
    keys: &[String],
    since: Timestamp,
) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    let rows = Rows::new().text("key", keys.iter().cloned());
    let sql = "UPDATE anomalies SET flapping_since = $1 \
               WHERE key IN (SELECT r.key FROM {rows}) AND flapping_since IS NULL";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(since.0)]);
    tx.execute_raw(sql).await.map(drop)
}

/// Records that a locked anomaly flaps no more.
pub async fn end(tx: &impl ConnectionTrait, key: &str) -> Result<(), DbErr> {
    let sql = "UPDATE anomalies SET flapping_since = NULL WHERE key = $1";
    let sql = statement(tx.get_database_backend(), sql, [Value::from(key)]);
    tx.execute_raw(sql).await.map(drop)
}

/// Anomalies that flap, by their keys from the one behind `after` on.
pub async fn flapping(
    db: &impl ConnectionTrait,
    after: &str,
    limit: u64,
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT key FROM anomalies WHERE flapping_since IS NOT NULL AND key > $1 \
               ORDER BY key LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(after), limit.into()];
    let sql = statement(db.get_database_backend(), sql, values);
    let found = db.query_all_raw(sql).await?;
    found.iter().map(|row| row.try_get("", "key")).collect()
}
