//! Replaying and discarding many dead letters.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::Span;
use crate::operations::dead_letter::{self, Selection};
use crate::store::audit::Actor;
use crate::time::Timestamp;
use crate::web::api::queue_name::QueueName;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body};

/// Which letters, and what else there is to say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Letters)]
pub(in crate::web) struct BulkRequest {
    /// Of this queue.
    #[schema(value_type = Option<QueueName>, inline)]
    queue: Option<String>,
    /// With this text in the reason, in whatever case.
    reason: Option<BoundedText>,
    /// With this text in payload or reason, in whatever case.
    q: Option<BoundedText>,
    /// Failed longer ago than this, for example `7d`.
    #[schema(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    older_than: Option<Span>,
    /// Failed within this time, for example `1h`.
    #[serde(alias = "since")]
    #[schema(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    younger_than: Option<Span>,
    /// Every dead letter, if no filter is given.
    all: bool,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
    /// Dead letters that were replayed or discarded since then are skipped, even if they failed again.
    as_of: Option<Timestamp>,
    /// Only count the matches.
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decided)]
pub(in crate::web) struct Done {
    /// Dead letters that match, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<u64>,
    /// Dead letters that this request replayed or discarded.
    changed: u64,
    /// Dead letters whose payload is not text or holds rejected alerts: they cannot be replayed unchanged.
    skipped: u64,
    /// Of the changed, those that are not enqueued yet; recount will enqueue them.
    owed: u64,
    /// Whether there may be more: repeat the request with `as_of`.
    more: bool,
    /// Dead letters that were replayed or discarded since then are skipped.
    as_of: Timestamp,
}

/// Replays all dead letters that match, up to 10,000 in one request.
///
/// Needs a queue, a reason, a text, an age, or `all`. If there may be more, `more` is true: repeat the
/// request with `as_of` of the response. Jobs that have failed again since then are
/// skipped.
#[utoipa::path(
    post,
    path = "/dead-letters/replay",
    operation_id = "replay_dead_letters",
    tag = "dead letters",
    request_body = BulkRequest,
    responses((status = OK, description = "How many were replayed", body = Done)),
)]
pub(in crate::web) async fn replay_many(
    State(ingress): State<Ingress>,
    caller: Caller,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let (selection, actor) = read(caller, body).await?;
    let done = dead_letter::replay_many(&ingress.context, &actor, selection).await?;
    Ok(Json(Done::from(done)))
}

/// Discards all dead letters that match, up to 10,000 in one request.
///
/// Takes the same filters as a replay.
#[utoipa::path(
    post,
    path = "/dead-letters/discard",
    operation_id = "discard_dead_letters",
    tag = "dead letters",
    request_body = BulkRequest,
    responses((status = OK, description = "How many were discarded", body = Done)),
)]
pub(in crate::web) async fn discard_many(
    State(ingress): State<Ingress>,
    caller: Caller,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let (selection, actor) = read(caller, body).await?;
    let done = dead_letter::discard_many(&ingress.context, &actor, selection).await?;
    Ok(Json(Done::from(done)))
}

/// Which letters, and who acts.
async fn read(caller: Caller, body: Body) -> Result<(Selection, Actor), Problem> {
    let mut request: BulkRequest = body::json(body).await?;
    let actor = caller.named(request.operator.take());
    let selection = Selection {
        queue: request.queue,
        reason: request.reason.map(String::from),
        text: request.q.map(String::from),
        older_than: request.older_than,
        younger_than: request.younger_than,
        all: request.all,
        as_of: request.as_of,
        dry_run: request.dry_run,
    };
    Ok((selection, actor))
}

impl From<dead_letter::Done> for Done {
    fn from(done: dead_letter::Done) -> Self {
        Self {
            matching: done.matching,
            changed: done.changed,
            skipped: done.skipped,
            owed: done.pending,
            more: done.more,
            as_of: done.as_of,
        }
    }
}
