//! One consumer of one queue: what it holds, and the tasks that work beside the apalis worker.
//!
//! | task | does | every |
//! |---|---|---|
//! | fetcher | takes over expired leases, then fetches; never more than there are free slots | when slots are free; idle: 5 to 100 ms, up to 500 ms where many ask one Redis |
//! | acker | buries what is given up, then settles, many at once | when something was answered |
//! | lease renewal | extends the leases of what is in flight | a third of a lease |
//! | promotion | makes due retries ready | 1 s |
//! | heartbeat | says that the consumer is there, and how it is | 5 s, from the start on |
//!
//! None of them ends while the process runs: a store that cannot be reached is logged, counted and
//! tried again with backoff.

mod acker;
mod answers;
mod backoff;
mod fetcher;
mod handle;
mod running;
mod slots;
mod upkeep;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Queues;
use super::about::WorkerInfo;
use super::progress::IngestProgress;
use super::store::LEASE;
use crate::jobs::Policy;
use crate::store::{Db, maintenance};
use crate::telemetry::metrics::{ByQueue, Metrics};
use crate::telemetry::seldom::LogThrottle;
use crate::telemetry::spans::Tracer;
use crate::time::Clock;
pub(super) use answers::Outcome;
use answers::{Ack, of};
pub use handle::JobHandle;
pub use running::Running;
use slots::Slots;

/// How long a database that answers takes to say what time it is.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// How often the log says of one kind that the store fails: it is tried many times a second.
const FAILURES_SAID: Duration = Duration::from_secs(60);
/// How often a dead letter is logged: one request may make thousands.
const BURIED_SAID: Duration = Duration::from_secs(1);

/// One consumer of one queue.
pub struct Consumer {
    pub(super) policy: Policy,
    name: String,
    about: WorkerInfo,
    queues: Queues,
    db: Db,
    clock: Clock,
    metrics: Arc<Metrics>,
    progress: Arc<IngestProgress>,
    pub(super) tracer: Tracer,
    /// Looked up once: every job is counted in these.
    took: Histogram,
    done: Counter,
    in_flight: Mutex<Slots>,
    /// How many consumers the queue had when that was looked at last, where that matters.
    peers: AtomicU64,
    /// What the store did not do, in the log.
    failures: LogThrottle<&'static str>,
    /// Dead letters, in the log.
    buried: LogThrottle<()>,
    /// Settling and extending take turns: both lock many rows, and in no common order.
    settling: tokio::sync::Mutex<()>,
    freed: Notify,
    acks: mpsc::UnboundedSender<Ack>,
    stopping: CancellationToken,
    stopped: CancellationToken,
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
    pub progress: Arc<IngestProgress>,
    /// How the jobs are run.
    pub policy: Policy,
    /// Where it is said what is worked on.
    pub tracer: Tracer,
}

impl Consumer {
    /// Starts a consumer, and hands out its jobs. See [`super::backend::JobBackend::start`].
    pub(super) fn start(name: String, parts: Parts) -> (mpsc::Receiver<Arc<JobHandle>>, Running) {
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
            about: WorkerInfo::this_process(policy.concurrency, parts.clock.now()),
            queues: parts.queues,
            db: parts.db,
            clock: parts.clock,
            took: parts.metrics.job_seconds.get_or_create_owned(&by),
            done: parts.metrics.jobs.get_or_create_owned(&done),
            metrics: parts.metrics,
            progress: parts.progress,
            tracer: parts.tracer,
            in_flight: Mutex::default(),
            peers: AtomicU64::default(),
            failures: LogThrottle::new(FAILURES_SAID),
            buried: LogThrottle::new(BURIED_SAID),
            settling: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
            acks,
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
        });
        let mut running = JoinSet::new();
        running.spawn(fetcher::run(Arc::clone(&consumer), slots));
        running.spawn(acker::run(Arc::clone(&consumer), answered));
        running.spawn(upkeep::renew_leases(Arc::clone(&consumer)));
        running.spawn(upkeep::promote_due(Arc::clone(&consumer)));
        running.spawn(upkeep::send_heartbeats(Arc::clone(&consumer)));
        let running = Running {
            consumer,
            tasks: running,
        };
        (tasks, running)
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

    /// Whether the database answers, and takes what is written, right now.
    pub(super) async fn store_answers(&self) -> bool {
        let request = async {
            let tx = self.db.begin().await?;
            maintenance::now(&tx).await?;
            tx.rollback().await
        };
        let answered = tokio::time::timeout(ANSWERS_WITHIN, request).await;
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

/// When a lease that was taken or extended just now runs out, to be on the safe side.
fn lease_end(asked_at: Instant) -> Instant {
    asked_at + LEASE
}
