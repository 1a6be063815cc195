//! Replies to cards: what is written there is a note about the incident.

use super::methods::{Content, NewMessage, TIMEOUT};
use super::update::CardReply;
use super::{Bot, Class, TelegramError};
use crate::context::Context;
use crate::operations::OperationError;
use crate::operations::press::PressError;
use crate::operations::reply::{self, Outcome, Reply};
use crate::store::audit::Actor;
use crate::store::presses::Answer;
use crate::text::{Text, fill, refusal};

/// What is shown to somebody who replied to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// That it is a note, by a reaction.
    Noted,
    /// Words.
    Said(String),
}

/// Writes a reply to a card down as a note, once, also if it is delivered again. Refuses strangers. `None` if there is
/// nothing to show: it is a reply to another message, or says nothing.
///
/// # Errors
/// See [`PressError`]; whatever was not done then is done when the reply comes again.
pub async fn note(
    context: &Context,
    bot: &str,
    written: &CardReply,
) -> Result<Option<Shown>, PressError> {
    if !written.is_to(bot) {
        return Ok(None);
    }
    let (text, said) = (context.config.language.text(), written.said());
    let user = written.from.id;
    let id = id_of(bot, written);
    let people = &context.config.telegram.people;
    let name = people.name(user).filter(|_| !written.is_anonymous());
    let actor = Actor {
        token: "telegram".to_owned(),
        operator: name.map(str::to_owned),
        request_id: Some(format!("telegram:{id}")),
    };
    let reply = reply_of(written, &id, &said);
    if name.is_some() {
        let say = |outcome| answer_to(text, outcome);
        let answer = Box::pin(reply::note(context, &actor, reply, &say)).await?;
        return Ok(answer.and_then(|answer| match answer.text.is_empty() {
            true => Some(Shown::Noted),
            false => answer.is_alert.then_some(Shown::Said(answer.text)),
        }));
    }
    let refused = reply::refuse(context, &actor, reply, written.author()).await?;
    if refused.is_first {
        tracing::warn!(
            user,
            "rejected a reply that is not by a Telegram user in telegram.people"
        );
    }
    let words = || match written.is_anonymous() {
        true => text.reply_anonymous.to_owned(),
        false => fill(text.pressed_stranger, &[("user", &user.to_string())]),
    };
    Ok(refused.is_told.then(|| Shown::Said(words())))
}

/// The id of a reply. In private chats and basic groups each bot has message numbers of its own.
fn id_of(bot: &str, written: &CardReply) -> String {
    format!("reply:{bot}:{}:{}", written.chat.id, written.message_id)
}

fn reply_of<'a>(written: &'a CardReply, id: &'a str, said: &'a str) -> Reply<'a> {
    let (chat, sender) = (&written.chat, written.sender_chat.as_ref());
    Reply {
        id,
        chat: (chat.id, chat.username.as_deref()),
        to: written.reply_to_message.message_id,
        to_at: written.to_at(),
        from: sender.map_or(written.from.id, |sender| sender.id),
        text: said,
    }
}

/// What is said of what came of a reply: nothing, if it is a note.
fn answer_to(text: &Text, outcome: Outcome) -> Answer {
    let said = match outcome {
        Outcome::Noted => String::new(),
        Outcome::NoCard => text.reply_no_card.to_owned(),
        Outcome::Refused(OperationError::NotFound(_)) => text.pressed_gone.to_owned(),
        Outcome::Refused(error) => {
            let refused = error.refusal().and_then(|why| refusal(text, &why));
            refused.unwrap_or_else(|| error.to_string())
        }
    };
    Answer {
        text: said,
        is_alert: false,
    }
}

/// Shows it: by a reaction, or words where the chat allows none, once within ten minutes.
///
/// # Errors
/// See [`TelegramError`]. What was written is written.
pub async fn show(
    context: &Context,
    bot: &Bot,
    written: &CardReply,
    shown: &Shown,
) -> Result<(), TelegramError> {
    let words = match shown {
        Shown::Said(words) => words,
        Shown::Noted => {
            let reacted = bot.react(written.chat.id, written.message_id).await;
            let class = reacted.as_ref().err().and_then(TelegramError::class);
            if class != Some(&Class::Rejected) || !confirms(context, bot, written).await {
                return reacted;
            }
            context.config.language.text().reply_noted
        }
    };
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let message = NewMessage {
        chat: &written.chat.id.to_string(),
        topic: written.topic(),
        reply_to: Some(written.message_id),
        is_silent: true,
        content: Content {
            text: &words,
            is_html: true,
            reply_markup: None,
        },
    };
    bot.send(message, TIMEOUT).await.map(drop)
}

/// Whether it is said that a reply became a note. Where the store cannot tell, it is not: the note is there.
async fn confirms(context: &Context, bot: &Bot, written: &CardReply) -> bool {
    let id = id_of(bot.name(), written);
    let confirms = reply::confirms(context, reply_of(written, &id, "")).await;
    confirms.unwrap_or_else(|error| {
        tracing::debug!("cannot answer a reply: {error}");
        false
    })
}
