//! Replies to cards: what is written there is a note about the incident.

use super::methods::{Content, NewMessage, TIMEOUT};
use super::update::CardReply;
use super::{Bot, TelegramError};
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
    let (chat, user) = (&written.chat, written.from.id);
    let id = format!("reply:{}:{}", chat.id, written.message_id);
    let name = context.config.telegram.people.name(user);
    let actor = Actor {
        token: "telegram".to_owned(),
        operator: name.map(str::to_owned),
        request_id: Some(format!("telegram:{id}")),
    };
    let reply = Reply {
        id: &id,
        chat: (chat.id, chat.username.as_deref()),
        to: written.reply_to_message.message_id,
        text: &said,
    };
    if name.is_some() {
        let say = |outcome| answer_to(text, outcome);
        let answer = Box::pin(reply::note(context, &actor, reply, &say)).await?;
        return Ok(answer.map(|answer| match answer.text.is_empty() {
            true => Shown::Noted,
            false => Shown::Said(answer.text),
        }));
    }
    let detail = written.from.shown();
    let refused = reply::refuse(context, &actor, reply, (user, detail)).await?;
    if refused.is_first {
        tracing::warn!(
            user,
            "rejected a reply by a Telegram user who is not in telegram.people"
        );
    }
    let words = || fill(text.pressed_stranger, &[("user", &user.to_string())]);
    Ok(refused.is_told.then(|| Shown::Said(words())))
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

/// Shows it: by a reaction, or words where the chat allows none.
///
/// # Errors
/// See [`TelegramError`]. What was written is written.
pub async fn show(
    bot: &Bot,
    text: &Text,
    written: &CardReply,
    shown: &Shown,
) -> Result<(), TelegramError> {
    let words = match shown {
        Shown::Said(words) => words,
        Shown::Noted => match bot.react(written.chat.id, written.message_id).await {
            Err(TelegramError::Refused(_)) => text.reply_noted,
            shown => return shown,
        },
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
