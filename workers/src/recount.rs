//! Recount: every minute it updates what changes by time alone, and every hour it compares counters with the rows. A
//! tick consists of parts. Each part can run twice or be interrupted without harm, and a part that fails does not
//! stop the others. Pending work comes first.

mod canary;
mod doubts;
mod expected;
mod flapping;
mod heartbeat;
mod levels;
mod mutes;
mod pruning;
mod reconcile;
mod stale;
mod verdicts;
mod verification;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::Data;
use tocsin::context::Context;
use tocsin::jobs::{JobError, Part, Recount};
use tocsin::operations::OperationError;
use tocsin::outbox::overdue;
use tocsin::queue::consumer::JobHandle;
use tocsin::routines::Routine;
use tocsin::store::marks::{self, Mark};
use tocsin::store::{clock, maintenance};
use tocsin::telemetry::metrics::ByPart;
use tocsin::time::Timestamp;

pub use canary::send_canary;
pub use doubts::settle_doubts;
pub use expected::check_expected;
pub use flapping::end_flapping;
pub use heartbeat::send_heartbeat;
pub use levels::decay;
pub use mutes::end_mutes;
pub use pruning::prune;
pub use reconcile::reconcile;
pub use stale::expire_stale;
pub use tocsin::outbox::overdue::push as push_overdue;
pub use verdicts::judge;
pub use verification::verify;

/// How long one part may take; the next tick continues it.
const PART: Duration = Duration::from_secs(30);

/// The handler's state.
#[derive(Clone)]
pub struct Recounting {
    context: Context,
    /// Whether this process has done a tick since it started.
    is_first: Arc<AtomicBool>,
}

impl Recounting {
    /// The state at the start of the process.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            is_first: Arc::new(AtomicBool::new(true)),
        }
    }
}

/// One tick, or one step of the consistency check.
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

/// Runs all parts, one after the other, and logs which failed. A tick that was pushed before the last finished tick
/// began is skipped, so that ticks do not pile up when one takes long.
async fn tick(recounting: &Recounting, pushed_at: Timestamp) -> Result<(), JobError> {
    let context = &recounting.context;
    let began = context.queues.store().now().await?;
    let last = marks::find(context.db.read(), Routine::Recount.mark()).await?;
    if is_old(pushed_at, last.map(|last| last.at), began) {
        tracing::debug!("skipping a recount: a later one has run");
        return Ok(());
    }
    if recounting.is_first.swap(false, Ordering::Relaxed) {
        // The rules may have changed while the process was down, so every level is checked.
        marks::forget(context.db.write(), levels::MARK).await?;
    }
    for (part, error) in parts(context).await {
        let part = part.name();
        tracing::error!(part, "a part of recount failed: {error}");
    }
    let mark = Mark {
        at: began,
        ..Mark::default()
    };
    Ok(marks::set(context.db.write(), Routine::Recount.mark(), &mark).await?)
}

/// Does all parts of a tick, one after the other, and returns which failed.
pub async fn parts(context: &Context) -> Vec<(Part, JobError)> {
    let mut failed = Vec::new();
    for part in Part::ALL {
        if let Err(error) = do_part(context, part).await {
            failed.push((part, error));
        }
    }
    failed
}

/// Does one part, and measures it.
async fn do_part(context: &Context, part: Part) -> Result<(), JobError> {
    let (metrics, began) = (&context.metrics, Instant::now());
    let by = ByPart { part: part.name() };
    let work = tokio::time::timeout(PART, run(context, part));
    let late = |_| Err(JobError::Retry(format!("timed out after {PART:?}")));
    let done = work.await.unwrap_or_else(late);
    let seconds = metrics.recount_seconds.get_or_create(&by);
    seconds.observe(began.elapsed().as_secs_f64());
    match done {
        Ok(items) => {
            metrics.recount_items.get_or_create(&by).inc_by(items);
            let now = context.clock.now().0 / 1000;
            metrics.recount_done.get_or_create(&by).set(now);
            Ok(())
        }
        Err(error) => {
            metrics.recount_failures.get_or_create(&by).inc();
            Err(error)
        }
    }
}

/// Whether the last finished tick began after this one was pushed. If the clock went back in between, it does not
/// count.
fn is_old(pushed_at: Timestamp, last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_some_and(|last| pushed_at <= last && last <= now)
}

/// The pass of one part; returns how many items it worked on.
async fn run(context: &Context, part: Part) -> Result<u64, JobError> {
    match part {
        Part::Tiers => overdue::tiers(context).await,
        Part::Messages => overdue::messages(context).await,
        Part::Edits => overdue::edits(context).await,
        Part::Analyses => overdue::analyses(context).await,
        Part::Executions => overdue::requests(context).await,
        Part::Replays => overdue::replays(context).await,
        Part::Levels => decay(context).await,
        Part::Verdicts => judge(context).await,
        Part::Doubts => settle_doubts(context).await,
        Part::Mutes => end_mutes(context).await,
        Part::Flapping => end_flapping(context).await,
        Part::Counter => make_room(context).await,
        Part::Expected => check_expected(context).await.map(|()| 0),
        Part::Canary => send_canary(context).await.map(|()| 0),
        Part::Heartbeat => send_heartbeat(context).await.map(|()| 0),
        // These cannot be undone, so they wait while the clock is suspected to be wrong.
        Part::Unseen | Part::Reconcile | Part::Pruning if !is_steady(context).await? => Ok(0),
        Part::Unseen => expire_stale(context).await,
        Part::Reconcile => reconcile(context).await,
        Part::Pruning => pruning::hourly(context).await,
    }
}

/// Lets the counter free memory that it shares with the queue. Returns how many anomalies' counts were dropped.
///
/// # Errors
/// The store cannot be reached now.
pub async fn make_room(context: &Context) -> Result<u64, JobError> {
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
    let sets = u64::try_from(dropped.sets).unwrap_or(u64::MAX);
    evicted.inc_by(sets);
    Ok(sets)
}

/// An operation that a part asked for was not done.
fn failed(error: OperationError) -> JobError {
    match error {
        OperationError::Store(error) => error.into(),
        OperationError::Queue(error) => error.into(),
        other => JobError::Retry(other.to_string()),
    }
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
