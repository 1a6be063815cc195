//! Tocsin on machines that lose their power: each has a runtime of its own, and to lose the power
//! is to drop that with whatever runs on it, in the middle of what it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tocsin::config::{Config, Secret, Span};
use tocsin::context::Context;
use tocsin::queue::store::LEASE;
use tocsin::time::{Clock, Timestamp};
use tocsin::web::{ConnectionLimits, Gate, Ingress, router, serve};
use tocsin_workers::{fleet, recount, workers};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::oracle::Received;
use crate::harness::{On, Scratch, at_once};
use crate::process::PATIENCE;
use crate::telegram::Telegram;

/// What a machine does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Ingress,
    Work,
    Both,
}

/// One machine.
struct Machine {
    runtime: Option<Runtime>,
    context: Context,
    /// What its ingress stamps alerts with: by another clock than that which the workers have, so
    /// that alerts of a month can be received in a second.
    receives_at: Clock,
    url: String,
    part: Part,
}

impl Machine {
    async fn start(part: Part, config: Config, ahead: Duration, receives_at: Clock) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let clock = receives_at.clone();
        let started = runtime.spawn(async move {
            let context = Context::open(config).await.unwrap();
            context.clock.advance(ahead);
            let mut url = String::new();
            if part != Part::Work {
                let context = Context {
                    clock,
                    ..context.clone()
                };
                url = ingress(context).await;
            }
            if part != Part::Ingress {
                let fleet = workers(&context);
                tokio::spawn(fleet::run(fleet, CancellationToken::new(), Duration::ZERO));
            }
            (context, url)
        });
        let (context, url) = started.await.unwrap();
        Self {
            runtime: Some(runtime),
            context,
            receives_at,
            url,
            part,
        }
    }

    /// What it did, it did; nothing else happens any more.
    async fn lose_power(mut self) -> (Part, Clock) {
        let (runtime, left) = (
            self.runtime.take().unwrap(),
            (self.part, self.receives_at.clone()),
        );
        drop(self);
        let off = move || runtime.shutdown_timeout(Duration::from_secs(10));
        tokio::task::spawn_blocking(off).await.unwrap();
        left
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn ingress(context: Context) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ingress = Ingress::new(context, Arc::new(Gate::default()));
    let forever = CancellationToken::new();
    let bounds = ConnectionLimits {
        connections: 900,
        anonymous: 900,
        proxies: Arc::default(),
        patience: Duration::ZERO,
    };
    tokio::spawn(async move {
        let served = serve(listener, router(&ingress), forever, bounds);
        served.await.unwrap();
    });
    url
}

/// Machines that share a store.
pub struct Machines {
    machines: Vec<Machine>,
    pub telegram: Telegram,
    http: reqwest::Client,
    config: Config,
    /// How far the workers' clocks are ahead of the computer's.
    ahead: Duration,
    scratch: Scratch,
}

impl Machines {
    /// With workers for whom it is `now`.
    pub async fn start(on: On, now: i64, set: impl FnOnce(&mut Config)) -> Self {
        let (scratch, telegram) = (Scratch::new(on).await, Telegram::start().await);
        let mut config = Config {
            telegram_token: Some(Secret::from("1:token")),
            telegram_chat: Some("-100".to_owned()),
            telegram_api: telegram.url.clone(),
            telegram: at_once(),
            ..scratch.config(6)
        };
        config.notify.settle = Span(Duration::ZERO);
        set(&mut config);
        let mut machines = Self {
            machines: Vec::new(),
            telegram,
            http: tocsin::tls::client().build().unwrap(),
            config,
            ahead: Timestamp(now).since(Timestamp::now()),
            scratch,
        };
        let parts: &[Part] = match on {
            // A SQLite file serves one process.
            On::Sqlite => &[Part::Both],
            On::Postgres | On::Fleet => &[Part::Ingress, Part::Ingress, Part::Work, Part::Work],
        };
        for part in parts {
            machines.add(*part, Clock::default()).await;
        }
        machines
    }

    async fn add(&mut self, part: Part, receives_at: Clock) {
        let machine = Machine::start(part, self.config.clone(), self.ahead, receives_at).await;
        self.machines.push(machine);
    }

    fn which(&self, is: impl Fn(Part) -> bool) -> Vec<usize> {
        let machines = 0..self.machines.len();
        machines.filter(|n| is(self.machines[*n].part)).collect()
    }

    /// The ingresses there are.
    pub fn ingresses(&self) -> Vec<usize> {
        self.which(|part| part != Part::Work)
    }

    /// One of the machines that work loses its power, and another takes its place. What it held
    /// expires.
    pub async fn lose_one(&mut self, which: usize) {
        let working = self.which(|part| part != Part::Ingress);
        let (part, receives_at) = self
            .machines
            .remove(working[which % working.len()])
            .lose_power()
            .await;
        self.advance(LEASE + Duration::from_secs(1));
        self.scratch.age(LEASE + Duration::from_secs(1));
        self.add(part, receives_at).await;
    }

    fn advance(&mut self, by: Duration) {
        self.ahead += by;
        for machine in &self.machines {
            machine.context.clock.advance(by);
        }
    }

    /// It is `now` for the workers; what the schedule would start runs, and levels that do not hold have
    /// not held for long enough to fall.
    pub async fn look_after(&mut self, now: i64) {
        self.advance(Timestamp(now).since(self.context().clock.now()));
        recount::settle_doubts(self.context()).await.unwrap();
        recount::decay(self.context()).await.unwrap();
        let long_ago = "UPDATE anomalies SET falling_since = 0 WHERE falling_since IS NOT NULL";
        let db = self.context().db.write();
        db.execute_unprepared(long_ago).await.unwrap();
        recount::decay(self.context()).await.unwrap();
        recount::push_overdue(self.context(), true).await.unwrap();
        self.drain().await;
    }

    /// A machine that works, as the others see the store.
    pub fn context(&self) -> &Context {
        let working = self.which(|part| part != Part::Ingress);
        &self.machines[working[0]].context
    }

    /// Posts alerts to an ingress as if they arrived in this slot.
    pub async fn send(&self, ingress: usize, slot_begins: i64, alerts: &[&Received]) {
        self.receive_at(ingress, slot_begins);
        let alerts: Vec<Value> = alerts.iter().map(|told| told.to_json()).collect();
        let body = json!({"version": "4", "status": "firing", "alerts": alerts});
        let answer = self.post(ingress, "/api/v1/alertmanager", None, body).await;
        assert_eq!(answer["processed"], alerts.len(), "{answer}");
    }

    /// An ingress' clock goes on to this moment, unless it is past it.
    pub fn receive_at(&self, ingress: usize, moment: i64) {
        let clock = &self.machines[ingress].receives_at;
        clock.advance(Timestamp(moment).since(clock.now()));
    }

    /// Posts to an ingress, and again while it cannot take it.
    pub async fn post(
        &self,
        ingress: usize,
        path: &str,
        idempotency_key: Option<&str>,
        body: Value,
    ) -> Value {
        let url = format!("{}{path}", self.machines[ingress].url);
        let began = Instant::now();
        loop {
            let mut request = self.http.post(&url).json(&body);
            if let Some(key) = idempotency_key {
                request = request.header("idempotency-key", key);
            }
            let response = request.send().await.unwrap();
            let status = response.status();
            let answer = response.json().await.unwrap();
            if status.is_success() {
                return answer;
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {answer}");
            assert!(began.elapsed() < PATIENCE, "{path}: {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a queue is empty.
    pub async fn drained(&self, queue: &str) {
        let began = Instant::now();
        loop {
            let depth = self.context().queues.store().depth(queue).await.unwrap();
            if depth.ready + depth.delayed + depth.in_flight == 0 {
                return;
            }
            let waited = began.elapsed();
            assert!(waited < PATIENCE, "{queue} does not drain: {depth:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs what is queued until nothing is: no queue is fed by one that is behind it.
    pub async fn drain(&self) {
        for queue in ["ingest", "repair", "tier", "notify"] {
            self.drained(queue).await;
        }
    }
}
