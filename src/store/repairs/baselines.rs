//! Baselines: how often anomalies stayed quiet with nothing done.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::figures::{Scope, Subject};
use crate::domain::verdict::Baseline;
use crate::store::rows::{Rows, statement};
use crate::time::{Timestamp, millis};

/// The baselines of a subject, by the quiet time in milliseconds.
pub async fn of(
    db: &impl ConnectionTrait,
    scope: Scope,
    subject: &str,
) -> Result<BTreeMap<i64, Baseline>, DbErr> {
    let sql = "SELECT quiet_ms, episodes, held FROM baselines WHERE scope = $1 AND subject = $2";
    let values = [Value::from(scope.name()), Value::from(subject)];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    let entry = |row: &sea_orm::QueryResult| {
        let baseline = Baseline {
            episodes: row.try_get("", "episodes")?,
            held: row.try_get("", "held")?,
        };
        Ok((row.try_get("", "quiet_ms")?, baseline))
    };
    rows.iter().map(entry).collect()
}

/// What is added, by scope, subject and quiet time.
type Changes = BTreeMap<(&'static str, String, i64), Baseline>;

/// Sets the baselines of a locked anomaly, and adds what changed to those of what it belongs to.
pub async fn set(
    tx: &impl ConnectionTrait,
    subject: &Subject,
    baselines: &BTreeMap<Duration, Baseline>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let mut changes = Changes::new();
    change(tx, subject, baselines, &mut changes).await?;
    add(tx, &changes, now).await
}

/// Works out what changes where these baselines are set. The anomaly's own are written even if they stay: they are
/// as of now.
async fn change(
    tx: &impl ConnectionTrait,
    subject: &Subject,
    baselines: &BTreeMap<Duration, Baseline>,
    changes: &mut Changes,
) -> Result<(), DbErr> {
    let [(own, key), wider @ ..] = subject.scopes();
    let before = of(tx, own, key).await?;
    let mut new: BTreeMap<i64, Baseline> = BTreeMap::new();
    new.extend(before.keys().map(|quiet| (*quiet, Baseline::default())));
    new.extend(
        baselines
            .iter()
            .map(|(quiet, found)| (millis(*quiet), *found)),
    );
    for (quiet, now) in new {
        let was = before.get(&quiet).copied().unwrap_or_default();
        let by = Baseline {
            episodes: now.episodes - was.episodes,
            held: now.held - was.held,
        };
        let has_changed = by != Baseline::default();
        let wider = wider.iter().filter(|_| has_changed);
        for (scope, subject) in wider.chain([&(own, key)]) {
            let place = (scope.name(), (*subject).to_owned(), quiet);
            let change = changes.entry(place).or_default();
            change.episodes += by.episodes;
            change.held += by.held;
        }
    }
    Ok(())
}

/// Adds in one order, so that two who write the baselines of one alert name never wait in a circle.
async fn add(tx: &impl ConnectionTrait, changes: &Changes, now: Timestamp) -> Result<(), DbErr> {
    if changes.is_empty() {
        return Ok(());
    }
    let rows = Rows::new()
        .text(
            "scope",
            changes.keys().map(|(scope, ..)| (*scope).to_owned()),
        )
        .text(
            "subject",
            changes.keys().map(|(_, subject, _)| subject.clone()),
        )
        .int("quiet_ms", changes.keys().map(|(.., quiet)| *quiet))
        .int("episodes", changes.values().map(|change| change.episodes))
        .int("held", changes.values().map(|change| change.held));
    let sql = "INSERT INTO baselines (scope, subject, quiet_ms, episodes, held, as_of) \
               SELECT r.scope, r.subject, r.quiet_ms, r.episodes, r.held, $1 FROM {rows} \
               WHERE true ORDER BY r.scope, r.subject, r.quiet_ms \
               ON CONFLICT (scope, subject, quiet_ms) DO UPDATE SET \
                   episodes = baselines.episodes + excluded.episodes, \
                   held = baselines.held + excluded.held, as_of = excluded.as_of";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(now.0)]);
    tx.execute_raw(sql).await.map(drop)
}

/// At most `limit` anomalies whose baselines are from before `before` and that changed since then, the oldest first.
pub async fn outdated(
    db: &impl ConnectionTrait,
    before: Timestamp,
    quiet: Duration,
    limit: u64,
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT DISTINCT b.subject, b.as_of FROM baselines b \
                   JOIN anomalies a ON a.key = b.subject \
               WHERE b.scope = 'anomaly' AND b.as_of < $1 AND a.changed_at > b.as_of - $2 \
               ORDER BY b.as_of LIMIT $3";
    let values = [Value::from(before.0), millis(quiet).into(), limit.into()];
    let sql = statement(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(sql).await?;
    rows.iter().map(|row| row.try_get("", "subject")).collect()
}

/// Takes the baselines of anomalies that are deleted away, and from what they belonged to.
pub async fn forget(
    tx: &impl ConnectionTrait,
    subjects: &[Subject],
    now: Timestamp,
) -> Result<(), DbErr> {
    let mut changes = Changes::new();
    for subject in subjects {
        change(tx, subject, &BTreeMap::new(), &mut changes).await?;
    }
    add(tx, &changes, now).await?;
    let keys = subjects
        .iter()
        .map(|subject| subject.scopes()[0].1.to_owned());
    let rows = Rows::new().text("key", keys);
    let sql =
        "DELETE FROM baselines WHERE scope = 'anomaly' AND subject IN (SELECT r.key FROM {rows})";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.execute_raw(sql).await.map(drop)
}
