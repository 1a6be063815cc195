//! Whether figures are what the rows say: totals and times of anomalies, what the counter and the
//! incidents say of their windows, and what incidents say of their episodes.
//!
//! A page of anomalies is looked at in a snapshot, which holds nobody up, and shows rows and figures of
//! one moment: a batch writes both in one transaction. Only a counter beside the database follows the
//! rows, within milliseconds: what seems to drift is looked at again between two answers of the counter,
//! the later of which is waited for. What is to be repaired is locked, one anomaly at a time, and looked
//! at once more.
//!
//! The job that looks every hour and the API share this; either goes from page to page by a cursor.

pub mod drift;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::counter::CounterError;
use crate::domain::aggregation::Unit;
use crate::domain::frequency::{Counts, FrequencyStats, Window};
use crate::jobs::{IngestAlert, Job as _, JobError};
use crate::queue::store::Depth;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::verify::{self as rows, Figures, IncidentFigures, Stats};
use crate::store::{maintenance, occurrences, tallies};
use crate::time::Timestamp;
use drift::{Bounds, Drift, Figure};

/// Anomalies of a page.
const PAGE: i64 = 200;
/// Anomalies that are looked at again together.
const AGAIN: usize = 50;
/// Drifts that a page tells one by one.
const EXAMPLES: usize = 100;
/// How long after the first look a second one is taken.
const PAUSE: Duration = Duration::from_millis(250);
/// How often, and how far apart, the counter is asked again for what follows a commit: for a second in
/// all.
const IN_FLIGHT: (u32, Duration) = (25, Duration::from_millis(40));
/// How old an incident's figures may be: recount writes them once a minute, and may be late.
const STATS_AGE: Duration = Duration::from_secs(150);
/// Alerts that wait for longer are late, in milliseconds.
const LATE_MS: u64 = 30_000;

/// Why figures could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] DbErr),
    /// The counter did not.
    #[error(transparent)]
    Counter(#[from] CounterError),
}

impl From<VerifyError> for JobError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => error.into(),
            VerifyError::Counter(error) => error.into(),
        }
    }
}

/// The result of one page.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = Verified)]
pub struct Page {
    /// Anomalies that were compared.
    pub anomalies: u64,
    /// Occurrences that they were compared with.
    pub occurrences: u64,
    /// How many figures drifted, by which.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub drifted: BTreeMap<Figure, u64>,
    /// Some of them, one by one.
    pub drifts: Vec<Drift>,
    /// Whether they were repaired.
    pub repaired: bool,
    /// Where the next page begins; none if this was the last.
    pub next_cursor: Option<String>,
}

/// Compares the figures of the anomalies after `after` (empty: of the first ones); sets those that
/// drift to what the rows say if `repair` says who wants it.
///
/// # Errors
/// See [`VerifyError`]. What was repaired by then stays so.
pub async fn page(
    context: &Context,
    after: &str,
    repair: Option<&Actor>,
) -> Result<Page, VerifyError> {
    let late = is_late(context).await;
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let keys = rows::keys_after(db, after, PAGE).await?;
    let look = Look::unlocked(context, &keys, now, late).await?;
    let counter = look.ask_counter(context).await?;

    let mut page = Page {
        anomalies: look.figures.len() as u64,
        occurrences: look
            .figures
            .iter()
            .map(|f| f.occurrences.unsigned_abs())
            .sum(),
        next_cursor: keys.last().filter(|_| keys.len() as i64 == PAGE).cloned(),
        ..Page::default()
    };
    let suspects: BTreeSet<String> = look
        .drifts((&counter, &counter))
        .into_iter()
        .map(|drift| drift.anomaly)
        .collect();
    if !suspects.is_empty() {
        tokio::time::sleep(PAUSE).await;
        let suspects: Vec<String> = suspects.into_iter().collect();
        for some in suspects.chunks(AGAIN) {
            let drifts = look_again(context, some, late, repair).await?;
            for drift in &drifts {
                *page.drifted.entry(drift.what).or_default() += 1;
            }
            page.drifts.extend(drifts);
            page.drifts.truncate(EXAMPLES);
        }
        page.repaired = repair.is_some() && !page.drifted.is_empty();
    }
    Ok(page)
}

/// Where the page after `after` ends; none if it is the last. For who cannot look at a page, and goes on.
///
/// # Errors
/// The database did not answer.
pub async fn end_of_page(context: &Context, after: &str) -> Result<Option<String>, DbErr> {
    let keys = rows::keys_after(context.db.read(), after, PAGE).await?;
    Ok(keys.last().filter(|_| keys.len() as i64 == PAGE).cloned())
}

/// Looks again at what seems to drift; what does is told, and repaired where that is wanted.
async fn look_again(
    context: &Context,
    keys: &[String],
    late: bool,
    repair: Option<&Actor>,
) -> Result<Vec<Drift>, VerifyError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    // Asked by the same edges of the windows as the rows.
    let before = match context.counter.counts_rows() {
        true => None,
        false => {
            let counts = context.counter.counts(keys, now).await?;
            Some(keys.iter().cloned().zip(counts).collect())
        }
    };
    let look = Look::unlocked(context, keys, now, late).await?;
    let before = look.in_order(before);
    let mut after = look.ask_counter(context).await?;
    let before = before.unwrap_or_else(|| after.clone());
    for _ in 0..IN_FLIGHT.0 {
        if look.tallied.is_some() || look.agrees_with((&before, &after)) {
            break;
        }
        tokio::time::sleep(IN_FLIGHT.1).await;
        after = look.ask_counter(context).await?;
    }
    let drifts = look.drifts((&before, &after));
    let Some(actor) = repair else {
        return Ok(drifts);
    };
    let drifted: BTreeSet<String> = drifts.into_iter().map(|drift| drift.anomaly).collect();
    let mut repaired = Vec::new();
    for key in drifted {
        repaired.extend(look_and_repair(context, std::slice::from_ref(&key), late, actor).await?);
    }
    Ok(repaired)
}

/// Looks at anomalies that are locked, so that nothing is under way, and repairs what drifts.
async fn look_and_repair(
    context: &Context,
    key: &[String],
    late: bool,
    actor: &Actor,
) -> Result<Vec<Drift>, VerifyError> {
    let tx = context.db.begin().await?;
    rows::lock(&tx, key).await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let look = Look::at(context, &tx, key, now, late).await?;
    let mut counter = look.ask_counter_within(context, &tx).await?;
    for _ in 0..IN_FLIGHT.0 {
        // A tally is written with its rows: nothing is on its way to it.
        if look.tallied.is_some() || look.agrees_with((&counter, &counter)) {
            break;
        }
        tokio::time::sleep(IN_FLIGHT.1).await;
        counter = look.ask_counter_within(context, &tx).await?;
    }
    let drifts = look.drifts((&counter, &counter));
    if drifts.is_empty() {
        tx.rollback().await?;
    } else {
        look.repair(context, &tx, &drifts, actor).await?;
        tx.commit().await?;
    }
    Ok(drifts)
}

/// What figures and rows of some anomalies say at one moment.
struct Look {
    now: Timestamp,
    figures: Vec<Figures>,
    incidents: Vec<IncidentFigures>,
    stats: Vec<Stats>,
    /// Anomalies that windows may hold something of, in order.
    seen: Vec<String>,
    /// What may be said of their windows.
    bounds: Vec<Bounds>,
    /// What the counter says of them, if it counts the rows.
    tallied: Option<Vec<Counts>>,
}

impl Look {
    /// In a snapshot.
    async fn unlocked(
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

    async fn at(
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
    async fn ask_counter(&self, context: &Context) -> Result<Vec<Counts>, CounterError> {
        match &self.tallied {
            Some(tallied) => Ok(tallied.clone()),
            None if self.seen.is_empty() => Ok(Vec::new()),
            None => context.counter.counts(&self.seen, self.now).await,
        }
    }

    /// The same for who holds the anomalies' locks.
    async fn ask_counter_within(
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
    fn in_order(&self, said: Option<HashMap<String, Counts>>) -> Option<Vec<Counts>> {
        let said = said?;
        let of = |key: &String| said.get(key).copied().unwrap_or_default();
        Some(self.seen.iter().map(of).collect())
    }

    fn of_counter(&self, (before, after): (&[Counts], &[Counts])) -> Vec<Drift> {
        let each = self.seen.iter().zip(&self.bounds);
        let each = each.zip(before.iter().zip(after));
        each.flat_map(|((key, rows), said)| drift::of_counter(key, said, &rows.exact))
            .collect()
    }

    fn agrees_with(&self, counter: (&[Counts], &[Counts])) -> bool {
        self.of_counter(counter).is_empty()
    }

    fn drifts(&self, counter: (&[Counts], &[Counts])) -> Vec<Drift> {
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
    async fn repair(
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

/// Whether alerts wait in the queue for so long that what was received a while ago may just have been
/// committed.
async fn is_late(context: &Context) -> bool {
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
async fn bounds(
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
