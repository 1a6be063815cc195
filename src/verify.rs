//! The consistency check: compares figures with the rows that they are computed from: totals and times of
//! anomalies, their windows in the counter and in incidents, and the figures of incidents.
//!
//! A page of anomalies is read in a snapshot, which blocks no writer and shows rows and counters of one moment, because
//! a batch writes both in one transaction. Only a counter in Redis follows the rows, within milliseconds: an apparent
//! drift is checked again between two reads of that counter. Before a repair, each anomaly is locked and checked once
//! more.
//!
//! The job that looks every hour and the API share this; either goes from page to page by a cursor.

mod look;
mod repairs;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sea_orm::DbErr;
use serde::Serialize;

use crate::context::Context;
use crate::counter::CounterError;
use crate::domain::figure::Figure;
use crate::jobs::JobError;
use crate::store::audit::Actor;
use crate::store::maintenance;
use crate::store::verify as rows;
use drift::Drift;
use look::Snapshot;
pub use look::is_late;

pub mod drift;

/// Anomalies of a page.
const PAGE: i64 = 200;
/// Anomalies that are checked again in one batch.
const AGAIN: usize = 50;
/// Drifts that a page lists one by one.
const EXAMPLES: usize = 100;
/// How long after the first look a second one is taken.
const PAUSE: Duration = Duration::from_millis(250);
/// How often, and how far apart, the counter is asked again for what follows a commit: for a second in
/// all.
const IN_FLIGHT: (u32, Duration) = (25, Duration::from_millis(40));

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
    let look = Snapshot::unlocked(context, &keys, now, late).await?;
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
    }
    let drifts = repairs::page(context, &keys, page.next_cursor.is_none(), repair).await?;
    for drift in &drifts {
        *page.drifted.entry(drift.what).or_default() += 1;
    }
    page.drifts.extend(drifts);
    page.drifts.truncate(EXAMPLES);
    page.repaired = repair.is_some() && !page.drifted.is_empty();
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

/// Checks again what seems to drift; real drift is reported, and repaired if wanted.
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
    let look = Snapshot::unlocked(context, keys, now, late).await?;
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
    let look = Snapshot::at(context, &tx, key, now, late).await?;
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
