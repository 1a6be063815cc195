//! The rows of recount: levels and figures that decay, pending work, old rows.

mod pruning;

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::rows::{Rows, columns, statement};
use crate::domain::aggregation::Unit;
use crate::domain::frequency::{FrequencyStats, Window};
use crate::entity::anomalies;
use crate::ids::first_id;
use crate::time::Timestamp;
pub use pruning::{DEAD_LETTERS, Prune, REQUESTS, REST, prune};

/// How much later than it was written something may be committed, and be found all the same.
const LATE: Duration = Duration::from_secs(120);
/// The reasons of levels that are by a count begin like this.
const BY_COUNT: &str = "{\"rule\":\"count\"%";
/// What was resolved within this may still be due for a tier.
const LATELY: Duration = Duration::from_secs(2 * 3600);

/// Anomalies whose level, or what is said of their windows, may be another at `to` than at `from`:
/// something left a window between the two, a batch changed it since `from` or a little before, or the
/// level is by age, which needs no event to end; or its reason is a sentence of an older version.
pub async fn changed(
    db: &impl ConnectionTrait,
    unit: Unit,
    (from, to): (Timestamp, Timestamp),
) -> Result<BTreeSet<String>, DbErr> {
    let mut keys = BTreeSet::new();
    let backend = db.get_database_backend();
    for window in Window::ALL {
        let (left, still) = (from.before(window.length()), to.before(window.length()));
        let sql = match unit {
            Unit::Incident => statement(
                backend,
                // Ids are in the order of the time at which incidents opened.
                "SELECT DISTINCT anomaly_key FROM incidents \
                 WHERE id >= $1 AND id < $2 AND opened_at > $3 AND opened_at <= $4",
                [
                    first_id(left).into(),
                    first_id(still.after(LATE)).into(),
                    left.0.into(),
                    still.0.into(),
                ],
            ),
            Unit::Episode | Unit::Delivery => statement(
                backend,
                "SELECT DISTINCT anomaly_key FROM occurrences \
                 WHERE occurred_at > $1 AND occurred_at <= $2 AND counted_id IS NOT NULL",
                [Value::from(left.0), still.0.into()],
            ),
        };
        keys.extend(keys_of(db, sql).await?);
    }
    let sql = "SELECT key FROM anomalies WHERE changed_at > $1 OR falling_since IS NOT NULL \
               OR reason NOT LIKE $2";
    let values = [Value::from(from.before(LATE).0), BY_COUNT.into()];
    keys.extend(keys_of(db, statement(backend, sql, values)).await?);
    Ok(keys)
}

/// The keys after `after`, up to and with `last`, of at most `limit` anomalies that have something to
/// decay: a level, or counts in the longest window. In order.
pub async fn decaying(
    db: &impl ConnectionTrait,
    (after, last): (&str, &str),
    seen_since: Timestamp,
    limit: i64,
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT key FROM anomalies \
               WHERE key > $1 AND key <= $2 AND (level <> 'NONE' OR last_seen > $3) \
               ORDER BY key LIMIT $4";
    let values = [
        Value::from(after),
        last.into(),
        seen_since.0.into(),
        limit.into(),
    ];
    keys_of(db, statement(db.get_database_backend(), sql, values)).await
}

/// These anomalies, in order, locked if `is_to_lock`.
///
/// # Errors
/// What the database says, or a row that cannot be read.
pub async fn anomalies(
    db: &impl ConnectionTrait,
    keys: &[String],
    is_to_lock: bool,
) -> Result<Vec<anomalies::Model>, DbErr> {
    let rows = Rows::new().text("key", keys.iter().cloned());
    let lock = if is_to_lock { "{lock}" } else { "" };
    let columns = columns::<anomalies::Entity>("anomalies");
    let sql = format!(
        "SELECT {columns} FROM anomalies WHERE key IN (SELECT r.key FROM {{rows}}) ORDER BY key {lock}"
    );
    let sql = rows.statement(db.get_database_backend(), &sql, []);
    anomalies::Model::find_by_statement(sql).all(db).await
}

async fn keys_of(db: &impl ConnectionTrait, sql: Statement) -> Result<Vec<String>, DbErr> {
    let rows = db.query_all_raw(sql).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// The store's time.
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

/// Whether no alert was ever entered.
pub async fn is_unused(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let sql = statement(
        db.get_database_backend(),
        "SELECT 1 FROM anomalies LIMIT 1",
        [],
    );
    Ok(db.query_one_raw(sql).await?.is_none())
}

/// Of which anomalies an incident's figures are not these. Those of an incident that is due for a tier are about to be
/// written, so nobody needs to lock its anomaly for them.
pub async fn stale(
    db: &impl ConnectionTrait,
    stats: &[FrequencyStats],
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT r.key FROM {rows} JOIN anomalies a ON a.key = r.key \
               WHERE EXISTS (SELECT 1 FROM incidents i WHERE i.id = a.newest_incident \
                       AND i.tier_due_since IS NULL \
                       AND i.frequency_stats IS NOT NULL AND i.frequency_stats <> r.stats{json}) \
                   OR EXISTS (SELECT 1 FROM incidents i WHERE i.anomaly_key = r.key \
                       AND i.status <> 'RESOLVED' AND i.tier_due_since IS NULL \
                       AND i.frequency_stats IS NOT NULL AND i.frequency_stats <> r.stats{json})";
    let sql = written(stats).statement(db.get_database_backend(), sql, []);
    keys_of(db, sql).await
}

/// Figures as the entity writes them, so that equal figures are equal texts on SQLite.
fn written(stats: &[FrequencyStats]) -> Rows {
    let json = |s: &FrequencyStats| serde_json::json!(s).to_string();
    Rows::new()
        .text("key", stats.iter().map(|s| s.anomaly_key.clone()))
        .text("stats", stats.iter().map(json))
}

/// Writes fresh figures to the unresolved incidents of locked anomalies, and to each one's newest.
pub async fn refresh_stats(
    tx: &impl ConnectionTrait,
    stats: &[FrequencyStats],
) -> Result<(), DbErr> {
    // Two statements, each with an index of its own.
    const SET: &str = "UPDATE incidents SET frequency_stats = r.stats{json}";
    const DIFFERS: &str = "incidents.frequency_stats IS NOT NULL \
        AND incidents.frequency_stats <> r.stats{json}";
    for of in [
        "FROM {rows} WHERE incidents.anomaly_key = r.key AND incidents.status <> 'RESOLVED'",
        "FROM {rows} JOIN anomalies a ON a.key = r.key WHERE incidents.id = a.newest_incident",
    ] {
        let sql = format!("{SET} {of} AND {DIFFERS}");
        let sql = written(stats).statement(tx.get_database_backend(), &sql, []);
        tx.execute_raw(sql).await?;
    }
    Ok(())
}

/// Incidents that have been due for a tier since before `moment`, those that wait longest first. Nearly all
/// of them are not resolved, or were lately: with `everywhere` the others are looked for, too. No index
/// says which are due, because it would change with every alert.
pub async fn overdue_tiers(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: i64,
    everywhere: bool,
) -> Result<Vec<Uuid>, DbErr> {
    let lately = match everywhere {
        true => Timestamp(0),
        false => moment.before(LATELY),
    };
    let sql = "SELECT id FROM (SELECT id, tier_due_since FROM incidents \
                       WHERE status <> 'RESOLVED' AND tier_due_since < $1 \
                   UNION SELECT id, tier_due_since FROM incidents \
                       WHERE status = 'RESOLVED' AND resolved_at >= $3 AND tier_due_since < $1) d \
               ORDER BY tier_due_since LIMIT $2";
    let values = [Value::from(moment.0), limit.into(), lately.0.into()];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}
