//! Replaying and discarding one dead letter.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::incidents::By;
use super::{View, parse};
use crate::operations::dead_letter;
use crate::web::auth::Caller;
use crate::web::bounded_text::{BoundedText, whole};
use crate::web::{Ingress, Problem, body};

/// A replay as it is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::web) struct Replay {
    /// The payload that takes the place of the letter's own: a job of its queue. An alert without a `fingerprint`
    /// gets the one of its labels.
    #[schema(value_type = Option<Value>)]
    payload: Option<Box<RawValue>>,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
    /// The letter's `replay` when it was read; if it died again since, it is not replayed.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 0, maximum = 2147483647)]
    replay: Option<i64>,
}

/// Replays a dead letter: enqueues its job again under its ID.
///
/// Has no effect if it was replayed already; then `changed` is false. No alert is counted
/// twice.
#[utoipa::path(
    post,
    path = "/dead-letters/{id}/replay",
    operation_id = "replay_dead_letter",
    tag = "dead letters",
    params(("id" = Uuid, Path, description = "Dead letter ID")),
    request_body = Option<Replay>,
    responses(
        (status = OK, description = "The dead letter as it is now", body = View),
        (
            status = CONFLICT,
            description = "It was discarded, has failed again since it was read, was replayed with \
                           another payload, or its old or new payload cannot be enqueued: it is not \
                           text, or holds rejected alerts",
        ),
    ),
)]
pub(in crate::web) async fn replay(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let (context, id) = (&ingress.context, parse(&id)?);
    let request: Replay = body::json_within(body, context.config.limits.body).await?;
    let actor = caller.named(request.operator);
    let decided = match request.payload {
        None => dead_letter::replay(context, &actor, id, request.replay).await?,
        Some(payload) => {
            let payload = payload.get().as_bytes().to_vec();
            dead_letter::edit(context, &actor, id, payload, request.replay).await?
        }
    };
    Ok(Json(View::decided(decided.letter, decided.changed)))
}

/// Discards a dead letter: its job will not run.
///
/// Has no effect if it was discarded already; then `changed` is false.
#[utoipa::path(
    delete,
    path = "/dead-letters/{id}",
    operation_id = "discard_dead_letter",
    tag = "dead letters",
    params(("id" = Uuid, Path, description = "Dead letter ID")),
    request_body = Option<By>,
    responses(
        (status = OK, description = "The dead letter as it is now", body = View),
        (status = CONFLICT, description = "It was replayed already"),
    ),
)]
pub(in crate::web) async fn discard(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let (context, id) = (&ingress.context, parse(&id)?);
    let By { operator } = body::json(body).await?;
    let actor = caller.named(operator);
    let decided = dead_letter::discard(context, &actor, id).await?;
    Ok(Json(View::decided(decided.letter, decided.changed)))
}
