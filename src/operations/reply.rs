//! Replies to cards: each becomes one note, however often it comes.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};
use serde_json::Value;

use super::OperationError;
use super::incident::{NewNote, lock_and_note};
use super::press::PressError;
use crate::context::Context;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::presses::{self, Answer};
use crate::store::{cards, maintenance};
use crate::time::Timestamp;

/// A person is told the same in a chat once within this time: people may talk to each other beneath a card.
const AGAIN: Duration = Duration::from_secs(600);

/// That a reply became a note.
const NOTED: &str = "noted";

/// A reply to a message.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Its id: the same reply has the same.
    pub id: &'a str,
    /// The chat that it is in: its number, and the name that it is found by.
    pub chat: (i64, Option<&'a str>),
    /// The number of the message that it replies to.
    pub to: i64,
    /// When that was sent, if it is known.
    pub to_at: Option<Timestamp>,
    /// The number of who wrote it: of a person, or of the chat that it was written on behalf of.
    pub from: i64,
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
/// what is answered, which `say` makes of what came of it, in one transaction. Words of the answer are to be sent if it
/// `is_alert`. `Ok(None)` is a reply that says nothing.
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
    let outcome = match cards::incident_of(&tx, reply.chat, reply.to, reply.to_at).await? {
        None => Outcome::NoCard,
        Some(incident) => match lock_and_note(&tx, context, actor, incident, new).await {
            Ok(_) => Outcome::Noted,
            Err(OperationError::Store(error)) => return Err(error.into()),
            Err(OperationError::Queue(error)) => return Err(error.into()),
            Err(error) => Outcome::Refused(error),
        },
    };
    let about = match &outcome {
        Outcome::Noted => NOTED,
        Outcome::NoCard => "no-card",
        Outcome::Refused(OperationError::NotFound(_)) => "gone",
        Outcome::Refused(_) => "refused",
    };
    let mut answer = say(outcome);
    if !answer.text.is_empty() {
        answer.is_alert = is_told(&tx, reply, about, now).await?;
    }
    presses::answer(&tx, reply.id, &answer).await?;
    tx.commit().await?;
    Ok(Some(answer))
}

/// Whether the author of a reply that became a note is told so in words: not again within ten minutes.
///
/// # Errors
/// If the store fails.
pub async fn confirms(context: &Context, reply: Reply<'_>) -> Result<bool, DbErr> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let is_told = is_told(&tx, reply, NOTED, now).await?;
    tx.commit().await?;
    Ok(is_told)
}

/// Whether a reply is answered with what is said `about` it: its author was not told the same in this chat within ten
/// minutes, but by an answer to this very reply, which may have been lost.
async fn is_told(
    tx: &DatabaseTransaction,
    reply: Reply<'_>,
    about: &str,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let like = format!("told:{}:{}:{about}", reply.chat.0, reply.from);
    if let Some(before) = presses::begin_once(tx, &like, now, AGAIN).await? {
        return Ok(before.text == reply.id);
    }
    let told = Answer {
        text: reply.id.to_owned(),
        is_alert: false,
    };
    presses::answer(tx, &like, &told).await?;
    Ok(true)
}

/// Refuses a reply to a card by somebody who may not write notes. Returns whether they are to be told so: not if the
/// message is no card, and not again within ten minutes. What they are told is in the audit, with what is known of them,
/// once: how much is written there is not for strangers to decide.
///
/// # Errors
/// See [`PressError`]; nothing was written then.
pub async fn refuse(
    context: &Context,
    actor: &Actor,
    reply: Reply<'_>,
    detail: Value,
) -> Result<Refused, PressError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let card = cards::incident_of(&tx, reply.chat, reply.to, reply.to_at).await?;
    let Some(incident) = card else {
        return Ok(Refused::default());
    };
    let known = presses::begin(&tx, reply.id, now).await?;
    if let Some(known) = known {
        return Ok(Refused {
            is_first: false,
            is_told: known.is_alert,
        });
    }
    let is_told = is_told(&tx, reply, "stranger", now).await?;
    let answer = Answer {
        text: String::new(),
        is_alert: is_told,
    };
    presses::answer(&tx, reply.id, &answer).await?;
    if is_told {
        let entry = AuditEntry {
            action: Action::RefusePress,
            target: &incident.to_string(),
            detail,
        };
        audit::record(&tx, actor, entry, now).await?;
    }
    tx.commit().await?;
    Ok(Refused {
        is_first: is_told,
        is_told,
    })
}

/// What came of a stranger's reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Whether it was written to the audit now.
    pub is_first: bool,
    /// Whether they are to be told.
    pub is_told: bool,
}
