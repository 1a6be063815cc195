//! Firings that their source no longer sends: found without a lock, in bounded steps, and closed
//! under the locks of their anomalies, where each is checked again.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, JsonValue as Json, QueryResult, Value};
use uuid::Uuid;

use super::occurrences::lease_of;
use super::rows::Rows;
use super::rows::statement;
use crate::domain::stale::{Heard, StaleLimits};
use crate::entity::occurrences;
use crate::time::Timestamp;

/// An open episode.
const IS_OPEN: &str = "o.ended_at IS NULL AND o.series IS NOT NULL";

/// How long an open firing may be without news, at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long.
    pub patience: StaleLimits,
    /// The moment.
    pub now: Timestamp,
}

impl Limits {
    /// A firing that no way without leases reported since then is stale.
    fn unheard_edge(&self) -> Timestamp {
        self.now.before(self.patience.unheard)
    }

    /// And closed.
    fn unseen_edge(&self) -> Timestamp {
        self.now.before(self.patience.unseen)
    }

    /// Whether an open episode is unheard, as a condition; by the places of the edge and of the moment.
    fn is_unheard(&self, edge: &str, now: &str) -> String {
        Self::is_silent(self.patience.unheard_leases, edge, now)
    }

    /// Whether it is to be closed if its sender cannot say more about it, likewise.
    fn is_unseen(&self, edge: &str, now: &str) -> String {
        Self::is_silent(self.patience.unseen_leases, edge, now)
    }

    /// As [`StaleLimits`] has it.
    fn is_silent(leases: u32, edge: &str, now: &str) -> String {
        // A lease was given its length before it ends.
        let more = i64::from(leases) - 1;
        format!(
            "CASE WHEN o.lease_ms IS NULL THEN o.last_seen_at <= {edge} \
                 ELSE o.lease_until + o.lease_ms * {more} <= {now} \
                     AND COALESCE(o.unleased_at, 0) <= {edge} END"
        )
    }
}

/// Which incidents are looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Those that are old enough to be unheard without a lease.
    Old,
    /// Those with firings that have leases.
    Leased,
}

/// An incident that is marked as stale, or has an open episode that was not reported for a while.
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
    /// Whether all of its open episodes are unheard.
    pub is_unheard: bool,
    /// Whether one of them may be due to be closed.
    pub has_unseen: bool,
    /// When an open episode was last reported.
    pub newest: Timestamp,
}

/// An open episode that was not reported for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleFiring {
    /// The episode.
    pub id: Uuid,
    /// Its incident.
    pub incident_id: Uuid,
    /// Where it came from.
    pub source: String,
    /// The source's name for its series.
    pub fingerprint: String,
    /// Its labels.
    pub labels: Json,
    /// When it was last reported.
    pub heard: Heard,
    /// Until when it fired at the latest, if nothing is heard of it any more: it is closed as of then.
    pub lasted: Timestamp,
}

impl From<&occurrences::Model> for Heard {
    fn from(row: &occurrences::Model) -> Self {
        Self {
            last_seen: row.last_seen_at,
            lease: lease_of(row.lease_ms, row.lease_until, row.unleased_at),
        }
    }
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

/// At most `limit` incidents after `after`, in the order of their ids, with an open episode that is unheard, or
/// that are marked so. An id begins with the time of its incident's opening, and none of the episodes without a
/// lease of one that opened a moment ago can be unheard: so those that opened since are left out.
pub async fn quiet(
    db: &impl ConnectionTrait,
    among: Among,
    after: Uuid,
    limits: &Limits,
    limit: u64,
) -> Result<Vec<Quiet>, DbErr> {
    let unheard = limits.is_unheard("$4", "$6");
    let unseen = limits.is_unseen("$5", "$6");
    let (before, range) = match among {
        Among::Old => (first_id_of(Timestamp(limits.unheard_edge().0 + 1)), ""),
        Among::Leased => (
            Uuid::max(),
            "AND o.incident_id IN (SELECT l.incident_id FROM occurrences l \
                 WHERE l.ended_at IS NULL AND l.series IS NOT NULL AND l.lease_ms IS NOT NULL)",
        ),
    };
    let sql = format!(
        "SELECT i.id, i.anomaly_key, i.unheard_since, e.newest, \
             CAST(e.all_unheard AS bigint) AS all_unheard, CAST(e.some_unseen AS bigint) AS some_unseen, \
             CAST(CASE WHEN i.status = 'RESOLVED' THEN 1 ELSE 0 END AS bigint) AS resolved \
         FROM (SELECT o.incident_id, max(o.last_seen_at) AS newest, \
                   min(CASE WHEN {unheard} THEN 1 ELSE 0 END) AS all_unheard, \
                   max(CASE WHEN {unseen} THEN 1 ELSE 0 END) AS some_unseen \
               FROM occurrences o \
               WHERE {IS_OPEN} AND o.incident_id > $1 AND o.incident_id < $2 {range} \
               GROUP BY o.incident_id \
               HAVING max(CASE WHEN {unheard} THEN 1 ELSE 0 END) = 1 OR EXISTS (SELECT 1 FROM incidents u \
                   WHERE u.id = o.incident_id AND u.unheard_since IS NOT NULL) \
               ORDER BY o.incident_id LIMIT $3) e \
         JOIN incidents i ON i.id = e.incident_id ORDER BY i.id"
    );
    let values = [
        Value::from(after),
        before.into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
        limits.unheard_edge().0.into(),
        limits.unseen_edge().0.into(),
        limits.now.0.into(),
    ];
    let sql = statement(db.get_database_backend(), &sql, values);
    let quiet = |row: &QueryResult| {
        let unheard_since: Option<i64> = row.try_get("", "unheard_since")?;
        Ok(Quiet {
            id: row.try_get("", "id")?,
            anomaly_key: row.try_get("", "anomaly_key")?,
            unheard_since: unheard_since.map(Timestamp),
            is_resolved: row.try_get::<i64>("", "resolved")? == 1,
            is_unheard: row.try_get::<i64>("", "all_unheard")? == 1,
            has_unseen: row.try_get::<i64>("", "some_unseen")? == 1,
            newest: Timestamp(row.try_get("", "newest")?),
        })
    };
    db.query_all_raw(sql).await?.iter().map(quiet).collect()
}

/// The first id that an incident can have that opens at `at`.
fn first_id_of(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(at.0.max(0).unsigned_abs()) << 80)
}

/// At most `limit` open episodes of these incidents after `after`, in the order of their ids, that may be due to
/// be closed.
pub async fn silent(
    db: &impl ConnectionTrait,
    incidents: impl IntoIterator<Item = Uuid>,
    after: Uuid,
    limits: &Limits,
    limit: u64,
) -> Result<Vec<StaleFiring>, DbErr> {
    let unseen = limits.is_unseen("$3", "$4");
    let rows = Rows::new().uuid("id", incidents);
    let sql = format!(
        "SELECT o.id, o.incident_id, o.source, o.fingerprint, o.last_seen_at, o.lease_ms, o.lease_until, \
             o.unleased_at, o.labels \
         FROM {{rows}} JOIN occurrences o ON o.incident_id = r.id \
         WHERE {IS_OPEN} AND {unseen} AND o.id > $1 ORDER BY o.id LIMIT $2"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [
        Value::from(after),
        limit.into(),
        limits.unseen_edge().0.into(),
        limits.now.0.into(),
    ];
    let sql = rows.statement(db.get_database_backend(), &sql, values);
    let at = |row: &QueryResult, column| {
        let at: Option<i64> = row.try_get("", column)?;
        Ok::<_, DbErr>(at.map(Timestamp))
    };
    let silent = |row: &QueryResult| {
        let last_seen = Timestamp(row.try_get("", "last_seen_at")?);
        Ok(StaleFiring {
            labels: row.try_get("", "labels")?,
            lasted: last_seen,
            id: row.try_get("", "id")?,
            incident_id: row.try_get("", "incident_id")?,
            source: row.try_get("", "source")?,
            fingerprint: row.try_get("", "fingerprint")?,
            heard: Heard {
                last_seen,
                lease: lease_of(
                    row.try_get("", "lease_ms")?,
                    at(row, "lease_until")?,
                    at(row, "unleased_at")?,
                ),
            },
        })
    };
    db.query_all_raw(sql).await?.iter().map(silent).collect()
}

/// Locks these anomalies, in the order of their keys, as every writer does.
pub async fn lock<'k>(
    tx: &DatabaseTransaction,
    keys: impl IntoIterator<Item = &'k String>,
) -> Result<(), DbErr> {
    let keys: BTreeSet<&String> = keys.into_iter().collect();
    let rows = Rows::new().text("key", keys.into_iter().cloned());
    let sql =
        "SELECT key FROM anomalies WHERE key IN (SELECT r.key FROM {rows}) ORDER BY key {lock}";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.query_all_raw(sql).await.map(drop)
}

/// Closes these episodes as unseen, but for those that were reported meanwhile; resolves the incidents of
/// which none is open any more, if `resolves`; and has all of `quiet` say since when they are unheard, if all of
/// their open episodes are. All their anomalies are locked.
pub async fn close(
    tx: &DatabaseTransaction,
    quiet: &[Quiet],
    over: &[StaleFiring],
    limits: &Limits,
    resolves: bool,
) -> Result<ExpiryResult, DbErr> {
    let now = limits.now;
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
    written.changed.extend(mark(tx, quiet, limits).await?);
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
        .time("seen", over.iter().map(|episode| episode.heard.last_seen))
        .time("lasted", over.iter().map(|episode| episode.lasted));
    // A sender's clock may be ahead of ours: nothing ends before it began.
    let sql = "UPDATE occurrences SET ended_by = 'unseen', end_received_at = last_seen_at, \
                   ended_at = CASE WHEN r.lasted < starts_at THEN starts_at ELSE r.lasted END \
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
    limits: &Limits,
) -> Result<Vec<Uuid>, DbErr> {
    let unheard = limits.is_unheard("$2", "$1");
    let rows = Rows::new().uuid("id", quiet.iter().map(|quiet| quiet.id));
    let sql = format!(
        "UPDATE incidents SET unheard_since = s.since, updated_at = $1 \
         FROM (SELECT i.id, CASE WHEN i.status <> 'RESOLVED' THEN \
                   (SELECT CASE WHEN min(CASE WHEN {unheard} THEN 1 ELSE 0 END) = 1 THEN max(o.last_seen_at) END \
                    FROM occurrences o WHERE o.incident_id = i.id AND {IS_OPEN}) END AS since \
               FROM {{rows}} JOIN incidents i ON i.id = r.id) s \
         WHERE incidents.id = s.id AND incidents.unheard_since IS DISTINCT FROM s.since \
         RETURNING incidents.id"
    );
    let values = [Value::from(limits.now.0), limits.unheard_edge().0.into()];
    let sql = rows.statement(tx.get_database_backend(), &sql, values);
    ids(&tx.query_all_raw(sql).await?)
}

fn ids(rows: &[QueryResult]) -> Result<Vec<Uuid>, DbErr> {
    rows.iter().map(|row| row.try_get("", "id")).collect()
}
