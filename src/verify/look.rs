//! One look at a page of anomalies: figures beside the rows, and what is repaired.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use serde_json::json;

use super::VerifyError;
use super::drift::{self, Bounds, Drift};
use crate::context::Context;
use crate::counter::CounterError;
use crate::domain::aggregation::Unit;
use crate::domain::figure::Figure;
use crate::domain::frequency::{Counts, FrequencyStats, Window};
use crate::jobs::{IngestAlert, Job as _};
use crate::queue::store::Depth;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::verify::{self as rows, Figures, IncidentFigures, Stats};
use crate::store::{maintenance, occurrences, tallies};
use crate::time::Timestamp;

/// How old an incident's figures may be: recount writes them once a minute, and may be late.
const STATS_AGE: Duration = Duration::from_secs(150);
/// Alerts that wait for longer are late, in milliseconds.
const LATE_MS: u64 = 30_000;

/// What figures and rows of some anomalies say at one moment.
pub(super) struct Snapshot {
    pub(super) now: Timestamp,
    pub(super) figures: Vec<Figures>,
    pub(super) incidents: Vec<IncidentFigures>,
    pub(super) stats: Vec<Stats>,
    /// Anomalies that windows may hold something of, in order.
    pub(super) seen: Vec<String>,
    /// What may be said of their windows.
    pub(super) bounds: Vec<Bounds>,
    /// What the counter says of them, if it counts the rows.
    pub(super) tallied: Option<Vec<Counts>>,
}

impl Snapshot {
    /// In a snapshot.
    pub(super) async fn unlocked(
        context: &Context,
        keys: &[String],
        now: Timestamp,
        late: bool,
    ) -> Result<Self, DbErr> {
        let tx = context.db.snapshot().await?;
        let look = Self::at(context, &tx, keys, now, late).await?;
        tx.commit().await?;
        Ok(look)
    }

    pub(super) async fn at(
        context: &Context,
        tx: &DatabaseTransaction,
        keys: &[String],
        now: Timestamp,
        late: bool,
    ) -> Result<Self, DbErr> {
        let unit = context.config.counting.unit;
        let figures = rows::figures(tx, unit, keys).await?;
        // As recount does it: a little longer than the longest window.
        let since = now.before(Window::Month.length() + Duration::from_secs(86_400));
        let is_seen = |f: &&Figures| f.last.max(f.last_seen).is_some_and(|last| last > since);
        let seen: Vec<&Figures> = figures.iter().filter(is_seen).collect();
        // What came late may be older than what recount has written since.
        let lately = now.before(STATS_AGE);
        let late: BTreeSet<String> = seen
            .iter()
            .filter(|f| late || f.late_at > Some(lately))
            .map(|f| f.key.clone())
            .collect();
        let seen: Vec<String> = seen.into_iter().map(|f| f.key.clone()).collect();
        let tallied = match context.counter.counts_rows() {
            true => Some(tallies::counts(tx, unit, &seen, now).await?),
            false => None,
        };
        Ok(Self {
            tallied,
            incidents: rows::incidents(tx, keys).await?,
            stats: rows::stats(tx, keys, since).await?,
            bounds: bounds(tx, unit, &seen, now, &late).await?,
            figures,
            seen,
            now,
        })
    }

    /// What the counter says.
    pub(super) async fn ask_counter(&self, context: &Context) -> Result<Vec<Counts>, CounterError> {
        match &self.tallied {
            Some(tallied) => Ok(tallied.clone()),
            None if self.seen.is_empty() => Ok(Vec::new()),
            None => context.counter.counts(&self.seen, self.now).await,
        }
    }

    /// The same for who holds the anomalies' locks.
    pub(super) async fn ask_counter_within(
        &self,
        context: &Context,
        tx: &DatabaseTransaction,
    ) -> Result<Vec<Counts>, CounterError> {
        match &self.tallied {
            Some(tallied) => Ok(tallied.clone()),
            None => {
                let counter = &context.counter;
                counter.counts_within(tx, &self.seen, self.now).await
            }
        }
    }

    /// What was said of some keys, of those that were seen, in their order.
    pub(super) fn in_order(&self, said: Option<HashMap<String, Counts>>) -> Option<Vec<Counts>> {
        let said = said?;
        let of = |key: &String| said.get(key).copied().unwrap_or_default();
        Some(self.seen.iter().map(of).collect())
    }

    pub(super) fn of_counter(&self, (before, after): (&[Counts], &[Counts])) -> Vec<Drift> {
        let each = self.seen.iter().zip(&self.bounds);
        let each = each.zip(before.iter().zip(after));
        each.flat_map(|((key, rows), said)| drift::of_counter(key, said, &rows.exact))
            .collect()
    }

    pub(super) fn agrees_with(&self, counter: (&[Counts], &[Counts])) -> bool {
        self.of_counter(counter).is_empty()
    }

    pub(super) fn drifts(&self, counter: (&[Counts], &[Counts])) -> Vec<Drift> {
        let mut drifts: Vec<Drift> = self
            .figures
            .iter()
            .flat_map(|found| drift::of_anomaly(found, &drift::expected(found)))
            .collect();
        drifts.extend(self.of_counter(counter));
        drifts.extend(self.incidents.iter().flat_map(drift::of_incident));
        let bounds: HashMap<&String, &Bounds> = self.seen.iter().zip(&self.bounds).collect();
        for (incident, key, stats) in &self.stats {
            if let Some(bounds) = bounds.get(key) {
                drifts.extend(drift::of_stats(*incident, stats, bounds));
            }
        }
        drifts
    }

    /// Sets what drifts to what the rows say, in the transaction that has the anomalies locked.
    pub(super) async fn repair(
        &self,
        context: &Context,
        tx: &DatabaseTransaction,
        drifts: &[Drift],
        actor: &Actor,
    ) -> Result<(), VerifyError> {
        let mut drifted: BTreeMap<Figure, u64> = BTreeMap::new();
        let mut of_counter = BTreeSet::new();
        for drift in drifts {
            *drifted.entry(drift.what).or_default() += 1;
            if drift.what == Figure::Counter {
                of_counter.insert(drift.anomaly.clone());
            }
        }
        let keys: BTreeSet<&String> = drifts.iter().map(|drift| &drift.anomaly).collect();
        let written = AuditEntry {
            action: Action::RepairFigures,
            target: "figures",
            detail: json!({"drifted": drifted, "anomalies": keys}),
        };
        audit::record(tx, actor, written, self.now).await?;

        let right: Vec<Figures> = self.figures.iter().map(drift::expected).collect();
        rows::set_figures(tx, &right).await?;
        rows::set_incidents(tx, &self.incidents).await?;
        let of_counter: Vec<String> = of_counter.into_iter().collect();
        if !of_counter.is_empty() {
            context.counter.forget_within(tx, &of_counter).await?;
        }
        let exact: HashMap<&String, &Bounds> = self.seen.iter().zip(&self.bounds).collect();
        let stats: Vec<FrequencyStats> = right
            .iter()
            .filter(|figures| keys.contains(&figures.key))
            .filter_map(|figures| {
                let counts = &exact.get(&figures.key)?.exact;
                let seen = (figures.first_seen, figures.last_seen);
                Some(FrequencyStats::new(
                    &figures.key,
                    counts,
                    seen,
                    figures.level,
                ))
            })
            .collect();
        maintenance::refresh_stats(tx, &stats).await?;
        Ok(())
    }
}

/// Whether alerts wait so long in the queue that a firing may have been committed long after it was received.
pub async fn is_late(context: &Context) -> bool {
    let depth = context
        .queues
        .store()
        .depth(IngestAlert::POLICY.queue)
        .await;
    let late = |depth: Depth| depth.oldest_age_ms > Some(LATE_MS);
    depth.map_or(true, late)
}

/// What may be said of the windows of these anomalies. Of those that something may have come late for,
/// nothing is known to have been there for long.
pub(super) async fn bounds(
    tx: &impl ConnectionTrait,
    unit: Unit,
    keys: &[String],
    now: Timestamp,
    late: &BTreeSet<String>,
) -> Result<Vec<Bounds>, DbErr> {
    let exact = occurrences::count(tx, unit, keys, now).await?;
    let most = occurrences::count(tx, unit, keys, now.before(STATS_AGE)).await?;
    // So that the shortest window begins when the oldest figures were written.
    let young = now.after(Window::Hour.length()).before(STATS_AGE);
    let young = occurrences::count(tx, unit, keys, young).await?;
    let each = keys.iter().zip(exact.into_iter().zip(most).zip(young));
    let bounds = each.map(|(key, ((exact, most), young))| {
        let is_late = late.contains(key);
        let least = |n: i64| if is_late { 0 } else { (n - young.hour).max(0) };
        Bounds {
            least: Counts {
                hour: least(exact.hour),
                day: least(exact.day),
                week: least(exact.week),
                month: least(exact.month),
            },
            exact,
            most,
        }
    });
    Ok(bounds.collect())
}
