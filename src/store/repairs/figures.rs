//! Figures of actions, kept by anomaly, alert name, service and for all: a verdict adds to each in the
//! transaction that gives it, so nobody counts repairs to show them.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::domain::effectiveness::{Counted, Kept, PERIOD_MS, period};
use crate::entity::anomalies::Model as Anomaly;
use crate::store::rows::{Rows, statement};
use crate::time::Timestamp;

/// What figures are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One anomaly.
    Anomaly,
    /// All anomalies of an alert name.
    AlertName,
    /// All anomalies of a service.
    Service,
    /// All.
    All,
}

impl Scope {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anomaly => "anomaly",
            Self::AlertName => "alert_name",
            Self::Service => "service",
            Self::All => "all",
        }
    }
}

/// The anomaly that is counted, and what else it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    key: String,
    alert_name: String,
    service: String,
}

impl Subject {
    /// Of an anomaly.
    #[must_use]
    pub fn of(anomaly: &Anomaly) -> Self {
        Self {
            key: anomaly.key.clone(),
            alert_name: anomaly.alert_name.clone(),
            service: anomaly.service.clone(),
        }
    }

    /// With these names.
    #[must_use]
    pub const fn new(key: String, alert_name: String, service: String) -> Self {
        Self {
            key,
            alert_name,
            service,
        }
    }

    /// Each scope with its subject, the anomaly's own first.
    pub(super) fn scopes(&self) -> [(Scope, &str); 4] {
        [
            (Scope::Anomaly, &self.key),
            (Scope::AlertName, &self.alert_name),
            (Scope::Service, &self.service),
            (Scope::All, ""),
        ]
    }
}

/// What is added to the figures of an action; less than nothing takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The action.
    pub action: String,
    /// When the repair was.
    pub at: Timestamp,
    /// What is counted.
    pub counted: Counted,
    /// Buckets of times to quiet, and how many of each.
    pub times: Vec<(i64, i64)>,
}

/// Figures of one action, of one period.
type Place = (String, &'static str, String, i64);

/// Adds to the figures of a locked anomaly and of all that it belongs to. Rows are written in one order by
/// everybody, so that two who write those of one alert name wait for each other and never in a circle.
pub async fn add(
    tx: &impl ConnectionTrait,
    subject: &Subject,
    deltas: Vec<Delta>,
) -> Result<(), DbErr> {
    add_to(tx, &subject.scopes(), deltas).await
}

/// Adds to the figures of these subjects alone.
pub(super) async fn add_to(
    tx: &impl ConnectionTrait,
    scopes: &[(Scope, &str)],
    deltas: Vec<Delta>,
) -> Result<(), DbErr> {
    let mut counts: BTreeMap<Place, (Counted, Timestamp)> = BTreeMap::new();
    let mut times: BTreeMap<(Place, i64), i64> = BTreeMap::new();
    for delta in &deltas {
        for (scope, subject) in scopes {
            let place = (
                delta.action.clone(),
                scope.name(),
                (*subject).to_owned(),
                period(delta.at),
            );
            for (bucket, n) in &delta.times {
                *times.entry((place.clone(), *bucket)).or_default() += n;
            }
            let (counted, last_at) = counts.entry(place).or_default();
            counted.add(&delta.counted);
            *last_at = delta.at.max(*last_at);
        }
    }
    add_counts(tx, &counts).await?;
    times.retain(|_, n| *n != 0);
    add_times(tx, &times).await
}

async fn add_counts(
    tx: &impl ConnectionTrait,
    counts: &BTreeMap<Place, (Counted, Timestamp)>,
) -> Result<(), DbErr> {
    if counts.is_empty() {
        return Ok(());
    }
    let of = |figure: fn(&Counted) -> i64| counts.values().map(move |(counted, _)| figure(counted));
    let rows = places(counts.keys())
        .int("attempts", of(|c| c.attempts))
        .int("claimed", of(|c| c.claimed))
        .int("verified", of(|c| c.verified))
        .int("disproved", of(|c| c.disproved))
        .int("superseded", of(|c| c.superseded))
        .int("unknown", of(|c| c.unknown))
        .time("last_at", counts.values().map(|(_, at)| *at));
    let sql = "INSERT INTO repair_figures (scope, subject, action, period, attempts, claimed, \
                   verified, disproved, superseded, unknown, last_at) \
               SELECT r.scope, r.subject, r.action, r.period, r.attempts, r.claimed, r.verified, \
                   r.disproved, r.superseded, r.unknown, r.last_at \
               FROM {rows} WHERE true ORDER BY r.action, r.scope, r.subject, r.period \
               ON CONFLICT (scope, subject, action, period) DO UPDATE SET \
                   attempts = repair_figures.attempts + excluded.attempts, \
                   claimed = repair_figures.claimed + excluded.claimed, \
                   verified = repair_figures.verified + excluded.verified, \
                   disproved = repair_figures.disproved + excluded.disproved, \
                   superseded = repair_figures.superseded + excluded.superseded, \
                   unknown = repair_figures.unknown + excluded.unknown, \
                   last_at = CASE WHEN excluded.last_at > repair_figures.last_at \
                       THEN excluded.last_at ELSE repair_figures.last_at END";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.execute_raw(sql).await.map(drop)
}

async fn add_times(
    tx: &impl ConnectionTrait,
    times: &BTreeMap<(Place, i64), i64>,
) -> Result<(), DbErr> {
    if times.is_empty() {
        return Ok(());
    }
    let rows = places(times.keys().map(|(place, _)| place))
        .int("bucket", times.keys().map(|(_, bucket)| *bucket))
        .int("n", times.values().copied());
    let sql = "INSERT INTO repair_times (scope, subject, action, period, bucket, n) \
               SELECT r.scope, r.subject, r.action, r.period, r.bucket, r.n \
               FROM {rows} WHERE true ORDER BY r.action, r.scope, r.subject, r.period, r.bucket \
               ON CONFLICT (scope, subject, action, period, bucket) DO UPDATE SET \
                   n = repair_times.n + excluded.n";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.execute_raw(sql).await.map(drop)
}

fn places<'a>(places: impl Iterator<Item = &'a Place> + Clone) -> Rows {
    Rows::new()
        .text(
            "scope",
            places.clone().map(|(_, scope, ..)| (*scope).to_owned()),
        )
        .text(
            "subject",
            places.clone().map(|(_, _, subject, _)| subject.clone()),
        )
        .text("action", places.clone().map(|(action, ..)| action.clone()))
        .int("period", places.map(|(.., period)| *period))
}

/// What is kept of every action of a subject, by its name.
pub async fn of(
    db: &impl ConnectionTrait,
    scope: Scope,
    subject: &str,
) -> Result<BTreeMap<String, Kept>, DbErr> {
    let backend = db.get_database_backend();
    let values = || [Value::from(scope.name()), Value::from(subject)];
    let sql = "SELECT action, period, attempts, claimed, verified, disproved, superseded, unknown, \
                   last_at FROM repair_figures WHERE scope = $1 AND subject = $2";
    let mut found: BTreeMap<String, Kept> = BTreeMap::new();
    for row in db.query_all_raw(statement(backend, sql, values())).await? {
        let kept = found.entry(row.try_get("", "action")?).or_default();
        kept.periods
            .insert(row.try_get("", "period")?, counted(&row)?);
        let last_at: Timestamp = row.try_get("", "last_at")?;
        kept.last_at = kept.last_at.max(last_at);
    }
    let sql = "SELECT action, bucket, CAST(sum(n) AS bigint) AS n FROM repair_times \
               WHERE scope = $1 AND subject = $2 GROUP BY action, bucket";
    for row in db.query_all_raw(statement(backend, sql, values())).await? {
        let kept = found.entry(row.try_get("", "action")?).or_default();
        kept.times
            .insert(row.try_get("", "bucket")?, row.try_get("", "n")?);
    }
    // What was taken away again leaves a row of nothing.
    found.retain(|_, kept| {
        kept.periods
            .values()
            .any(|of_period| of_period.attempts != 0)
    });
    Ok(found)
}

/// Finished repairs with each action that were reported to have helped and have no verdict: there is only the claim.
/// They are counted where they are shown: of an anomaly there are as many as finished within the last quiet time.
pub async fn claimed_only(
    db: &impl ConnectionTrait,
    scope: Scope,
    subject: &str,
) -> Result<BTreeMap<String, i64>, DbErr> {
    let of_scope = match scope {
        Scope::Anomaly => "p.anomaly_key = $1",
        Scope::AlertName => "a.alert_name = $1",
        Scope::Service => "a.service = $1",
        Scope::All => "$1 = ''",
    };
    let anomalies = match scope {
        Scope::AlertName | Scope::Service => "JOIN anomalies a ON a.key = p.anomaly_key",
        Scope::Anomaly | Scope::All => "",
    };
    let sql = format!(
        "SELECT p.action, CAST(count(*) AS bigint) AS n FROM repairs p {anomalies} \
         WHERE p.judged_at IS NULL AND NOT p.unfinished AND p.verdict IS NULL AND p.success \
             AND {of_scope} \
         GROUP BY p.action"
    );
    let sql = statement(db.get_database_backend(), &sql, [Value::from(subject)]);
    let mut found = BTreeMap::new();
    for row in db.query_all_raw(sql).await? {
        found.insert(row.try_get("", "action")?, row.try_get("", "n")?);
    }
    Ok(found)
}

pub(super) fn counted(row: &QueryResult) -> Result<Counted, DbErr> {
    Ok(Counted {
        attempts: row.try_get("", "attempts")?,
        claimed: row.try_get("", "claimed")?,
        verified: row.try_get("", "verified")?,
        disproved: row.try_get("", "disproved")?,
        superseded: row.try_get("", "superseded")?,
        unknown: row.try_get("", "unknown")?,
    })
}

/// Deletes figures of periods before `first`, whose repairs are pruned in part or in whole; returns how many rows.
pub async fn prune(db: &impl ConnectionTrait, first: i64) -> Result<u64, DbErr> {
    let mut deleted = 0;
    for table in ["repair_figures", "repair_times"] {
        let sql = format!("DELETE FROM {table} WHERE period < $1");
        let sql = statement(db.get_database_backend(), &sql, [Value::from(first)]);
        deleted += db.execute_raw(sql).await?.rows_affected();
    }
    Ok(deleted)
}

/// A moment of a period.
pub(super) const fn first_of(period: i64) -> Timestamp {
    Timestamp(period * PERIOD_MS)
}
