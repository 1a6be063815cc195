//! Occurrences: episodes, deliveries where they are counted, and the counting.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sea_orm::{ActiveEnum, ConnectionTrait, DbBackend, DbErr, FromQueryResult, QueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, statement};
use crate::domain::aggregation::{Batch, Unit};
use crate::domain::episode::{End, EndedBy, Episode};
use crate::domain::frequency::{self, Counts, Window};
use crate::domain::lease::Lease;
use crate::time::{Timestamp, millis};

/// What is read of an episode's row.
const EPISODE: &str = "o.id, o.anomaly_key, o.incident_id, o.series, o.starts_at, o.ended_at, \
    o.end_received_at, o.ended_by, o.occurred_at, o.last_seen_at, o.deliveries, o.lease_ms, \
    o.lease_until, o.unleased_at";
/// How many of a series' episodes are read at once: nearly always the newest one or two are wanted.
const NEWEST: usize = 3;

#[derive(FromQueryResult)]
struct StoredOccurrence {
    id: Uuid,
    anomaly_key: String,
    incident_id: Option<Uuid>,
    series: i64,
    starts_at: i64,
    ended_at: Option<i64>,
    end_received_at: Option<i64>,
    ended_by: Option<EndedBy>,
    occurred_at: i64,
    last_seen_at: i64,
    deliveries: i64,
    lease_ms: Option<i64>,
    lease_until: Option<i64>,
    unleased_at: Option<i64>,
}

/// A lease as its columns have it.
pub(super) fn lease_of(
    length_ms: Option<i64>,
    until: Option<Timestamp>,
    unleased_at: Option<Timestamp>,
) -> Option<Lease> {
    Some(Lease {
        length: Duration::from_millis(length_ms?.max(0).unsigned_abs()),
        until: until?,
        unleased_at,
    })
}

/// Adds a lease's columns.
fn with_leases<'e>(rows: Rows, episodes: impl Iterator<Item = &'e Episode> + Clone) -> Rows {
    let length = |e: &Episode| e.lease.map(|lease| Timestamp(millis(lease.length)));
    rows.time_or_null("lease_ms", episodes.clone().map(length))
        .time_or_null(
            "lease_until",
            episodes.clone().map(|e| e.lease.map(|lease| lease.until)),
        )
        .time_or_null(
            "unleased_at",
            episodes.map(|e| e.lease.and_then(|lease| lease.unleased_at)),
        )
}

/// The episodes of each series that start at or after the given moment, and the one before it: since
/// those of a series do not overlap, it alone can reach beyond that moment. Oldest first.
pub async fn episodes(
    tx: &impl ConnectionTrait,
    since: &HashMap<i64, Timestamp>,
) -> Result<HashMap<i64, Vec<Episode>>, DbErr> {
    if tx.get_database_backend() != DbBackend::Postgres {
        return Ok(by_series(all_since(tx, since).await?));
    }
    // One probe of the index for each series, which cannot be planned otherwise.
    let sql = format!(
        "SELECT {EPISODE} FROM {{rows}} CROSS JOIN LATERAL ( \
             SELECT {EPISODE} FROM occurrences o WHERE o.series = r.series \
             ORDER BY o.starts_at DESC LIMIT {NEWEST}) o \
         ORDER BY o.series, o.starts_at, o.occurred_at, o.id"
    );
    let rows = Rows::new().int("series", since.keys().copied());
    let sql = rows.statement(tx.get_database_backend(), &sql, []);
    let mut found = StoredOccurrence::find_by_statement(sql).all(tx).await?;
    let (mut wanted, mut more) = (HashMap::new(), HashMap::new());
    for of_series in found.chunk_by(|a, b| a.series == b.series) {
        let (series, oldest) = (of_series[0].series, of_series[0].starts_at);
        let Some(since) = since.get(&series).copied() else {
            continue;
        };
        let earlier = of_series.iter().rfind(|row| row.starts_at < since.0);
        let from = earlier.map_or(since.0, |row| row.starts_at);
        if of_series.len() == NEWEST && oldest >= from {
            more.insert(series, since);
        } else {
            wanted.insert(series, from);
        }
    }
    found.retain(|row| {
        let from = wanted.get(&row.series);
        from.is_some_and(|from| row.starts_at >= *from)
    });
    if !more.is_empty() {
        found.extend(all_since(tx, &more).await?);
    }
    Ok(by_series(found))
}

/// The same for few, or where no statement can read the newest of each.
async fn all_since(
    tx: &impl ConnectionTrait,
    since: &HashMap<i64, Timestamp>,
) -> Result<Vec<StoredOccurrence>, DbErr> {
    let rows = Rows::new()
        .int("series", since.keys().copied())
        .time("since", since.values().copied());
    let sql = format!(
        "SELECT {EPISODE} \
         FROM {{rows}} JOIN occurrences o ON o.series = r.series AND o.starts_at >= \
             COALESCE((SELECT max(p.starts_at) FROM occurrences p \
                       WHERE p.series = r.series AND p.starts_at < r.since), r.since) \
         ORDER BY o.series, o.starts_at, o.occurred_at, o.id"
    );
    let sql = rows.statement(tx.get_database_backend(), &sql, []);
    StoredOccurrence::find_by_statement(sql).all(tx).await
}

fn by_series(rows: Vec<StoredOccurrence>) -> HashMap<i64, Vec<Episode>> {
    let mut episodes: HashMap<i64, Vec<Episode>> = HashMap::new();
    for row in rows {
        let end = row.ended_at.map(|at| End {
            at: Timestamp(at),
            received_at: Timestamp(row.end_received_at.unwrap_or(row.last_seen_at)),
            by: row.ended_by.unwrap_or(EndedBy::Sender),
        });
        episodes.entry(row.series).or_default().push(Episode {
            id: row.id,
            anomaly_key: row.anomaly_key,
            incident: row.incident_id,
            series: row.series,
            starts_at: Timestamp(row.starts_at),
            end,
            occurred_at: Timestamp(row.occurred_at),
            last_seen_at: Timestamp(row.last_seen_at),
            deliveries: row.deliveries,
            lease: lease_of(
                row.lease_ms,
                row.lease_until.map(Timestamp),
                row.unleased_at.map(Timestamp),
            ),
        });
    }
    episodes
}

/// Writes the rows that a batch made. None of them can be there: what is known was read under the
/// anomalies' locks. An id that is taken all the same is an error of the data, not a row to lose.
pub async fn insert(tx: &impl ConnectionTrait, batch: &Batch) -> Result<(), DbErr> {
    let new: Vec<_> = batch.new_rows().collect();
    if new.is_empty() {
        return Ok(());
    }
    let series = new.iter().map(|(row, e)| {
        let series = (row.id == e.id).then_some(Timestamp(e.series));
        series.filter(|_| row.id == row.episode.id)
    });
    let rows = Rows::new()
        .uuid("id", new.iter().map(|(row, _)| row.id))
        .uuid_or_null("counted_id", new.iter().map(|(row, _)| row.counted))
        .uuid("episode", new.iter().map(|(_, e)| e.id))
        .text(
            "anomaly_key",
            new.iter().map(|(_, e)| e.anomaly_key.clone()),
        )
        .uuid_or_null("incident_id", new.iter().map(|(_, e)| e.incident))
        .text("source", new.iter().map(|(row, _)| row.source.clone()))
        .text(
            "fingerprint",
            new.iter().map(|(row, _)| row.fingerprint.clone()),
        )
        .time_or_null("series", series)
        .time("starts_at", new.iter().map(|(_, e)| e.starts_at))
        .time_or_null("ended_at", new.iter().map(|(_, e)| ended_at(e)))
        .time_or_null(
            "end_received_at",
            new.iter().map(|(_, e)| end_received_at(e)),
        )
        .text_or_null("ended_by", new.iter().map(|(_, e)| ended_by(e)))
        .time("occurred_at", new.iter().map(|(_, e)| e.occurred_at))
        .time("last_seen_at", new.iter().map(|(_, e)| e.last_seen_at))
        .int("deliveries", new.iter().map(|(_, e)| e.deliveries))
        .text("labels", new.iter().map(|(row, _)| row.labels.clone()));
    let rows = with_leases(rows, new.iter().map(|(_, e)| *e));
    let sql = "INSERT INTO occurrences (id, counted_id, episode, anomaly_key, incident_id, source, \
                   fingerprint, series, starts_at, ended_at, end_received_at, ended_by, \
                   occurred_at, last_seen_at, deliveries, lease_ms, lease_until, unleased_at, labels) \
               SELECT r.id, r.counted_id, r.episode, r.anomaly_key, r.incident_id, r.source, \
                   r.fingerprint, r.series, r.starts_at, r.ended_at, r.end_received_at, r.ended_by, \
                   r.occurred_at, r.last_seen_at, r.deliveries, \
                   r.lease_ms, r.lease_until, r.unleased_at, r.labels{json} \
               FROM {rows}";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

fn ended_at(episode: &Episode) -> Option<Timestamp> {
    episode.end.map(|end| end.at)
}

fn end_received_at(episode: &Episode) -> Option<Timestamp> {
    episode.end.map(|end| end.received_at)
}

fn ended_by(episode: &Episode) -> Option<String> {
    episode.end.map(|end| end.by.to_value())
}

/// Which of these jobs have a row of their own already: deliveries that were counted before.
pub async fn known(tx: &impl ConnectionTrait, jobs: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
    let rows = Rows::new().uuid("id", jobs.iter().copied());
    let sql = "SELECT o.id FROM {rows} JOIN occurrences o ON o.id = r.id";
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    found.iter().map(|row| row.try_get("", "id")).collect()
}

/// Writes what a batch changed about known episodes.
pub async fn update(tx: &impl ConnectionTrait, batch: &Batch) -> Result<(), DbErr> {
    let changed = batch.changed_rows();
    if changed.is_empty() {
        return Ok(());
    }
    let rows = Rows::new()
        .uuid("id", changed.iter().map(|e| e.id))
        .uuid_or_null("incident_id", changed.iter().map(|e| e.incident))
        .time("starts_at", changed.iter().map(|e| e.starts_at))
        .time_or_null("ended_at", changed.iter().map(|e| ended_at(e)))
        .time_or_null(
            "end_received_at",
            changed.iter().map(|e| end_received_at(e)),
        )
        .text_or_null("ended_by", changed.iter().map(|e| ended_by(e)))
        .time("occurred_at", changed.iter().map(|e| e.occurred_at))
        .time("last_seen_at", changed.iter().map(|e| e.last_seen_at))
        .int("deliveries", changed.iter().map(|e| e.deliveries));
    let rows = with_leases(rows, changed.iter().copied());
    let sql = "UPDATE occurrences SET incident_id = r.incident_id, starts_at = r.starts_at, \
                   ended_at = r.ended_at, end_received_at = r.end_received_at, \
                   ended_by = r.ended_by, occurred_at = r.occurred_at, last_seen_at = r.last_seen_at, \
                   deliveries = r.deliveries, lease_ms = r.lease_ms, lease_until = r.lease_until, \
                   unleased_at = r.unleased_at \
               FROM {rows} WHERE occurrences.id = r.id";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

#[derive(FromQueryResult)]
struct Counted {
    key: String,
    hour: i64,
    day: i64,
    week: i64,
    month: i64,
}

/// What was counted for each key in the windows that end at `now`, from the rows behind `unit`.
pub async fn count(
    db: &impl ConnectionTrait,
    unit: Unit,
    keys: &[String],
    now: Timestamp,
) -> Result<Vec<Counts>, DbErr> {
    let (table, id, at) = behind(unit);
    let sql = format!(
        "SELECT r.key, \
             count(CASE WHEN o.{at} > $1 THEN 1 END) AS hour, \
             count(CASE WHEN o.{at} > $2 THEN 1 END) AS day, \
             count(CASE WHEN o.{at} > $3 THEN 1 END) AS week, \
             count(*) AS month \
         FROM {{rows}} JOIN {table} o ON o.anomaly_key = r.key AND o.{at} > $4 AND o.{id} IS NOT NULL \
         GROUP BY r.key"
    );
    let edges = Window::ALL.map(|window| Value::from(now.before(window.length()).0));
    // A key that is named twice would be joined, and so counted, twice.
    let distinct: BTreeSet<&String> = keys.iter().collect();
    let rows = Rows::new().text("key", distinct.into_iter().cloned());
    let sql = rows.statement(db.get_database_backend(), &sql, edges);
    let found = Counted::find_by_statement(sql).all(db).await?;
    let by_key: HashMap<&str, &Counted> = found.iter().map(|row| (row.key.as_str(), row)).collect();
    let counts = |key: &String| {
        by_key
            .get(key.as_str())
            .map_or_else(Counts::default, |row| Counts {
                hour: row.hour,
                day: row.day,
                week: row.week,
                month: row.month,
            })
    };
    Ok(keys.iter().map(counts).collect())
}

/// What counts for one anomaly and occurred after `since`: the newest `most`.
pub async fn counted(
    db: &impl ConnectionTrait,
    unit: Unit,
    key: &str,
    since: Timestamp,
    most: u64,
) -> Result<Vec<frequency::Counted>, DbErr> {
    let (table, id, at) = behind(unit);
    let sql = format!(
        "SELECT {id} AS id, {at} AS at FROM {table} \
         WHERE anomaly_key = $1 AND {at} > $2 AND {id} IS NOT NULL ORDER BY {at} DESC LIMIT $3"
    );
    let values = [Value::from(key), Value::from(since.0), Value::from(most)];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), &sql, values))
        .await?;
    let one = |row: &QueryResult| {
        Ok(frequency::Counted {
            anomaly_key: key.to_owned(),
            id: row.try_get("", "id")?,
            occurred_at: Timestamp(row.try_get("", "at")?),
        })
    };
    rows.iter().map(one).collect()
}

/// Where what is counted stands: the table, its id, and when it occurred.
pub(super) const fn behind(unit: Unit) -> (&'static str, &'static str, &'static str) {
    match unit {
        Unit::Incident => ("incidents", "id", "opened_at"),
        Unit::Episode | Unit::Delivery => ("occurrences", "counted_id", "occurred_at"),
    }
}
