//! What the Bot API's answers mean.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::notifiers::{Edited, SendError, Sent};

/// The wait where a 429 does not say how long.
const WAIT_DEFAULT: Duration = Duration::from_secs(5);
/// The longest wait that is obeyed.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What is said, in small letters, of a message that nobody can edit any more. Telegram spells it in several
/// ways, and changes them.
const GONE: [&str; 7] = [
    "edit not found",
    "edited not found",
    "can't be edited",
    "message_id_invalid",
    "topic_deleted",
    "thread not found",
    // What was written to a group before it became another chat is not that chat's.
    "the group is now the chat",
];

/// What a refusal of a topic speaks of: `message thread not found`, `TOPIC_CLOSED`, `TOPIC_DELETED`.
const OF_TOPIC: [&str; 2] = ["topic", "thread"];

/// What a refusal of the text's form or of the buttons speaks of: `can't parse entities: Unsupported start
/// tag`, `BUTTON_DATA_INVALID`, `can't parse inline keyboard button`.
const OF_FORM: [&str; 5] = ["entit", "parse", "start tag", "button", "keyboard"];

/// What became of a message. The text of an error holds what the provider said, unbounded and
/// unchecked.
///
/// What does not read as Telegram's is tried again, a success as well: something between here and
/// Telegram may have answered for it, and a message twice is better than none. So is a refusal of the bot
/// itself: its token is mended, and then the message can go out.
pub(super) fn outcome(status: StatusCode, body: &[u8]) -> Result<Sent, SendError> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let why = said(status, &answer);
    Err(match status.as_u16() {
        200..=299 => return accepted(&answer).ok_or(SendError::Retry(why)),
        429 => SendError::Wait {
            after: wait(&answer),
            why,
        },
        401 | 404 | 408 | 500..=599 => SendError::Retry(why),
        _ if answer.get("ok") != Some(&Value::Bool(false)) => SendError::Retry(why),
        _ => SendError::GiveUp(match moved_to(&answer) {
            Some(chat) => {
                format!("the group is now the chat {chat}: set TOCSIN_TELEGRAM_CHAT to it ({why})")
            }
            None => why,
        }),
    })
}

/// Where a message can go instead of where it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// The group became this chat.
    Chat(String),
    /// Nothing can be written to the topic; the rest of the chat is still there.
    NoTopic,
    /// As plain text, without buttons: a message that is not bold is better than none.
    Plain,
}

/// What a refusal says about how the message can go. Telegram's descriptions are matched by what they
/// speak of, because their wording is no part of its API.
pub(super) fn instead(status: StatusCode, body: &[u8], in_topic: bool) -> Option<Instead> {
    if status != StatusCode::BAD_REQUEST {
        return None;
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    if let Some(chat) = moved_to(&answer) {
        return Some(Instead::Chat(chat));
    }
    let description = answer.get("description")?.as_str()?.to_lowercase();
    let speaks_of = |words: &[&str]| words.iter().any(|word| description.contains(word));
    match () {
        () if in_topic && speaks_of(&OF_TOPIC) => Some(Instead::NoTopic),
        () if speaks_of(&OF_FORM) => Some(Instead::Plain),
        () => None,
    }
}

/// What became of an edit. That it changes nothing is no failure: it arrived before, and the answer did
/// not.
pub(super) fn edited(status: StatusCode, body: &[u8]) -> Result<Edited, SendError> {
    match outcome(status, body) {
        Ok(_) => Ok(Edited::Done),
        Err(SendError::GiveUp(why)) if why.contains("message is not modified") => Ok(Edited::Done),
        Err(SendError::GiveUp(why)) if GONE.iter().any(|gone| is_said(gone, &why)) => {
            Ok(Edited::Never(why))
        }
        Err(error) => Err(error),
    }
}

fn is_said(words: &str, why: &str) -> bool {
    why.to_lowercase().contains(words)
}

fn accepted(answer: &Value) -> Option<Sent> {
    (answer.get("ok")? == true).then(|| Sent {
        message_id: answer.pointer("/result/message_id").and_then(scalar),
    })
}

fn said(status: StatusCode, answer: &Value) -> String {
    let code = status.as_u16();
    match answer.get("description").and_then(Value::as_str) {
        Some(description) => format!("Telegram answered {code}: {description}"),
        None if status.is_success() => {
            format!("Telegram answered {code} with an unexpected body")
        }
        None => format!("Telegram answered {code} without a reason"),
    }
}

fn wait(answer: &Value) -> Duration {
    answer
        .pointer("/parameters/retry_after")
        .and_then(Value::as_u64)
        .map_or(WAIT_DEFAULT, |seconds| Duration::from_secs(seconds.max(1)))
        .min(WAIT_MAX)
}

fn moved_to(answer: &Value) -> Option<String> {
    answer
        .pointer("/parameters/migrate_to_chat_id")
        .and_then(scalar)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
