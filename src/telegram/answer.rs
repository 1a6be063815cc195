//! Answers of the Bot API: <https://core.telegram.org/bots/api#making-requests>.

use std::time::Duration;

use serde_json::Value;

use super::error::{Class, Refusal, TelegramError};

/// The wait where a 429 does not say how long.
const WAIT_DEFAULT: Duration = Duration::from_secs(5);
/// The longest wait that is obeyed.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a refusal says, in small letters, of a message that cannot be edited any more. Telegram spells it in
/// several ways, and changes them.
const OF_GONE: [&str; 6] = [
    "edit not found",
    "edited not found",
    "can't be edited",
    "message_id_invalid",
    "topic_deleted",
    "thread not found",
];

/// What a refusal of an edit that changes nothing says.
const OF_SAME: [&str; 1] = ["message is not modified"];

/// What a refusal of a topic speaks of: `message thread not found`, `TOPIC_CLOSED`, `TOPIC_DELETED`.
const OF_TOPIC: [&str; 2] = ["topic", "thread"];

/// What a refusal of the text's form or of the buttons speaks of: `can't parse entities: Unsupported start
/// tag`, `BUTTON_DATA_INVALID`, `can't parse inline keyboard button`.
const OF_FORM: [&str; 5] = ["entit", "parse", "start tag", "button", "keyboard"];

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// The method that was called.
    pub method: &'static str,
    /// Whether the call named a topic.
    pub in_topic: bool,
    /// The status code.
    pub status: u16,
    /// The body, or its beginning.
    pub body: &'a [u8],
    /// Why it broke off, if it did.
    pub cut: Option<String>,
}

impl Answer<'_> {
    /// The result of what was called.
    ///
    /// # Errors
    /// A [`Refusal`], with all that was said, unbounded and with what may be secret.
    pub fn read(self) -> Result<Value, TelegramError> {
        let mut answer: Value = serde_json::from_slice(self.body).unwrap_or_default();
        if (200..300).contains(&self.status) && answer["ok"] == true {
            return Ok(answer["result"].take());
        }
        let description = answer["description"].as_str();
        Err(TelegramError::Refused(Refusal {
            method: self.method,
            status: self.status,
            description: description.map(str::to_owned),
            class: class(self.status, &answer, self.in_topic),
            cut: self.cut,
        }))
    }
}

/// What a refusal means, by its code and then by its words. Telegram's descriptions are matched by what
/// they speak of, because their wording is no part of its API.
fn class(status: u16, answer: &Value, in_topic: bool) -> Class {
    let description = answer["description"].as_str().unwrap_or_default();
    let description = description.to_lowercase();
    let speaks_of = |words: &[&str]| words.iter().any(|word| description.contains(word));
    let is_bad_request = status == 400;
    let moved_to = answer.pointer("/parameters/migrate_to_chat_id");
    match status {
        429 => Class::Wait(wait(answer)),
        200..=299 | 401 | 404 | 408 | 500..=599 => Class::Unavailable,
        _ if answer["ok"] != false => Class::Unavailable,
        409 => Class::Conflict,
        _ => match moved_to.and_then(scalar) {
            Some(chat) => Class::Moved(chat),
            None if is_bad_request && in_topic && speaks_of(&OF_TOPIC) => Class::TopicClosed,
            None if speaks_of(&OF_SAME) => Class::NotModified,
            None if speaks_of(&OF_GONE) => Class::MessageGone,
            None if is_bad_request && speaks_of(&OF_FORM) => Class::Markup,
            None => Class::Rejected,
        },
    }
}

fn wait(answer: &Value) -> Duration {
    answer
        .pointer("/parameters/retry_after")
        .and_then(Value::as_u64)
        .map_or(WAIT_DEFAULT, |seconds| Duration::from_secs(seconds.max(1)))
        .min(WAIT_MAX)
}

/// An id, which may be written as a number or as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
