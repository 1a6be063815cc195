//! One consumer of one queue: the jobs that it holds, and the tasks that run beside the apalis worker.
//!
//! | task | does | every |
//! |---|---|---|
//! | fetcher | takes over expired leases, then fetches; never more than there are free slots | when slots are free; idle: 5 to 100 ms, up to 500 ms where many ask one Redis |
//! | acker | writes dead letters, then settles answers, in batches | when a handler answered |
//! | lease renewal | extends the leases of the jobs in flight | a third of a lease |
//! | promotion | makes delayed jobs ready whose time has come | 1 s |
//! | heartbeat | reports that the consumer is alive, and its figures | 5 s, from the start on |
//!
//! They run until the process stops. An error of the store is logged, counted and retried with backoff.

mod acker;
mod answers;
mod backoff;
mod fetcher;
mod handle;
mod inbox;
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
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::metrics::{ByQueue, Metrics};
use crate::telemetry::spans::Tracer;
use crate::time::Clock;
pub(super) use answers::Outcome;
use answers::{Ack, of};
pub use handle::JobHandle;
pub(super) use inbox::Inbox;
pub use running::Running;
use slots::Slots;

/// A database that has not answered a trivial transaction by then counts as unavailable.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Store errors of one kind are logged at most once in this time: calls are made many times a second.
const FAILURE_LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Dead letters are logged at most once in this time: one request may cause thousands.
const DEAD_LETTER_LOG_INTERVAL: Duration = Duration::from_secs(1);

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
    /// These two are looked up once, because every job is counted in them.
    took: Histogram,
    done: Counter,
    in_flight: Mutex<Slots>,
    /// Consumers of the queue at the last look, this one included; 0 where polling costs nothing extra.
    peers: AtomicU64,
    /// Limits the log of store errors.
    failures: LogThrottle<&'static str>,
    /// Limits the log of dead letters.
    buried: LogThrottle<()>,
    /// Held while settling or extending: both lock many rows in different orders and would deadlock.
    settling: tokio::sync::Mutex<()>,
    freed: Notify,
    acks: mpsc::UnboundedSender<Ack>,
    stopping: CancellationToken,
    stopped: CancellationToken,
}

/// What a consumer is built from.
#[derive(Clone)]
pub struct Parts {
    /// The queues.
    pub queues: Queues,
    /// The database, for dead letters.
    pub db: Db,
    /// The process's clock.
    pub clock: Clock,
    /// The process's metrics.
    pub metrics: Arc<Metrics>,
    /// Whether alerts are being counted.
    pub progress: Arc<IngestProgress>,
    /// The queue's policy.
    pub policy: Policy,
    /// Exports the jobs' spans.
    pub tracer: Tracer,
}

impl Consumer {
    /// Starts a consumer and returns its jobs. See [`super::backend::JobBackend::start`].
    pub(super) fn start(name: String, parts: Parts) -> (Inbox, Running) {
        let policy = parts.policy;
        let (acks, answered) = mpsc::unbounded_channel();
        let (slots, fetched) = mpsc::channel(policy.concurrency);
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
            failures: LogThrottle::new(FAILURE_LOG_INTERVAL),
            buried: LogThrottle::new(DEAD_LETTER_LOG_INTERVAL),
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
            consumer: Arc::clone(&consumer),
            tasks: running,
        };
        (Inbox::new(consumer, fetched), running)
    }

    fn peers(&self) -> u64 {
        self.peers.load(Ordering::Relaxed)
    }

    pub(super) const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn observe(&self, took: Duration) {
        self.took.observe(took.as_secs_f64());
    }

    /// Whether the database begins and ends a transaction right now.
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

    /// Frees the slots of answered jobs. A job that was delivered again before its answer was confirmed keeps the
    /// slot of its new delivery.
    fn release<'a>(&self, answered: impl Iterator<Item = &'a Arc<JobHandle>>) {
        let mut in_flight = self.in_flight();
        answered.for_each(|held| in_flight.release(held));
        drop(in_flight);
        self.freed.notify_one();
    }
}

/// When a lease expires that was requested at `asked_at`. The store's own end is later, because it starts the
/// lease when the request arrives.
fn lease_end(asked_at: Instant) -> Instant {
    asked_at + LEASE
}
