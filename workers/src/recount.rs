//! Recount: brings up to date what time alone changes, and every hour compares counters with the rows. It consists of
//! parts ([`Part`]). Each is a job of its own, with a period and a time limit of its own, so that a part that fails or
//! hangs delays none of the others. Of each part one pass runs at a time, in all processes together; it can run twice
//! or be interrupted without harm. Its next tick is its retry.

mod canary;
mod doubts;
mod expected;
mod flapping;
mod heartbeat;
mod levels;
mod mutes;
mod proposals;
mod pruning;
mod reconcile;
mod report;
mod silences;
mod sources;
mod stale;
mod verdicts;
mod verification;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::Data;
use tocsin::context::Context;
use tocsin::ids::derived_id;
use tocsin::jobs::{JobError, Part, Recount};
use tocsin::operations::OperationError;
use tocsin::outbox::overdue;
use tocsin::queue::Push;
use tocsin::queue::consumer::JobHandle;
use tocsin::routines::Routine;
use tocsin::store::marks::{self, Mark};
use tocsin::store::turns::{self, Begun, Turn};
use tocsin::store::{clock, maintenance};
use tocsin::telemetry::metrics::ByPart;
use tocsin::time::Timestamp;
use uuid::Uuid;

pub use canary::send_canary;
pub use doubts::settle_doubts;
pub use expected::check_expected;
pub use flapping::end_flapping;
pub use heartbeat::send_heartbeat;
pub use levels::decay;
pub use mutes::end_mutes;
pub use proposals::propose;
pub use pruning::prune;
pub use reconcile::reconcile;
pub use report::report;
pub use silences::silence_mutes;
pub use sources::watch_sources;
pub use stale::expire_stale;
pub use tocsin::outbox::overdue::push as push_overdue;
pub use verdicts::judge;
pub use verification::verify;

/// The share of the queue's timeout that a pass may take, so that it ends first.
const SHARE: f64 = 0.9;
/// A pass that does not end for this long after its time limit never will: its process died.
const GRACE: Duration = Duration::from_secs(5);
/// How long a job is deferred whose part is under way.
const BUSY: Duration = Duration::from_secs(5);
/// The shortest pause before a pass that goes on with what another left.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a part that only a newer version has is offered to others, and for how long.
const OFFERED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

/// The handler's state.
#[derive(Clone)]
pub struct Recounting {
    context: Context,
    /// Whether this process has looked at no level since it started.
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

/// What a pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many items it worked on.
    pub items: u64,
    /// Whether it left some, which another pass can go on with at once.
    pub has_more: bool,
}

impl From<u64> for Progress {
    fn from(items: u64) -> Self {
        Self {
            items,
            has_more: false,
        }
    }
}

/// A pass of one part, jobs for all of them, or one step of the consistency check.
///
/// # Errors
/// The store cannot be reached now, or a pass of the part is under way.
pub async fn handle(
    job: Recount,
    held: Data<Arc<JobHandle>>,
    recounting: Data<Recounting>,
) -> Result<(), JobError> {
    let context = &recounting.context;
    match job {
        Recount::All => push_all(context, held.id()).await,
        Recount::Part(part) => in_turn(&recounting, part, &held).await,
        Recount::Newer(name) => offer(context, &name, held.enqueued_at).await,
        Recount::Verify(so_far) => verify(context, held.id(), so_far).await,
    }
}

/// Pushes a job for every part.
async fn push_all(context: &Context, job: Uuid) -> Result<(), JobError> {
    let id = |part: Part| derived_id(&[&job.to_string(), part.name()]);
    let push = |part| Push::new(&Recount::Part(part)).id(id(part));
    context.queues.push_all(Part::ALL.map(push)).await?;
    // Processes of older versions read here when recount was last done.
    let mark = Mark {
        at: context.queues.store().now().await?,
        ..Mark::default()
    };
    Ok(marks::set(context.db.write(), Routine::Recount.mark(), &mark).await?)
}

/// Does a part, if nobody is doing it. One that was pushed before a pass began that has ended is skipped, so that jobs do
/// not pile up while a pass takes long.
async fn in_turn(recounting: &Recounting, part: Part, held: &JobHandle) -> Result<(), JobError> {
    let (context, db) = (&recounting.context, recounting.context.db.write());
    let timeout = context.config.policy::<Recount>().timeout;
    let within = part.within().min(timeout.mul_f64(SHARE));
    let turn = Turn {
        name: part.mark(),
        asked_at: held.enqueued_at,
        now: context.queues.store().now().await?,
        lasts: within + GRACE,
        job: held.id(),
        is_again: held.is_redelivery(),
    };
    match turns::begin(db, &turn).await? {
        Begun::Now => {}
        Begun::Done => return skip(part),
        // The pass under way sees all that this one would.
        Begun::Held { since, .. } if since >= turn.asked_at && !held.is_redelivery() => {
            return skip(part);
        }
        Begun::Held { until, .. } => {
            return Err(JobError::RetryAfter {
                after: until.since(turn.now).clamp(PAUSE, BUSY),
                why: format!("a pass of the part {} is under way", part.name()),
            });
        }
    }
    if part == Part::Levels && recounting.is_first.swap(false, Ordering::Relaxed) {
        // The rules may have changed while the process was down, so every level is checked.
        marks::forget(db, levels::MARK).await?;
    }
    let began = Instant::now();
    let done = do_part(context, part, within).await;
    turns::end(db, &turn).await?;
    match done {
        Err(error) => {
            let part = part.name();
            tracing::error!(part, "a part of recount failed: {error}");
        }
        Ok(Progress { has_more: true, .. }) => {
            // The other half of the time is everybody else's.
            let id = derived_id(&[&held.id().to_string(), "more"]);
            let rest = Push::new(&Recount::Part(part)).id(id);
            let pause = began.elapsed().max(PAUSE);
            context.queues.push(rest.after(pause)).await?;
        }
        Ok(_) => {}
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "it is what the handler returns")]
fn skip(part: Part) -> Result<(), JobError> {
    let part = part.name();
    tracing::debug!(
        part,
        "skipping a part of recount: a later pass has seen all that it would"
    );
    Ok(())
}

/// Leaves a part that this version does not have to the workers of a newer one, for as long as there may be some.
async fn offer(context: &Context, name: &str, pushed_at: Timestamp) -> Result<(), JobError> {
    let (after, longest) = OFFERED;
    let waited = context.queues.store().now().await?.since(pushed_at);
    if waited < longest {
        let why = format!("recount has no part {name:?} in this version");
        return Err(JobError::RetryAfter { after, why });
    }
    tracing::warn!(
        part = name,
        "dropping a job of recount: for {longest:?} no worker of a version that has this part took it"
    );
    Ok(())
}

/// Does all parts, one after the other, and returns which failed.
pub async fn parts(context: &Context) -> Vec<(Part, JobError)> {
    let mut failed = Vec::new();
    for part in Part::ALL {
        if let Err(error) = do_part(context, part, part.within()).await {
            failed.push((part, error));
        }
    }
    failed
}

/// Does one part, and measures it.
async fn do_part(context: &Context, part: Part, within: Duration) -> Result<Progress, JobError> {
    let (metrics, began) = (&context.metrics, Instant::now());
    let by = ByPart { part: part.name() };
    let work = tokio::time::timeout(within, run(context, part));
    let late = |_| Err(JobError::Retry(format!("timed out after {within:?}")));
    let done = work.await.unwrap_or_else(late);
    let seconds = metrics.recount_seconds.get_or_create(&by);
    seconds.observe(began.elapsed().as_secs_f64());
    match done {
        Ok(progress) => {
            metrics
                .recount_items
                .get_or_create(&by)
                .inc_by(progress.items);
            let now = context.clock.now().0 / 1000;
            metrics.recount_done.get_or_create(&by).set(now);
            Ok(progress)
        }
        Err(error) => {
            metrics.recount_failures.get_or_create(&by).inc();
            Err(error)
        }
    }
}

/// The pass of one part.
async fn run(context: &Context, part: Part) -> Result<Progress, JobError> {
    match part {
        Part::Tiers => overdue::tiers(context).await.map(Progress::from),
        Part::Messages => overdue::messages(context).await.map(Progress::from),
        Part::Edits => overdue::edits(context).await.map(Progress::from),
        Part::Analyses => overdue::analyses(context).await.map(Progress::from),
        Part::Executions => overdue::requests(context).await.map(Progress::from),
        Part::Replays => overdue::replays(context).await.map(Progress::from),
        Part::Levels => decay(context).await,
        Part::Verdicts => judge(context).await,
        Part::Proposals => proposals::propose_hourly(context).await.map(Progress::from),
        Part::Doubts => settle_doubts(context).await,
        Part::Mutes => end_mutes(context).await,
        Part::Flapping => end_flapping(context).await.map(Progress::from),
        Part::Counter => make_room(context).await.map(Progress::from),
        Part::Expected => check_expected(context).await.map(|()| 0.into()),
        Part::Silences => silence_mutes(context).await.map(Progress::from),
        Part::Canary => send_canary(context).await.map(|()| 0.into()),
        Part::Heartbeat => send_heartbeat(context).await.map(|()| 0.into()),
        // These cannot be undone, so they wait while the clock is suspected to be wrong.
        Part::Unseen | Part::Reconcile | Part::Report | Part::Sources | Part::Pruning
            if !is_steady(context).await? =>
        {
            Ok(0.into())
        }
        Part::Unseen => expire_stale(context).await.map(Progress::from),
        Part::Report => report(context).await.map(Progress::from),
        Part::Reconcile => reconcile(context).await.map(Progress::from),
        Part::Sources => watch_sources(context).await.map(|()| 0.into()),
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
