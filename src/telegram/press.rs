//! The effect of a press.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::keyboard;
use super::update::{Person, Query};
use crate::context::Context;
use crate::domain::aggregation::{ResolvedBy, Status};
use crate::domain::buttons::{ButtonAction, CallbackData};
use crate::executions::runnable;
use crate::operations::incident::Changed;
use crate::operations::press::{Outcome, Press, PressAction, PressError};
use crate::operations::{self, Conflict, OperationError};
use crate::recommendations::of_incident;
use crate::store::audit::Actor;
use crate::store::incidents::StatusChange;
use crate::store::presses::Answer;
use crate::store::views::lists;
use crate::store::{cards, maintenance};
use crate::text::{Text, fill, refusal};

/// How long an open menu of repairs is not edited away, which would move another button under the
/// finger.
const MENU: Duration = Duration::from_secs(8);
/// The longest part of what a button carries that is written down of a stranger, in characters.
const DATA: usize = 64;

/// The answer to a press, for the user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// What is said to them.
    pub answer: Answer,
    /// Other buttons to show beneath the message at once.
    pub keyboard: Option<Value>,
}

/// Does the operation of a press once, also if it is delivered again. Refuses strangers.
///
/// # Errors
/// See [`PressError`]; whatever was not done then is done when the press comes again.
pub async fn press(context: &Context, query: &Query) -> Result<Reply, PressError> {
    let text = text(context);
    let people = &context.config.telegram.people;
    let Some(name) = people.name(query.from.id) else {
        return stranger(context, text, query).await;
    };
    let data = query.data.as_deref().unwrap_or_default();
    let Some(press) = CallbackData::read(data) else {
        tracing::debug!("ignored a press with unreadable callback data");
        return Ok(say(text.pressed_unknown));
    };
    let incident = press.incident;
    let wanted = match press.action {
        ButtonAction::Repairs => {
            let db = context.db.write();
            let now = context.clock.of_store(maintenance::now(db).await?);
            cards::keep_as_is(db, incident, now, MENU).await?;
            let actions = &context.config.telegram.actions;
            return Ok(Reply {
                keyboard: Some(keyboard::repairs(text, incident, actions)),
                ..Reply::default()
            });
        }
        ButtonAction::Back => return back(context, text, incident).await,
        ButtonAction::Repaired { action, success } => {
            if !context.config.telegram.actions.contains(&action) {
                return Ok(say(text.pressed_unknown));
            }
            PressAction::Repair { action, success }
        }
        ButtonAction::Run { action } => PressAction::Run { action },
        ButtonAction::Acknowledge => PressAction::Acknowledge,
        ButtonAction::TakeOver { from } => PressAction::TakeOver { from },
        ButtonAction::Resolve => PressAction::Resolve,
        ButtonAction::Mute => PressAction::Mute,
        ButtonAction::Unmute => PressAction::Unmute,
    };
    let is_run = matches!(wanted, PressAction::Run { .. });
    let press = Press {
        id: &query.id,
        incident,
        wanted,
        like: &format!("{}:{data}", query.from.id),
    };
    let say = |outcome| answer_to(text, outcome);
    let actor = actor(query, Some(name));
    let pressed = Box::pin(operations::press::press(context, &actor, press, &say)).await?;
    // What was run is not offered again.
    match pressed.has_repair || is_run {
        true => Ok(Reply {
            answer: pressed.answer,
            ..back(context, text, incident).await?
        }),
        false => Ok(Reply {
            answer: pressed.answer,
            keyboard: None,
        }),
    }
}

/// The language that cards are written in.
fn text(context: &Context) -> &'static Text {
    context.config.language.text()
}

fn say(text: impl Into<String>) -> Reply {
    Reply {
        answer: Answer {
            text: text.into(),
            is_alert: false,
        },
        keyboard: None,
    }
}

fn alert(text: impl Into<String>) -> Answer {
    Answer {
        text: text.into(),
        is_alert: true,
    }
}

/// A person who is not on the list: that is recorded, and nothing else is done.
async fn stranger(context: &Context, text: &Text, query: &Query) -> Result<Reply, PressError> {
    let Person { id, .. } = query.from;
    let answer = alert(fill(text.pressed_stranger, &[("user", &id.to_string())]));
    let data = query.data.iter().flat_map(|data| data.chars());
    let data: String = data.take(DATA).collect();
    let incident = CallbackData::read(&data).map(|press| press.incident);
    let mut detail = query.from.shown();
    detail["data"] = data.into();
    let (actor, target) = (actor(query, None), (query.id.as_str(), incident));
    if operations::press::refuse(context, &actor, target, detail, &answer).await? {
        tracing::warn!(
            user = id,
            "rejected a press by a Telegram user who is not in telegram.people"
        );
    }
    Ok(Reply {
        answer,
        keyboard: None,
    })
}

fn actor(query: &Query, name: Option<&str>) -> Actor {
    Actor {
        token: "telegram".to_owned(),
        operator: name.map(str::to_owned),
        request_id: Some(format!("telegram:{}", query.id)),
    }
}

/// The card's own buttons.
async fn back(context: &Context, text: &Text, incident: Uuid) -> Result<Reply, PressError> {
    let (db, now) = (context.db.read(), context.clock.now());
    let Some((incident, anomaly)) = lists::incident(db, incident).await? else {
        return Ok(say(text.pressed_gone));
    };
    let of = (&incident, &anomaly);
    let run = match context.config.repairs.hooks.is_empty() {
        true => None,
        false => {
            let found = Box::pin(of_incident(context, db, of, now)).await?;
            runnable(context, db, of, found.as_ref()).await?
        }
    };
    let keyboard = keyboard::of(text, &incident, &anomaly, now, run.as_deref());
    Ok(Reply {
        keyboard: Some(keyboard),
        ..Reply::default()
    })
}

/// What is said of what came of a press.
fn answer_to(text: &Text, outcome: Result<Outcome, OperationError>) -> Answer {
    match outcome {
        Ok(Outcome::StatusChange(change, changed)) => status_answer(text, change, &changed),
        Ok(Outcome::TakenOver(changed)) if !changed.changed => say(text.pressed_has_it).answer,
        Ok(Outcome::TakenOver(changed)) => {
            let name = changed.previous_operator.as_deref().unwrap_or("–");
            say(fill(text.pressed_taken_over, &[("name", name)])).answer
        }
        Ok(Outcome::Muted { until }) => {
            let until = until.to_rfc3339();
            let until = until.get(11..16).unwrap_or_default();
            say(fill(text.pressed_muted, &[("time", until)])).answer
        }
        Ok(Outcome::Unmuted) => say(text.pressed_unmuted).answer,
        Ok(Outcome::Repaired { action, success }) => {
            let said = match success {
                true => text.pressed_helped,
                false => text.pressed_helped_not,
            };
            say(fill(said, &[("action", &action)])).answer
        }
        Ok(Outcome::Asked { action, is_new }) => {
            let said = match is_new {
                true => text.pressed_run,
                false => text.pressed_run_before,
            };
            say(fill(said, &[("action", &action)])).answer
        }
        Err(OperationError::NotFound(_)) => say(text.pressed_gone).answer,
        Err(OperationError::Conflict(Conflict::IncidentResolved)) => alert(text.pressed_too_late),
        Err(
            error @ (OperationError::Conflict(
                Conflict::AlreadyReplayed { .. }
                | Conflict::AlreadyDiscarded { .. }
                | Conflict::NotAcknowledged
                | Conflict::TakenOver { .. }
                | Conflict::RepairFinished
                | Conflict::NotRecommended
                | Conflict::NoHook
                | Conflict::ExecutionRunning
                | Conflict::ExecutionBudget { .. }
                | Conflict::NotAsked
                | Conflict::FailedAgain
                | Conflict::NotReplayable(_)
                | Conflict::InvalidPayload(_)
                | Conflict::PlaybookInSettings { .. }
                | Conflict::PlaybookChanged { .. }
                | Conflict::ProposalDecided { .. }
                | Conflict::InProgress
                | Conflict::KeyReused,
            )
            | OperationError::Invalid(_)
            | OperationError::Store(_)
            | OperationError::Queue(_)
            | OperationError::Counter(_)),
        ) => {
            let refused = error.refusal().and_then(|why| refusal(text, &why));
            alert(refused.unwrap_or_else(|| error.to_string()))
        }
    }
}

/// An incident that was acknowledged or resolved before stays as it is.
fn status_answer(text: &Text, change: StatusChange, changed: &Changed) -> Answer {
    let (status, said) = match change {
        StatusChange::Acknowledge => (Status::Acknowledged, text.pressed_acknowledged),
        StatusChange::Resolve => (Status::Resolved, text.pressed_resolved),
    };
    let without_anybody = match changed.entry.0.resolved_by {
        Some(ResolvedBy::Itself) => Some(text.pressed_itself),
        Some(ResolvedBy::Unseen) => Some(text.pressed_unseen),
        Some(ResolvedBy::Person) | None => None,
    };
    if changed.previous_status == Status::Resolved
        && let Some(said) = without_anybody
    {
        return say(said).answer;
    }
    if changed.previous_status == status {
        let name = changed.previous_operator.as_deref().unwrap_or("–");
        return say(fill(text.pressed_already, &[("name", name)])).answer;
    }
    say(said).answer
}

/// The answer as the body of a response to Telegram's own request, which saves one of ours.
#[must_use]
pub fn as_response(query: &Query, reply: &Reply) -> Value {
    let mut body = super::methods::answer_body(&query.id, &reply.answer);
    body["method"] = json!("answerCallbackQuery");
    body
}
