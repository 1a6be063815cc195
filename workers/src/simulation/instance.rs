//! One Tocsin for one simulation: its real routes and workers on a temporary SQLite file, and a clock that stands
//! still. Nothing is sent: messages are recorded.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tocsin::config::{AnalysisSettings, Config, ModelSettings, Secret, Span};
use tocsin::context::Context;
use tocsin::queue::sql::{Outlook, outlook};
use tocsin::time::Timestamp;
use tocsin::web::{Gate, Ingress, router};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::notifiers::recorder::{Recording, recorders};
use crate::{fleet, recount, workers_with};

/// How long the workers may take for what follows from one step, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether they are done.
const LOOK: Duration = Duration::from_millis(2);
/// An answer is shorter.
const ANSWER: usize = 64 << 20;
/// A page of a list.
const PAGE: usize = 200;

/// One Tocsin for one simulation.
pub(super) struct Instance {
    pub(super) context: Context,
    pub(super) recording: Recording,
    ingress: Ingress,
    router: Router,
    stop: CancellationToken,
    fleet: JoinHandle<()>,
}

/// A temporary folder for one database, which is removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    /// A new one.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn new() -> anyhow::Result<Self> {
        let name = format!("tocsin-simulation-{}", Uuid::now_v7().simple());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Removes it now.
    pub fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }

    fn database(&self) -> String {
        self.0.join("simulation.db").display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Instance {
    /// Starts one, at that moment, with these settings of people who want to know what they would do.
    pub(super) async fn start(
        config: Config,
        at: Timestamp,
        folder: &Folder,
    ) -> anyhow::Result<Self> {
        let config = alone(config, folder);
        let context = Box::pin(Context::simulated(config, at)).await?;
        let recording = Recording::default();
        let workers = workers_with(&context, recorders(&context.config, &recording));
        let ingress = Ingress::new(context.clone(), Arc::new(Gate::default()));
        let stop = CancellationToken::new();
        let run = fleet::run(workers, stop.clone(), Duration::from_secs(5));
        Ok(Self {
            router: router(&ingress),
            fleet: tokio::spawn(run),
            ingress,
            context,
            recording,
            stop,
        })
    }

    /// Stops it.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.fleet.await?;
        self.ingress.late.finish().await;
        self.ingress.refusals.finish().await;
        self.context.db.close().await?;
        Ok(())
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// Time passes.
    pub(super) fn advance_to(&self, at: Timestamp) {
        self.context.clock.advance(at.since(self.now()));
    }

    /// What the queues have left to do.
    pub(super) async fn outlook(&self) -> anyhow::Result<Outlook> {
        Ok(outlook(&self.context.db, &self.context.clock).await?)
    }

    /// Waits until the workers have done all that is due now.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let busy = self.outlook().await?.busy;
            if busy == 0 {
                return Ok(());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{busy} jobs are not done after {PATIENCE:?}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the schedule starts once a minute.
    pub(super) async fn recount(&self) -> anyhow::Result<()> {
        if let Some((part, error)) = recount::parts(&self.context).await.into_iter().next() {
            bail!("recount ({}): {error}", part.name());
        }
        self.settle().await
    }

    /// Posts alerts as Alertmanager does.
    pub(super) async fn send(&self, status: &str, alerts: &[Value]) -> anyhow::Result<()> {
        let body = json!({"version": "4", "status": status, "alerts": alerts});
        self.request("POST", "/api/v1/alertmanager", Some(body))
            .await?;
        self.settle().await
    }

    /// Asks the API to do something, and waits until all that follows is done.
    pub(super) async fn act(&self, method: &str, path: &str, body: Value) -> anyhow::Result<Value> {
        let answer = self.request(method, path, Some(body)).await?;
        self.settle().await?;
        Ok(answer)
    }

    /// Asks the API.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.request("GET", path, None).await
    }

    /// A whole list.
    pub(super) async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = self.get(&format!("{path}?limit={PAGE}{cursor}")).await?;
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let base = self.context.config.base_path();
        let request = Request::builder()
            .method(method)
            .uri(format!("{base}{path}"))
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))?;
        let answer = self.router.clone().oneshot(request).await?;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), ANSWER).await?;
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        ensure!(
            status.is_success(),
            "{}",
            body["detail"].as_str().unwrap_or(status.as_str())
        );
        Ok(body)
    }
}

/// Settings that lead nowhere else: its own database, no servers, no tokens, no language model. Where messages would
/// go to the log only, they go to a chat of Telegram: that has cards, budgets and digests.
#[must_use]
pub fn alone(config: Config, folder: &Folder) -> Config {
    let mut config = Config {
        database_url: Secret::from(format!("sqlite://{}", folder.database()).as_str()),
        database_connections: 4,
        redis_url: None,
        alertmanager_url: None,
        otlp_endpoint: None,
        webhook_token: Default::default(),
        read_token: Default::default(),
        api_token: Default::default(),
        analysis: AnalysisSettings {
            model: ModelSettings::default(),
            ..config.analysis
        },
        ..config
    };
    // What is expected of a moment is said of what was sent up to then.
    config.escalation.figures = Span::secs(0);
    config.canary.every = None;
    config.heartbeat.url = None;
    config.expected = Vec::new();
    config.repairs.hooks.clear();
    config.sources.alertmanager.enabled = true;
    if config.all_channels() == ["log"] {
        config.telegram_token = Some(Secret::from("1:simulated"));
        config.telegram_chat = Some("-1".to_owned());
    }
    config
}
