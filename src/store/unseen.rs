//! Firings that their source no longer sends: found without a lock, in bounded steps, and closed
//! under the locks of their anomalies, where each is looked at again.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, FromQueryResult, QueryResult, Value};
use uuid::Uuid;

use super::rows::Rows;
use super::rows::statement;
use crate::time::Timestamp;

/// An open episode.
const IS_OPEN: &str = "o.ended_at IS NULL AND o.series IS NOT NULL";

/// An incident with open episodes of which at least one was not delivered for a while, or that is marked so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// The incident.
    pub id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// Since when it is marked as unheard.
    pub unheard_since: Option<Timestamp>,
    /// Whether it is resolved: such a one is not marked.
    pub is_resolved: bool,
    /// The oldest of the last deliveries of its open episodes.
    pub oldest: Timestamp,
    /// When an open episode was last delivered.
    pub newest: Timestamp,
}

/// An open firing that was not delivered for a while.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StaleFiring {
    /// The episode.
    pub id: Uuid,
    /// Its incident.
    pub incident_id: Uuid,
    /// Where it came from.
    pub source: String,
    /// The source's name for its series.
    pub fingerprint: String,
    /// When it was last delivered.
    pub last_seen_at: Timestamp,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiryResult {
    /// Episodes that were closed.
    pub closed: u64,
    /// Incidents that look different now.
    pub changed: Vec<Uuid>,
    /// Incidents that were resolved.
    pub resolved: Vec<Uuid>,
}

/// At most `limit` incidents after `after`, in the order of their ids, with an open episode that was not
/// told of since `edge`. An id begins with the time of its incident's opening, and none of the episodes of
/// one that opened after `edge` can be so old: what opened since is not looked at.
pub async fn quiet(
    db: &impl ConnectionTrait,
    after: Uuid,
    edge: Timestamp,
    limit: u64,
) -> Result<Vec<Quiet>, DbErr> {
    let sql = format!(
        "SELECT i.id, i.anomaly_key, i.unheard_since, e.oldest, e.newest, \
             CAST(CASE WHEN i.status = 'RESOLVED' THEN 1 ELSE 0 END AS bigint) AS resolved \
         FROM (SELECT o.incident_id, min(o.last_seen_at) AS oldest, max(o.last_seen_at) AS newest \
               FROM occurrences o \
               WHERE {IS_OPEN} AND o.incident_id > $1 AND o.incident_id < $2 \
               GROUP BY o.incident_id \
               HAVING min(o.last_seen_at) <= $3 OR EXISTS (SELECT 1 FROM incidents u \
                   WHERE u.id = o.incident_id AND u.unheard_since IS NOT NULL) \
               ORDER BY o.incident_id LIMIT $4) e \
         JOIN incidents i ON i.id = e.incident_id ORDER BY i.id"
    );
    let values = [
        Value::from(after),
        first_id_of(Timestamp(edge.0 + 1)).into(),
        edge.0.into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    let sql = statement(db.get_database_backend(), &sql, values);
    let quiet = |row: &QueryResult| {
        let unheard_since: Option<i64> = row.try_get("", "unheard_since")?;
        Ok(Quiet {
            id: row.try_get("", "id")?,
            anomaly_key: row.try_get("", "anomaly_key")?,
            unheard_since: unheard_since.map(Timestamp),
            is_resolved: row.try_get::<i64>("", "resolved")? == 1,
            oldest: Timestamp(row.try_get("", "oldest")?),
            newest: Timestamp(row.try_get("", "newest")?),
        })
    };
    db.query_all_raw(sql).await?.iter().map(quiet).collect()
}

/// The first id that an incident can have that opens at `at`.
fn first_id_of(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(at.0.max(0).unsigned_abs()) << 80)
}

/// At most `limit` open episodes of these incidents after `after`, in the order of their ids, that were not
/// told of since `edge`.
pub async fn silent(
    db: &impl ConnectionTrait,
    incidents: impl IntoIterator<Item = Uuid>,
    after: Uuid,
    edge: Timestamp,
    limit: u64,
) -> Result<Vec<StaleFiring>, DbErr> {
    let rows = Rows::new().uuid("id", incidents);
    let sql = format!(
        "SELECT o.id, o.incident_id, o.source, o.fingerprint, o.last_seen_at \
         FROM {{rows}} JOIN occurrences o ON o.incident_id = r.id \
         WHERE {IS_OPEN} AND o.last_seen_at <= $1 AND o.id > $2 ORDER BY o.id LIMIT $3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(edge.0), after.into(), limit.into()];
    let sql = rows.statement(db.get_database_backend(), &sql, values);
    StaleFiring::find_by_statement(sql).all(db).await
}

/// Locks the anomalies of these incidents, in the order of their keys, as whoever writes about them does.
pub async fn lock(tx: &DatabaseTransaction, quiet: &[Quiet]) -> Result<(), DbErr> {
    let keys: BTreeSet<&String> = quiet.iter().map(|quiet| &quiet.anomaly_key).collect();
    let rows = Rows::new().text("key", keys.into_iter().cloned());
    let sql =
        "SELECT key FROM anomalies WHERE key IN (SELECT r.key FROM {rows}) ORDER BY key {lock}";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.query_all_raw(sql).await.map(drop)
}

/// Closes these episodes as unseen, but for those that were delivered meanwhile; resolves the incidents of
/// which none is open any more, if `resolves`; and has all of `quiet` say since when they are unheard, which
/// is when nothing was delivered since `edge`. All their anomalies are locked.
pub async fn close(
    tx: &DatabaseTransaction,
    quiet: &[Quiet],
    over: &[StaleFiring],
    edge: Timestamp,
    resolves: bool,
    now: Timestamp,
) -> Result<ExpiryResult, DbErr> {
    let of = close_episodes(tx, over).await?;
    let closed = of.values().sum::<i64>().unsigned_abs();
    let mut written = ExpiryResult {
        closed,
        ..ExpiryResult::default()
    };
    if !of.is_empty() {
        let resolved = resolves.then_some(now);
        written.resolved = take_off(tx, &of, resolved, now).await?;
        written.changed.extend(of.keys());
    }
    written.changed.extend(mark(tx, quiet, edge, now).await?);
    written.changed.sort_unstable();
    written.changed.dedup();
    Ok(written)
}

/// Returns of how many of which incident.
async fn close_episodes(
    tx: &DatabaseTransaction,
    over: &[StaleFiring],
) -> Result<HashMap<Uuid, i64>, DbErr> {
    let mut of = HashMap::new();
    if over.is_empty() {
        return Ok(of);
    }
    let rows = Rows::new()
        .uuid("id", over.iter().map(|episode| episode.id))
        .time("seen", over.iter().map(|episode| episode.last_seen_at));
    // A sender's clock may be ahead of ours: nothing ends before it began.
    let sql = "UPDATE occurrences SET ended_by = 'unseen', end_received_at = last_seen_at, \
                   ended_at = CASE WHEN last_seen_at < starts_at THEN starts_at ELSE last_seen_at END \
               FROM {rows} WHERE occurrences.id = r.id AND occurrences.ended_at IS NULL \
                   AND occurrences.series IS NOT NULL AND occurrences.last_seen_at = r.seen \
               RETURNING incident_id";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    for row in tx.query_all_raw(sql).await? {
        *of.entry(row.try_get("", "incident_id")?).or_default() += 1;
    }
    Ok(of)
}

/// Takes closed episodes off their incidents. Returns the incidents that this resolved.
async fn take_off(
    tx: &DatabaseTransaction,
    of: &HashMap<Uuid, i64>,
    resolved_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    let backend = tx.get_database_backend();
    let rows = Rows::new()
        .uuid("id", of.keys().copied())
        .int("n", of.values().copied());
    let sql = "UPDATE incidents SET open_episodes = incidents.open_episodes - r.n, updated_at = $1 \
               FROM {rows} WHERE incidents.id = r.id";
    tx.execute_raw(rows.statement(backend, sql, [Value::from(now.0)]))
        .await?;
    let Some(at) = resolved_at else {
        return Ok(Vec::new());
    };
    let rows = Rows::new().uuid("id", of.keys().copied());
    let sql = "UPDATE incidents SET status = 'RESOLVED', resolved_by = 'unseen', resolved_at = $1 \
               FROM {rows} WHERE incidents.id = r.id AND incidents.open_episodes <= 0 \
                   AND incidents.status <> 'RESOLVED' RETURNING incidents.id";
    let sql = rows.statement(backend, sql, [Value::from(at.0)]);
    ids(&tx.query_all_raw(sql).await?)
}

/// Has incidents say since when they are unheard. Returns those that said something else.
async fn mark(
    tx: &DatabaseTransaction,
    quiet: &[Quiet],
    edge: Timestamp,
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    let rows = Rows::new().uuid("id", quiet.iter().map(|quiet| quiet.id));
    let sql = format!(
        "UPDATE incidents SET unheard_since = s.since, updated_at = $1 \
         FROM (SELECT e.id, CASE WHEN e.newest <= $2 AND e.status <> 'RESOLVED' THEN e.newest END AS since \
               FROM (SELECT i.id, i.status, (SELECT max(o.last_seen_at) FROM occurrences o \
                         WHERE o.incident_id = i.id AND {IS_OPEN}) AS newest \
                     FROM {{rows}} JOIN incidents i ON i.id = r.id) e) s \
         WHERE incidents.id = s.id AND incidents.unheard_since IS DISTINCT FROM s.since \
         RETURNING incidents.id"
    );
    let values = [Value::from(now.0), edge.0.into()];
    let sql = rows.statement(tx.get_database_backend(), &sql, values);
    ids(&tx.query_all_raw(sql).await?)
}

fn ids(rows: &[QueryResult]) -> Result<Vec<Uuid>, DbErr> {
    rows.iter().map(|row| row.try_get("", "id")).collect()
}
