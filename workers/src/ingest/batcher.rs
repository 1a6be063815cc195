//! A batcher: commits what waits for one part of the anomalies in one transaction, then does what must follow, and
//! answers for each alert.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::domain::aggregation::{Due, Ingested, Policy};
use tocsin::domain::episode::AlertDelivery;
use tocsin::domain::names::Names;
use tocsin::domain::signature::OVERFLOW;
use tocsin::jobs::JobError;
use tocsin::outbox::{Traces, patiently};
use tocsin::queue::ack::panic_message;
use tocsin::queue::list::Unanswered;
use tocsin::store::error::{Cause, STORE_DELAY, cause};
use tocsin::store::incidents;
use tocsin::store::ingest::{Committed, commit};
use tocsin::telemetry::log_throttle::LogThrottle;
use tocsin::telemetry::metrics::{Outcome, Tally};
use tocsin::telemetry::trace_context::Trace;
use tocsin::time::Timestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

/// How long a commit may take before the store counts as gone.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a batch is tried on the spot when the store asks for it (a deadlock, a lock).
const COMMIT_ATTEMPTS: u32 = 3;

/// An alert that is to be entered.
pub(super) struct Waiting {
    /// Boxed, because batches are sorted and split.
    pub(super) delivery: Box<AlertDelivery>,
    pub(super) answer: Unanswered,
}

/// Commits the deliveries of one part of the anomalies.
pub(super) struct Batcher {
    pub(super) context: Context,
    pub(super) policy: Policy,
    /// How many new anomalies there is room for.
    pub(super) names: Arc<Names>,
    /// Says that there is none, and of how many alerts it was not said yet.
    pub(super) overflow_log: Arc<(LogThrottle<()>, AtomicU64)>,
}

impl Batcher {
    pub(super) async fn run(self: Arc<Self>, mut queue: mpsc::UnboundedReceiver<Vec<Waiting>>) {
        let most = self.context.config.ingest.batch;
        let mut waiting = Vec::with_capacity(most);
        loop {
            if waiting.is_empty() {
                let Some(more) = queue.recv().await else {
                    return;
                };
                waiting.extend(more);
            }
            while waiting.len() < most
                && let Ok(more) = queue.try_recv()
            {
                waiting.extend(more);
            }
            // Nobody waits for an answer about a job that was given up; it comes again.
            waiting.retain(|w: &Waiting| w.answer.is_awaited());
            if waiting.is_empty() {
                continue;
            }
            waiting.sort_by_key(|w: &Waiting| (w.delivery.received_at, w.delivery.job));
            // What does not fit goes first into the next batch, and not into a small one of its own.
            let rest = waiting.split_off(waiting.len().min(most));
            self.pass(std::mem::replace(&mut waiting, rest)).await;
        }
    }

    /// Commits what is waiting. What must follow a commit does so while the next batch is on its way,
    /// and then answers. A batch that fails on data, or panics, is split until only the alert that is to
    /// blame fails.
    async fn pass(self: &Arc<Self>, waiting: Vec<Waiting>) {
        let mut parts = vec![waiting];
        while let Some(mut part) = parts.pop() {
            let mut result = self.try_commit(&mut part).await;
            if part.len() == 1 && matches!(result, Err(Failure::Data(_))) {
                // Another process may have entered the same just now; then it is known.
                result = self.try_commit(&mut part).await;
            }
            match result {
                Ok(committed) => {
                    self.context.probe.progress.entered();
                    let batcher = Arc::clone(self);
                    tokio::spawn(async move {
                        let result = batcher.follow_up(&part, committed).await;
                        answer(part, &result);
                    });
                }
                Err(failure) if failure.is_of_one() && part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.push(rest);
                    parts.push(part);
                }
                Err(failure) => {
                    tracing::warn!(
                        alerts = part.len(),
                        "cannot commit a batch of alerts: {failure}"
                    );
                    if !failure.is_of_one() {
                        let progress = &self.context.probe.progress;
                        progress.not_entered(&failure.to_string());
                    }
                    answer(part, &Err(failure));
                }
            }
        }
    }

    /// Commits a batch; a panic is a failure as well.
    async fn try_commit(&self, batch: &mut [Waiting]) -> Result<Committed, Failure> {
        let committed = AssertUnwindSafe(self.commit(batch)).catch_unwind().await;
        match committed {
            Ok(result) => result.map_err(|error| Failure::of(&error)),
            Err(panic) => {
                // It may have committed before that.
                mark_redelivered(batch);
                let message = panic_message(&*panic);
                Err(Failure::Panic(format!("panicked: {message}")))
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
                batch.iter().map(|waiting| &*waiting.delivery).collect();
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
                mark_redelivered(batch);
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
            match self.mark_again(&committed.touched).await {
                Ok(marked) => {
                    for incident in marked {
                        let due = committed.touched.get(&incident);
                        let due = due.map_or(Due::Soon, |(due, _)| *due);
                        committed.follow_up.made_due([incident], due);
                    }
                }
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
    async fn mark_again(
        &self,
        touched: &HashMap<Uuid, (Due, Timestamp)>,
    ) -> Result<Vec<Uuid>, Failure> {
        let db = self.context.db.write();
        let due = touched.iter().map(|(id, (_, at))| (*id, *at)).collect();
        let marked = patiently(|| incidents::mark_counted(db, &due)).await;
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
        if let (Some(incident), Some(trace)) = (incident, waiting.answer.trace()) {
            traces.entry(*incident).or_insert(trace);
        }
    }
    traces
}

/// Why a part of a batch was not entered; the same for each of its alerts.
#[derive(Clone, Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Data(String),
    #[error("{0}")]
    Store(String),
    #[error("{0}")]
    Other(String),
    #[error("{0}")]
    Panic(String),
}

impl Failure {
    fn of(error: &DbErr) -> Self {
        let said = error.to_string();
        match cause(error) {
            Cause::Data => Self::Data(said),
            Cause::Store => Self::Store(said),
            Cause::Other => Self::Other(said),
        }
    }

    /// Whether one alert of the batch is to blame, and the others can be entered without it.
    const fn is_of_one(&self) -> bool {
        matches!(self, Self::Data(_) | Self::Panic(_))
    }
}

impl From<Failure> for JobError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Data(why) => Self::GiveUp(format!("rejected by the database: {why}")),
            Failure::Store(why) => Self::RetryAfter {
                after: STORE_DELAY,
                why,
            },
            Failure::Other(why) | Failure::Panic(why) => Self::Retry(why),
        }
    }
}

fn mark_redelivered(batch: &mut [Waiting]) {
    for waiting in batch {
        waiting.delivery.redelivered = true;
    }
}

fn answer(part: Vec<Waiting>, result: &Result<(), Failure>) {
    for waiting in part {
        waiting
            .answer
            .answer(result.clone().map_err(JobError::from));
    }
}
