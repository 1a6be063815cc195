//! Queues: in figures, with who works on them; paused and resumed.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::incidents::By;
use super::queue_name::QueueCursor;
use crate::jobs::QUEUES;
use crate::operations::queue;
use crate::queue::about::WorkerStatus;
use crate::queue::store::{Depth, LEASE};
use crate::store::audit::{self, Action};
use crate::store::{dead_letters, losses};
use crate::web::auth::Caller;
use crate::web::paging::{self, Page};
use crate::web::query::Query;
use crate::web::{Ingress, Problem, body};

/// A worker without a heartbeat for a lease counts as dead: others take its jobs.
const LIVE_MS: u64 = LEASE.as_millis() as u64;

/// A queue as it is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(super) struct View {
    /// Its name.
    name: &'static str,
    #[serde(flatten)]
    depth: Depth,
    /// Who paused it: the operator's name, else the token.
    paused_by: Option<String>,
    /// Dead letters that are neither replayed nor discarded.
    dead: u64,
    /// Queued jobs that were lost when Redis lost its data.
    lost: u64,
    /// Jobs that are done per second, by all workers together.
    rate: f64,
    /// Jobs that all workers together run at once.
    concurrency: usize,
    /// The workers.
    consumers: Vec<WorkerStatus>,
}

async fn view(ingress: &Ingress, name: &'static str) -> Result<View, Problem> {
    let context = &ingress.context;
    let (store, db) = (context.queues.store(), context.db.view());
    let (depth, consumers) = (store.depth(name).await?, store.consumers(name).await?);
    let by = match depth.paused {
        true => audit::beginning(db, name, Action::PauseQueue, Action::ResumeQueue).await?,
        false => None,
    };
    let is_live = |known: &&WorkerStatus| known.seen_ms_ago < LIVE_MS;
    let live = || consumers.iter().filter(is_live).map(|known| &known.about);
    Ok(View {
        name,
        depth,
        paused_by: by.map(|entry| entry.operator.unwrap_or(entry.actor)),
        dead: dead_letters::count(db, name).await?,
        lost: losses::of_queue(db, name).await?,
        rate: live().map(|about| about.rate).sum(),
        concurrency: live().map(|about| about.concurrency).sum(),
        consumers,
    })
}

/// Query of the queues.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QueueQuery {
    /// Start of the page: `next_cursor` of the previous page.
    #[param(value_type = Option<QueueCursor>, inline)]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists queues and their workers, in processing order.
#[utoipa::path(
    get,
    path = "/queues",
    operation_id = "list_queues",
    tag = "queues",
    params(QueueQuery),
    responses((status = OK, description = "A page of queues", body = Page<View>)),
)]
pub(super) async fn list(
    State(ingress): State<Ingress>,
    Query(query): Query<QueueQuery>,
) -> Result<Json<Page<View>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let place = |cursor: &str| QUEUES.iter().position(|name| *name == cursor);
    let before = paging::cursor(query.cursor.as_deref(), place)?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX) + 1;
    let mut views = Vec::with_capacity(QUEUES.len());
    let names = QUEUES.into_iter().skip(before.map_or(0, |place| place + 1));
    for name in names.take(most) {
        views.push(view(&ingress, name).await?);
    }
    Ok(Json(Page::new(views, limit, |view| view.name.to_owned())))
}

/// Pauses a queue: new jobs are accepted, but wait.
///
/// Has no effect if it is paused already.
#[utoipa::path(
    post,
    path = "/queues/{name}/pause",
    operation_id = "pause_queue",
    tag = "queues",
    params(("name" = String, Path, description = "The queue's name, for instance `notify`")),
    request_body = Option<By>,
    responses((status = OK, description = "The queue as it is now", body = View)),
)]
pub(super) async fn pause(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let name = queue::named(&name)?;
    let By { operator } = body::json(body).await?;
    queue::pause(&ingress.context, &caller.named(operator), name).await?;
    Ok(Json(view(&ingress, name).await?))
}

/// Resumes a queue.
///
/// Has no effect if it is not paused.
#[utoipa::path(
    post,
    path = "/queues/{name}/resume",
    operation_id = "resume_queue",
    tag = "queues",
    params(("name" = String, Path, description = "The queue's name, for instance `notify`")),
    request_body = Option<By>,
    responses((status = OK, description = "The queue as it is now", body = View)),
)]
pub(super) async fn resume(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let name = queue::named(&name)?;
    let By { operator } = body::json(body).await?;
    queue::resume(&ingress.context, &caller.named(operator), name).await?;
    Ok(Json(view(&ingress, name).await?))
}
