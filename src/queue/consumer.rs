//! One consumer of one queue: what it holds, and the tasks that work beside the apalis worker.
//!
//! | task | does | every |
//! |---|---|---|
//! | fetcher | takes over expired leases, then fetches; never more than there are free slots | when slots are free; idle: 5 to 100 ms, up to 500 ms where many ask one Redis |
//! | acker | buries what is given up, then settles, many at once | when something was answered |
//! | leaser | holds what is in flight for another lease | a third of a lease |
//! | janitor | makes due retries ready | 1 s |
//! | herald | says that the consumer is there, and how it is | 5 s, from the start on |
//!
//! None of them ends while the process runs: a store that cannot be reached is logged, counted and
//! tried again with backoff.

mod acker;
mod fetcher;
mod keeper;
mod slots;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use rand::RngExt as _;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use slots::Slots;

use super::Queues;
use super::about::About;
use super::backend::JobBackend;
use super::store::{Answer, Delivery, FailedAttempt, LEASE, Lease};
use crate::jobs::{Job, JobError, Policy};
use crate::probe::Probe;
use crate::store::{Db, maintenance};
use crate::telemetry::metrics::{ByOutcome, ByQueue, Metrics};
use crate::telemetry::seldom::Seldom;
use crate::telemetry::spans::Tracer;
use crate::telemetry::trace_context::Trace;
use crate::time::{Clock, Timestamp};

/// How long a database that answers takes to say what time it is.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A job that this consumer holds. Handlers find it in the task's data.
#[derive(Debug)]
pub struct JobHandle {
    /// Which delivery of which job.
    pub lease: Lease,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    /// Attempts that failed before this one.
    pub failed: Vec<FailedAttempt>,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// When it was pushed.
    pub enqueued_at: Timestamp,
    /// Whether it was put off before, whatever for.
    pub put_off: bool,
    /// Whether its handler waits for the store alone.
    pub waits: AtomicBool,
}

impl JobHandle {
    fn new(job: Delivery) -> Self {
        Self {
            lease: job.lease,
            payload: job.payload,
            failed: job.failed,
            trace_id: job.trace_id,
            enqueued_at: job.enqueued_at,
            put_off: job.put_off,
            waits: AtomicBool::new(false),
        }
    }

    /// From now on its handler only waits for the store, together with others: if that takes too long, it
    /// costs no attempt.
    pub fn wait_for_store(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// The trace that it was pushed in.
    #[must_use]
    pub fn trace(&self) -> Option<Trace> {
        Trace::decode(self.trace_id.as_deref()?)
    }

    /// The job's id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.lease.id
    }

    /// Whether it may have been run before: delivered and not answered, or put off.
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.lease.delivery > 1 || self.lease.replay > 0 || self.put_off || !self.failed.is_empty()
    }
}

/// What a handler came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    Failed(JobError),
}

/// What the acker does about it.
enum Verdict {
    Settle(Answer),
    Bury {
        reason: String,
        failed: Vec<FailedAttempt>,
    },
    /// It was buried before, and is still there.
    Forget,
}

struct Ack {
    held: Arc<JobHandle>,
    verdict: Verdict,
    durable: Option<oneshot::Sender<()>>,
}

/// How often the log says of one kind that the store fails: it is tried many times a second.
const FAILURES_SAID: Duration = Duration::from_secs(60);
/// How often the log tells of a dead letter: one request may make thousands.
const BURIED_SAID: Duration = Duration::from_secs(1);

/// One consumer of one queue.
pub struct Consumer {
    pub(super) policy: Policy,
    name: String,
    about: About,
    queues: Queues,
    db: Db,
    clock: Clock,
    metrics: Arc<Metrics>,
    probe: Arc<Probe>,
    pub(super) tracer: Tracer,
    /// Looked up once: every job is counted in these.
    took: Histogram,
    done: Counter,
    in_flight: Mutex<Slots>,
    /// How many consumers the queue had when that was looked at last, where that matters.
    peers: AtomicU64,
    /// What the store did not do, in the log.
    failures: Seldom<&'static str>,
    /// Dead letters, in the log.
    buried: Seldom<()>,
    /// Settling and extending take turns: both lock many rows, and in no common order.
    settling: tokio::sync::Mutex<()>,
    freed: Notify,
    acks: mpsc::UnboundedSender<Ack>,
    stopping: CancellationToken,
    stopped: CancellationToken,
}

/// A consumer's tasks, as who started them holds them.
pub struct Running {
    consumer: Arc<Consumer>,
    tasks: JoinSet<()>,
}

/// What a consumer is built from.
#[derive(Clone)]
pub struct Parts {
    /// Where the jobs are.
    pub queues: Queues,
    /// Where dead letters go.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the work meets.
    pub probe: Arc<Probe>,
    /// How the jobs are run.
    pub policy: Policy,
    /// Where it is said what is worked on.
    pub tracer: Tracer,
}

impl Consumer {
    /// Starts a consumer called `name` (a new name for every start) of `J`'s queue.
    #[must_use]
    pub fn start<J: Job>(name: String, parts: Parts) -> (JobBackend<J>, Running) {
        let policy = parts.policy;
        let (acks, answered) = mpsc::unbounded_channel();
        let (slots, tasks) = mpsc::channel(policy.concurrency);
        let (by, done) = (
            ByQueue {
                queue: policy.queue,
            },
            of(policy.queue, "done"),
        );
        let consumer = Arc::new(Self {
            policy,
            name,
            about: About::this_process(policy.concurrency, parts.clock.now()),
            queues: parts.queues,
            db: parts.db,
            clock: parts.clock,
            took: parts.metrics.job_seconds.get_or_create_owned(&by),
            done: parts.metrics.jobs.get_or_create_owned(&done),
            metrics: parts.metrics,
            probe: parts.probe,
            tracer: parts.tracer,
            in_flight: Mutex::default(),
            peers: AtomicU64::default(),
            failures: Seldom::new(FAILURES_SAID),
            buried: Seldom::new(BURIED_SAID),
            settling: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
            acks,
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
        });
        let mut running = JoinSet::new();
        running.spawn(fetcher::run(Arc::clone(&consumer), slots));
        running.spawn(acker::run(Arc::clone(&consumer), answered));
        running.spawn(keeper::lease(Arc::clone(&consumer)));
        running.spawn(keeper::promote(Arc::clone(&consumer)));
        running.spawn(keeper::herald(Arc::clone(&consumer)));
        let running = Running {
            consumer: Arc::clone(&consumer),
            tasks: running,
        };
        (JobBackend::new(tasks, consumer), running)
    }

    /// How many consumers the queue had when that was looked at last, this one among them; 0 if never.
    fn peers(&self) -> u64 {
        self.peers.load(Ordering::Relaxed)
    }

    pub(super) const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn observe(&self, took: Duration) {
        self.took.observe(took.as_secs_f64());
    }

    /// Answers for `held`; returns when the answer is durable, or is not ours to give any more.
    pub(super) async fn answer(&self, held: Arc<JobHandle>, outcome: Outcome) {
        let verdict = match outcome {
            Outcome::Done => {
                self.done.inc();
                Verdict::Settle(Answer::Remove)
            }
            Outcome::Failed(error) => self.judge(&held, error),
        };
        let (durable, wait) = oneshot::channel();
        self.send(held, verdict, Some(durable));
        // An error means that the acker has ended: the process stops, and the lease will run out.
        let _ = wait.await;
    }

    pub(super) fn give_back(&self, held: Arc<JobHandle>) {
        self.send(held, Verdict::Settle(Answer::GiveBack), None);
    }

    pub(super) fn bury_undecodable(&self, held: Arc<JobHandle>, error: &serde_json::Error) {
        self.bury(held, format!("cannot parse the payload: {error}"));
    }

    fn bury(&self, held: Arc<JobHandle>, reason: String) {
        let failed = held.failed.clone();
        self.count("dead");
        self.send(held, Verdict::Bury { reason, failed }, None);
    }

    fn judge(&self, held: &JobHandle, error: JobError) -> Verdict {
        let queue = self.policy.queue;
        match error {
            JobError::RetryAfter { after, why } => {
                self.count("delayed");
                tracing::debug!(queue, job.id = %held.id(), "deferred for {after:?}: {why}");
                Verdict::Settle(Answer::Again {
                    delay: after,
                    failed: held.failed.clone(),
                })
            }
            JobError::Retry(error) => {
                let mut failed = held.failed.clone();
                failed.push(self.failure(&error));
                let attempts = failed.len();
                if attempts >= self.policy.attempts as usize {
                    self.count("dead");
                    let reason = format!("failed {attempts} times, the last time: {error}");
                    return Verdict::Bury { reason, failed };
                }
                self.count("failed");
                tracing::warn!(queue, job.id = %held.id(), attempts, "a job failed, will retry: {error}");
                let delay = backoff(&self.policy, attempts);
                Verdict::Settle(Answer::Again { delay, failed })
            }
            JobError::GiveUp(reason) => {
                self.count("dead");
                let mut failed = held.failed.clone();
                failed.push(self.failure(&reason));
                Verdict::Bury { reason, failed }
            }
        }
    }

    fn failure(&self, error: &str) -> FailedAttempt {
        FailedAttempt {
            at: self.clock.now(),
            // PostgreSQL's JSON cannot hold NUL, and an error may quote what was sent.
            error: error.replace('\0', "\u{fffd}"),
        }
    }

    fn send(&self, held: Arc<JobHandle>, verdict: Verdict, durable: Option<oneshot::Sender<()>>) {
        // The acker ends after everything else; if it has, the lease will run out.
        let _ = self.acks.send(Ack {
            held,
            verdict,
            durable,
        });
    }

    fn count(&self, outcome: &'static str) {
        let outcome = of(self.policy.queue, outcome);
        self.metrics.jobs.get_or_create(&outcome).inc();
    }

    /// Whether the database answers, and takes what is written, right now.
    pub(super) async fn store_answers(&self) -> bool {
        let asked = async {
            let tx = self.db.begin().await?;
            maintenance::now(&tx).await?;
            tx.rollback().await
        };
        let answered = tokio::time::timeout(ANSWERS_WITHIN, asked).await;
        answered.is_ok_and(|answered| answered.is_ok())
    }

    fn store_failed(&self, what: &'static str, error: &dyn std::fmt::Display) {
        let queue = self.policy.queue;
        self.metrics
            .store_errors
            .get_or_create(&ByQueue { queue })
            .inc();
        if let Some(more) = self.failures.says(what) {
            tracing::warn!(queue, more, "cannot {what}, will retry: {error}");
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, Slots> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Frees the slots of what was answered. A job that came back before its answer was confirmed
    /// keeps the slot of its new delivery.
    fn release<'a>(&self, answered: impl Iterator<Item = &'a Arc<JobHandle>>) {
        let mut in_flight = self.in_flight();
        answered.for_each(|held| in_flight.release(held));
        drop(in_flight);
        self.freed.notify_one();
    }
}

impl Running {
    /// Stops fetching. What runs goes on.
    pub fn stop(&self) {
        self.consumer.stopping.cancel();
    }

    /// Gives back what is still held, settles what was answered, ends the tasks, and is no worker any
    /// more.
    pub async fn finish(mut self) {
        self.stop();
        self.consumer.stopped.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.give_back().await;
        self.consumer.leave().await;
    }

    async fn give_back(&self) {
        let left: Vec<(Lease, Answer)> = {
            let in_flight = self.consumer.in_flight();
            in_flight
                .iter()
                .map(|entry| (entry.held.lease, Answer::GiveBack))
                .collect()
        };
        if left.is_empty() {
            return;
        }
        let (store, queue) = (self.consumer.queues.store(), self.consumer.policy.queue);
        tracing::info!(
            queue,
            jobs = left.len(),
            "releasing jobs that did not finish"
        );
        if let Err(error) = store.settle(queue, &self.consumer.name, &left).await {
            self.consumer.store_failed("release jobs", &error);
        }
    }
}

const fn of(queue: &'static str, outcome: &'static str) -> ByOutcome {
    ByOutcome { queue, outcome }
}

/// Doubles with every failed attempt, up to the policy's most, plus or minus a quarter.
fn backoff(policy: &Policy, attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(20);
    let delay = policy
        .backoff
        .saturating_mul(1 << doublings)
        .min(policy.max_backoff);
    delay.mul_f64(rand::rng().random_range(0.75..1.25))
}

/// Pauses that grow while a store cannot be reached.
struct Patience(Duration);

impl Patience {
    const LEAST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_secs(2);

    const fn new() -> Self {
        Self(Self::LEAST)
    }

    const fn succeeded(&mut self) {
        self.0 = Self::LEAST;
    }

    async fn failed(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::MOST);
    }
}

/// When a lease that was taken or extended just now runs out, to be on the safe side.
fn lease_end(asked_at: Instant) -> Instant {
    asked_at + LEASE
}
