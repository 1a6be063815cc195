//! One Tocsin for one test: its own database, the real routes on a free port, the real workers, and
//! a stand-in for Telegram.

mod alerts;
mod ingest;
mod on;
mod requests;
mod scratch;
mod settings;
mod template;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::Value;
use tocsin::config::{Config, Secret, Span};
use tocsin::context::Context;
use tocsin::queue::store::NewJob;
use tocsin::store::rows::statement;
use tocsin::time::Timestamp;
use tocsin::web::{ConnectionLimits, Gate, Ingress, router, serve};
use tocsin_workers::fleet::{self, Worker};
use tocsin_workers::{recount, test_sender, workers};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::redis_keys::RedisKeys;
use crate::telegram::Telegram;
pub use alerts::{alert, body, firing, resolved};
pub use ingest::ingest_one;
pub use on::On;
pub use requests::{answer, number};
pub use scratch::Scratch;
pub use settings::{LEVELS_BY_COUNTS, at_once, levels_by_counts};
pub use waiting::QUEUED;

pub struct Harness {
    pub context: Context,
    pub telegram: Telegram,
    pub url: String,
    pub http: reqwest::Client,
    pub gate: Arc<Gate>,
    stop: CancellationToken,
    parts: JoinSet<()>,
    fleet: (CancellationToken, JoinSet<()>),
    finished: bool,
    scratch: Scratch,
}

impl Harness {
    pub async fn start(on: On) -> Self {
        Self::start_with(on, |_| {}).await
    }

    /// With other settings than the defaults.
    pub async fn start_with(on: On, set: impl FnOnce(&mut Config)) -> Self {
        let mut h = Box::pin(Self::without_workers(on, set)).await;
        h.work(workers(&h.context));
        h
    }

    /// While no other test runs.
    pub async fn start_alone_with(on: On, set: impl FnOnce(&mut Config)) -> Self {
        let mut h = Box::pin(Self::open(Scratch::alone(on).await, set)).await;
        h.work(workers(&h.context));
        h
    }

    /// Without anybody who works.
    pub async fn without_workers(on: On, set: impl FnOnce(&mut Config)) -> Self {
        Box::pin(Self::open(Scratch::new(on).await, set)).await
    }

    /// Without anybody who works, on a database whose statistics are its own, while no other test runs.
    pub async fn with_own_database(on: On, set: impl FnOnce(&mut Config)) -> Self {
        Box::pin(Self::open(Scratch::with_own_database(on).await, set)).await
    }

    async fn open(scratch: Scratch, set: impl FnOnce(&mut Config)) -> Self {
        let telegram = Telegram::start().await;
        let mut config = Config {
            telegram_token: Some(Secret::from("1:token")),
            telegram_chat: Some("-100".to_owned()),
            telegram_api: telegram.url.clone(),
            telegram: at_once(),
            ..scratch.config(12)
        };
        // Tests that are not about bursts see each message at once.
        config.notify.settle = Span(Duration::ZERO);
        // And those that are not about flapping may have anything fire often.
        config.flapping.start = 0;
        // And those that are not about analyses count edits of cards.
        config.analysis.enabled = false;
        set(&mut config);
        let context = Context::open(config).await.unwrap();
        let stop = CancellationToken::new();
        let mut parts = JoinSet::new();
        let gate = Arc::new(Gate::default());
        let url = serve_on_free_port(&context, &gate, &mut parts, &stop).await;
        Self {
            context,
            telegram,
            url,
            http: tocsin::tls::client().build().unwrap(),
            gate,
            stop,
            parts,
            fleet: (CancellationToken::new(), JoinSet::new()),
            finished: false,
            scratch,
        }
    }

    /// Starts these workers.
    pub fn work(&mut self, workers: Vec<Worker>) {
        let (stop, running) = &mut self.fleet;
        running.spawn(fleet::run(workers, stop.clone(), Duration::from_secs(5)));
    }

    /// Stops the workers, as they stop to be replaced by another version.
    pub async fn stop_working(&mut self) {
        let (stop, running) = &mut self.fleet;
        stop.cancel();
        while running.join_next().await.is_some() {}
        *stop = CancellationToken::new();
    }

    /// Pauses a queue, or has it go on.
    pub async fn pause(&self, queue: &str, is_paused: bool) {
        let store = self.context.queues.store();
        store.set_paused(queue, is_paused).await.unwrap();
    }

    /// Ends the test: drains, stops, and makes sure that nothing is left.
    pub async fn finish(mut self) {
        self.drain().await;
        assert_eq!(
            self.sql("SELECT count(*) FROM dead_letters").await,
            0,
            "dead letters"
        );
        self.finish_with_dead_letters().await;
    }

    /// Ends a test that made dead letters on purpose.
    pub async fn finish_with_dead_letters(&mut self) {
        self.drain().await;
        let owed = "SELECT count(*) FROM notifications WHERE state IN ('owed', 'sending')";
        assert_eq!(self.sql(owed).await, 0, "messages are owed");
        let edits = "SELECT count(*) FROM notifications WHERE edit_due_since IS NOT NULL";
        assert_eq!(self.sql(edits).await, 0, "cards are due to be edited");
        let due = "SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL";
        assert_eq!(self.sql(due).await, 0, "incidents are due for a tier");
        let due = "SELECT count(*) FROM incidents WHERE analyze_due_since IS NOT NULL \
                   OR status = 'ANALYZING'";
        assert_eq!(self.sql(due).await, 0, "incidents are due to be analyzed");
        self.leave().await;
    }

    /// Ends a test that leaves jobs behind on purpose.
    pub async fn leave(&mut self) {
        self.stop_working().await;
        self.stop.cancel();
        while self.parts.join_next().await.is_some() {}
        self.finished = true;
    }

    /// Time passes, for the whole instance.
    pub fn advance(&self, by: Duration) {
        self.context.clock.advance(by);
    }

    /// Queues a dead letter's job once more as it was before it was replayed, as if the process that buried it had
    /// died before it was removed.
    pub async fn push_again_under_its_first_number(&self, letter: &Value) {
        let job = NewJob {
            queue: "ingest",
            id: letter["id"].as_str().unwrap().parse().unwrap(),
            payload: letter["payload"].to_string(),
            ..NewJob::default()
        };
        match &self.scratch.redis {
            Some(keys) => keys.add_unanswered(&job, 1),
            None => {
                let unanswered = "INSERT INTO jobs (id, queue, payload, run_at, enqueued_at, deliveries, \
                                      lease_owner, lease_until) VALUES ($1, 'ingest', $2, 0, 0, 1, 'gone', 0)";
                let db = &self.context.db;
                let sql = statement(
                    db.backend(),
                    unanswered,
                    [job.id.into(), job.payload.into()],
                );
                db.write().execute_raw(sql).await.unwrap();
            }
        }
    }

    /// Loses the jobs of a queue, as a Redis that lost its data would.
    pub async fn lose(&self, queue: &str) {
        match &self.scratch.redis {
            Some(keys) => {
                let names = ["stream", "delayed", "ids"];
                let names = names.map(|name| format!("{}:{{{queue}}}:{name}", keys.prefix));
                let mut delete = redis::cmd("DEL");
                delete.arg(&names).exec(&mut keys.connect()).unwrap();
            }
            None => {
                self.execute(&format!("DELETE FROM jobs WHERE queue = '{queue}'"))
                    .await;
            }
        }
    }

    /// Deletes everything that this instance has in Redis.
    pub fn flush_redis(&self) {
        self.scratch.redis.as_ref().unwrap().flush().unwrap();
    }

    /// The keys in Redis, where it takes part.
    pub const fn redis(&self) -> Option<&RedisKeys> {
        self.scratch.redis.as_ref()
    }

    /// What the schedule would start.
    pub async fn recount(&self) {
        recount::decay(&self.context).await.unwrap();
        recount::expire_stale(&self.context).await.unwrap();
        recount::end_mutes(&self.context).await.unwrap();
        recount::end_flapping(&self.context).await.unwrap();
        recount::settle_doubts(&self.context).await.unwrap();
        recount::judge(&self.context).await.unwrap();
        recount::push_overdue(&self.context, false).await.unwrap();
        recount::prune(&self.context).await.unwrap();
        self.drain().await;
    }

    /// Now, by this instance's clock.
    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.finished, "end the test with finish()");
        }
    }
}

/// Serves an ingress until `stop`; returns its address.
pub async fn serve_on_free_port(
    context: &Context,
    gate: &Arc<Gate>,
    parts: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> String {
    let mut ingress = Ingress::new(context.clone(), Arc::clone(gate));
    ingress.test_sender = Some(test_sender(context));
    serve_ingress_on_free_port(ingress, parts, stop).await
}

/// The same, of this ingress.
pub async fn serve_ingress_on_free_port(
    ingress: Ingress,
    parts: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stopped = stop.clone();
    let bounds = ConnectionLimits {
        connections: 900,
        anonymous: 900,
        proxies: Arc::default(),
        patience: Duration::from_secs(5),
    };
    parts.spawn(async move {
        serve(listener, router(&ingress), stopped, bounds)
            .await
            .unwrap();
    });
    url
}
