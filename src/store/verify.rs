//! Figures, and the rows that they are computed from. Callers read in a snapshot,
//! or with the anomalies locked: a batch writes rows and figures in one transaction.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, QueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, columns, statement};
use crate::domain::aggregation::Unit;
use crate::domain::escalation::Level;
use crate::domain::frequency::FrequencyStats;
use crate::entity::incidents::{Entity as Incidents, Model as Incident};
use crate::time::Timestamp;

/// An anomaly's figures, and what they are made of.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Figures {
    /// Its key.
    pub key: String,
    /// Counted in all.
    pub total: i64,
    /// How many of these retention has pruned.
    pub pruned_total: i64,
    /// What occurred before may have no row any more.
    pub pruned_before: Option<Timestamp>,
    /// First counted.
    pub first_seen: Option<Timestamp>,
    /// Last counted.
    pub last_seen: Option<Timestamp>,
    /// Its level.
    pub level: Level,
    /// Its occurrences.
    pub occurrences: i64,
    /// Rows that count.
    pub counted: i64,
    /// When the first of its occurrences was first seen.
    pub first: Option<Timestamp>,
    /// When the last of them was first seen.
    pub last: Option<Timestamp>,
    /// When one of them was last seen.
    pub heard: Option<Timestamp>,
    /// When a batch last entered something that was received much earlier.
    pub late_at: Option<Timestamp>,
}

/// An incident whose figures are not what its episodes' rows say.
#[derive(Clone, Debug, FromQueryResult)]
pub struct IncidentFigures {
    /// Its id.
    pub id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// How many episodes it says that are in it.
    pub aggregated_count: i64,
    /// How many of them it says that are open.
    pub open_episodes: i64,
    /// How many there are, those that were pruned included.
    pub episodes: i64,
    /// How many did not end.
    pub open: i64,
}

/// An incident, its anomaly, and what it says of the anomaly's counts.
pub type Stats = (Uuid, String, FrequencyStats);

/// The next keys after `after`, in order.
pub async fn keys_after(
    db: &impl ConnectionTrait,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT key FROM anomalies WHERE key > $1 ORDER BY key LIMIT $2";
    let values = [Value::from(after), Value::from(limit)];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    rows.iter().map(|row| row.try_get("", "key")).collect()
}

/// Locks anomalies in the order of their keys.
///
/// # Errors
/// What the database says; that another held a row for too long, among other things.
pub async fn lock(tx: &impl ConnectionTrait, keys: &[String]) -> Result<(), DbErr> {
    let sql =
        "SELECT key FROM anomalies WHERE key IN (SELECT r.key FROM {rows}) ORDER BY key {lock}";
    let sql = rows_of(keys).statement(tx.get_database_backend(), sql, []);
    tx.query_all_raw(sql).await.map(drop)
}

fn rows_of(keys: &[String]) -> Rows {
    Rows::new().text("key", keys.iter().cloned())
}

/// The figures of anomalies, in the order of their keys.
pub async fn figures(
    db: &impl ConnectionTrait,
    unit: Unit,
    keys: &[String],
) -> Result<Vec<Figures>, DbErr> {
    let counted = match unit {
        Unit::Incident => "(SELECT count(*) FROM incidents i WHERE i.anomaly_key = a.key)",
        Unit::Episode | Unit::Delivery => "count(o.counted_id)",
    };
    let sql = format!(
        "SELECT a.key, a.total, a.pruned_total, a.pruned_before, a.first_seen, a.last_seen, \
             a.level, a.late_at, count(o.id) AS occurrences, {counted} AS counted, \
             min(o.occurred_at) AS first, max(o.occurred_at) AS last, \
             max(o.last_seen_at) AS heard \
         FROM {{rows}} JOIN anomalies a ON a.key = r.key \
             LEFT JOIN occurrences o ON o.anomaly_key = a.key \
         GROUP BY a.key ORDER BY a.key"
    );
    let sql = rows_of(keys).statement(db.get_database_backend(), &sql, []);
    Figures::find_by_statement(sql).all(db).await
}

/// The incidents of these anomalies whose figures are not what their episodes' rows say.
pub async fn incidents(
    db: &impl ConnectionTrait,
    keys: &[String],
) -> Result<Vec<IncidentFigures>, DbErr> {
    let sql = "WITH of_rows AS ( \
                   SELECT o.incident_id, count(*) AS episodes, \
                       count(CASE WHEN o.ended_at IS NULL THEN 1 END) AS open \
                   FROM {rows} JOIN occurrences o ON o.anomaly_key = r.key \
                   WHERE o.series IS NOT NULL AND o.incident_id IS NOT NULL \
                   GROUP BY o.incident_id), \
               compared AS ( \
                   SELECT i.id, i.anomaly_key, i.aggregated_count, i.open_episodes, \
                       COALESCE(e.episodes, 0) + i.pruned_episodes AS episodes, \
                       COALESCE(e.open, 0) AS open \
                   FROM {rows} JOIN incidents i ON i.anomaly_key = r.key \
                       LEFT JOIN of_rows e ON e.incident_id = i.id) \
               SELECT * FROM compared \
               WHERE aggregated_count <> episodes OR open_episodes <> open ORDER BY id";
    let sql = rows_of(keys).statement(db.get_database_backend(), sql, []);
    IncidentFigures::find_by_statement(sql).all(db).await
}

/// What the incidents that recount refreshes say of their anomaly's counts. Anomalies that have a
/// tier due are left out: their figures are about to be written.
pub async fn stats(
    db: &impl ConnectionTrait,
    keys: &[String],
    seen_since: Timestamp,
) -> Result<Vec<Stats>, DbErr> {
    let columns = columns::<Incidents>("i");
    let sql = format!(
        "SELECT {columns} FROM {{rows}} JOIN anomalies a ON a.key = r.key \
                   JOIN incidents i ON i.anomaly_key = r.key \
               WHERE (a.level <> 'NONE' OR a.last_seen > $1) \
                   AND (i.status <> 'RESOLVED' OR i.id = a.newest_incident) \
                   AND i.frequency_stats IS NOT NULL \
                   AND NOT EXISTS (SELECT 1 FROM incidents d \
                       WHERE d.anomaly_key = r.key AND d.tier_due_since IS NOT NULL) \
               ORDER BY i.id"
    );
    let values = [Value::from(seen_since.0)];
    let sql = rows_of(keys).statement(db.get_database_backend(), &sql, values);
    let read = |row: &QueryResult| {
        let incident = Incident::from_query_result(row, "")?;
        let stats = incident.frequency_stats;
        Ok(stats.map(|stats| (incident.id, incident.anomaly_key, stats)))
    };
    let rows = db.query_all_raw(sql).await?;
    rows.iter()
        .filter_map(|row| read(row).transpose())
        .collect()
}

/// Writes totals and times of locked anomalies.
pub async fn set_figures(tx: &impl ConnectionTrait, figures: &[Figures]) -> Result<(), DbErr> {
    let all = || figures.iter();
    let rows = Rows::new()
        .text("key", all().map(|f| f.key.clone()))
        .int("total", all().map(|f| f.total))
        .time_or_null("first_seen", all().map(|f| f.first_seen))
        .time_or_null("last_seen", all().map(|f| f.last_seen));
    let sql = "UPDATE anomalies SET total = r.total, first_seen = r.first_seen, \
                   last_seen = r.last_seen \
               FROM {rows} WHERE anomalies.key = r.key";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.execute_raw(sql).await.map(drop)
}

/// Writes the figures that incidents should have; their anomalies are locked. Whether an incident is
/// resolved is left to what closes its episodes, and to people.
pub async fn set_incidents(
    tx: &impl ConnectionTrait,
    incidents: &[IncidentFigures],
) -> Result<(), DbErr> {
    let all = || incidents.iter();
    let rows = Rows::new()
        .uuid("id", all().map(|i| i.id))
        .int("episodes", all().map(|i| i.episodes))
        .bool("is_aggregated", all().map(|i| i.episodes > 1))
        .int("open", all().map(|i| i.open));
    let sql = "UPDATE incidents SET aggregated_count = r.episodes, \
                   is_aggregated = r.is_aggregated, open_episodes = r.open \
               FROM {rows} WHERE incidents.id = r.id";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.execute_raw(sql).await.map(drop)
}
