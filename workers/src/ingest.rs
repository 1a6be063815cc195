//! Ingest: stores delivered alerts. Handlers run concurrently and hand what they
//! carry to a batcher, which commits what is waiting in one transaction and answers each.

mod rules;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use apalis::prelude::Data;
use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::domain::aggregation::{Ingested, Policy};
use tocsin::domain::episode::AlertDelivery;
use tocsin::domain::names::Names;
use tocsin::domain::signature::OVERFLOW;
use tocsin::jobs::{Content, IngestAlert, JobError};
use tocsin::outbox::{Traces, patiently};
use tocsin::queue::consumer::JobHandle;
use tocsin::store::error::{Cause, STORE_DELAY, cause};
use tocsin::store::ingest::{Committed, commit};
use tocsin::store::{incidents, overflow};
use tocsin::telemetry::log_throttle::LogThrottle;
use tocsin::telemetry::metrics::{Outcome, Tally};
use tocsin::telemetry::task_context;
use tocsin::telemetry::trace_context::Trace;
use tocsin::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::canary;
use rules::Rules;

/// How long a commit may take before the store counts as gone.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a batch is tried on the spot when the store asks for it (a deadlock, a lock).
const COMMIT_ATTEMPTS: u32 = 3;
/// How often anomalies are counted: what others make and what is pruned in the meantime is not known.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// One delivered alert.
///
/// # Errors
/// It cannot be used, or the store cannot take it now.
pub async fn handle(
    job: IngestAlert,
    held: Data<Arc<JobHandle>>,
    batchers: Data<Arc<Batchers>>,
) -> Result<(), JobError> {
    // Boxed, as their state is much larger than that of a job that only waits for its batch.
    if let Some(id) = canary::marked(&job)
        && let Some(found) = Box::pin(canary::of(&batchers.context, &job, id)).await?
    {
        return Box::pin(canary::enter(&batchers.context, found, job)).await;
    }
    let alert = match job.content {
        Content::Alert(alert) => alert,
        Content::Rejected { reason, .. } => return Err(JobError::GiveUp(reason)),
    };
    if alert.is_ignored(&batchers.context.config.ingest.ignore) {
        let alerts = &batchers.context.metrics.alerts;
        alerts.add(&job.source, Outcome::Ignored);
        return Ok(());
    }
    let labels = &batchers.context.config.signature;
    let origin = (held.id(), held.is_redelivery());
    let families = &batchers.context.config.counting.families;
    let deliver = |source, alert| {
        AlertDelivery::new(origin, source, job.received_at, alert, labels, families)
    };
    // Whatever keeps its batch waiting is not the alert.
    held.wait_for_store();
    let delivery = match alert.rule {
        None => deliver(job.source, alert),
        Some(_) => {
            let deliver = |alert| deliver(job.source.clone(), alert);
            let rules = &batchers.rules;
            rules.read(&batchers.context, alert, deliver).await?
        }
    };
    batchers.enter(delivery).await
}

/// One batcher for each part of the anomalies, so that no two wait for the same rows, but for those of what has
/// too many names.
pub struct Batchers {
    context: Context,
    rules: Rules,
    parts: Vec<mpsc::Sender<Waiting>>,
}

struct Waiting {
    delivery: AlertDelivery,
    trace: Option<Trace>,
    answer: oneshot::Sender<Result<(), JobError>>,
}

impl Batchers {
    /// Starts the batchers; they end with the last handle to them.
    #[must_use]
    pub fn start(context: &Context) -> Arc<Self> {
        let config = &context.config;
        let parts = if config.is_embedded() {
            1
        } else {
            config.ingest.batchers
        };
        let names = Arc::new(Names::new(
            config.anomalies.per_minute,
            config.anomalies.total,
        ));
        tokio::spawn(count_names(context.clone(), Arc::downgrade(&names)));
        let overflow_log = Arc::new((LogThrottle::new(COUNT_EVERY), AtomicU64::default()));
        let parts = (0..parts).map(|_| {
            let (queue, waiting) = mpsc::channel(config.ingest.batch * 2);
            let batcher = Batcher {
                context: context.clone(),
                policy: config.aggregation_policy(),
                names: Arc::clone(&names),
                overflow_log: Arc::clone(&overflow_log),
            };
            tokio::spawn(Arc::new(batcher).run(waiting));
            queue
        });
        Arc::new(Self {
            context: context.clone(),
            rules: Rules::default(),
            parts: parts.collect(),
        })
    }

    async fn enter(&self, delivery: AlertDelivery) -> Result<(), JobError> {
        let part =
            usize::from(delivery.key.as_bytes()[0] ^ delivery.key.as_bytes()[1].rotate_left(4));
        let ended = || JobError::RetryAfter {
            after: STORE_DELAY,
            why: "the ingest batcher has stopped".to_owned(),
        };
        let (answer, answered) = oneshot::channel();
        let trace = task_context::trace();
        let waiting = Waiting {
            delivery,
            trace,
            answer,
        };
        let queue = &self.parts[part % self.parts.len()];
        queue.send(waiting).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// Commits the deliveries of one part of the anomalies.
struct Batcher {
    context: Context,
    policy: Policy,
    /// How many new anomalies there is room for.
    names: Arc<Names>,
    /// Says that there is none, and of how many alerts it was not said yet.
    overflow_log: Arc<(LogThrottle<()>, AtomicU64)>,
}

/// Counts anomalies while a reader is interested.
async fn count_names(context: Context, names: Weak<Names>) {
    let mut every = tokio::time::interval(COUNT_EVERY);
    loop {
        every.tick().await;
        let Some(names) = names.upgrade() else {
            return;
        };
        match overflow::count(context.db.read(), names.total()).await {
            Ok(known) => names.counted(known),
            Err(error) => tracing::debug!("cannot count anomalies: {error}"),
        }
    }
}

impl Batcher {
    async fn run(self: Arc<Self>, mut queue: mpsc::Receiver<Waiting>) {
        let most = self.context.config.ingest.batch;
        let mut waiting = Vec::with_capacity(most);
        while queue.recv_many(&mut waiting, most).await > 0 {
            // Whose handler has left comes again.
            waiting.retain(|w: &Waiting| !w.answer.is_closed());
            waiting.sort_by_key(|w: &Waiting| (w.delivery.received_at, w.delivery.job));
            self.pass(&mut waiting).await;
        }
    }

    /// Commits what is waiting. What must follow a commit does so while the next batch is on its way,
    /// and then answers. A batch that fails on data is split until only the alert that is to blame
    /// fails.
    async fn pass(self: &Arc<Self>, waiting: &mut Vec<Waiting>) {
        let mut parts = vec![std::mem::take(waiting)];
        while let Some(mut part) = parts.pop() {
            let mut result = self.commit(&mut part).await;
            if part.len() == 1
                && result
                    .as_ref()
                    .is_err_and(|error| cause(error) == Cause::Data)
            {
                // Another process may have entered the same just now; then it is known.
                result = self.commit(&mut part).await;
            }
            match result {
                Ok(committed) => {
                    self.context.probe.progress.entered();
                    let batcher = Arc::clone(self);
                    tokio::spawn(async move {
                        let result = batcher.follow_up(&part, committed).await;
                        answer(part, || result.clone());
                    });
                }
                Err(error) if cause(&error) == Cause::Data && part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.push(rest);
                    parts.push(part);
                }
                Err(error) => {
                    tracing::warn!(
                        alerts = part.len(),
                        "cannot commit a batch of alerts: {error}"
                    );
                    if cause(&error) != Cause::Data {
                        self.context.probe.progress.not_entered(&error.to_string());
                    }
                    let error = match cause(&error) {
                        Cause::Data => Failure::Data(error.to_string()),
                        Cause::Store => Failure::Store(error.to_string()),
                        Cause::Other => Failure::Other(error.to_string()),
                    };
                    answer(part, || Err(error.clone()));
                }
            }
        }
    }

    /// A commit that failed may have been one whose answer was lost: what is entered after that is as
    /// if it were redelivered.
    async fn commit(&self, batch: &mut [Waiting]) -> Result<Committed, DbErr> {
        let context = &self.context;
        let mut tries = 1;
        loop {
            let began = Instant::now();
            let deliveries: Vec<&AlertDelivery> =
                batch.iter().map(|waiting| &waiting.delivery).collect();
            let work = commit(
                &context.db,
                &context.clock,
                &self.policy,
                &context.config,
                &self.names,
                &deliveries,
            );
            let result = tokio::time::timeout(COMMIT_TIMEOUT, work)
                .await
                .unwrap_or_else(|_| {
                    let what = sea_orm::RuntimeErr::SqlxError(Arc::new(
                        sea_orm::sqlx::Error::PoolTimedOut,
                    ));
                    Err(DbErr::Conn(what))
                });
            if result.is_err() {
                for waiting in batch.iter_mut() {
                    waiting.delivery.redelivered = true;
                }
            }
            match result {
                Err(error) if cause(&error) == Cause::Store && tries < COMMIT_ATTEMPTS => {
                    tracing::debug!("retrying a batch of alerts: {error}");
                    tokio::time::sleep(Duration::from_millis(20) * tries).await;
                    tries += 1;
                }
                result => {
                    context.metrics.batch.observe(batch.len() as f64);
                    context
                        .metrics
                        .batch_seconds
                        .observe(began.elapsed().as_secs_f64());
                    return result;
                }
            }
        }
    }

    /// What must follow a commit: count, then push what is due. A push that fails is not lost: the
    /// mark stays, and recount pushes pending work. A count that fails is made when the alerts come
    /// again, and what follows it is done all the same: the marks that this batch set are of it alone.
    async fn follow_up(&self, batch: &[Waiting], mut committed: Committed) -> Result<(), Failure> {
        let mut counted = Ok(());
        if !self.context.counter.counts_rows() {
            let counter = &self.context.counter;
            let added = patiently(|| counter.add(&committed.counted)).await;
            counted = added.map_err(|error| Failure::Store(error.to_string()));
            match self.mark_again(&committed.touched, committed.at).await {
                Ok(marked) => committed.follow_up.tiers.extend(marked),
                Err(error) => counted = counted.and(Err(error)),
            }
        }
        let traces = traces(batch, &committed.incidents);
        let traces = Traces::OfIncidents(&traces);
        let follow_up = &committed.follow_up;
        follow_up.push_patiently(&self.context, traces).await;
        counted?;
        self.observe(batch, &committed.entered);
        self.log_overflow(committed.overflowed, committed.overflowed_name.as_deref());
        Ok(())
    }

    /// Says that alerts were counted together that have anomalies of their own otherwise.
    fn log_overflow(&self, alerts: u64, name: Option<&str>) {
        if alerts == 0 {
            return;
        }
        self.context.metrics.overflowed.inc_by(alerts);
        let (said, unsaid) = &*self.overflow_log;
        unsaid.fetch_add(alerts, Ordering::Relaxed);
        if said.says(()).is_some() {
            let alerts = unsaid.swap(0, Ordering::Relaxed);
            tracing::warn!(
                alerts,
                alert_name = name,
                "too many new anomalies (anomalies.per_minute, anomalies.total): alerts are counted by alert \
                 name only, as \"{OVERFLOW}\". Check for a service label with a new value in each alert"
            );
        }
    }

    /// A tier worker may have cleared a mark between our commit and our count, and so have missed
    /// what was counted: it is set again.
    async fn mark_again(&self, touched: &[Uuid], now: Timestamp) -> Result<Vec<Uuid>, Failure> {
        let db = self.context.db.write();
        let marked = patiently(|| incidents::mark_counted(db, touched, now)).await;
        marked.map_err(|error| Failure::Store(error.to_string()))
    }

    fn observe(&self, batch: &[Waiting], entered: &[Ingested]) {
        let (metrics, now) = (&self.context.metrics, self.context.clock.now());
        let mut tally = Tally::default();
        for (waiting, entered) in batch.iter().zip(entered) {
            let outcome = match entered {
                Ingested::New => Outcome::Counted,
                Ingested::Resent => Outcome::Resent,
            };
            tally.add(&waiting.delivery.source, outcome);
            let latency = now.since(waiting.delivery.received_at);
            metrics.ingest_seconds.observe(latency.as_secs_f64());
        }
        metrics.alerts.add_all(&tally);
    }
}

/// What each incident of a batch is worked on for next: the trace of its first alert in it.
fn traces(batch: &[Waiting], incidents: &[Option<Uuid>]) -> HashMap<Uuid, Trace> {
    let mut traces = HashMap::new();
    for (waiting, incident) in batch.iter().zip(incidents) {
        if let (Some(incident), Some(trace)) = (incident, waiting.trace) {
            traces.entry(*incident).or_insert(trace);
        }
    }
    traces
}

/// Why a part of a batch was not entered; the same for each of its alerts.
#[derive(Clone, Debug)]
enum Failure {
    Data(String),
    Store(String),
    Other(String),
}

impl From<Failure> for JobError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Data(why) => Self::GiveUp(format!("rejected by the database: {why}")),
            Failure::Store(why) => Self::RetryAfter {
                after: STORE_DELAY,
                why,
            },
            Failure::Other(why) => Self::Retry(why),
        }
    }
}

fn answer(part: Vec<Waiting>, result: impl Fn() -> Result<(), Failure>) {
    for waiting in part {
        // A handler that timed out is not there any more; its job is delivered again.
        let _ = waiting.answer.send(result().map_err(JobError::from));
    }
}
