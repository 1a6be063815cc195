//! Health and metrics.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Ingress, Problem};
use crate::context::Context;
use crate::jobs::QUEUES;
use crate::metrics::ByQueue;
use crate::probe::{Takes, recount};
use crate::redis::Memory;
use crate::store::{dead_letters, maintenance};

/// How long a part may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);
/// The type of what `/metrics` answers.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// That a process runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// That a process can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Always `ready`.
    status: &'static str,
    /// How long ago the last recount began that was done, in seconds; null if none was. More than 180 means
    /// that none is done any more.
    recount_age_seconds: Option<u64>,
    /// Problems that will make it unready if nobody acts, for a person.
    warnings: Vec<String>,
}

/// Checks that the process runs.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "alive",
    tag = "health",
    responses((status = OK, description = "The process runs", body = Health)),
)]
pub(super) async fn alive() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Checks that the process is ready.
///
/// A row is written to the store, and to Redis where the queue is there, at most once a second for all who
/// ask.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    tag = "health",
    responses(
        (status = OK, description = "The process is ready", body = Readiness),
        (
            status = SERVICE_UNAVAILABLE,
            description = "Not ready: the process is stopping, or what `detail` names does not respond or rejects writes",
        ),
    ),
)]
pub(super) async fn ready(State(ingress): State<Ingress>) -> Result<Json<Readiness>, Problem> {
    if ingress.gate.is_stopping() {
        return Err(Problem::unavailable("not ready: stopping"));
    }
    let context = &ingress.context;
    let found = context.probe.look(context).await;
    let not_ready: Vec<String> = [("store", found.store), ("queue", found.queue)]
        .into_iter()
        .filter_map(|(name, takes)| match takes {
            Takes::All => None,
            Takes::Nothing => Some(format!("{name} rejects writes")),
            Takes::Silent => Some(name.to_owned()),
        })
        .collect();
    if !not_ready.is_empty() {
        let detail = format!("not ready: {}", not_ready.join(", "));
        return Err(Problem::unavailable(detail));
    }
    Ok(Json(Readiness {
        status: "ready",
        recount_age_seconds: found.recount.map(|ago| ago.as_secs()),
        warnings: found
            .memory
            .and_then(short_of)
            .into_iter()
            .chain(stuck(context))
            .collect(),
    }))
}

/// What is said where alerts are taken and not counted. They are safe, so it is no reason to take no more.
fn stuck(context: &Context) -> Option<String> {
    // What the store says names its insides; whoever may read the log sees it there.
    let (lasts, _) = context.probe.is_stuck()?;
    let seconds = lasts.as_secs();
    Some(format!(
        "no alert was stored for {seconds} s: alerts stay queued; the log has the reason"
    ))
}

/// What is said of a queue whose memory is nearly full.
pub(super) fn short_of(memory: Memory) -> Option<String> {
    let percent = memory.percent();
    let said = "of Redis' maxmemory is used: at 100% webhooks are answered with 503";
    memory
        .is_nearly_full()
        .then(|| format!("{percent}% {said}"))
}

/// Returns metrics of the process and of the queues.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "health",
    responses((
        status = OK,
        description = "Metrics in the OpenMetrics text format",
        body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )),
)]
pub(super) async fn metrics(State(ingress): State<Ingress>) -> impl IntoResponse {
    let context = &ingress.context;
    let look = async {
        look_at_queues(context).await;
        look_at_dead_letters(context).await;
        if let Ok(memory) = context.queues.store().memory().await {
            let ratio = memory.map_or(0.0, Memory::ratio);
            context.metrics.redis_memory.set(ratio);
        }
        if let Ok(age) = recount(context).await {
            let age = age.unwrap_or_default().as_secs_f64();
            context.metrics.recount_seconds.set(age);
        }
    };
    if tokio::time::timeout(PATIENCE, look).await.is_err() {
        tracing::warn!("queue metrics are stale: the queue's store does not respond");
    }
    (
        [(header::CONTENT_TYPE, OPENMETRICS)],
        context.metrics.encode(),
    )
}

async fn look_at_queues(context: &Context) {
    for queue in QUEUES {
        let Ok(depth) = context.queues.store().depth(queue).await else {
            continue;
        };
        let (by, metrics) = (ByQueue { queue }, &context.metrics);
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.ready.get_or_create(&by).set(gauge(depth.ready));
        metrics.delayed.get_or_create(&by).set(gauge(depth.delayed));
        metrics
            .in_flight
            .get_or_create(&by)
            .set(gauge(depth.in_flight));
        metrics.workers.get_or_create(&by).set(gauge(depth.workers));
        metrics.paused.get_or_create(&by).set(depth.paused.into());
        let oldest = Duration::from_millis(depth.oldest_age_ms.unwrap_or(0));
        metrics
            .oldest_seconds
            .get_or_create(&by)
            .set(oldest.as_secs_f64());
    }
}

async fn look_at_dead_letters(context: &Context) {
    let db = context.db.read();
    let (Ok(now), Ok(standing)) = (maintenance::now(db).await, dead_letters::standing(db).await)
    else {
        return;
    };
    let now = context.clock.of_store(now);
    for queue in QUEUES {
        let of_queue = standing.iter().find(|(name, ..)| name == queue);
        let (letters, oldest) = of_queue.map_or((0, now), |(_, letters, at)| (*letters, *at));
        let (by, metrics) = (ByQueue { queue }, &context.metrics);
        metrics.dead.get_or_create(&by).set(letters);
        metrics
            .dead_seconds
            .get_or_create(&by)
            .set(now.since(oldest).as_secs_f64());
    }
}
