//! Counts of anomalies, hour by hour, and in the window before a window.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::domain::aggregation::Unit;
use crate::domain::frequency::Window;
use crate::store::occurrences::behind;
use crate::store::rows::{Rows, statement};
use crate::time::{Timestamp, millis};

/// The last 24 hours, the oldest first; the last one ends now.
pub type Day = [i64; 24];

/// An hour in milliseconds.
const HOUR: i64 = 3_600_000;

/// The last 24 hours of each of the anomalies that came back in them: one query, over the rows of
/// one day of these anomalies, each of which counts once however often it is named.
pub async fn last_day(
    db: &impl ConnectionTrait,
    unit: Unit,
    keys: impl IntoIterator<Item = String>,
    now: Timestamp,
) -> Result<HashMap<String, Day>, DbErr> {
    let (table, id, at) = behind(unit);
    let sql = format!(
        "SELECT r.key, (o.{at} - $1) / {HOUR} AS hour, count(*) AS n \
         FROM {{rows}} JOIN {table} o ON o.anomaly_key = r.key AND o.{at} > $1 AND o.{id} IS NOT NULL \
         GROUP BY 1, 2"
    );
    let since = now.before(Window::Day.length());
    let rows = once(keys);
    let sql = rows.statement(db.get_database_backend(), &sql, [Value::from(since.0)]);
    let mut days: HashMap<String, Day> = HashMap::new();
    for row in db.query_all_raw(sql).await? {
        let (key, hour, n): (String, i64, i64) = (
            row.try_get("", "key")?,
            row.try_get("", "hour")?,
            row.try_get("", "n")?,
        );
        // Windows have no upper edge: what came after `now` belongs to the last hour.
        let hour = usize::try_from(hour).unwrap_or(0).min(23);
        days.entry(key).or_default()[hour] += n;
    }
    Ok(days)
}

/// How often one anomaly came back in each hour since `since`, by the hour's number from there;
/// hours without any are left out.
pub async fn since(
    db: &impl ConnectionTrait,
    unit: Unit,
    key: &str,
    since: Timestamp,
) -> Result<HashMap<i64, i64>, DbErr> {
    let (table, id, at) = behind(unit);
    let sql = format!(
        "SELECT (o.{at} - $1) / {HOUR} AS hour, count(*) AS n FROM {table} o \
         WHERE o.anomaly_key = $2 AND o.{at} >= $1 AND o.{id} IS NOT NULL GROUP BY 1"
    );
    let values = [Value::from(since.0), Value::from(key)];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), &sql, values))
        .await?;
    let entry = |row: &QueryResult| Ok((row.try_get("", "hour")?, row.try_get("", "n")?));
    rows.iter().map(entry).collect()
}

/// How often anomalies came back in the window that ended when the one that ends now began, each counted
/// once however often it is named.
pub async fn before(
    db: &impl ConnectionTrait,
    unit: Unit,
    keys: impl IntoIterator<Item = String>,
    window: Duration,
    now: Timestamp,
) -> Result<HashMap<String, i64>, DbErr> {
    let (table, id, at) = behind(unit);
    let sql = format!(
        "SELECT r.key, count(*) AS n FROM {{rows}} JOIN {table} o ON o.anomaly_key = r.key \
             AND o.{at} > $1 AND o.{at} <= $2 AND o.{id} IS NOT NULL GROUP BY r.key"
    );
    let end = now.before(window);
    let edges = [end.0.saturating_sub(millis(window)), end.0].map(Value::from);
    let rows = once(keys);
    let sql = rows.statement(db.get_database_backend(), &sql, edges);
    let found = db.query_all_raw(sql).await?;
    let entry = |row: &QueryResult| Ok((row.try_get("", "key")?, row.try_get("", "n")?));
    found.iter().map(entry).collect()
}

/// Each key once: joined with a key that stands there twice, every row would count twice.
fn once(keys: impl IntoIterator<Item = String>) -> Rows {
    let keys: BTreeSet<String> = keys.into_iter().collect();
    Rows::new().text("key", keys)
}
