//! Figures of a period beside those of the period before: one aggregated query for each figure, over
//! rows that an index finds by their time.

mod anomalies;
mod work;

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

pub use self::anomalies::{
    FailedFix, NewAnomaly, Returned, failed_fixes, new_anomalies, returning,
};
pub use self::work::{DeadLetters, Median, Repairs, Work, dead_letters, medians, repairs};
use crate::domain::aggregation::Unit;
use crate::domain::notification::SuppressedBy;
use crate::entity::notifications::State;
use crate::ids::first_id;
use crate::store::occurrences::behind;
use crate::store::rows::statement;
use crate::time::Timestamp;

/// A day in milliseconds.
pub const DAY: i64 = 86_400_000;
/// An hour in milliseconds.
const HOUR: i64 = 3_600_000;

/// A period, and the one as long that it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where the period before begins.
    pub before: Timestamp,
    /// Where that ends, and this one begins.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Span {
    /// In how many days it is shown: 24 hours each from its begin; the last may be shorter.
    #[must_use]
    pub fn days(self) -> usize {
        let days = (self.to.0 - self.from.0 + DAY - 1).div_euclid(DAY);
        usize::try_from(days).unwrap_or(0)
    }

    /// Where a day that is counted from `from` belongs: one of this period, or the period before.
    fn day(self, day: i64) -> Option<usize> {
        usize::try_from(day)
            .ok()
            .map(|day| day.min(self.days().saturating_sub(1)))
    }

    /// The day of a moment in SQL: those of this period from 0 on, all before it -1. The moment is `at`, this
    /// period's begin `from`.
    fn day_of(at: &str, from: &str) -> String {
        format!("CASE WHEN {at} < {from} THEN -1 ELSE ({at} - {from}) / {DAY} END")
    }
}

/// What was counted: in the period by day, and in the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByDay {
    /// In each day.
    pub days: Vec<i64>,
    /// In the period before.
    pub before: i64,
}

impl ByDay {
    fn of(span: Span) -> Self {
        Self {
            days: vec![0; span.days()],
            before: 0,
        }
    }

    fn add(&mut self, span: Span, day: i64, n: i64) {
        match span.day(day) {
            Some(day) if day < self.days.len() => self.days[day] += n,
            Some(_) => {}
            None => self.before += n,
        }
    }

    /// In the whole period.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.days.iter().sum()
    }
}

async fn by_day(
    db: &impl ConnectionTrait,
    span: Span,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<ByDay, DbErr> {
    let mut counted = ByDay::of(span);
    let sql = statement(db.get_database_backend(), sql, values);
    for row in db.query_all_raw(sql).await? {
        counted.add(span, row.try_get("", "day")?, row.try_get("", "n")?);
    }
    Ok(counted)
}

/// Alerts that senders delivered, repetitions among them, by the hours of the figures of sources.
pub async fn alerts(db: &impl ConnectionTrait, span: Span) -> Result<ByDay, DbErr> {
    let day = Span::day_of(&format!("hour * {HOUR}"), "$1");
    let sql = format!(
        "SELECT {day} AS day, CAST(sum(alerts) AS bigint) AS n FROM source_tallies \
         WHERE hour >= $2 AND hour < $3 GROUP BY 1"
    );
    let hour = |at: Timestamp| Value::from(at.0.div_euclid(HOUR));
    let values = [span.from.0.into(), hour(span.before), hour(span.to)];
    by_day(db, span, &sql, values).await
}

/// What is counted (`counting.unit`).
pub async fn occurrences(
    db: &impl ConnectionTrait,
    unit: Unit,
    span: Span,
) -> Result<ByDay, DbErr> {
    if unit == Unit::Incident {
        return incidents(db, span).await;
    }
    let (table, id, at) = behind(unit);
    let day = Span::day_of(at, "$1");
    let sql = format!(
        "SELECT {day} AS day, count(*) AS n FROM {table} \
         WHERE {at} >= $2 AND {at} < $3 AND {id} IS NOT NULL GROUP BY 1"
    );
    let values = [span.from, span.before, span.to].map(|at| Value::from(at.0));
    by_day(db, span, &sql, values).await
}

/// Incidents that opened. Their ids are in the order in which they did.
pub async fn incidents(db: &impl ConnectionTrait, span: Span) -> Result<ByDay, DbErr> {
    let day = Span::day_of("opened_at", "$1");
    let sql = format!(
        "SELECT {day} AS day, count(*) AS n FROM incidents WHERE id >= $2 AND id < $3 GROUP BY 1"
    );
    let ids = [span.before, span.to].map(|at| Value::from(first_id(at)));
    by_day(db, span, &sql, [span.from.0.into()].into_iter().chain(ids)).await
}

/// Messages that came up, by what became of them. Reports are none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Sent, digests among them.
    pub sent: ByDay,
    /// Sent in a digest.
    pub digested: ByDay,
    /// Never sent, because their anomalies were muted.
    pub muted: ByDay,
    /// Never sent, because their incidents went on on the card of one before.
    pub on_card: ByDay,
    /// Never sent, because their anomalies were flapping.
    pub flapping: ByDay,
    /// Given up.
    pub failed: ByDay,
    /// Not sent yet.
    pub pending: ByDay,
}

/// What became of messages. Their ids are in the order in which they came up.
pub async fn messages(db: &impl ConnectionTrait, span: Span) -> Result<Messages, DbErr> {
    let day = Span::day_of("owed_since", "$1");
    let sql = format!(
        "SELECT {day} AS day, state, suppressed_by, count(*) AS n FROM notifications \
         WHERE id >= $2 AND id < $3 AND kind NOT IN ('report', 'playbook') GROUP BY 1, 2, 3"
    );
    let ids = [span.before, span.to].map(|at| Value::from(first_id(at)));
    let values = [span.from.0.into()].into_iter().chain(ids);
    let sql = statement(db.get_database_backend(), &sql, values);
    let none = || ByDay::of(span);
    let mut found = Messages {
        sent: none(),
        digested: none(),
        muted: none(),
        on_card: none(),
        flapping: none(),
        failed: none(),
        pending: none(),
    };
    for row in db.query_all_raw(sql).await? {
        let state: State = row.try_get("", "state")?;
        let by: Option<SuppressedBy> = row.try_get("", "suppressed_by")?;
        let counted = match state {
            State::Sent => &mut found.sent,
            State::Digested => &mut found.digested,
            State::Suppressed => match by {
                Some(SuppressedBy::Card) => &mut found.on_card,
                Some(SuppressedBy::Flapping) => &mut found.flapping,
                // Before there were other reasons, none was written.
                Some(SuppressedBy::Mute | SuppressedBy::Maintenance) | None => &mut found.muted,
            },
            State::Failed => &mut found.failed,
            State::Pending | State::Sending => &mut found.pending,
        };
        counted.add(span, row.try_get("", "day")?, row.try_get("", "n")?);
    }
    Ok(found)
}

/// The names of an anomaly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Its key.
    pub key: String,
    /// Its alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
}

impl Names {
    fn of(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            key: row.try_get("", "key")?,
            alert_name: row.try_get("", "alert_name")?,
            service: row.try_get("", "service")?,
            namespace: row.try_get("", "namespace")?,
        })
    }
}

/// What was counted of each of these anomalies, by day.
async fn of_keys(
    db: &impl ConnectionTrait,
    unit: Unit,
    keys: impl IntoIterator<Item = String>,
    span: Span,
) -> Result<BTreeMap<String, ByDay>, DbErr> {
    let (table, id, at) = behind(unit);
    let day = Span::day_of(&format!("o.{at}"), "$1");
    let sql = format!(
        "SELECT r.key, {day} AS day, count(*) AS n FROM {{rows}} JOIN {table} o \
             ON o.anomaly_key = r.key AND o.{at} >= $2 AND o.{at} < $3 AND o.{id} IS NOT NULL \
         GROUP BY 1, 2"
    );
    let rows = crate::store::rows::Rows::new().text("key", keys);
    let values = [span.from, span.before, span.to].map(|at| Value::from(at.0));
    let sql = rows.statement(db.get_database_backend(), &sql, values);
    let mut found: BTreeMap<String, ByDay> = BTreeMap::new();
    for row in db.query_all_raw(sql).await? {
        let counted = found
            .entry(row.try_get("", "key")?)
            .or_insert_with(|| ByDay::of(span));
        counted.add(span, row.try_get("", "day")?, row.try_get("", "n")?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_falls_into_days_of_the_period_or_before_it() {
        let span = Span {
            before: Timestamp(0),
            from: Timestamp(2 * DAY + HOUR),
            to: Timestamp(4 * DAY + 2 * HOUR),
        };
        assert_eq!(span.days(), 3);
        let mut counted = ByDay::of(span);
        for (day, n) in [(-1, 5), (0, 1), (2, 2), (9, 4)] {
            counted.add(span, day, n);
        }
        assert_eq!((counted.days.clone(), counted.before), (vec![1, 0, 6], 5));
        assert_eq!(counted.total(), 7);
    }
}
