//! What an anomaly's windows hold as of a moment, in its row, so that no query has to count all rows
//! again: of a later moment they hold what they held, less what has left them since, which is one short
//! range of an index for each window.
//!
//! A transaction that writes rows which count changes the tally in the same transaction, under the anomaly's lock:
//! [`super::anomalies::update`] adds what a batch entered, [`pruned`] takes off what retention deleted.
//! Windows have no upper edge, so what is new is in every window that it is not too old for. What this
//! cannot show (a row older than the shortest window, one that turns out to be older than it was)
//! makes the tally void, and so does a total that was changed without them: then
//! the rows are counted.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, FromQueryResult, Value};

use super::occurrences;
use super::rows::Rows;
use crate::domain::aggregation::Unit;
use crate::domain::frequency::{Counts, Window};
use crate::time::{Timestamp, millis};

/// A tally that is younger is left as it is if nothing left a window since.
const YOUNG: Duration = Duration::from_secs(10);

/// The windows' columns in `anomalies`.
const COLUMNS: [(Window, &str, &str); 4] = [
    (Window::Hour, "count_1h", "hour"),
    (Window::Day, "count_24h", "day"),
    (Window::Week, "count_7d", "week"),
    (Window::Month, "count_30d", "month"),
];

/// What a tally comes to at a later moment.
#[derive(FromQueryResult)]
struct Advanced {
    key: String,
    as_of: i64,
    held: i64,
    hour: i64,
    day: i64,
    week: i64,
    month: i64,
}

impl Advanced {
    const fn counts(&self) -> Counts {
        Counts {
            hour: self.hour,
            day: self.day,
            week: self.week,
            month: self.month,
        }
    }

    /// Whether the next to ask should find it as it is now.
    fn is_worth_keeping(&self, now: Timestamp) -> bool {
        let counts = self.hour + self.day + self.week + self.month;
        counts != self.held || now.since(Timestamp(self.as_of)) > YOUNG
    }
}

/// What was counted for each key in the windows that end at `now`. Changes nothing, and may be asked
/// of any connection.
pub async fn counts(
    db: &impl ConnectionTrait,
    unit: Unit,
    keys: &[String],
    now: Timestamp,
) -> Result<Vec<Counts>, DbErr> {
    let (found, unknown) = look(db, unit, keys, now).await?;
    let counted = occurrences::count(db, unit, &unknown, now).await?;
    Ok(in_order(keys, &found, unknown, counted))
}

/// The same for anomalies that are locked by `tx`, whose tallies are written where that spares the next
/// to ask something.
pub async fn count(
    tx: &DatabaseTransaction,
    unit: Unit,
    keys: &[String],
    now: Timestamp,
) -> Result<Vec<Counts>, DbErr> {
    let (found, unknown) = look(tx, unit, keys, now).await?;
    let counted = occurrences::count(tx, unit, &unknown, now).await?;
    if unit != Unit::Incident {
        let advanced = found.values().filter(|tally| tally.is_worth_keeping(now));
        let advanced = advanced.map(|tally| (&tally.key, tally.counts()));
        let new = unknown.iter().zip(counted.iter().copied());
        keep(tx, advanced.chain(new), now).await?;
    }
    Ok(in_order(keys, &found, unknown, counted))
}

fn in_order(
    keys: &[String],
    found: &HashMap<String, Advanced>,
    unknown: Vec<String>,
    counted: Vec<Counts>,
) -> Vec<Counts> {
    let counted: HashMap<String, Counts> = unknown.into_iter().zip(counted).collect();
    let of = |key: &String| match found.get(key) {
        Some(tally) => tally.counts(),
        None => counted.get(key).copied().unwrap_or_default(),
    };
    keys.iter().map(of).collect()
}

/// The tallies that hold, each as of `now`, and the keys that have none. In one statement, so that it
/// sees tallies and rows of one moment.
async fn look(
    db: &impl ConnectionTrait,
    unit: Unit,
    keys: &[String],
    now: Timestamp,
) -> Result<(HashMap<String, Advanced>, Vec<String>), DbErr> {
    let distinct: BTreeSet<&String> = keys.iter().collect();
    if unit == Unit::Incident {
        // Incidents are few, and not in the order of their time.
        return Ok((HashMap::new(), distinct.into_iter().cloned().collect()));
    }
    let edges = COLUMNS.map(|(window, ..)| Value::from(now.before(window.length()).0));
    let left = COLUMNS
        .iter()
        .enumerate()
        .map(|(n, (window, column, name))| {
            let length = millis(window.length());
            let edge = n + 2;
            format!(
                "a.{column} - (SELECT count(*) FROM occurrences o WHERE o.anomaly_key = a.key \
                 AND o.occurred_at > a.counted_as_of - {length} AND o.occurred_at <= ${edge} \
                 AND o.counted_id IS NOT NULL) AS {name}"
            )
        });
    let left: Vec<String> = left.collect();
    let sql = format!(
        "SELECT a.key, a.counted_as_of AS as_of, \
             a.count_1h + a.count_24h + a.count_7d + a.count_30d AS held, {} \
         FROM {{rows}} JOIN anomalies a ON a.key = r.key \
         WHERE a.counted_as_of <= $1 AND a.counted_total = a.total + a.pruned_total",
        left.join(", ")
    );
    let values = std::iter::once(Value::from(now.0)).chain(edges);
    let rows = Rows::new().text("key", distinct.iter().map(|key| (*key).clone()));
    let sql = rows.statement(db.get_database_backend(), &sql, values);
    let found = Advanced::find_by_statement(sql).all(db).await?;
    let found: HashMap<String, Advanced> = found
        .into_iter()
        .map(|tally| (tally.key.clone(), tally))
        .collect();
    let unknown = distinct.into_iter().filter(|key| !found.contains_key(*key));
    let unknown = unknown.cloned().collect();
    Ok((found, unknown))
}

/// Writes tallies of locked anomalies.
async fn keep<'a>(
    tx: &impl ConnectionTrait,
    tallies: impl Iterator<Item = (&'a String, Counts)>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let tallies: Vec<(&String, Counts)> = tallies.collect();
    if tallies.is_empty() {
        return Ok(());
    }
    let all = || tallies.iter();
    let rows = Rows::new()
        .text("key", all().map(|(key, _)| (*key).clone()))
        .int("hour", all().map(|(_, counts)| counts.hour))
        .int("day", all().map(|(_, counts)| counts.day))
        .int("week", all().map(|(_, counts)| counts.week))
        .int("month", all().map(|(_, counts)| counts.month));
    let sql = "UPDATE anomalies SET counted_as_of = $1, \
                   counted_total = anomalies.total + anomalies.pruned_total, \
                   count_1h = r.hour, count_24h = r.day, count_7d = r.week, count_30d = r.month \
               FROM {rows} WHERE anomalies.key = r.key";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(now.0)]);
    tx.execute_raw(sql).await.map(drop)
}

/// Takes rows that counted, and were deleted in this transaction, off the tallies of their anomalies,
/// which are locked.
pub async fn pruned(
    tx: &impl ConnectionTrait,
    deleted: &[(String, Timestamp)],
) -> Result<(), DbErr> {
    if deleted.is_empty() {
        return Ok(());
    }
    let rows = Rows::new()
        .text("key", deleted.iter().map(|(key, _)| key.clone()))
        .time("at", deleted.iter().map(|(_, at)| *at));
    let held = COLUMNS.map(|(window, _, name)| {
        let length = millis(window.length());
        format!("count(CASE WHEN r.at > a.counted_as_of - {length} THEN 1 END) AS {name}")
    });
    let less = COLUMNS.map(|(_, column, name)| format!("{column} = anomalies.{column} - d.{name}"));
    let sql = format!(
        "UPDATE anomalies SET counted_total = anomalies.counted_total + d.rows_deleted, {} \
         FROM (SELECT a.key, count(*) AS rows_deleted, {} \
               FROM {{rows}} JOIN anomalies a ON a.key = r.key GROUP BY a.key) AS d \
         WHERE anomalies.key = d.key",
        less.join(", "),
        held.join(", ")
    );
    let sql = rows.statement(tx.get_database_backend(), &sql, []);
    tx.execute_raw(sql).await.map(drop)
}

/// Makes the tallies of locked anomalies void: the next to ask counts the rows.
pub async fn forget(tx: &impl ConnectionTrait, keys: &[String]) -> Result<(), DbErr> {
    let rows = Rows::new().text("key", keys.iter().cloned());
    let sql = "UPDATE anomalies SET counted_as_of = NULL \
               WHERE key IN (SELECT r.key FROM {rows})";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.execute_raw(sql).await.map(drop)
}
