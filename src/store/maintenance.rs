//! What recount reads and writes: levels and figures that decay, work that is owed, rows that are
//! old.

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::Db;
use super::rows::{Rows, columns, statement};
use crate::domain::aggregation::Unit;
use crate::domain::frequency::{FrequencyStats, Window};
use crate::entity::anomalies;
use crate::ids::first_id;
use crate::time::Timestamp;

/// How much later than it was written something may be committed, and be found all the same.
const LATE: Duration = Duration::from_secs(120);
/// The reasons of levels that are by a count begin like this.
const BY_COUNT: &str = "{\"rule\":\"count\"%";
/// What was resolved within this may still be due for a tier.
const LATELY: Duration = Duration::from_secs(2 * 3600);

/// Anomalies whose level, or what is said of their windows, may be another at `to` than at `from`:
/// something left a window between the two, a batch changed it since `from` or a little before, or the
/// level is by age, which needs no event to end; or its reason is a sentence of an older version.
///
/// # Errors
/// What the database says.
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
///
/// # Errors
/// What the database says.
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

/// Of which anomalies an incident's figures are not these.
///
/// # Errors
/// What the database says.
pub async fn stale(
    db: &impl ConnectionTrait,
    stats: &[FrequencyStats],
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT r.key FROM {rows} JOIN anomalies a ON a.key = r.key \
               WHERE EXISTS (SELECT 1 FROM incidents i WHERE i.id = a.newest_incident \
                       AND i.frequency_stats IS NOT NULL AND i.frequency_stats <> r.stats{json}) \
                   OR EXISTS (SELECT 1 FROM incidents i WHERE i.anomaly_key = r.key \
                       AND i.status <> 'RESOLVED' \
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
///
/// # Errors
/// What the database says.
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
///
/// # Errors
/// What the database says.
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

/// One table that is pruned.
#[derive(Clone, Copy, Debug)]
pub struct Prune {
    /// What it is called in the log.
    pub what: &'static str,
    table: &'static str,
    key: Key,
    /// Which rows are old: `$1` is the moment before which they are, `$2` the first id of that moment.
    is_old: &'static str,
    /// So that who looks stops at the edge.
    order: &'static str,
}

/// What a table's rows are called.
#[derive(Clone, Copy, Debug)]
enum Key {
    Id,
    Text(&'static str),
}

/// Dead letters, past their death and what was decided about them. One whose push is owed stays.
pub const DEAD_LETTERS: Prune = Prune {
    what: "dead letters",
    table: "dead_letters",
    key: Key::Id,
    is_old: "died_at < $1 AND COALESCE(decided_at, died_at) < $1 AND push_owed_since IS NULL",
    order: "died_at, id",
};

/// Answers that are not remembered any more.
pub const REQUESTS: Prune = Prune {
    what: "idempotency keys",
    table: "requests",
    key: Key::Id,
    is_old: "at < $1",
    order: "at",
};

/// What grows and nothing is counted by. An incident's messages go with it: while it is there, what was
/// told of it is known. What is told of no incident is a digest.
pub const REST: [Prune; 5] = [
    Prune {
        what: "audit entries",
        table: "audit",
        key: Key::Id,
        is_old: "id < $2 AND at < $1",
        order: "id",
    },
    Prune {
        what: "digests",
        table: "notifications",
        key: Key::Id,
        is_old: "id < $2 AND owed_since < $1 AND state NOT IN ('owed', 'sending') \
                 AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = notifications.incident_id)",
        order: "id",
    },
    Prune {
        what: "repairs",
        table: "repairs",
        key: Key::Id,
        is_old: "repaired_at < $1",
        order: "repaired_at, id",
    },
    Prune {
        what: "Telegram presses",
        table: "presses",
        key: Key::Text("id"),
        is_old: "at < $1",
        order: "at",
    },
    Prune {
        what: "data losses",
        table: "losses",
        key: Key::Text("epoch"),
        is_old: "noticed_at < $1",
        order: "epoch",
    },
];

/// Deletes at most `limit` old rows; returns how many there were. Looks for them without a lock.
///
/// # Errors
/// What the database says.
pub async fn prune(db: &Db, prune: Prune, before: Timestamp, limit: i64) -> Result<u64, DbErr> {
    let Prune {
        table,
        is_old,
        order,
        ..
    } = prune;
    let key = match prune.key {
        Key::Id => "id",
        Key::Text(name) => name,
    };
    let by_id = is_old.contains("$2");
    let edge = || {
        let first = by_id.then(|| Value::from(first_id(before)));
        std::iter::once(Value::from(before.0)).chain(first)
    };
    let n = if by_id { 3 } else { 2 };
    let find = format!("SELECT {key} FROM {table} WHERE {is_old} ORDER BY {order} LIMIT ${n}");
    let values = edge().chain([limit.into()]);
    let found = db
        .read()
        .query_all_raw(statement(db.backend(), &find, values))
        .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let rows = match prune.key {
        Key::Id => {
            let ids = found.iter().map(|row| row.try_get_by_index::<Uuid>(0));
            Rows::new().uuid("key", ids.collect::<Result<Vec<_>, _>>()?)
        }
        Key::Text(_) => {
            let keys = found.iter().map(|row| row.try_get_by_index::<String>(0));
            Rows::new().text("key", keys.collect::<Result<Vec<_>, _>>()?)
        }
    };
    let delete =
        format!("DELETE FROM {table} WHERE {key} IN (SELECT r.key FROM {{rows}}) AND {is_old}");
    let delete = rows.statement(db.backend(), &delete, edge());
    Ok(db.write().execute_raw(delete).await?.rows_affected())
}
