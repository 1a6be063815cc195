//! Replaying and discarding one dead letter. Who comes second finds it decided.

mod many;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Conflict, Invalid, OperationError, Resource};
use crate::context::Context;
use crate::entity::dead_letters::Model;
use crate::jobs::{QUEUES, check_payload};
use crate::queue::replay;
use crate::sources::draft;
use crate::store::audit::{self, Actor, AuditEntry};
use crate::store::dead_letters::{self, DEAD, DISCARDED, Decision, Edit, REPLAYED, as_text};
use crate::store::maintenance;
use crate::telemetry::metrics::ByDecision;
pub use many::{Done, Selection, discard_many, replay_many};

/// How much of a payload that was replaced the audit keeps, in bytes.
const PAYLOAD_BEFORE: usize = 16 << 10;

/// A dead letter that was decided on.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The dead letter as it is now.
    pub letter: Model,
    /// Whether the operation decided: `false` if the same was decided before.
    pub changed: bool,
}

/// Replays a dead letter: its job is enqueued again under its id. With the number of replays that it was
/// `seen` with, it is not replayed if it has died once more since.
pub async fn replay(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    seen: Option<i64>,
) -> Result<Decided, OperationError> {
    replay_with(context, actor, id, None, seen).await
}

/// Replays a dead letter with another payload, which takes the place of its own.
pub async fn edit(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    payload: Vec<u8>,
    seen: Option<i64>,
) -> Result<Decided, OperationError> {
    replay_with(context, actor, id, Some(payload), seen).await
}

async fn replay_with(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    payload: Option<Vec<u8>>,
    seen: Option<i64>,
) -> Result<Decided, OperationError> {
    let before = find(context, id).await?;
    let payload = payload.map(|payload| draft::completed(&before.queue, payload));
    let number = |seen| i32::try_from(seen).ok().filter(|number| *number >= 0);
    let seen = seen.map(|seen| number(seen).ok_or(Invalid::ReplayNumber));
    // What is edited is the letter that was just read.
    let edit = Edit {
        replay: seen
            .transpose()?
            .or(payload.is_some().then_some(before.replay)),
        payload,
    };
    check_replay(&before, edit.payload.as_deref())?;
    let edited = edit.payload.clone();
    if let Some(mut letter) = decide(context, actor, &before, Decision::Replay, edit).await? {
        push(context, std::slice::from_mut(&mut letter)).await;
        return Ok(Decided {
            letter,
            changed: true,
        });
    }
    let letter = find(context, id).await?;
    let is_same = edited.is_none_or(|payload| payload == letter.payload);
    match letter.state.as_str() {
        REPLAYED if is_same => Ok(Decided {
            letter,
            changed: false,
        }),
        REPLAYED => Err(already_replayed(&letter, true).into()),
        DISCARDED => Err(already_discarded(&letter).into()),
        _ => Err(Conflict::FailedAgain.into()),
    }
}

/// Discards a dead letter: its job does not run.
pub async fn discard(
    context: &Context,
    actor: &Actor,
    id: Uuid,
) -> Result<Decided, OperationError> {
    let before = find(context, id).await?;
    let edit = Edit::default();
    if let Some(letter) = decide(context, actor, &before, Decision::Discard, edit).await? {
        return Ok(Decided {
            letter,
            changed: true,
        });
    }
    let letter = find(context, id).await?;
    match letter.state.as_str() {
        DISCARDED => Ok(Decided {
            letter,
            changed: false,
        }),
        _ => Err(already_replayed(&letter, false).into()),
    }
}

async fn find(context: &Context, id: Uuid) -> Result<Model, OperationError> {
    let found = dead_letters::find(context.db.view(), id).await?;
    found.ok_or(OperationError::NotFound(Resource::DeadLetter))
}

/// Whether the job can be pushed and, if an operator wrote it, be done.
fn check_replay(letter: &Model, edited: Option<&[u8]>) -> Result<(), Conflict> {
    // Of one that was decided on it is said who did.
    if letter.state == DEAD {
        replay::check(&letter.queue, &letter.payload, edited.is_some())?;
    }
    match edited {
        Some(payload) => check_payload(&letter.queue, payload).map_err(Conflict::InvalidPayload),
        None => Ok(()),
    }
}

/// Decides, and writes the audit entry, in one transaction; `None` if it was decided already.
async fn decide(
    context: &Context,
    actor: &Actor,
    before: &Model,
    decision: Decision,
    edit: Edit,
) -> Result<Option<Model>, OperationError> {
    let is_edited = edit.payload.is_some();
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let decided = dead_letters::decide(&tx, before.id, decision, edit, actor.name(), now).await?;
    let Some(letter) = decided else {
        return Ok(None);
    };
    let mut detail = json!({"queue": letter.queue, "replay": letter.replay});
    if is_edited {
        keep_payload(&mut detail, &before.payload);
    }
    let target = letter.id.to_string();
    let entry = AuditEntry {
        action: decision.action(),
        target: &target,
        detail,
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    count(context, decision, std::slice::from_ref(&letter));
    Ok(Some(letter))
}

/// The row has the payload that is run from now on; the audit keeps the one that was, and so much of it that
/// a list of entries stays small.
fn keep_payload(detail: &mut Value, payload: &[u8]) {
    let size = payload.len();
    match as_text(payload) {
        Some(text) => {
            let end = text.floor_char_boundary(PAYLOAD_BEFORE.min(size));
            detail["payload_before"] = text[..end].into();
        }
        None => {
            let start = &payload[..PAYLOAD_BEFORE.min(size)];
            detail["payload_before_base64"] = STANDARD.encode(start).into();
        }
    }
    if size > PAYLOAD_BEFORE {
        detail["payload_before_bytes"] = size.into();
    }
}

/// Pushes what was replayed. If that fails, the push is pending, and recount does it.
async fn push(context: &Context, letters: &mut [Model]) {
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

fn count(context: &Context, decision: Decision, letters: &[Model]) {
    for letter in letters {
        if let Some(queue) = QUEUES.into_iter().find(|queue| *queue == letter.queue) {
            let decision = decision.state();
            let by = ByDecision { queue, decision };
            context.metrics.decided.get_or_create(&by).inc();
        }
    }
}

fn already_replayed(letter: &Model, with_another_payload: bool) -> Conflict {
    Conflict::AlreadyReplayed {
        by: by(letter),
        with_another_payload,
    }
}

fn already_discarded(letter: &Model) -> Conflict {
    Conflict::AlreadyDiscarded { by: by(letter) }
}

fn by(letter: &Model) -> String {
    letter
        .decided_by
        .as_deref()
        .unwrap_or("somebody")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_keeps_the_beginning_of_a_payload_that_was_replaced() {
        let kept = |payload: &[u8]| {
            let mut detail = json!({});
            keep_payload(&mut detail, payload);
            detail
        };
        assert_eq!(kept(b"{}"), json!({"payload_before": "{}"}));
        assert_eq!(kept(b"\xff"), json!({"payload_before_base64": "/w=="}));
        let long = "é".repeat(PAYLOAD_BEFORE);
        let detail = kept(&[b"x", long.as_bytes()].concat());
        assert_eq!(detail["payload_before_bytes"], 2 * PAYLOAD_BEFORE + 1);
        let start = detail["payload_before"].as_str().unwrap();
        assert_eq!(start.len(), PAYLOAD_BEFORE - 1, "no character is cut");
    }
}
