//! Queues: in figures, with who works on them; paused and resumed.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::json;

use super::auth::Caller;
use super::incidents::By;
use super::pages::Page;
use super::{Ingress, Problem, body};
use crate::jobs::QUEUES;
use crate::queue::about::Known;
use crate::queue::store::{Depth, LEASE};
use crate::store::{audit, dead_letters, losses};

const PAUSE: &str = "queue.pause";
const RESUME: &str = "queue.resume";

/// A worker that was not heard of for so long does nothing any more, and its jobs are offered to others.
const LIVE_MS: u64 = LEASE.as_millis() as u64;

/// A queue as it is answered.
#[derive(Debug, Serialize)]
pub(super) struct View {
    name: &'static str,
    #[serde(flatten)]
    depth: Depth,
    /// Who paused it: by their own account, else by their token.
    paused_by: Option<String>,
    /// Dead letters that nobody has dealt with.
    dead: u64,
    /// Jobs that waited in a Redis that lost its data.
    lost: u64,
    /// Jobs that are done per second, by all workers together.
    rate: f64,
    /// Jobs that all workers together run at once.
    concurrency: usize,
    /// The workers.
    consumers: Vec<Known>,
}

async fn view(ingress: &Ingress, name: &'static str) -> Result<View, Problem> {
    let context = &ingress.context;
    let (store, db) = (context.queues.store(), context.db.read());
    let (depth, consumers) = (store.depth(name).await?, store.consumers(name).await?);
    let by = match depth.paused {
        true => audit::beginning(db, name, PAUSE, RESUME).await?,
        false => None,
    };
    let is_live = |known: &&Known| known.seen_ms_ago < LIVE_MS;
    let live = || consumers.iter().filter(is_live).map(|known| &known.about);
    Ok(View {
        name,
        depth,
        paused_by: by.map(|deed| deed.operator.unwrap_or(deed.actor)),
        dead: dead_letters::count(db, name).await?,
        lost: losses::of_queue(db, name).await?,
        rate: live().map(|about| about.rate).sum(),
        concurrency: live().map(|about| about.concurrency).sum(),
        consumers,
    })
}

pub(super) async fn list(State(ingress): State<Ingress>) -> Result<Json<Page<View>>, Problem> {
    let mut views = Vec::with_capacity(QUEUES.len());
    for name in QUEUES {
        views.push(view(&ingress, name).await?);
    }
    Ok(Json(Page::whole(views)))
}

pub(super) async fn pause(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    set_paused(&ingress, &name, true, caller, body).await
}

pub(super) async fn resume(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    set_paused(&ingress, &name, false, caller, body).await
}

async fn set_paused(
    ingress: &Ingress,
    name: &str,
    paused: bool,
    Caller(mut actor): Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let known = QUEUES.into_iter().find(|queue| *queue == name);
    let name = known.ok_or_else(|| {
        Problem::not_found(format!(
            "there is no such queue; there are {}",
            QUEUES.join(", ")
        ))
    })?;
    let By { operator } = body::json(body).await?;
    actor.operator = operator.filter(|operator| !operator.is_empty());
    let context = &ingress.context;
    let deed = audit::Deed {
        action: if paused { PAUSE } else { RESUME },
        target: name,
        detail: json!({}),
    };
    audit::record(context.db.write(), &actor, deed, context.clock.now()).await?;
    context.queues.store().set_paused(name, paused).await?;
    Ok(Json(view(ingress, name).await?))
}
