//! A sender's alerts, compared with the stored firings.

use sea_orm::{ConnectionTrait, DbErr, JsonValue as Json, QueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, statement};
use super::stale::StaleFiring;
use crate::domain::stale::Heard;
use crate::time::Timestamp;

/// An open firing, with its anomaly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFiring {
    /// The firing.
    pub firing: StaleFiring,
    /// The key of its anomaly.
    pub anomaly_key: String,
    /// Its labels.
    pub labels: Json,
}

/// Whether firings with a lease are among those that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leased {
    /// They are.
    Too,
    /// They are not.
    Not,
}

/// Of these firings, each a series and its start, the places of those that are known: the last firing of the series
/// is open, or did not begin earlier.
pub async fn known(
    db: &impl ConnectionTrait,
    firings: impl IntoIterator<Item = (i64, Timestamp)>,
) -> Result<Vec<usize>, DbErr> {
    let (series, starts): (Vec<i64>, Vec<Timestamp>) = firings.into_iter().unzip();
    let places = (0..).take(series.len());
    let rows = Rows::new()
        .int("place", places)
        .int("series", series)
        .time("starts_at", starts);
    let sql = "SELECT DISTINCT r.place FROM {rows} JOIN occurrences o ON o.series = r.series AND o.starts_at = \
                   (SELECT max(p.starts_at) FROM occurrences p WHERE p.series = r.series) \
               WHERE o.ended_at IS NULL OR o.starts_at >= r.starts_at";
    let sql = rows.statement(db.get_database_backend(), sql, []);
    let place = |row: &QueryResult| {
        let place: i64 = row.try_get("", "place")?;
        Ok(usize::try_from(place).unwrap_or(usize::MAX))
    };
    db.query_all_raw(sql).await?.iter().map(place).collect()
}

/// At most `limit` open firings after the firing `after` of the incident `incident`, in the order of
/// incidents and ids, that were last received at `before` or earlier.
pub async fn open_before(
    db: &impl ConnectionTrait,
    (incident, after): (Uuid, Uuid),
    before: Timestamp,
    leased: Leased,
    limit: u64,
) -> Result<Vec<OpenFiring>, DbErr> {
    let lease = match leased {
        Leased::Too => "",
        Leased::Not => "AND o.lease_ms IS NULL ",
    };
    let sql = format!(
        "SELECT o.id, o.incident_id, o.anomaly_key, o.source, o.fingerprint, o.last_seen_at, o.labels \
               FROM occurrences o \
               WHERE o.ended_at IS NULL AND o.series IS NOT NULL {lease}\
                   AND (o.incident_id > $1 OR (o.incident_id = $1 AND o.id > $2)) AND o.last_seen_at <= $3 \
               ORDER BY o.incident_id, o.id LIMIT $4"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [
        Value::from(incident),
        after.into(),
        before.0.into(),
        limit.into(),
    ];
    let sql = statement(db.get_database_backend(), &sql, values);
    let open = |row: &QueryResult| {
        Ok(OpenFiring {
            anomaly_key: row.try_get("", "anomaly_key")?,
            labels: row.try_get("", "labels")?,
            firing: StaleFiring {
                id: row.try_get("", "id")?,
                incident_id: row.try_get("", "incident_id")?,
                source: row.try_get("", "source")?,
                fingerprint: row.try_get("", "fingerprint")?,
                heard: Heard {
                    last_seen: Timestamp(row.try_get("", "last_seen_at")?),
                    lease: None,
                },
            },
        })
    };
    db.query_all_raw(sql).await?.iter().map(open).collect()
}
