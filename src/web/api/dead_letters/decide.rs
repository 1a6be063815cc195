//! Replaying and discarding one dead letter. Whoever comes second finds it decided.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::incidents::By;
use super::{View, find, parse};
use crate::context::Context;
use crate::domain::refusal::{Code, Refusal};
use crate::entity::dead_letters::Model;
use crate::jobs::{QUEUES, check_payload};
use crate::queue::replay;
use crate::sources::draft;
use crate::store::audit::{self, Actor};
use crate::store::dead_letters::{self, DEAD, DISCARDED, Decision, Edit, REPLAYED, as_text};
use crate::store::maintenance;
use crate::telemetry::metrics::ByDecision;
use crate::web::auth::Caller;
use crate::web::bounded_text::{BoundedText, whole};
use crate::web::{Ingress, Problem, body};

/// How much of a payload that was replaced the audit keeps, in bytes.
const PAYLOAD_BEFORE: usize = 16 << 10;

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
    /// The letter's `replay` as it was looked at: one that died once more since is not replayed.
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
    let asked: Replay = body::json_within(body, context.config.limits.body).await?;
    let actor = caller.named(asked.operator);
    let before = find(context, id).await?;
    let payload = asked.payload.map(|json| json.get().as_bytes().to_vec());
    let payload = payload.map(|payload| draft::completed(&before.queue, payload));
    let whole = |replay| i32::try_from(replay).ok().filter(|replay| *replay >= 0);
    let replay = asked.replay.map(|replay| whole(replay).ok_or(()));
    let replay = replay.transpose().map_err(|()| {
        let detail = "replay must be a whole number, as the API returned it";
        Refusal::new(Code::InvalidBody, detail).parameter("replay")
    })?;
    // What is edited is the letter that was just read.
    let edit = Edit {
        replay: replay.or(payload.is_some().then_some(before.replay)),
        payload,
    };
    check_replay(&before, edit.payload.as_deref())?;
    let edited = edit.payload.clone();
    let done = decide(context, &before, Decision::Replay, edit, &actor).await?;
    if let Some(mut letter) = done {
        let letters = std::slice::from_mut(&mut letter);
        push(context, letters).await;
        return Ok(Json(View::decided(letter, true)));
    }
    let letter = find(context, id).await?;
    match letter.state.as_str() {
        REPLAYED if edited.is_none_or(|payload| payload == letter.payload) => {
            Ok(Json(View::decided(letter, false)))
        }
        REPLAYED => {
            let detail = format!("already replayed by {}, with another payload", by(&letter));
            let refusal = Refusal::new(Code::ReplayedOtherwise, detail);
            Err(refusal.operator(by(&letter)).into())
        }
        DISCARDED => {
            let detail = format!("already discarded by {}", by(&letter));
            let refusal = Refusal::new(Code::AlreadyDiscarded, detail);
            Err(refusal.operator(by(&letter)).into())
        }
        _ => Err(Problem::new(
            Code::FailedAgain,
            "the job failed again since it was last read: read it again",
        )),
    }
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
    let before = find(context, id).await?;
    let done = decide(context, &before, Decision::Discard, Edit::default(), &actor).await?;
    if let Some(letter) = done {
        return Ok(Json(View::decided(letter, true)));
    }
    let letter = find(context, id).await?;
    match letter.state.as_str() {
        DISCARDED => Ok(Json(View::decided(letter, false))),
        _ => {
            let detail = format!("already replayed by {}", by(&letter));
            let refusal = Refusal::new(Code::AlreadyReplayed, detail);
            Err(refusal.operator(by(&letter)).into())
        }
    }
}

/// Whether the job can be pushed and, if a person wrote it, be done.
fn check_replay(letter: &Model, edited: Option<&[u8]>) -> Result<(), Problem> {
    // Of one that was decided on it is said who did.
    if letter.state == DEAD {
        replay::check(&letter.queue, &letter.payload, edited.is_some()).map_err(Refusal::from)?;
    }
    match edited {
        Some(payload) => Ok(check_payload(&letter.queue, payload)?),
        None => Ok(()),
    }
}

/// Decides, and writes down who did, in one transaction; `None` if it was decided already.
async fn decide(
    context: &Context,
    before: &Model,
    decision: Decision,
    edit: Edit,
    actor: &Actor,
) -> Result<Option<Model>, Problem> {
    let is_edited = edit.payload.is_some();
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let by = name(actor);
    let decided = dead_letters::decide(&tx, before.id, decision, edit, by, now).await?;
    let Some(letter) = decided else {
        return Ok(None);
    };
    let mut detail = json!({"queue": letter.queue, "replay": letter.replay});
    if is_edited {
        // The row has the payload that is run from now on; the audit keeps the one that was.
        // So much of it that a list of entries stays small.
        let size = before.payload.len();
        match as_text(&before.payload) {
            Some(text) => {
                let end = text.floor_char_boundary(PAYLOAD_BEFORE.min(size));
                detail["payload_before"] = text[..end].into();
            }
            None => {
                let start = &before.payload[..PAYLOAD_BEFORE.min(size)];
                detail["payload_before_base64"] = STANDARD.encode(start).into();
            }
        }
        if size > PAYLOAD_BEFORE {
            detail["payload_before_bytes"] = size.into();
        }
    }
    let target = letter.id.to_string();
    let entry = audit::AuditEntry {
        action: decision.action(),
        target: &target,
        detail,
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    count(context, decision, std::slice::from_ref(&letter));
    Ok(Some(letter))
}

/// Pushes what was replayed. If that fails it is owed, and recount pushes it.
pub(super) async fn push(context: &Context, letters: &mut [Model]) {
    match replay::push(&context.queues, &context.db, letters).await {
        Ok(()) => {
            for letter in letters {
                letter.push_owed_since = None;
            }
        }
        Err(error) => {
            let replays = letters.len();
            tracing::warn!(
                replays,
                "enqueueing a replayed job failed; recount will retry: {error}"
            );
        }
    }
}

pub(super) fn count(context: &Context, decision: Decision, letters: &[Model]) {
    for letter in letters {
        if let Some(queue) = QUEUES.into_iter().find(|queue| *queue == letter.queue) {
            let decision = decision.state();
            let by = ByDecision { queue, decision };
            context.metrics.decided.get_or_create(&by).inc();
        }
    }
}

/// Who decides: by their own account, else by their token.
pub(super) fn name(actor: &Actor) -> &str {
    actor.operator.as_deref().unwrap_or(&actor.token)
}

fn by(letter: &Model) -> &str {
    letter.decided_by.as_deref().unwrap_or("somebody")
}
