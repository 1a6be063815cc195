//! The consumer with the real apalis worker, started as the fleet starts it, on both databases.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apalis_core::task::data::Data;
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use serde::{Deserialize, Serialize};
use tocsin::context::Context;
use tocsin::entity::dead_letters;
use tocsin::jobs::{About, Job, JobError, Policy, Subject};
use tocsin::queue::consumer::JobHandle;
use tocsin::queue::list::List;
use tocsin::queue::store::{Depth, NewJob};
use tocsin::queue::{Push, Queues};
use tocsin::store::rows::statement;
use tocsin::telemetry::metrics::ByQueue;
use tocsin_workers::fleet::{self, Worker};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::unreliable::Unreliable;
use crate::harness::{On, Scratch};

mod drain;
mod lists;
mod outages;
mod outcomes;
mod payload_size;
mod suspects;
mod unreliable;

const ERRANDS: &str = "errands";
const BACKOFF: Duration = Duration::from_millis(40);
/// What the errands that a worker holds may weigh.
const HELD: usize = 100_000;

/// A job that a test gives a handler to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Errand<const SLOTS: usize = 8, const TIMEOUT_MS: u64 = 30_000> {
    n: u32,
}

impl<const SLOTS: usize, const TIMEOUT_MS: u64> About for Errand<SLOTS, TIMEOUT_MS> {
    fn subject(&self) -> Option<Subject> {
        None
    }
}

impl<const SLOTS: usize, const TIMEOUT_MS: u64> Job for Errand<SLOTS, TIMEOUT_MS> {
    const POLICY: Policy = Policy {
        queue: ERRANDS,
        concurrency: SLOTS,
        in_flight_bytes: HELD,
        attempts: 3,
        backoff: BACKOFF,
        max_backoff: Duration::from_secs(1),
        timeout: Duration::from_millis(TIMEOUT_MS),
    };
}

/// One database, one queue in it, and its worker.
struct Scene {
    context: Context,
    store: Arc<Unreliable>,
    stop: CancellationToken,
    fleet: JoinSet<()>,
    scratch: Scratch,
}

impl Scene {
    async fn new(on: On) -> Self {
        let scratch = Scratch::new(on).await;
        let mut context = Context::open(scratch.config(6)).await.unwrap();
        let store = Arc::new(Unreliable::new(Arc::clone(context.queues.store())));
        context.queues = Queues::new(Arc::clone(&store) as _);
        Self {
            context,
            store,
            stop: CancellationToken::new(),
            fleet: JoinSet::new(),
            scratch,
        }
    }

    /// Starts the worker; a drain may take `drain`.
    fn start<J, F, Fut>(&mut self, drain: Duration, handler: F)
    where
        J: Job,
        F: Fn(J, Arc<JobHandle>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let handler = move |job: J, held: Data<Arc<JobHandle>>, _: Data<()>| handler(job, held.0);
        let worker = Worker::new(&self.context, (), handler);
        self.fleet
            .spawn(fleet::run(vec![worker], self.stop.clone(), drain));
    }

    /// Starts a worker whose handler gets lists.
    fn start_lists<J, F, Fut>(&mut self, drain: Duration, handler: F)
    where
        J: Job,
        F: Fn(List<J>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let handler = move |list: List<J>, _: Data<()>| handler(list);
        let worker = Worker::of_lists(&self.context, (), handler);
        self.fleet
            .spawn(fleet::run(vec![worker], self.stop.clone(), drain));
    }

    /// Stops the worker and waits until it has drained.
    async fn stop(&mut self) {
        self.stop.cancel();
        self.drained().await;
        self.stop = CancellationToken::new();
    }

    /// Waits until nobody fetches any more: an idle worker does so every 100 ms at the least. Counts
    /// looks, not time, in which a busy machine may let nobody run.
    async fn nobody_fetches(&self) {
        let asked = || self.store.asked.load(Ordering::SeqCst);
        let (mut before, mut looks) = (asked(), 0);
        eventually("nobody fetches", async || {
            looks = if asked() == before { looks + 1 } else { 0 };
            before = asked();
            looks == 100
        })
        .await;
    }

    async fn drained(&mut self) {
        while let Some(ended) = self.fleet.join_next().await {
            ended.unwrap();
        }
    }

    /// Pushes errands of these numbers, in one push.
    async fn push(&self, numbers: impl IntoIterator<Item = u32>) {
        let errands: Vec<Errand> = numbers.into_iter().map(|n| Errand { n }).collect();
        let queues = Queues::new(Arc::clone(&self.store.inner));
        queues
            .push_all(errands.iter().map(Push::new))
            .await
            .unwrap();
    }

    /// Time passes, for the queue's store.
    fn advance(&self, by: Duration) {
        self.context.clock.advance(by);
        self.scratch.age(by);
    }

    /// Pushes this payload; returns the job's id.
    async fn push_raw(&self, payload: &str) -> Uuid {
        let job = raw(payload);
        self.push_job(&job).await;
        job.id
    }

    async fn push_job(&self, job: &NewJob) {
        let store = &self.store.inner;
        store.push(std::slice::from_ref(job)).await.unwrap();
    }

    /// An errand that was delivered so often to workers that died.
    async fn push_unanswered(&self, n: u32, deliveries: u32) -> Uuid {
        self.push_replayed(n, deliveries, 0).await
    }

    /// The same, and it was replayed so often.
    async fn push_replayed(&self, n: u32, deliveries: u32, replay: u32) -> Uuid {
        let mut job = NewJob {
            replay,
            ..raw(&format!("{{\"n\":{n}}}"))
        };
        match &self.scratch.redis {
            Some(keys) => keys.add_unanswered(&job, deliveries),
            None => {
                job.delay = Duration::from_secs(3600);
                self.push_job(&job).await;
                self.hold_unanswered(job.id, deliveries).await;
            }
        }
        job.id
    }

    async fn hold_unanswered(&self, id: Uuid, deliveries: u32) {
        let sql =
            "UPDATE jobs SET lease_owner = 'gone', lease_until = 0, deliveries = $1 WHERE id = $2";
        let db = &self.context.db;
        let sql = statement(db.backend(), sql, [i64::from(deliveries).into(), id.into()]);
        let held = db.write().execute_raw(sql).await.unwrap();
        assert_eq!(held.rows_affected(), 1);
    }

    async fn depth(&self) -> Depth {
        self.store.inner.depth(ERRANDS).await.unwrap()
    }

    /// Waits until nothing is queued.
    async fn done(&self) {
        eventually("the queue is empty", async || {
            let depth = self.depth().await;
            depth.ready + depth.delayed + depth.in_flight == 0
        })
        .await;
    }

    /// Asserts that the worker is the one that was started, not one that had to follow it.
    async fn is_the_first_worker(&self) {
        eventually("it is heard of", async || self.depth().await.workers > 0).await;
        assert_eq!(self.depth().await.workers, 1);
    }

    async fn dead(&self) -> Vec<dead_letters::Model> {
        let dead = dead_letters::Entity::find().order_by_asc(dead_letters::Column::Payload);
        dead.all(self.context.db.read()).await.unwrap()
    }

    async fn sql(&self, sql: &str) {
        let db = self.context.db.write();
        db.execute_unprepared(sql).await.unwrap();
    }

    fn store_errors(&self) -> u64 {
        let queue = ByQueue { queue: ERRANDS };
        self.context
            .metrics
            .store_errors
            .get_or_create(&queue)
            .get()
    }
}

fn raw(payload: &str) -> NewJob {
    NewJob {
        queue: ERRANDS,
        id: Uuid::now_v7(),
        payload: payload.to_owned(),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        ..NewJob::default()
    }
}

/// Waits until `holds`, for half a minute at most.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// [`eventually`], for what can be seen without waiting.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What handlers write down, in order.
#[derive(Clone)]
struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Log<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn add(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    fn entries(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    async fn has(&self, n: usize) {
        until("handlers begin", || self.entries().len() >= n).await;
    }
}

/// Shut until it is opened, for all who wait.
#[derive(Clone, Default)]
struct Gate(CancellationToken);

impl Gate {
    fn open(&self) {
        self.0.cancel();
    }

    async fn pass(&self) {
        self.0.cancelled().await;
    }
}
