//! Retention of rows that figures are computed from. In the transaction that deletes them,
//! the figures learn what they lost: a total is its rows and `pruned_total`, an incident's
//! `aggregated_count` its episodes' rows and `pruned_episodes`.
//!
//! Each step looks for old rows, locks their anomalies in the order of the keys, and deletes what is
//! still old then: a new delivery of an old episode has locked the anomaly first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::repairs::baselines;
use super::repairs::figures::Subject;
use super::rows::{Rows, statement};
use super::{Db, tallies};
use crate::domain::aggregation::Unit;
use crate::ids::first_id;
use crate::time::Timestamp;

/// An occurrence past its end, and out of the windows that count it.
const IS_OLD: &str = "occurred_at < $1 AND COALESCE(ended_at, last_seen_at) < $1";

/// Deletes at most `limit` occurrences from before `before`; returns how many there were.
///
/// # Errors
/// What the database says; nothing was deleted then.
pub async fn prune_occurrences(
    db: &Db,
    unit: Unit,
    before: Timestamp,
    limit: i64,
) -> Result<u64, DbErr> {
    let find = format!(
        "SELECT id, anomaly_key FROM occurrences WHERE {IS_OLD} ORDER BY occurred_at LIMIT $2"
    );
    let values = [Value::from(before.0), limit.into()];
    let Some((tx, rows)) = lock_old(db, &find, values).await? else {
        return Ok(0);
    };
    let delete = format!(
        "DELETE FROM occurrences WHERE id IN (SELECT r.id FROM {{rows}}) AND {IS_OLD} \
         RETURNING anomaly_key, incident_id, counted_id, series, ended_at, occurred_at"
    );
    let values = [Value::from(before.0)];
    let delete = rows.statement(tx.get_database_backend(), &delete, values);
    let deleted = tx.query_all_raw(delete).await?;

    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    let mut episodes: HashMap<Uuid, (i64, i64)> = HashMap::new();
    let mut of_tallies = Vec::new();
    for row in &deleted {
        let counts = row.try_get::<Option<Uuid>>("", "counted_id")?.is_some();
        let key: String = row.try_get("", "anomaly_key")?;
        if counts {
            of_tallies.push((key.clone(), row.try_get("", "occurred_at")?));
        }
        let of_anomaly = counted.entry(key).or_default();
        *of_anomaly += i64::from(counts && unit != Unit::Incident);
        let is_episode = row.try_get::<Option<i64>>("", "series")?.is_some();
        if let Some(incident) = row
            .try_get::<Option<Uuid>>("", "incident_id")?
            .filter(|_| is_episode)
        {
            let of_incident = episodes.entry(incident).or_default();
            of_incident.0 += 1;
            // A firing without an end whose last delivery is older than the retention: nothing will end it.
            of_incident.1 += i64::from(row.try_get::<Option<i64>>("", "ended_at")?.is_none());
        }
    }
    note_of_anomalies(&tx, &counted, before).await?;
    tallies::pruned(&tx, &of_tallies).await?;
    note_of_incidents(&tx, &episodes).await?;
    tx.commit().await?;
    Ok(deleted.len() as u64)
}

/// Deletes at most `limit` incidents that are resolved and did not change since `before`, with the
/// messages and notes about them, their executions, and when they opened again; returns how many incidents there were. The newest of an anomaly stays for as long as the anomaly is seen.
///
/// # Errors
/// What the database says; nothing was deleted then.
pub async fn prune_incidents(
    db: &Db,
    unit: Unit,
    before: Timestamp,
    limit: i64,
) -> Result<u64, DbErr> {
    let is_old = "updated_at < $1 AND status = 'RESOLVED' AND EXISTS (SELECT 1 FROM anomalies a \
                  WHERE a.key = anomaly_key AND (a.newest_incident <> incidents.id OR a.last_seen < $1))";
    // Ids are in the order of the time at which incidents opened.
    let find = format!(
        "SELECT id, anomaly_key FROM incidents WHERE id < $2 AND {is_old} ORDER BY id LIMIT $3"
    );
    let values = [Value::from(before.0), first_id(before).into(), limit.into()];
    let Some((tx, rows)) = lock_old(db, &find, values).await? else {
        return Ok(0);
    };
    let delete = format!(
        "DELETE FROM incidents WHERE id IN (SELECT r.id FROM {{rows}}) AND {is_old} \
         RETURNING id, anomaly_key"
    );
    let values = [Value::from(before.0)];
    let delete = rows.statement(tx.get_database_backend(), &delete, values);
    let deleted = tx.query_all_raw(delete).await?;
    let gone: Vec<Uuid> = deleted
        .iter()
        .map(|row| row.try_get("", "id"))
        .collect::<Result<_, DbErr>>()?;
    for of_them in [
        "DELETE FROM notifications WHERE incident_id IN (SELECT r.id FROM {rows})",
        "DELETE FROM reopenings WHERE incident_id IN (SELECT r.id FROM {rows})",
        "DELETE FROM notes WHERE incident_id IN (SELECT r.id FROM {rows})",
        "DELETE FROM executions WHERE incident_id IN (SELECT r.id FROM {rows})",
    ] {
        let rows = Rows::new().uuid("id", gone.iter().copied());
        let delete = rows.statement(tx.get_database_backend(), of_them, []);
        tx.execute_raw(delete).await?;
    }
    if unit == Unit::Incident {
        let mut counted: BTreeMap<String, i64> = BTreeMap::new();
        for row in &deleted {
            *counted.entry(row.try_get("", "anomaly_key")?).or_default() += 1;
        }
        note_of_anomalies(&tx, &counted, before).await?;
    }
    tx.commit().await?;
    Ok(deleted.len() as u64)
}

/// Deletes at most `limit` anomalies that were not seen since `before`, that no row is about and
/// have no permanent fix, with what repairs were worth on them; returns how many there were.
pub async fn prune_anomalies(db: &Db, before: Timestamp, limit: i64) -> Result<u64, DbErr> {
    const IS_OLD: &str = "a.last_seen < $1 AND a.permanent_fix_at IS NULL \
        AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.anomaly_key = a.key) \
        AND NOT EXISTS (SELECT 1 FROM occurrences o WHERE o.anomaly_key = a.key) \
        AND NOT EXISTS (SELECT 1 FROM repair_figures f \
            WHERE f.scope = 'anomaly' AND f.subject = a.key)";
    let find = format!("SELECT a.key FROM anomalies a WHERE {IS_OLD} ORDER BY a.key LIMIT $2");
    let values = [Value::from(before.0), Value::from(limit)];
    let found = db
        .read()
        .query_all_raw(statement(db.backend(), &find, values))
        .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let keys = found.iter().map(|row| row.try_get::<String>("", "key"));
    let rows = Rows::new().text("key", keys.collect::<Result<Vec<_>, _>>()?);
    // Locked before they are deleted: who waited for a batch looks again at what it has seen.
    let delete = format!(
        "WITH old AS (SELECT a.key FROM anomalies a \
             WHERE a.key IN (SELECT r.key FROM {{rows}}) AND {IS_OLD} ORDER BY a.key {{lock}}) \
         DELETE FROM anomalies WHERE key IN (SELECT key FROM old) \
         RETURNING key, alert_name, service"
    );
    let delete = rows.statement(db.backend(), &delete, [Value::from(before.0)]);
    let tx = db.begin().await?;
    let deleted = tx.query_all_raw(delete).await?;
    let subject = |row: &QueryResult| {
        Ok(Subject::new(
            row.try_get("", "key")?,
            row.try_get("", "alert_name")?,
            row.try_get("", "service")?,
        ))
    };
    let subjects: Vec<Subject> = deleted.iter().map(subject).collect::<Result<_, DbErr>>()?;
    baselines::forget(&tx, &subjects, before).await?;
    let keys = deleted.iter().map(|row| row.try_get("", "key"));
    let rows = Rows::new().text("key", keys.collect::<Result<Vec<String>, _>>()?);
    let sql = "DELETE FROM effectiveness WHERE anomaly_key IN (SELECT r.key FROM {rows})";
    tx.execute_raw(rows.statement(db.backend(), sql, []))
        .await?;
    tx.commit().await?;
    Ok(deleted.len() as u64)
}

/// Finds rows that are old, and begins a transaction in which their anomalies are locked; `None` if there are none.
/// They are found without a lock, so the statement that deletes them checks their age again.
async fn lock_old<const N: usize>(
    db: &Db,
    find: &str,
    values: [Value; N],
) -> Result<Option<(DatabaseTransaction, Rows)>, DbErr> {
    let found = db
        .read()
        .query_all_raw(statement(db.backend(), find, values))
        .await?;
    let (mut ids, mut keys) = (Vec::with_capacity(found.len()), BTreeSet::new());
    for row in &found {
        ids.push(row.try_get::<Uuid>("", "id")?);
        keys.insert(row.try_get::<String>("", "anomaly_key")?);
    }
    if ids.is_empty() {
        return Ok(None);
    }
    let tx = db.begin().await?;
    let sql =
        "SELECT key FROM anomalies WHERE key IN (SELECT r.key FROM {rows}) ORDER BY key {lock}";
    let sql = Rows::new()
        .text("key", keys)
        .statement(tx.get_database_backend(), sql, []);
    tx.query_all_raw(sql).await?;
    Ok(Some((tx, Rows::new().uuid("id", ids))))
}

async fn note_of_anomalies(
    tx: &DatabaseTransaction,
    counted: &BTreeMap<String, i64>,
    before: Timestamp,
) -> Result<(), DbErr> {
    let rows = Rows::new()
        .text("key", counted.keys().cloned())
        .int("counted", counted.values().copied());
    let sql = "UPDATE anomalies SET pruned_total = anomalies.pruned_total + r.counted, \
                   pruned_before = CASE WHEN anomalies.pruned_before > $1 \
                       THEN anomalies.pruned_before ELSE $1 END \
               FROM {rows} WHERE anomalies.key = r.key";
    let values = [Value::from(before.0)];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}

async fn note_of_incidents(
    tx: &DatabaseTransaction,
    episodes: &HashMap<Uuid, (i64, i64)>,
) -> Result<(), DbErr> {
    let rows = Rows::new()
        .uuid("id", episodes.keys().copied())
        .int("episodes", episodes.values().map(|(all, _)| *all))
        .int("open", episodes.values().map(|(_, open)| *open));
    let sql = "UPDATE incidents SET pruned_episodes = incidents.pruned_episodes + r.episodes, \
                   open_episodes = incidents.open_episodes - r.open \
               FROM {rows} WHERE incidents.id = r.id";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.execute_raw(sql).await.map(drop)
}
