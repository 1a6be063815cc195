//! When sources were silent: an alert that one always sends did not come, or it was quiet against its habit. What it did
//! not say then tells nothing of repairs.
//!
//! Verdicts that were given before a silence was noticed are given again. That follows one pass after the silence was
//! written: a verdict that was given meanwhile either took the silence into account or is found then.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::rows::{Rows, statement};
use crate::domain::canary;
use crate::domain::verdict::SilentSource;
use crate::time::{Timestamp, millis};

/// A silence that was noticed longer ago than this after a repair changes its verdict at the next consistency check.
const AGAIN_MS: i64 = 86_400_000;

/// Writes that the source of a watch is silent, once for each time since when it was heard last. `longest` is the longest
/// quiet time.
pub async fn begin(
    tx: &impl ConnectionTrait,
    watch: &str,
    silent: &SilentSource,
    (longest, now): (Duration, Timestamp),
) -> Result<(), DbErr> {
    let sql = "INSERT INTO silent_sources (id, watch, source, labels, began_at) \
               VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (id) DO UPDATE SET ended_at = NULL, doubted = false \
                   WHERE silent_sources.ended_at IS NOT NULL";
    let labels = serde_json::json!(silent.labels).to_string();
    let values = [
        Value::from(format!("{watch} {}", silent.since.0)),
        watch.into(),
        silent.source.clone().into(),
        labels.into(),
        silent.since.0.into(),
    ];
    let written = tx.execute_raw(statement(tx.get_database_backend(), sql, values));
    if written.await?.rows_affected() == 0 {
        doubt(tx, watch, (longest, now)).await?;
    }
    Ok(())
}

/// Writes that the source of a watch is heard again.
pub async fn end(
    tx: &impl ConnectionTrait,
    watch: &str,
    heard: Timestamp,
    (longest, now): (Duration, Timestamp),
) -> Result<(), DbErr> {
    doubt(tx, watch, (longest, now)).await?;
    let sql = "UPDATE silent_sources SET ended_at = CASE WHEN began_at > $2 THEN began_at ELSE $2 END \
               WHERE watch = $1 AND ended_at IS NULL";
    let values = [Value::from(watch), heard.0.into()];
    let sql = statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}

/// Has the verdicts on repairs given again whose quiet time lies in what was not known of the silence of a watch, and the
/// baselines that were worked out since.
async fn doubt(
    tx: &impl ConnectionTrait,
    watch: &str,
    (longest, now): (Duration, Timestamp),
) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    let sql = "UPDATE silent_sources SET doubted = true WHERE watch = $1 AND NOT doubted \
               RETURNING began_at";
    let found = tx.query_all_raw(statement(backend, sql, [Value::from(watch)]));
    let began = found.await?;
    let began = began.iter().map(|row| row.try_get("", "began_at"));
    let Some(began) = began.collect::<Result<Vec<i64>, _>>()?.into_iter().min() else {
        return Ok(());
    };
    let sql = "UPDATE repairs SET judged_at = NULL \
               WHERE repaired_at > $1 AND repaired_at + quiet_ms > $2 AND verdict IS NOT NULL";
    let first = began.max(now.0 - AGAIN_MS) - millis(longest);
    let values = [Value::from(first), began.into()];
    tx.execute_raw(statement(backend, sql, values)).await?;
    let sql = "UPDATE baselines SET as_of = 0 WHERE scope = 'anomaly' AND as_of > $1";
    let values = [Value::from(began)];
    tx.execute_raw(statement(backend, sql, values)).await?;
    Ok(())
}

/// The watches whose source is silent and was not heard since: by the watch, since when.
pub async fn open(db: &impl ConnectionTrait) -> Result<BTreeMap<String, Timestamp>, DbErr> {
    let sql = "SELECT watch, max(began_at) AS began_at FROM silent_sources \
               WHERE ended_at IS NULL GROUP BY watch";
    let rows = db.query_all_raw(statement(db.get_database_backend(), sql, []));
    let rows = rows.await?;
    let entry = |row: &QueryResult| Ok((row.try_get("", "watch")?, row.try_get("", "began_at")?));
    rows.iter().map(entry).collect()
}

/// When what sends alerts of this source with these labels, as incidents have them, was silent between these moments:
/// from when, and to when. Tocsin's own alerts need no source.
pub async fn of(
    db: &impl ConnectionTrait,
    source: &str,
    labels: &serde_json::Value,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<(Timestamp, Timestamp)>, DbErr> {
    if source == canary::SOURCE {
        return Ok(Vec::new());
    }
    let kind = source.split_once('@').map_or(source, |(kind, _)| kind);
    let names = ["", kind, source].map(str::to_owned);
    let sql = "SELECT labels, began_at, COALESCE(ended_at, $2) AS ended_at FROM silent_sources \
               WHERE source IN (SELECT r.name FROM {rows}) \
                   AND began_at < $2 AND (ended_at IS NULL OR ended_at > $1)";
    let values = [Value::from(from.0), to.0.into()];
    let rows = Rows::new().text("name", names);
    let rows = rows.statement(db.get_database_backend(), sql, values);
    let mut silences = Vec::new();
    for row in db.query_all_raw(rows).await? {
        let expected: String = row.try_get("", "labels")?;
        let expected = serde_json::from_str(&expected).unwrap_or_default();
        let silent = SilentSource {
            source: source.to_owned(),
            labels: expected,
            since: row.try_get("", "began_at")?,
        };
        if silent.may_send(labels) {
            silences.push((silent.since, row.try_get("", "ended_at")?));
        }
    }
    Ok(silences)
}
