//! One Tocsin for one test: its own database, the real routes on a free port, the real workers, and
//! a stand-in for Telegram.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, DatabaseTransaction, DbBackend, Statement};
use serde_json::{Value, json};
use tocsin::config::{Config, Secret, Span, TelegramSettings};
use tocsin::context::Context;
use tocsin::domain::escalation::{Level, Rule};
use tocsin::domain::frequency::Window;
use tocsin::jobs::QUEUES;
use tocsin::queue::store::NewJob;
use tocsin::store::rows::statement;
use tocsin::time::Timestamp;
use tocsin::web::{Bounds, Gate, Ingress, router, serve};
use tocsin_workers::fleet::{self, Worker};
use tocsin_workers::{recount, workers};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::process;
use crate::redis_keys::RedisKeys;
use crate::telegram::Telegram;

/// How the harness asks whether jobs are left where the database has the queues.
pub const QUEUED: &str = "SELECT count(*) FROM jobs";

/// What a test runs on: a database, or a database and Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
    Fleet,
}

/// Writes each test once and runs it on both databases.
#[macro_export]
macro_rules! on_both {
    ($(async fn $name:ident($on:ident) $body:block)*) => {
        $crate::on!(sqlite Sqlite: $($name)*);
        $crate::on!(postgres Postgres: $($name)*);
        $( async fn $name($on: $crate::harness::On) $body )*
    };
}

/// Writes each test once and runs it on all three combinations.
#[macro_export]
macro_rules! on_all {
    ($(async fn $name:ident($on:ident) $body:block)*) => {
        $crate::on!(sqlite Sqlite: $($name)*);
        $crate::on!(postgres Postgres: $($name)*);
        $crate::on!(fleet Fleet: $($name)*);
        $( async fn $name($on: $crate::harness::On) $body )*
    };
}

/// Writes each test once and runs it on the combinations that serve several processes.
#[macro_export]
macro_rules! on_servers {
    ($(async fn $name:ident($on:ident) $body:block)*) => {
        $crate::on!(postgres Postgres: $($name)*);
        $crate::on!(fleet Fleet: $($name)*);
        $( async fn $name($on: $crate::harness::On) $body )*
    };
}

/// Tests of one combination, in a module of its name.
#[macro_export]
macro_rules! on {
    ($module:ident $on:ident: $($name:ident)*) => {
        mod $module {
            $( #[tokio::test(flavor = "multi_thread")]
               async fn $name() { super::$name($crate::harness::On::$on).await } )*
        }
    };
}

/// A database of a test's own, and keys in Redis where it takes part. Dropped with its folder, or
/// with the server.
pub struct Scratch {
    pub url: String,
    pub redis: Option<RedisKeys>,
    folder: Option<PathBuf>,
    _turn: Option<Box<dyn Send + Sync>>,
}

impl Scratch {
    /// For a test that runs beside others.
    pub async fn new(on: On) -> Self {
        let turn = process::beside_others().await;
        let mut scratch = Self::in_turn(on).await;
        scratch._turn = Some(Box::new(turn));
        scratch
    }

    /// For a test whose bounds mean something only while the cores are its own.
    pub async fn alone(on: On) -> Self {
        let turn = process::alone().await;
        let mut scratch = Self::in_turn(on).await;
        scratch._turn = Some(Box::new(turn));
        scratch
    }

    /// For a test that has its turn already.
    pub async fn in_turn(on: On) -> Self {
        let name = format!("t_{}", Uuid::now_v7().simple());
        match on {
            On::Sqlite => {
                let folder = std::env::temp_dir().join(format!("tocsin-{name}"));
                std::fs::create_dir_all(&folder).unwrap();
                Self {
                    url: format!("sqlite://{}/tocsin.db", folder.display()),
                    redis: None,
                    folder: Some(folder),
                    _turn: None,
                }
            }
            On::Postgres | On::Fleet => {
                let server = postgres_url();
                let db = Database::connect(&server).await.unwrap();
                let create = format!("CREATE SCHEMA {name}");
                db.execute_unprepared(&create).await.unwrap();
                db.close().await.unwrap();
                Self {
                    url: format!("{server}?options=-c%20search_path%3D{name}"),
                    redis: (on == On::Fleet).then(RedisKeys::in_turn),
                    folder: None,
                    _turn: None,
                }
            }
        }
    }
}

impl Scratch {
    /// The settings that lead here.
    pub fn config(&self, connections: u32) -> Config {
        let mut config = Config {
            database_url: Secret::from(self.url.as_str()),
            database_connections: connections,
            ..Config::default()
        };
        if let Some(keys) = &self.redis {
            config.redis_url = Some(Secret::from(keys.url.as_str()));
            config.redis_prefix.clone_from(&keys.prefix);
        }
        config
    }

    /// Makes what is in flight older: for SQL that is the clock's doing.
    pub fn age(&self, by: Duration) {
        if let Some(keys) = &self.redis {
            keys.age(by);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The PostgreSQL server that `./scripts/test` starts.
pub fn postgres_url() -> String {
    std::env::var("TOCSIN_TEST_POSTGRES_URL")
        .expect("TOCSIN_TEST_POSTGRES_URL is not set: run ./scripts/test, which starts a server")
}

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
        let mut h = Self::without_workers(on, set).await;
        h.work(workers(&h.context));
        h
    }

    /// While no other test runs.
    pub async fn start_alone_with(on: On, set: impl FnOnce(&mut Config)) -> Self {
        let mut h = Self::open(Scratch::alone(on).await, set).await;
        h.work(workers(&h.context));
        h
    }

    /// Without anybody who works.
    pub async fn without_workers(on: On, set: impl FnOnce(&mut Config)) -> Self {
        Self::open(Scratch::new(on).await, set).await
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

    /// Runs what is queued until nothing is.
    pub async fn drain(&self) {
        let mut wait = Wait::default();
        while self.queued().await > 0 {
            if !wait.is_patient() {
                panic!("the queues do not drain: {}", self.left().await);
            }
            wait.a_little().await;
        }
    }

    /// What is queued in the database, and when it is due, for whoever reads that it was not done.
    async fn left(&self) -> String {
        let now = self.now().0;
        let sql = format!(
            "SELECT queue || ': due in ' || (run_at - {now}) || ' ms, leased for ' || \
                 coalesce(lease_until - {now}, 0) || ' ms, attempt ' || attempt || ' ' || payload FROM jobs LIMIT 5"
        );
        let db = self.context.db.read();
        let sql = Statement::from_string(db.get_database_backend(), sql);
        let rows = db.query_all_raw(sql).await.unwrap();
        let left = rows
            .iter()
            .map(|row| row.try_get_by_index::<String>(0).unwrap());
        left.collect::<Vec<_>>().join("; ")
    }

    /// Waits until a query finds that many.
    pub async fn until(&self, sql: &str, expected: i64) {
        let mut wait = Wait::default();
        loop {
            let found = self.sql(sql).await;
            if found == expected {
                return;
            }
            assert!(
                wait.is_patient(),
                "{sql} is {found} and does not become {expected}"
            );
            wait.a_little().await;
        }
    }

    /// Waits until a statement of somebody else waits for what this transaction of PostgreSQL holds.
    pub async fn until_blocked_by(&self, holding: &DatabaseTransaction) {
        let who = Statement::from_string(holding.get_database_backend(), "SELECT pg_backend_pid()");
        let who = holding.query_one_raw(who).await.unwrap().unwrap();
        let who: i32 = who.try_get_by_index(0).unwrap();
        let blocked = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE {who} = ANY(pg_blocking_pids(pid))"
        );
        self.until(&blocked, 1).await;
    }

    /// Pauses a queue, or has it go on.
    pub async fn pause(&self, queue: &str, is_paused: bool) {
        let store = self.context.queues.store();
        store.set_paused(queue, is_paused).await.unwrap();
    }

    /// How many jobs there are, in whatever state. Queues are asked one after the other, and a job may
    /// go to one that was asked already: that there are none is seen twice.
    pub async fn queued(&self) -> u64 {
        match self.queued_at_a_glance().await {
            0 => self.queued_at_a_glance().await,
            queued => queued,
        }
    }

    async fn queued_at_a_glance(&self) -> u64 {
        if self.context.config.redis_url.is_none() {
            return self.sql(QUEUED).await.unsigned_abs();
        }
        let mut queued = 0;
        for queue in QUEUES {
            let depth = self.context.queues.store().depth(queue).await.unwrap();
            queued += depth.ready + depth.delayed + depth.in_flight;
        }
        queued
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

    /// Queues a dead letter's job once more as it was before it was replayed, as if whoever buried it had
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
        recount::close_unseen(&self.context).await.unwrap();
        recount::end_mutes(&self.context).await.unwrap();
        recount::settle_doubts(&self.context).await.unwrap();
        recount::push_overdue(&self.context, false).await.unwrap();
        recount::prune(&self.context).await.unwrap();
        self.drain().await;
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url)).json(&body);
        answer(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let response = self
            .http
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap();
        let (status, body) = answer(response).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Posts alerts as Alertmanager does, and expects all of them to be taken.
    pub async fn send(&self, alerts: Vec<Value>) {
        let n = alerts.len();
        let (status, taken) = self.post("/api/v1/alertmanager", body(&alerts)).await;
        assert_eq!((status, &taken["enqueued"]), (200, &json!(n)), "{taken}");
    }

    /// Posts alerts and waits until all that follows is done.
    pub async fn send_and_drain(&self, alerts: Vec<Value>) {
        self.send(alerts).await;
        self.drain().await;
    }

    pub async fn incidents(&self) -> Vec<Value> {
        let list = self.get("/api/v1/incidents?limit=200").await;
        list["items"].as_array().unwrap().clone()
    }

    /// The one incident that there is.
    pub async fn incident(&self) -> Value {
        let mut incidents = self.incidents().await;
        assert_eq!(incidents.len(), 1, "{incidents:#?}");
        incidents.remove(0)
    }

    /// A number that a query finds.
    pub async fn sql(&self, query: &str) -> i64 {
        number(&self.context, query).await
    }

    /// A text that a query finds.
    pub async fn sql_text(&self, query: &str) -> String {
        let db = self.context.db.read();
        let query = Statement::from_string(db.get_database_backend(), query);
        let row = db.query_one_raw(query).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Changes rows behind the instance's back.
    pub async fn execute(&self, sql: &str) {
        self.context
            .db
            .write()
            .execute_unprepared(sql)
            .await
            .unwrap();
    }

    /// Has the database look at what its tables hold. PostgreSQL does so by itself, too, and lets nobody else
    /// meanwhile; of tables that all databases share everybody's turn is waited for, so they are left out.
    pub async fn analyze(&self) {
        let db = self.context.db.write();
        let sql = if db.get_database_backend() == DbBackend::Postgres {
            let tables = "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables \
                          WHERE schemaname = current_schema()";
            format!("ANALYZE {}", self.sql_text(tables).await)
        } else {
            "ANALYZE".to_owned()
        };
        let mut wait = Wait::default();
        while let Err(error) = db.execute_unprepared(&sql).await {
            assert!(wait.is_patient(), "{sql}: {error}");
            wait.a_little().await;
        }
    }

    /// What `/metrics` says, with figures that are measured now.
    pub async fn metrics(&self) -> String {
        tocsin::telemetry::figures::pass(&self.context).await;
        self.metrics_as_they_are().await
    }

    /// What `/metrics` says, with figures as they were measured last.
    pub async fn metrics_as_they_are(&self) -> String {
        let response = self
            .http
            .get(format!("{}/metrics", self.url))
            .send()
            .await
            .unwrap();
        response.text().await.unwrap()
    }

    /// Whether the program does what it is told to do with this instance, and what it says.
    pub fn tocsin(&self, arguments: &[&str]) -> (bool, String) {
        let ended = std::process::Command::new(process::program())
            .args(arguments)
            .env("TOCSIN_URL", &self.url)
            .env("USER", "kim")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        let code = ended.status.code();
        assert!(matches!(code, Some(0 | 1)), "{arguments:?}: {code:?}");
        (code == Some(0), String::from_utf8_lossy(&said).into_owned())
    }

    /// Now, by this instance's clock.
    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }
}

/// Between two looks at what is to become true: short at first, and not so often later that looking is
/// what keeps the machine busy.
struct Wait {
    began: Instant,
    next: Duration,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: Duration::from_millis(4),
        }
    }
}

impl Wait {
    fn is_patient(&self) -> bool {
        self.began.elapsed() < process::PATIENCE
    }

    async fn a_little(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next + self.next / 2).min(Duration::from_millis(25));
    }
}

/// Levels by counts alone, however few incidents these lie in.
pub fn levels_by_counts() -> Vec<Rule> {
    let rules = [
        (Level::Repeat, Window::Hour, 3),
        (Level::Escalate, Window::Day, 5),
        (Level::PermanentFix, Window::Day, 10),
    ];
    let rule = |(level, window, count)| Rule {
        level,
        window,
        count,
        incidents: 1,
    };
    rules.map(rule).to_vec()
}

/// The same, for a process.
pub const LEVELS_BY_COUNTS: (&str, &str) = (
    "TOCSIN_ESCALATION__RULES",
    r#"[{level="REPEAT",window="1h",count=3},{level="ESCALATE",window="24h",count=5},{level="PERMANENT_FIX",window="24h",count=10}]"#,
);

/// Telegram without limits: tests that are not about them are not to be paced, and their cards are
/// edited at once.
pub fn at_once() -> TelegramSettings {
    TelegramSettings {
        fold: Span(Duration::ZERO),
        storm_above: 1_000_000,
        chat_per_second: 1_000_000,
        group_per_minute: 1_000_000,
        bot_per_second: 1_000_000,
        ..TelegramSettings::default()
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
    let ingress = Ingress::new(context.clone(), Arc::clone(gate));
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
    let bounds = Bounds {
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

pub async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

pub async fn number(context: &Context, query: &str) -> i64 {
    let db = context.db.read();
    let query = Statement::from_string(db.get_database_backend(), query);
    let row = db.query_one_raw(query).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Alerts as Alertmanager sends them.
pub fn body(alerts: &[Value]) -> Value {
    json!({"version": "4", "status": "firing", "alerts": alerts})
}

/// A firing alert of one pod, since `starts_at`.
pub fn firing(pod: &str, starts_at: Timestamp) -> Value {
    alert("CrashLooping", pod, starts_at)
}

/// A firing alert of this name.
pub fn alert(name: &str, pod: &str, starts_at: Timestamp) -> Value {
    json!({
        "status": "firing",
        "labels": {"alertname": name, "job": "checkout", "namespace": "prod", "pod": pod,
                   "reason": "CrashLoopBackOff", "severity": "critical"},
        "annotations": {"summary": format!("{name} in prod")},
        "startsAt": starts_at.to_rfc3339(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": format!("{name}-{pod}"),
    })
}

/// The same alert, over since `ends_at`.
pub fn resolved(mut alert: Value, ends_at: Timestamp) -> Value {
    alert["status"] = json!("resolved");
    alert["endsAt"] = json!(ends_at.to_rfc3339());
    alert
}
