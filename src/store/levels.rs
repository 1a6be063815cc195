//! Inputs of levels and tiers beside counts, and the incidents that a change of them concerns.
//! Each statement reads a bounded number of rows of each anomaly, however many there are.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, statement};
use crate::domain::aggregation::Unit;
use crate::domain::escalation::{Rule, RuleInputs, most_incidents};
use crate::domain::frequency::{Counts, Window};
use crate::domain::reason::RESTARTS_AT_MOST;
use crate::domain::tier::{RESTARTS_COUNT_FOR, Tier};
use crate::entity::anomalies::Model as Anomaly;
use crate::time::Timestamp;

/// The number of an anomaly's newest unresolved incidents that are updated when its level, repairs or fix change.
pub const KEPT_RIGHT: i64 = 100;

#[derive(FromQueryResult)]
struct IncidentsInWindows {
    key: String,
    hour: i64,
    day: i64,
    week: i64,
    month: i64,
}

/// How many of each anomaly's newest `most` incidents lie in each window that ends at `now`: those that
/// an episode joined after the window's edge. An anomaly that has none may be left out, and all are where
/// `most` is 0. Of one that never had a second, nothing has to be asked: what was counted lies in it.
pub async fn incidents_in_windows(
    db: &impl ConnectionTrait,
    anomalies: &[(&Anomaly, Counts)],
    most: i64,
    now: Timestamp,
) -> Result<HashMap<String, Counts>, DbErr> {
    if most <= 0 {
        return Ok(HashMap::new());
    }
    let (several, one): (Vec<_>, Vec<_>) = anomalies.iter().partition(|(a, _)| a.newest_number > 1);
    let lies_in = |counted: i64| i64::from(counted > 0);
    let of_one = one.into_iter().filter(|(a, _)| a.newest_number == 1);
    let of_one = of_one.map(|(anomaly, counts)| {
        let counts = Counts {
            hour: lies_in(counts.hour),
            day: lies_in(counts.day),
            week: lies_in(counts.week),
            month: lies_in(counts.month),
        };
        (anomaly.key.clone(), counts)
    });
    let mut found: HashMap<String, Counts> = of_one.collect();
    if several.is_empty() {
        return Ok(found);
    }
    let backend = db.get_database_backend();
    let newest = match backend {
        // A limit keeps PostgreSQL from joining with all incidents there are.
        DbBackend::Postgres => {
            "JOIN LATERAL (SELECT n.joined_at, n.opened_at FROM incidents n \
                 WHERE n.anomaly_key = r.key ORDER BY n.number DESC LIMIT $5) i ON true"
        }
        _ => {
            "CROSS JOIN anomalies a ON a.key = r.key \
             CROSS JOIN incidents i ON i.anomaly_key = a.key AND i.number > a.newest_number - $5"
        }
    };
    let sql = format!(
        "SELECT r.key, \
             count(CASE WHEN COALESCE(i.joined_at, i.opened_at) > $1 THEN 1 END) AS hour, \
             count(CASE WHEN COALESCE(i.joined_at, i.opened_at) > $2 THEN 1 END) AS day, \
             count(CASE WHEN COALESCE(i.joined_at, i.opened_at) > $3 THEN 1 END) AS week, \
             count(CASE WHEN COALESCE(i.joined_at, i.opened_at) > $4 THEN 1 END) AS month \
         FROM {{rows}} {newest} GROUP BY r.key"
    );
    let edges = Window::ALL.map(|window| Value::from(now.before(window.length()).0));
    let values = edges.into_iter().chain([Value::from(most)]);
    let rows = Rows::new().text("key", several.iter().map(|(a, _)| a.key.clone()));
    let lying = IncidentsInWindows::find_by_statement(rows.statement(backend, &sql, values));
    found.extend(lying.all(db).await?.into_iter().map(|row| {
        let counts = Counts {
            hour: row.hour,
            day: row.day,
            week: row.week,
            month: row.month,
        };
        (row.key, counts)
    }));
    Ok(found)
}

/// What the rules of an anomaly with these counts are held against, as people are shown it.
pub async fn seen(
    db: &impl ConnectionTrait,
    (unit, rules): (Unit, &[Rule]),
    anomaly: &Anomaly,
    counts: Counts,
    now: Timestamp,
) -> Result<RuleInputs, DbErr> {
    let most = most_incidents(rules, unit);
    let mut incidents = incidents_in_windows(db, &[(anomaly, counts)], most, now).await?;
    Ok(RuleInputs {
        unit,
        counts,
        incidents: (most > 0).then(|| incidents.remove(&anomaly.key).unwrap_or_default()),
    })
}

/// The newest `most` unresolved incidents of each of these anomalies.
pub async fn unresolved(
    db: &impl ConnectionTrait,
    keys: &[String],
    most: i64,
) -> Result<Vec<Uuid>, DbErr> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT i.id FROM {rows} JOIN LATERAL (SELECT u.id FROM incidents u \
                 WHERE u.anomaly_key = r.key AND u.status <> 'RESOLVED' \
                 ORDER BY u.number DESC LIMIT $1) i ON true"
        }
        _ => {
            "SELECT i.id FROM {rows} CROSS JOIN incidents i ON i.id IN (SELECT u.id FROM incidents u \
                 WHERE u.anomaly_key = r.key AND u.status <> 'RESOLVED' \
                 ORDER BY u.number DESC LIMIT $1)"
        }
    };
    let rows = Rows::new().text("key", keys.iter().cloned());
    let sql = rows.statement(backend, sql, [Value::from(most)]);
    let found = db.query_all_raw(sql).await?;
    found.iter().map(|row| row.try_get("", "id")).collect()
}

/// The incidents that a change of these anomalies concerns, each with its newest incident: that, and the
/// unresolved ones, as far as they are kept right.
pub async fn concerned(
    db: &impl ConnectionTrait,
    anomalies: &[(String, Option<Uuid>)],
) -> Result<Vec<Uuid>, DbErr> {
    let keys: Vec<String> = anomalies.iter().map(|(key, _)| key.clone()).collect();
    let mut concerned = unresolved(db, &keys, KEPT_RIGHT).await?;
    concerned.extend(anomalies.iter().filter_map(|(_, newest)| *newest));
    concerned.sort_unstable();
    concerned.dedup();
    Ok(concerned)
}

/// Marks incidents of locked anomalies as due for a tier, but for those that have this tier already, for
/// who holds other incidents; returns those that were not due, or later than now. It waits for no lock: an incident that
/// somebody holds without holding its anomaly is being marked by them, and is worked out after this
/// transaction.
pub async fn mark_others_due(
    tx: &impl ConnectionTrait,
    ids: &[Uuid],
    unless: Option<Tier>,
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "UPDATE incidents SET tier_due_since = $1 \
               WHERE id IN (SELECT i.id FROM incidents i \
                   WHERE i.id IN (SELECT r.id FROM {rows}) \
                       AND (i.tier_due_since IS NULL OR i.tier_due_since > $1) \
                       AND COALESCE(i.tier, 0) <> $2 \
                   ORDER BY i.id {skip}) \
               RETURNING id";
    // No tier has this number.
    let unless = unless.map_or(-1, Tier::number);
    let values = [Value::from(now.0), Value::from(unless)];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let marked = tx.query_all_raw(sql).await?;
    marked.iter().map(|row| row.try_get("", "id")).collect()
}

/// How often these actions, restarts, were tried on their anomalies within [`RESTARTS_COUNT_FOR`], each up to
/// [`RESTARTS_AT_MOST`].
pub async fn restarts(
    db: &impl ConnectionTrait,
    tried: &[(String, String)],
    now: Timestamp,
) -> Result<HashMap<String, i64>, DbErr> {
    let rows = Rows::new()
        .text("key", tried.iter().map(|(key, _)| key.clone()))
        .text("action", tried.iter().map(|(_, action)| action.clone()));
    let sql = "SELECT r.key, (SELECT count(*) FROM (SELECT 1 FROM repairs p \
                   WHERE p.anomaly_key = r.key AND p.action = r.action \
                       AND p.repaired_at > $1 AND NOT p.unfinished LIMIT $2) l) AS n \
               FROM {rows}";
    let since = now.before(RESTARTS_COUNT_FOR);
    let values = [Value::from(since.0), Value::from(RESTARTS_AT_MOST)];
    let found = db
        .query_all_raw(rows.statement(db.get_database_backend(), sql, values))
        .await?;
    let mut restarts: HashMap<String, i64> = HashMap::new();
    for row in &found {
        let n: i64 = row.try_get("", "n")?;
        let all = restarts.entry(row.try_get("", "key")?).or_default();
        *all = (*all + n).min(RESTARTS_AT_MOST);
    }
    Ok(restarts)
}

/// Whether a firing of the anomaly began after `moment`, and was first seen after it: a firing that was
/// known already cannot show what a fix was worth, whatever its sender's clock says, and one that began
/// before it and arrives late cannot either.
pub async fn began_after(
    tx: &impl ConnectionTrait,
    key: &str,
    moment: Timestamp,
) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM occurrences \
               WHERE anomaly_key = $1 AND occurred_at > $2 AND starts_at > $2 \
                   AND series IS NOT NULL LIMIT 1";
    let values = [Value::from(key), Value::from(moment.0)];
    let sql = statement(tx.get_database_backend(), sql, values);
    Ok(tx.query_one_raw(sql).await?.is_some())
}

/// When the first firing began that shows that a fix at `moment` did not hold; none if it is not kept any more.
pub async fn first_after(
    db: &impl ConnectionTrait,
    key: &str,
    moment: Timestamp,
) -> Result<Option<Timestamp>, DbErr> {
    let sql = "SELECT starts_at FROM occurrences \
               WHERE anomaly_key = $1 AND occurred_at > $2 AND starts_at > $2 \
                   AND series IS NOT NULL ORDER BY occurred_at LIMIT 1";
    let values = [Value::from(key), Value::from(moment.0)];
    let sql = statement(db.get_database_backend(), sql, values);
    let row = db.query_one_raw(sql).await?;
    row.map(|row| row.try_get("", "starts_at")).transpose()
}

/// When each of these incidents opened.
pub async fn opened(
    db: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<HashMap<Uuid, Timestamp>, DbErr> {
    if incidents.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT i.id, i.opened_at FROM {rows} JOIN incidents i ON i.id = r.id";
    let found = db
        .query_all_raw(rows.statement(db.get_database_backend(), sql, []))
        .await?;
    let entry = |row: &sea_orm::QueryResult| {
        let opened_at: i64 = row.try_get("", "opened_at")?;
        Ok((row.try_get("", "id")?, Timestamp(opened_at)))
    };
    found.iter().map(entry).collect()
}
