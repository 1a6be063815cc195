//! Health and metrics.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Ingress, Problem};
use crate::domain::refusal::Code;
use crate::probe::{PartState, Paused};
use crate::queue::standstill::Standstill;
use crate::redis::Memory;
use crate::routines::{Last, Routine};
use crate::text::EN;
use crate::text::words::paused_effect;
use crate::time::Timestamp;

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
    /// The schedules, and when each last completed; null if the store does not respond.
    schedules: Option<Vec<ScheduleAge>>,
    /// Problems that make it unready unless an operator acts, as sentences.
    warnings: Vec<String>,
    /// Queues that a person paused. They do not make it unready. Null if that is not known.
    paused_queues: Option<Vec<PausedQueue>>,
}

/// A paused queue. Without the operator: this answer needs no token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PausedQueue {
    /// Its name.
    name: &'static str,
    /// Since when.
    since: Timestamp,
    /// What waits meanwhile and how to resume it, for a person.
    note: String,
}

impl From<&Paused> for PausedQueue {
    fn from(paused: &Paused) -> Self {
        let (name, since) = (paused.queue, paused.since);
        let effect = paused_effect(&EN, name);
        let note = format!(
            "the queue {name} is paused since {}: {effect} To resume: tocsin queues resume {name}",
            since.to_rfc3339()
        );
        Self { name, since, note }
    }
}

/// When a schedule last completed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduleAge {
    /// Its name.
    name: &'static str,
    /// Its interval, in seconds.
    every_seconds: u64,
    /// Age of the last completed run, from its start, in seconds; null if none completed.
    age_seconds: Option<u64>,
    /// Whether the last completed run is older than it should be.
    overdue: bool,
}

impl ScheduleAge {
    fn of((routine, ago): (Routine, Option<Duration>)) -> Self {
        Self {
            name: routine.name(),
            every_seconds: routine.every().as_secs(),
            age_seconds: ago.map(|ago| ago.as_secs()),
            overdue: ago.is_some_and(|ago| routine.is_overdue(ago)),
        }
    }
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
        return Err(Problem::new(Code::NotReady, "not ready: stopping"));
    }
    let context = &ingress.context;
    let found = context.probe.look(&context.stores()).await;
    let paused = context.probe.paused(&context.stores()).await;
    let not_ready: Vec<String> = [("store", found.store), ("queue", found.queue)]
        .into_iter()
        .filter_map(|(name, takes)| match takes {
            PartState::Up => None,
            PartState::ReadOnly => Some(format!("{name} rejects writes")),
            PartState::Unreachable => Some(name.to_owned()),
        })
        .collect();
    if !not_ready.is_empty() {
        let detail = format!("not ready: {}", not_ready.join(", "));
        return Err(Problem::new(Code::NotReady, detail));
    }
    Ok(Json(Readiness {
        status: "ready",
        schedules: found
            .last
            .map(|last| last.each().map(ScheduleAge::of).collect()),
        warnings: found
            .memory
            .and_then(short_of)
            .into_iter()
            .chain(found.standstill.as_ref().map(not_counted))
            .chain(
                context
                    .figures
                    .standing_still()
                    .into_iter()
                    .map(not_worked_on),
            )
            .chain(found.last.into_iter().flat_map(Last::overdue).map(not_done))
            .collect(),
        paused_queues: paused.map(|paused| paused.iter().map(PausedQueue::from).collect()),
    }))
}

/// What is said where alerts are taken and not counted. They are safe, so it is no reason to take no more.
fn not_counted(stands: &Standstill) -> String {
    match stands {
        // The store's own error may name tables and hosts: only the log has it.
        Standstill::Stuck { lasts, .. } => format!(
            "no alert was stored for {} s: alerts stay queued; the log has the reason",
            lasts.as_secs()
        ),
        Standstill::Idle { waits } => format!(
            "alerts have been queued for {} s, and the workers store none",
            waits.as_secs()
        ),
        Standstill::Unattended { waits } => format!(
            "alerts have been queued for {} s, and no worker is running",
            waits.as_secs()
        ),
    }
}

fn not_worked_on((queue, stands): (&str, Standstill)) -> String {
    match stands {
        Standstill::Stuck { lasts: waits, .. } | Standstill::Idle { waits } => format!(
            "{queue} jobs have been queued for {} s, and the workers complete none",
            waits.as_secs()
        ),
        Standstill::Unattended { waits } => format!(
            "{queue} jobs have been queued for {} s, and no worker is running",
            waits.as_secs()
        ),
    }
}

fn not_done((routine, ago): (Routine, Duration)) -> String {
    format!(
        "{} has not completed for {} s",
        routine.name(),
        ago.as_secs()
    )
}

/// What is said of a queue whose memory is nearly full.
pub(super) fn short_of(memory: Memory) -> Option<String> {
    let percent = memory.percent();
    let said = "of Redis' maxmemory is used: at 100% webhooks are answered with 503";
    memory
        .is_nearly_full()
        .then(|| format!("{percent}% {said}"))
}

/// Returns metrics of the process, and of the stores as they were some seconds ago. It asks no store, so it
/// responds however much is queued, and while a store does not.
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
    context.figures.export(&context.metrics);
    (
        [(header::CONTENT_TYPE, OPENMETRICS)],
        context.metrics.encode(),
    )
}
