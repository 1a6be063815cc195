//! Presses of buttons: each does its operation once, however often it comes.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};
use serde_json::Value;
use uuid::Uuid;

use super::incident::Changed;
use super::repair::Report;
use super::{FollowUp, OperationError, execution, incident, mute, once, repair};
use crate::context::Context;
use crate::domain::mute::Ends;
use crate::jobs::RecordRepair;
use crate::queue::store::QueueError;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::incidents::{StatusChange, find};
use crate::store::maintenance;
use crate::store::presses::{self, Answer};
use crate::time::Timestamp;

/// How long the button mutes for.
const MUTE: Duration = Duration::from_secs(3600);
/// A repair equal to the operator's last one within this time is a double tap, and is not recorded.
const DOUBLE: Duration = Duration::from_secs(10);

/// A press of a button.
#[derive(Clone, Debug)]
pub struct Press<'a> {
    /// Its id: the same press has the same.
    pub id: &'a str,
    /// Of which incident.
    pub incident: Uuid,
    /// What is wanted.
    pub wanted: PressAction,
    /// Who presses which button: two presses alike are one, if that is a repair.
    pub like: &'a str,
}

/// The operation of a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PressAction {
    /// Acknowledge the incident.
    Acknowledge,
    /// Take it over from who had it.
    TakeOver {
        /// By the mark of the name.
        from: String,
    },
    /// Resolve the incident.
    Resolve,
    /// Mute its anomaly for an hour.
    Mute,
    /// Unmute its anomaly.
    Unmute,
    /// Record a repair.
    Repair {
        /// What was done.
        action: String,
        /// Whether it helped.
        success: bool,
    },
    /// Have the recommended action run by its hook.
    Run {
        /// Which.
        action: String,
    },
}

/// What came of a press.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The incident is acknowledged, or resolved; now, or before.
    StatusChange(StatusChange, Box<Changed>),
    /// The incident is taken over; now, or before.
    TakenOver(Box<Changed>),
    /// The anomaly is muted.
    Muted {
        /// Until when.
        until: Timestamp,
    },
    /// The anomaly is not muted.
    Unmuted,
    /// A repair is recorded.
    Repaired {
        /// What was done.
        action: String,
        /// Whether it helped.
        success: bool,
    },
    /// An executor is asked to run an action.
    Asked {
        /// Which.
        action: String,
        /// Whether it was not asked before.
        is_new: bool,
    },
}

/// A press that was done, now or before.
#[derive(Clone, Debug, PartialEq)]
pub struct Pressed {
    /// What is answered to it.
    pub answer: Answer,
    /// Whether a repair was recorded.
    pub has_repair: bool,
}

/// Why a press was not done now; it is to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum PressError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] DbErr),
    /// It is written down and not queued.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Does what a press asks for: the press, its operation, the audit entry, and the answer, which `say` makes
/// of what came of it, in one transaction; then what must follow. A repair is enqueued again whenever the
/// press comes again: the process may have died before that.
pub async fn press(
    context: &Context,
    actor: &Actor,
    press: Press<'_>,
    say: &(dyn Fn(Result<Outcome, OperationError>) -> Answer + Sync),
) -> Result<Pressed, PressError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let known = presses::begin(&tx, press.id, now).await?;
    let job = once::job(&["telegram"], Some(press.id), now);
    let mut repair = repair_of(&press, actor, now);
    // Who taps twice means it once: a second repair would raise the tier.
    let mut double = None;
    if repair.is_some() {
        double = answer_to_double(&tx, &press, known.as_ref(), now).await?;
        repair = repair.filter(|_| double.is_none());
    }
    let mut follow_up = FollowUp::default();
    let answer = match known.or(double) {
        Some(answer) => {
            // It was refused then, or its incident is gone by now.
            if repair.is_some() && find(&tx, press.incident).await?.is_none() {
                repair = None;
            }
            answer
        }
        None => {
            let done = Box::pin(act(&tx, context, actor, &press, (job, now)));
            let outcome = match done.await {
                Ok((outcome, after)) => {
                    follow_up = after;
                    Ok(outcome)
                }
                Err(OperationError::Store(error)) => return Err(error.into()),
                Err(OperationError::Queue(error)) => return Err(error.into()),
                Err(error) => Err(error),
            };
            let is_refused = outcome.is_err();
            let answer = say(outcome);
            presses::answer(&tx, press.id, &answer).await?;
            if repair.is_some() {
                presses::answer(&tx, press.like, &answer).await?;
            }
            repair = repair.filter(|_| !is_refused);
            answer
        }
    };
    tx.commit().await?;
    follow_up.push(context).await;
    if let Some(repair) = &repair {
        repair::push(context, job, repair).await?;
    }
    Ok(Pressed {
        answer,
        has_repair: repair.is_some(),
    })
}

/// Records, once, a press by a person who may not: with what is known of them, and what they were
/// answered. Returns whether this was the first time that the press came.
pub async fn refuse(
    context: &Context,
    actor: &Actor,
    (id, incident): (&str, Option<Uuid>),
    detail: Value,
    answer: &Answer,
) -> Result<bool, PressError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let is_first = presses::begin(&tx, id, now).await?.is_none();
    if is_first {
        let incident = incident.map(|incident| incident.to_string());
        let entry = AuditEntry {
            action: Action::RefusePress,
            target: incident.as_deref().unwrap_or("telegram"),
            detail,
        };
        audit::record(&tx, actor, entry, now).await?;
        presses::answer(&tx, id, answer).await?;
    }
    tx.commit().await?;
    Ok(is_first)
}

/// The repair that a press reports.
fn repair_of(press: &Press<'_>, actor: &Actor, now: Timestamp) -> Option<RecordRepair> {
    let (action, success) = match &press.wanted {
        PressAction::Repair { action, success } => (action, success),
        PressAction::Acknowledge
        | PressAction::TakeOver { .. }
        | PressAction::Resolve
        | PressAction::Mute
        | PressAction::Unmute
        | PressAction::Run { .. } => return None,
    };
    Some(reported(press.incident, action, *success, actor, now))
}

fn reported(
    incident: Uuid,
    action: &str,
    success: bool,
    actor: &Actor,
    now: Timestamp,
) -> RecordRepair {
    let report = Report::finished(action.to_owned(), success);
    report.job(incident, success, actor, now)
}

/// What was answered to the first of two taps, if this is the second; whether it comes for the first time
/// or, because it was never confirmed, again.
async fn answer_to_double(
    tx: &DatabaseTransaction,
    press: &Press<'_>,
    known: Option<&Answer>,
    now: Timestamp,
) -> Result<Option<Answer>, DbErr> {
    let mark = format!("double:{}", press.id);
    if let Some(known) = known {
        let is_double = presses::has(tx, &mark).await?;
        return Ok(is_double.then(|| known.clone()));
    }
    let said = presses::begin_once(tx, press.like, now, DOUBLE).await?;
    if let Some(said) = &said {
        presses::begin(tx, &mark, now).await?;
        presses::answer(tx, press.id, said).await?;
    }
    Ok(said)
}

async fn note(
    tx: &DatabaseTransaction,
    actor: &Actor,
    job: Uuid,
    repair: &RecordRepair,
) -> Result<(Outcome, FollowUp), OperationError> {
    repair::note_in(tx, actor, job, repair).await?;
    let outcome = Outcome::Repaired {
        action: repair.action.clone(),
        success: repair.success,
    };
    Ok((outcome, FollowUp::default()))
}

async fn act(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    press: &Press<'_>,
    (job, now): (Uuid, Timestamp),
) -> Result<(Outcome, FollowUp), OperationError> {
    let id = press.incident;
    match &press.wanted {
        PressAction::Acknowledge => change(tx, context, actor, id, StatusChange::Acknowledge).await,
        PressAction::Resolve => change(tx, context, actor, id, StatusChange::Resolve).await,
        PressAction::TakeOver { from } => {
            let from = incident::Holder::Mark(from);
            let taken = Box::pin(incident::take_over_in(tx, context, actor, id, from));
            let (changed, follow_up) = taken.await?;
            Ok((Outcome::TakenOver(Box::new(changed?)), follow_up))
        }
        PressAction::Mute => {
            let key = incident::key_of(tx, id).await?;
            let wanted = mute::NewMute {
                ends: Ends::After(MUTE),
                why: None,
            };
            let muted = mute::mute_in(tx, context, actor, &key, wanted, Some(id)).await?;
            let (anomaly, follow_up) = muted;
            let until = anomaly.muted_until.unwrap_or_default();
            Ok((Outcome::Muted { until }, follow_up))
        }
        PressAction::Unmute => {
            let key = incident::key_of(tx, id).await?;
            let (_, follow_up) = mute::unmute_in(tx, context, actor, &key, Some(id)).await?;
            Ok((Outcome::Unmuted, follow_up))
        }
        PressAction::Repair { action, success } => {
            note(tx, actor, job, &reported(id, action, *success, actor, now)).await
        }
        PressAction::Run { action } => {
            let asked = execution::ask_in(tx, context, actor, (id, action)).await;
            let (execution, follow_up) = asked?;
            let outcome = Outcome::Asked {
                action: execution.action,
                is_new: !follow_up.executions.is_empty(),
            };
            Ok((outcome, follow_up))
        }
    }
}

async fn change(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    id: Uuid,
    change: StatusChange,
) -> Result<(Outcome, FollowUp), OperationError> {
    let changed = Box::pin(incident::change_in(tx, context, actor, id, change));
    let (changed, follow_up) = changed.await?;
    Ok((Outcome::StatusChange(change, Box::new(changed?)), follow_up))
}
