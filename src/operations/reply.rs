//! Replies to cards: each becomes one note, however often it comes.

use std::time::Duration;

use serde_json::Value;

use super::OperationError;
use super::incident::{NewNote, lock_and_note};
use super::press::PressError;
use crate::context::Context;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::presses::{self, Answer};
use crate::store::{cards, maintenance};

/// A stranger is answered once within this time: they may talk to each other beneath a card.
const STRANGER: Duration = Duration::from_secs(600);

/// A reply to a message.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Its id: the same reply has the same.
    pub id: &'a str,
    /// The chat that it is in: its number, and the name that it is found by.
    pub chat: (i64, Option<&'a str>),
    /// The number of the message that it replies to.
    pub to: i64,
    /// What it says.
    pub text: &'a str,
}

/// What came of a reply by somebody who may write notes.
#[derive(Debug)]
pub enum Outcome {
    /// It is a note.
    Noted,
    /// The message shows no incident that is known.
    NoCard,
    /// It could not be written.
    Refused(OperationError),
}

/// Writes a reply down as a note about the incident that the message shows: the reply, the note, the audit entry, and
/// what is answered, which `say` makes of what came of it, in one transaction. `Ok(None)` is a reply that says nothing.
///
/// # Errors
/// See [`PressError`]; nothing was written then.
pub async fn note(
    context: &Context,
    actor: &Actor,
    reply: Reply<'_>,
    say: &(dyn Fn(Outcome) -> Answer + Sync),
) -> Result<Option<Answer>, PressError> {
    let Some(new) = NewNote::said(Some(reply.text), Some(reply.id)) else {
        return Ok(None);
    };
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    if let Some(known) = presses::begin(&tx, reply.id, now).await? {
        return Ok(Some(known));
    }
    let outcome = match cards::incident_of(&tx, reply.chat, reply.to).await? {
        None => Outcome::NoCard,
        Some(incident) => match lock_and_note(&tx, context, actor, incident, new).await {
            Ok(_) => Outcome::Noted,
            Err(OperationError::Store(error)) => return Err(error.into()),
            Err(OperationError::Queue(error)) => return Err(error.into()),
            Err(error) => Outcome::Refused(error),
        },
    };
    let answer = say(outcome);
    presses::answer(&tx, reply.id, &answer).await?;
    tx.commit().await?;
    Ok(Some(answer))
}

/// Records, once, a reply to a card by a person who may not write notes, with what is known of them. Returns whether
/// they are to be told so: not if the message is no card, and not again within ten minutes.
///
/// # Errors
/// See [`PressError`]; nothing was written then.
pub async fn refuse(
    context: &Context,
    actor: &Actor,
    reply: Reply<'_>,
    (user, detail): (i64, Value),
) -> Result<Refused, PressError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let Some(incident) = cards::incident_of(&tx, reply.chat, reply.to).await? else {
        return Ok(Refused::default());
    };
    let known = presses::begin(&tx, reply.id, now).await?;
    if let Some(known) = known {
        return Ok(Refused {
            is_first: false,
            is_told: known.is_alert,
        });
    }
    let like = format!("stranger:{}:{user}", reply.chat.0);
    let before = presses::begin_once(&tx, &like, now, STRANGER).await?;
    let is_told = before.is_none();
    let answer = Answer {
        text: String::new(),
        is_alert: is_told,
    };
    presses::answer(&tx, reply.id, &answer).await?;
    let entry = AuditEntry {
        action: Action::RefusePress,
        target: &incident.to_string(),
        detail,
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    Ok(Refused {
        is_first: true,
        is_told,
    })
}

/// What came of a stranger's reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Whether it is about an incident and came for the first time.
    pub is_first: bool,
    /// Whether they are to be told.
    pub is_told: bool,
}
