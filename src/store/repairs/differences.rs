//! Drift of actions' figures from the repairs that they are computed from. Each is one statement, and a
//! repair and its figures are written in one transaction: a difference is drift, and never work under way.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::figures::{Delta, Scope, add_to, counted, first_of};
use crate::domain::effectiveness::{Counted, PERIOD_MS, bucket};
use crate::store::rows::{Rows, statement};

/// What must be added to figures so that they are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub scope: Scope,
    /// Of which.
    pub subject: String,
    /// What is to be added.
    pub delta: Delta,
}

const SUMS: &str = "CAST(sum(attempts) AS bigint) AS attempts, CAST(sum(claimed) AS bigint) AS claimed, \
     CAST(sum(verified) AS bigint) AS verified, CAST(sum(disproved) AS bigint) AS disproved, \
     CAST(sum(superseded) AS bigint) AS superseded, CAST(sum(unknown) AS bigint) AS unknown";
const DIFFERS: &str = "sum(attempts) <> 0 OR sum(claimed) <> 0 OR sum(verified) <> 0 \
     OR sum(disproved) <> 0 OR sum(superseded) <> 0 OR sum(unknown) <> 0";
const MINUS: &str = "-f.attempts AS attempts, -f.claimed AS claimed, -f.verified AS verified, \
     -f.disproved AS disproved, -f.superseded AS superseded, -f.unknown AS unknown";

/// How the figures of these anomalies differ from their repairs, from the period `first` on.
pub async fn of_anomalies(
    db: &impl ConnectionTrait,
    keys: &[String],
    first: i64,
) -> Result<Vec<Difference>, DbErr> {
    let backend = db.get_database_backend();
    let one = |verdict: &str| format!("CASE WHEN p.verdict = '{verdict}' THEN 1 ELSE 0 END");
    let sql = format!(
        "SELECT subject, action, period, {SUMS} FROM ( \
             SELECT p.anomaly_key AS subject, p.action, p.repaired_at / {PERIOD_MS} AS period, \
                 1 AS attempts, CASE WHEN p.success THEN 1 ELSE 0 END AS claimed, \
                 {} AS verified, {} AS disproved, {} AS superseded, {} AS unknown \
             FROM {{rows}} JOIN repairs p ON p.anomaly_key = r.key \
             WHERE NOT p.unfinished AND p.repaired_at >= $1 \
             UNION ALL \
             SELECT f.subject, f.action, f.period, {MINUS} \
             FROM {{rows}} JOIN repair_figures f ON f.scope = 'anomaly' AND f.subject = r.key \
             WHERE f.period >= $2) d \
         GROUP BY subject, action, period HAVING {DIFFERS}",
        one("verified"),
        one("disproved"),
        one("superseded"),
        one("unknown"),
    );
    let values = || [Value::from(first_of(first).0), Value::from(first)];
    let rows = Rows::new().text("key", keys.iter().cloned());
    let mut found = Vec::new();
    for row in db
        .query_all_raw(rows.statement(backend, &sql, values()))
        .await?
    {
        found.push(difference(&row, Scope::Anomaly)?);
    }
    let mut times: BTreeMap<(String, String, i64, i64), i64> = BTreeMap::new();
    let sql = "SELECT p.anomaly_key AS subject, p.action, p.repaired_at, p.quiet_after_ms \
               FROM {rows} JOIN repairs p ON p.anomaly_key = r.key \
               WHERE NOT p.unfinished AND p.repaired_at >= $1 AND p.quiet_after_ms IS NOT NULL";
    let rows = Rows::new().text("key", keys.iter().cloned());
    let sql = rows.statement(backend, sql, [Value::from(first_of(first).0)]);
    for row in db.query_all_raw(sql).await? {
        let ms: i64 = row.try_get("", "quiet_after_ms")?;
        let at: i64 = row.try_get("", "repaired_at")?;
        let place = (
            row.try_get("", "subject")?,
            row.try_get("", "action")?,
            at / PERIOD_MS,
            bucket(Duration::from_millis(ms.max(0).unsigned_abs())),
        );
        *times.entry(place).or_default() += 1;
    }
    let sql = "SELECT t.subject, t.action, t.period, t.bucket, t.n \
               FROM {rows} JOIN repair_times t ON t.scope = 'anomaly' AND t.subject = r.key \
               WHERE t.period >= $1";
    let rows = Rows::new().text("key", keys.iter().cloned());
    for row in db
        .query_all_raw(rows.statement(backend, sql, [Value::from(first)]))
        .await?
    {
        let place = (
            row.try_get("", "subject")?,
            row.try_get("", "action")?,
            row.try_get("", "period")?,
            row.try_get("", "bucket")?,
        );
        let n: i64 = row.try_get("", "n")?;
        *times.entry(place).or_default() -= n;
    }
    let differs = times.into_iter().filter(|(_, n)| *n != 0);
    found.extend(
        differs.map(|((subject, action, period, bucket), n)| Difference {
            scope: Scope::Anomaly,
            subject,
            delta: time_of(action, period, (bucket, n)),
        }),
    );
    Ok(found)
}

/// How the figures of alert names, services and of all differ from those of the anomalies.
pub async fn of_wider(db: &impl ConnectionTrait) -> Result<Vec<Difference>, DbErr> {
    let backend = db.get_database_backend();
    let mut found = Vec::new();
    for (scope, subject) in [
        (Scope::AlertName, "a.alert_name"),
        (Scope::Service, "a.service"),
        (Scope::All, "''"),
    ] {
        let name = scope.name();
        let sql = format!(
            "SELECT subject, action, period, {SUMS} FROM ( \
                 SELECT {subject} AS subject, f.action, f.period, f.attempts, f.claimed, f.verified, \
                     f.disproved, f.superseded, f.unknown \
                 FROM repair_figures f JOIN anomalies a ON a.key = f.subject \
                 WHERE f.scope = 'anomaly' \
                 UNION ALL \
                 SELECT f.subject, f.action, f.period, {MINUS} FROM repair_figures f \
                 WHERE f.scope = '{name}') d \
             GROUP BY subject, action, period HAVING {DIFFERS}"
        );
        for row in db.query_all_raw(statement(backend, &sql, [])).await? {
            found.push(difference(&row, scope)?);
        }
        let sql = format!(
            "SELECT subject, action, period, bucket, CAST(sum(n) AS bigint) AS n FROM ( \
                 SELECT {subject} AS subject, t.action, t.period, t.bucket, t.n \
                 FROM repair_times t JOIN anomalies a ON a.key = t.subject \
                 WHERE t.scope = 'anomaly' \
                 UNION ALL \
                 SELECT t.subject, t.action, t.period, t.bucket, -t.n FROM repair_times t \
                 WHERE t.scope = '{name}') d \
             GROUP BY subject, action, period, bucket HAVING sum(n) <> 0"
        );
        for row in db.query_all_raw(statement(backend, &sql, [])).await? {
            let time = (row.try_get("", "bucket")?, row.try_get("", "n")?);
            found.push(Difference {
                scope,
                subject: row.try_get("", "subject")?,
                delta: time_of(row.try_get("", "action")?, row.try_get("", "period")?, time),
            });
        }
    }
    Ok(found)
}

fn difference(row: &QueryResult, scope: Scope) -> Result<Difference, DbErr> {
    Ok(Difference {
        scope,
        subject: row.try_get("", "subject")?,
        delta: Delta {
            action: row.try_get("", "action")?,
            at: first_of(row.try_get("", "period")?),
            counted: counted(row)?,
            times: Vec::new(),
        },
    })
}

fn time_of(action: String, period: i64, time: (i64, i64)) -> Delta {
    Delta {
        action,
        at: first_of(period),
        counted: Counted::default(),
        times: vec![time],
    }
}

/// Adds what is missing. The caller keeps others from doing the same meanwhile.
pub async fn mend(tx: &impl ConnectionTrait, found: &[Difference]) -> Result<(), DbErr> {
    let mut by_place: BTreeMap<(Scope, &str), Vec<Delta>> = BTreeMap::new();
    for difference in found {
        let place = (difference.scope, difference.subject.as_str());
        by_place
            .entry(place)
            .or_default()
            .push(difference.delta.clone());
    }
    for (place, deltas) in by_place {
        add_to(tx, &[place], deltas).await?;
    }
    Ok(())
}
