//! What a press does.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};
use serde_json::{Value, json};
use uuid::Uuid;

use super::keyboard;
use super::update::{Person, Query};
use crate::context::Context;
use crate::domain::aggregation::{ResolvedBy, Status};
use crate::domain::buttons::{ButtonAction, CallbackData};
use crate::domain::effectiveness::action_name;
use crate::domain::mute::Ends;
use crate::jobs::{RecordRepair, derived_id};
use crate::operations::{Due, Refused, incident, mute, repair};
use crate::queue::store::QueueError;
use crate::store::audit::{self, Actor};
use crate::store::incidents::StatusChange;
use crate::store::presses::{self, Answer};
use crate::store::views::lists;
use crate::store::{cards, maintenance};
use crate::text::{Text, fill, refusal};
use crate::time::Timestamp;

/// How long the button mutes for.
const MUTE: Duration = Duration::from_secs(3600);
/// The like of a repair that one person records within so long is the same tap.
const DOUBLE: Duration = Duration::from_secs(10);
/// How long an open menu of repairs is not edited away, by which another button would come to lie under the
/// finger.
const MENU: Duration = Duration::from_secs(8);
/// The longest part of what a button carries that is written down of a stranger, in characters.
const DATA: usize = 64;

/// What a press comes to, for whoever pressed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// What is said to them.
    pub answer: Answer,
    /// Other buttons to show beneath the message at once.
    pub keyboard: Option<Value>,
}

/// Why a press was not done now; it is to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] sea_orm::DbErr),
    /// It is written down and not queued.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Does what a press asks for, once, whoever asks again; a stranger's does nothing.
///
/// # Errors
/// See [`Failed`]; whatever was not done then is done when the press comes again.
pub async fn press(context: &Context, query: &Query) -> Result<Reply, Failed> {
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
    match &press.wish {
        ButtonAction::Repairs => {
            let db = context.db.write();
            let now = context.clock.of_store(maintenance::now(db).await?);
            cards::keep_as_is(db, incident, now, MENU).await?;
            let actions = &context.config.telegram.actions;
            Ok(Reply {
                keyboard: Some(keyboard::repairs(text, incident, actions)),
                ..Reply::default()
            })
        }
        ButtonAction::Back => back(context, text, incident).await,
        ButtonAction::Repaired { action, .. }
            if !context.config.telegram.actions.contains(action) =>
        {
            Ok(say(text.pressed_unknown))
        }
        _ => Box::pin(done(context, text, query, &press, name)).await,
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

/// Somebody who is not on the list: that is written down, and nothing else is done.
async fn stranger(context: &Context, text: &Text, query: &Query) -> Result<Reply, Failed> {
    let Person { id, .. } = query.from;
    let answer = alert(fill(text.pressed_stranger, &[("user", &id.to_string())]));
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    if presses::begin(&tx, &query.id, now).await?.is_none() {
        let data: String = query
            .data
            .iter()
            .flat_map(|data| data.chars())
            .take(DATA)
            .collect();
        let incident = CallbackData::read(&data).map(|press| press.incident.to_string());
        let mut detail = query.from.shown();
        detail["data"] = data.into();
        let change = audit::AuditEntry {
            action: "telegram.refused",
            target: incident.as_deref().unwrap_or("telegram"),
            detail,
        };
        audit::record(&tx, &actor(query, None), change, now).await?;
        presses::answer(&tx, &query.id, &answer).await?;
        tracing::warn!(
            user = id,
            "rejected a press by a Telegram user who is not in telegram.people"
        );
    }
    tx.commit().await?;
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
async fn back(context: &Context, text: &Text, incident: Uuid) -> Result<Reply, Failed> {
    let entry = lists::incident(context.db.read(), incident).await?;
    let Some((incident, anomaly)) = entry else {
        return Ok(say(text.pressed_gone));
    };
    let now = context.clock.now();
    Ok(Reply {
        keyboard: Some(keyboard::of(text, &incident, &anomaly, now)),
        ..Reply::default()
    })
}

/// The press, the deed and the audit in one transaction; then what must follow it. A repair is queued
/// again whenever the press comes again: whoever wrote it down may have died before that.
async fn done(
    context: &Context,
    text: &Text,
    query: &Query,
    press: &CallbackData,
    name: &str,
) -> Result<Reply, Failed> {
    let actor = actor(query, Some(name));
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let known = presses::begin(&tx, &query.id, now).await?;
    let job = derived_id(&["telegram", &query.id]);
    let mut repair = repair_of(press, name, now);
    let mut due = Due::default();
    // Who taps twice means it once: a second repair would raise the tier.
    let data = query.data.as_deref().unwrap_or_default();
    let like = format!("{}:{data}", query.from.id);
    let mut said = None;
    if repair.is_some() {
        said = doubled(&tx, &query.id, known.as_ref(), &like, now).await?;
        repair = repair.filter(|_| said.is_none());
    }
    let answer = match known.or(said) {
        Some(answer) => answer,
        None => {
            let did = match &repair {
                Some(repair) => note(&tx, text, job, repair, &actor).await,
                None => Box::pin(act(context, &tx, text, press, &actor, &mut due)).await,
            };
            let answer = match did {
                Ok(answer) => answer,
                Err(Refused::NoIncident | Refused::NoAnomaly) => say(text.pressed_gone).answer,
                Err(Refused::Senseless(why)) => {
                    alert(refusal(text, &why).unwrap_or_else(|| why.to_string()))
                }
                Err(Refused::Store(error)) => return Err(error.into()),
            };
            presses::answer(&tx, &query.id, &answer).await?;
            if repair.is_some() {
                presses::answer(&tx, &like, &answer).await?;
            }
            answer
        }
    };
    tx.commit().await?;
    due.push(context).await;
    if let Some(repair) = repair.filter(|_| answer.text != text.pressed_gone) {
        repair::push(context, job, &repair).await?;
        let back = back(context, text, press.incident).await?;
        return Ok(Reply { answer, ..back });
    }
    Ok(Reply {
        answer,
        keyboard: None,
    })
}

fn repair_of(
    press: &CallbackData,
    name: &str,
    now: crate::time::Timestamp,
) -> Option<RecordRepair> {
    let ButtonAction::Repaired { action, success } = &press.wish else {
        return None;
    };
    Some(RecordRepair {
        incident: press.incident,
        action: action_name(action),
        success: *success,
        operator: Some(name.to_owned()),
        note: None,
        duration_ms: None,
        at: now,
    })
}

/// What was answered to the first of two taps, if this is the second; whether it comes for the first time
/// or, because nobody confirmed it, again.
async fn doubled(
    tx: &DatabaseTransaction,
    id: &str,
    known: Option<&Answer>,
    like: &str,
    now: Timestamp,
) -> Result<Option<Answer>, DbErr> {
    let mark = format!("double:{id}");
    if let Some(known) = known {
        let is_double = presses::has(tx, &mark).await?;
        return Ok(is_double.then(|| known.clone()));
    }
    let said = presses::begin_once(tx, like, now, DOUBLE).await?;
    if let Some(said) = &said {
        presses::begin(tx, &mark, now).await?;
        presses::answer(tx, id, said).await?;
    }
    Ok(said)
}

async fn note(
    tx: &DatabaseTransaction,
    text: &Text,
    job: Uuid,
    repair: &RecordRepair,
    actor: &Actor,
) -> Result<Answer, Refused> {
    incident::key_of(tx, repair.incident).await?;
    repair::note(tx, job, repair, actor).await?;
    let said = match repair.success {
        true => text.pressed_helped,
        false => text.pressed_helped_not,
    };
    Ok(say(fill(said, &[("action", &repair.action)])).answer)
}

async fn act(
    context: &Context,
    tx: &DatabaseTransaction,
    text: &Text,
    press: &CallbackData,
    actor: &Actor,
    due: &mut Due,
) -> Result<Answer, Refused> {
    let pressed = Some(press.incident);
    let change = match press.wish {
        ButtonAction::Acknowledge => StatusChange::Acknowledge,
        ButtonAction::Resolve => StatusChange::Resolve,
        ButtonAction::Mute => {
            let key = incident::key_of(tx, press.incident).await?;
            let what = (Ends::After(MUTE), None);
            let (anomaly, cards) = mute::mute(tx, context, &key, what, pressed, actor).await?;
            *due = cards;
            let until = anomaly.muted_until.unwrap_or_default().to_rfc3339();
            let until = until.get(11..16).unwrap_or_default();
            return Ok(say(fill(text.pressed_muted, &[("time", until)])).answer);
        }
        _ => {
            let key = incident::key_of(tx, press.incident).await?;
            *due = mute::unmute(tx, context, &key, pressed, actor).await?.1;
            return Ok(say(text.pressed_unmuted).answer);
        }
    };
    let done = Box::pin(incident::turn(context, tx, press.incident, change, actor)).await?;
    *due = done.due;
    if !done.possible {
        return Ok(alert(text.pressed_too_late));
    }
    let wanted = match change {
        StatusChange::Acknowledge => (Status::Acknowledged, text.pressed_acknowledged),
        StatusChange::Resolve => (Status::Resolved, text.pressed_resolved),
    };
    let without_anybody = match done.entry.0.resolved_by {
        Some(ResolvedBy::Itself) => Some(text.pressed_itself),
        Some(ResolvedBy::Unseen) => Some(text.pressed_unseen),
        Some(ResolvedBy::Person) | None => None,
    };
    if done.previous_status == Status::Resolved
        && let Some(said) = without_anybody
    {
        return Ok(say(said).answer);
    }
    if done.previous_status == wanted.0 {
        let name = done.operator.as_deref().unwrap_or("–");
        return Ok(say(fill(text.pressed_already, &[("name", name)])).answer);
    }
    Ok(say(wanted.1).answer)
}

/// The answer as the body of a response to Telegram's own request, which saves one of ours.
#[must_use]
pub fn as_response(query: &Query, reply: &Reply) -> Value {
    let mut body = super::client::answer_body(&query.id, &reply.answer);
    body["method"] = json!("answerCallbackQuery");
    body
}
