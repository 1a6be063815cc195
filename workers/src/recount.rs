//! Recount: once a minute, what time alone changes; once an hour, whether figures are what the rows
//! say. Each part of a tick is a pass of its own, and each pass may run twice or be cut short without
//! harm. Pending work comes first, and no part keeps the others from being done.

mod doubts;
mod levels;
mod mutes;
mod pruning;
mod report;
mod stale;
mod verdicts;
mod verification;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apalis::prelude::Data;
use tocsin::context::Context;
use tocsin::jobs::{JobError, Part, Recount};
use tocsin::outbox::overdue;
use tocsin::queue::consumer::JobHandle;
use tocsin::routines::Routine;
use tocsin::store::marks::{self, Mark};
use tocsin::store::{clock, maintenance};
use tocsin::telemetry::metrics::ByPart;
use tocsin::time::Timestamp;

pub use doubts::settle_doubts;
pub use levels::decay;
pub use mutes::end_mutes;
pub use pruning::prune;
pub use report::report;
pub use stale::expire_stale;
pub use tocsin::outbox::overdue::push as push_overdue;
pub use verdicts::judge;
pub use verification::verify;

/// How long one part may take; what is left of it is for the next tick.
const PART: Duration = Duration::from_secs(30);

/// What recount works with.
#[derive(Clone)]
pub struct Recounting {
    context: Context,
    /// Whether this process did a tick since it started.
    is_first: Arc<AtomicBool>,
}

impl Recounting {
    /// Of a process that starts.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            is_first: Arc::new(AtomicBool::new(true)),
        }
    }
}

/// One tick, or one part of a comparison.
///
/// # Errors
/// The store cannot be reached now.
pub async fn handle(
    job: Recount,
    held: Data<Arc<JobHandle>>,
    recounting: Data<Recounting>,
) -> Result<(), JobError> {
    match job {
        Recount::Tick => tick(&recounting, held.enqueued_at).await,
        Recount::Verify(so_far) => verify(&recounting.context, held.id(), so_far).await,
    }
}

/// Does all parts, one after the other, and logs which failed. A tick that was pushed before
/// another began that is done has nothing to add: ticks do not pile up where one takes long.
async fn tick(recounting: &Recounting, pushed_at: Timestamp) -> Result<(), JobError> {
    let context = &recounting.context;
    let began = context.queues.store().now().await?;
    let last = marks::find(context.db.read(), Routine::Recount.mark()).await?;
    if is_old(pushed_at, last.map(|last| last.at), began) {
        tracing::debug!("skipping a recount: a later one has run");
        return Ok(());
    }
    if recounting.is_first.swap(false, Ordering::Relaxed) {
        // By which rules levels held is not known.
        marks::forget(context.db.write(), levels::MARK).await?;
    }
    for part in Part::ALL {
        let work = tokio::time::timeout(PART, run(context, part));
        let late = |_| Err(JobError::Retry(format!("timed out after {PART:?}")));
        if let Err(error) = work.await.unwrap_or_else(late) {
            let part = part.name();
            let failures = &context.metrics.recount_failures;
            failures.get_or_create(&ByPart { part }).inc();
            tracing::error!(part, "a part of recount failed: {error}");
        }
    }
    let mark = Mark {
        at: began,
        ..Mark::default()
    };
    Ok(marks::set(context.db.write(), Routine::Recount.mark(), &mark).await?)
}

/// Whether a tick that was pushed then was overtaken by the last one that was done, by when that began.
/// A clock that went back says nothing about that.
fn is_old(pushed_at: Timestamp, last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_some_and(|last| pushed_at <= last && last <= now)
}

async fn run(context: &Context, part: Part) -> Result<(), JobError> {
    match part {
        Part::Tiers => overdue::tiers(context).await,
        Part::Messages => overdue::messages(context).await,
        Part::Edits => overdue::edits(context).await,
        Part::Analyses => overdue::analyses(context).await,
        Part::Replays => overdue::replays(context).await,
        Part::Levels => decay(context).await,
        Part::Verdicts => judge(context).await,
        Part::Doubts => settle_doubts(context).await,
        Part::Mutes => end_mutes(context).await,
        Part::Counter => make_room(context).await,
        // These cannot be undone: a clock that is wrong for a moment has none of them done.
        Part::Unseen | Part::Report | Part::Pruning if !is_steady(context).await? => Ok(()),
        Part::Unseen => expire_stale(context).await,
        Part::Report => report(context).await,
        Part::Pruning => pruning::hourly(context).await,
    }
}

/// Has the counter leave the queue its memory.
///
/// # Errors
/// The store cannot be reached now.
pub async fn make_room(context: &Context) -> Result<(), JobError> {
    let dropped = context.counter.make_room().await?;
    if dropped.sets > 0 {
        let used = dropped.used.unwrap_or_default();
        tracing::warn!(
            anomalies = dropped.sets,
            used_percent = used,
            "Redis' memory is nearly full (counter.memory): the counts of quiet anomalies are read from the database"
        );
    }
    let evicted = &context.metrics.counter_evicted;
    evicted.inc_by(u64::try_from(dropped.sets).unwrap_or(u64::MAX));
    Ok(())
}

async fn is_steady(context: &Context) -> Result<bool, JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    Ok(clock::is_steady(db, now).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_old_if_one_began_and_was_done_since_it_was_pushed() {
        for (pushed, last, now, old) in [
            (100, None, 200, false),
            (100, Some(99), 200, false),
            (100, Some(100), 200, true),
            (100, Some(150), 200, true),
            (100, Some(250), 200, false),
        ] {
            let found = is_old(Timestamp(pushed), last.map(Timestamp), Timestamp(now));
            assert_eq!(found, old, "{pushed} {last:?} {now}");
        }
    }
}
