//! Deliveries by source: one row of each source and hour, to which every ingress adds. An ingress gathers for a
//! few seconds and writes all that in one statement; one that is killed meanwhile takes these seconds along, and one
//! whose write was done without an answer adds them twice. People read these figures, and are told by them what is unusual.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};

use super::rows::{Rows, statement};
use crate::domain::source_watch::{Moment, SourceFigures, WEEKS};
use crate::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);
/// How many hours are counted together: this one, and those before it.
pub const COUNTED: i64 = 24;
/// Hours of a week.
const WEEK: i64 = 7 * 24;
/// For how many hours it is known what came last.
const KNOWN: i64 = 7 * 24;
/// For how many hours it is known when a source delivered last: one that is quiet for a week may have delivered once a week.
const DELIVERED: i64 = 2 * WEEK + 4;
/// For how many hours a row is kept: a report of four weeks can be made.
pub const KEPT: i64 = 35 * 24;

/// What one source delivered in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The source, as incidents have it, without its cluster.
    pub source: String,
    /// The hour, see [`hour`].
    pub hour: i64,
    /// Alerts that were taken.
    pub alerts: i64,
    /// Alerts that could not be used, and are kept as dead letters.
    pub rejected: i64,
    /// Alerts that only tried whether we can be reached.
    pub tests: i64,
    /// Events that are not used.
    pub unused: i64,
    /// Deliveries that were refused.
    pub refused: i64,
    /// Alerts that the sender left out.
    pub truncated: i64,
    /// Alerts that were said to be over.
    pub resolved: i64,
    /// Firings that expired, whose end nobody sent.
    pub expired: i64,
    /// When the last delivery was taken.
    pub delivered_at: Option<Timestamp>,
    /// What was wrong with the last of those that were refused or had alerts that cannot be used, and when.
    pub error: Option<(Timestamp, String)>,
    /// The address that its sender asked to be fetched last, and when; an empty one was fetched.
    pub confirm: Option<(Timestamp, String)>,
}

/// The number of an hour since 1970.
#[must_use]
pub const fn hour(at: Timestamp) -> i64 {
    at.0.div_euclid(HOUR.as_millis() as i64)
}

impl Tally {
    /// Adds what another says of the same source.
    pub fn add(&mut self, other: &Self) {
        self.alerts = self.alerts.saturating_add(other.alerts);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.tests = self.tests.saturating_add(other.tests);
        self.unused = self.unused.saturating_add(other.unused);
        self.refused = self.refused.saturating_add(other.refused);
        self.truncated = self.truncated.saturating_add(other.truncated);
        self.resolved = self.resolved.saturating_add(other.resolved);
        self.expired = self.expired.saturating_add(other.expired);
        self.delivered_at = self.delivered_at.max(other.delivered_at);
        newest(&mut self.error, &other.error);
        newest(&mut self.confirm, &other.confirm);
    }
}

fn newest(known: &mut Option<(Timestamp, String)>, other: &Option<(Timestamp, String)>) {
    let at = |said: &Option<(Timestamp, String)>| said.as_ref().map(|(at, _)| *at);
    if at(other) > at(known) {
        known.clone_from(other);
    }
}

/// Adds these to the rows, which are locked in the order of their keys, so that no two ingresses wait for each other.
pub async fn add(db: &impl ConnectionTrait, tallies: &[Tally]) -> Result<(), DbErr> {
    if tallies.is_empty() {
        return Ok(());
    }
    let all = || tallies.iter();
    let said = |of: &Option<(Timestamp, String)>| of.as_ref().map(|(at, _)| *at);
    let text = |of: &Option<(Timestamp, String)>| of.as_ref().map(|(_, text)| text.clone());
    let rows = Rows::new()
        .text("source", all().map(|tally| tally.source.clone()))
        .int("hour", all().map(|tally| tally.hour))
        .int("alerts", all().map(|tally| tally.alerts))
        .int("rejected", all().map(|tally| tally.rejected))
        .int("tests", all().map(|tally| tally.tests))
        .int("unused", all().map(|tally| tally.unused))
        .int("refused", all().map(|tally| tally.refused))
        .int("truncated", all().map(|tally| tally.truncated))
        .int("resolved", all().map(|tally| tally.resolved))
        .int("expired", all().map(|tally| tally.expired))
        .time_or_null("delivered_at", all().map(|tally| tally.delivered_at))
        .text_or_null("error", all().map(|tally| text(&tally.error)))
        .time_or_null("error_at", all().map(|tally| said(&tally.error)))
        .text_or_null("confirm_url", all().map(|tally| text(&tally.confirm)))
        .time_or_null("confirm_at", all().map(|tally| said(&tally.confirm)));
    let later = |column: &str| {
        format!("COALESCE(excluded.{column}, 0) > COALESCE(source_tallies.{column}, 0)")
    };
    let newer = |column: &str, at: &str| {
        let later = later(at);
        format!(
            "{column} = CASE WHEN {later} THEN excluded.{column} ELSE source_tallies.{column} END"
        )
    };
    let sum = |column: &str| format!("{column} = source_tallies.{column} + excluded.{column}");
    let summed = [
        "alerts",
        "rejected",
        "tests",
        "unused",
        "refused",
        "truncated",
        "resolved",
        "expired",
    ];
    let sets = summed.map(sum);
    let sets = sets.into_iter().chain([
        newer("delivered_at", "delivered_at"),
        newer("error", "error_at"),
        newer("error_at", "error_at"),
        newer("confirm_url", "confirm_at"),
        newer("confirm_at", "confirm_at"),
    ]);
    let sql = format!(
        "INSERT INTO source_tallies (source, hour, alerts, rejected, tests, unused, refused, \
             truncated, resolved, expired, delivered_at, error, error_at, confirm_url, confirm_at) \
         SELECT r.source, r.hour, r.alerts, r.rejected, r.tests, r.unused, r.refused, \
             r.truncated, r.resolved, r.expired, r.delivered_at, r.error, r.error_at, r.confirm_url, r.confirm_at \
         FROM {{rows}} WHERE true ORDER BY r.source, r.hour \
         ON CONFLICT (source, hour) DO UPDATE SET {}",
        sets.collect::<Vec<_>>().join(", ")
    );
    let sql = rows.statement(db.get_database_backend(), &sql, []);
    db.execute_raw(sql).await.map(drop)
}

#[derive(FromQueryResult)]
struct Row {
    source: String,
    alerts: i64,
    rejected: i64,
    tests: i64,
    unused: i64,
    refused: i64,
    delivered_at: Option<Timestamp>,
    error: Option<String>,
    error_at: Option<Timestamp>,
    confirm_url: Option<String>,
    confirm_at: Option<Timestamp>,
}

/// What each source delivered in the last 24 hours; and what came last, as far back as a week. The hour of each is
/// the one of `now`.
pub async fn lately(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Tally>, DbErr> {
    let counted = ["alerts", "rejected", "tests", "unused", "refused"].map(|column| {
        format!("CAST(SUM(CASE WHEN t.hour > $1 THEN t.{column} ELSE 0 END) AS bigint) AS {column}")
    });
    let last = |column: &str, at: &str| {
        format!(
            "(SELECT l.{column} FROM source_tallies l WHERE l.source = t.source AND l.{at} IS NOT NULL \
              ORDER BY l.{at} DESC LIMIT 1) AS {column}"
        )
    };
    let sql = format!(
        "SELECT t.source, {}, MAX(t.delivered_at) AS delivered_at, {}, MAX(t.error_at) AS error_at, \
             {}, MAX(t.confirm_at) AS confirm_at \
         FROM source_tallies t WHERE t.hour <= $2 AND t.hour >= $3 GROUP BY t.source ORDER BY t.source",
        counted.join(", "),
        last("error", "error_at"),
        last("confirm_url", "confirm_at"),
    );
    let now_hour = hour(now);
    let values = [now_hour - COUNTED, now_hour, now_hour - KNOWN].map(Value::from);
    let sql = statement(db.get_database_backend(), &sql, values);
    let rows = Row::find_by_statement(sql).all(db).await?;
    let tally = |row: Row| Tally {
        source: row.source,
        hour: hour(now),
        alerts: row.alerts,
        rejected: row.rejected,
        tests: row.tests,
        unused: row.unused,
        refused: row.refused,
        delivered_at: row.delivered_at,
        error: row.error_at.map(|at| (at, row.error.unwrap_or_default())),
        confirm: row
            .confirm_at
            .map(|at| (at, row.confirm_url.unwrap_or_default())),
        ..Tally::default()
    };
    Ok(rows.into_iter().map(tally).collect())
}

/// What each source delivered lately and at this time of the last weeks. So many deliveries in an hour are a habit.
pub async fn figures(
    db: &impl ConnectionTrait,
    at: &Moment,
    habit: u32,
) -> Result<BTreeMap<String, SourceFigures>, DbErr> {
    #[derive(FromQueryResult)]
    struct Found {
        source: String,
        truncated: i64,
        resolved: i64,
        expired: i64,
        weeks: i64,
        delivered: i64,
        delivered_at: Option<Timestamp>,
    }
    let (now, last) = (hour(at.now), hour(at.hour()));
    let weeks: Vec<String> = (1..=WEEKS).map(|n| (last - n * WEEK).to_string()).collect();
    let weeks = format!("hour IN ({})", weeks.join(", "));
    let all = "alerts + rejected + tests + unused";
    let sum = |what: &str, when: &str| {
        format!("CAST(SUM(CASE WHEN {when} THEN {what} ELSE 0 END) AS bigint)")
    };
    let lately = ["truncated", "resolved", "expired"]
        .map(|column| format!("{} AS {column}", sum(column, "hour > $1")));
    let sql = format!(
        "SELECT source, {}, {} AS weeks, {} AS delivered, \
             MAX(delivered_at) AS delivered_at \
         FROM source_tallies WHERE (hour > $5 AND hour <= $2) OR {weeks} GROUP BY source",
        lately.join(", "),
        sum("1", &format!("{weeks} AND {all} >= $4")),
        sum(all, "hour >= $3"),
    );
    let values = [now - COUNTED, now, last, i64::from(habit), now - DELIVERED].map(Value::from);
    let sql = statement(db.get_database_backend(), &sql, values);
    let found = Found::find_by_statement(sql).all(db).await?;
    let figures = found.into_iter().map(|row| {
        let figures = SourceFigures {
            truncated: row.truncated,
            resolved: row.resolved,
            expired: row.expired,
            weeks: row.weeks,
            delivered: row.delivered,
            delivered_at: row.delivered_at,
        };
        (row.source, figures)
    });
    Ok(figures.collect())
}

/// When each source delivered last, of those that did within a week.
pub async fn delivered(
    db: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Vec<(String, Timestamp)>, DbErr> {
    #[derive(FromQueryResult)]
    struct Found {
        source: String,
        delivered_at: Timestamp,
    }
    let sql = "SELECT source, MAX(delivered_at) AS delivered_at FROM source_tallies \
               WHERE hour >= $1 AND delivered_at IS NOT NULL GROUP BY source";
    let values = [Value::from(hour(now) - KNOWN)];
    let sql = statement(db.get_database_backend(), sql, values);
    let found = Found::find_by_statement(sql).all(db).await?;
    Ok(found
        .into_iter()
        .map(|it| (it.source, it.delivered_at))
        .collect())
}

/// Deletes rows of hours that are long over, and of a clock that was ahead by more than a day. Returns how many.
pub async fn prune(db: &impl ConnectionTrait, now: Timestamp) -> Result<u64, DbErr> {
    let sql = "DELETE FROM source_tallies WHERE hour < $1 OR hour > $2";
    let values = [Value::from(hour(now) - KEPT), (hour(now) + COUNTED).into()];
    let sql = statement(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(sql).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_counted_from_1970_on() {
        let at = Timestamp::parse("2026-11-22T21:59:59.999Z").unwrap();
        assert_eq!(hour(Timestamp(at.0 + 1)), hour(at) + 1);
        assert_eq!(hour(Timestamp(0)), 0);
        assert_eq!(hour(Timestamp(-1)), -1);
    }

    #[test]
    fn what_several_ingresses_say_adds_up_and_the_last_counts() {
        let said = |at: i64, text: &str| Some((Timestamp(at), text.to_owned()));
        let mut one = Tally {
            alerts: 2,
            refused: 1,
            delivered_at: Some(Timestamp(5)),
            error: said(7, "later"),
            ..Tally::default()
        };
        one.add(&Tally {
            alerts: 3,
            tests: 1,
            delivered_at: Some(Timestamp(4)),
            error: said(6, "earlier"),
            confirm: said(1, "https://sns"),
            ..Tally::default()
        });
        let expected = Tally {
            alerts: 5,
            tests: 1,
            refused: 1,
            delivered_at: Some(Timestamp(5)),
            error: said(7, "later"),
            confirm: said(1, "https://sns"),
            ..Tally::default()
        };
        assert_eq!(one, expected);
    }

    #[test]
    fn figures_that_are_too_large_stay_so() {
        let most = || Tally {
            alerts: i64::MAX,
            rejected: i64::MAX,
            tests: i64::MAX,
            unused: i64::MAX,
            refused: i64::MAX,
            truncated: i64::MAX,
            resolved: i64::MAX,
            expired: i64::MAX,
            ..Tally::default()
        };
        let mut sum = most();
        sum.add(&most());
        assert_eq!(sum, most());
    }
}
