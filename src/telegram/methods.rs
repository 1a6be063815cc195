//! The methods of the Bot API that are called: <https://core.telegram.org/bots/api#available-methods>.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::scalar;
use super::client::{Bot, Call};
use super::error::TelegramError;
use super::update::{Message, Update};
use crate::store::presses::Answer;

/// How long Telegram may wait for a press before it answers.
const POLL: Duration = Duration::from_secs(25);
/// How long any answer may take beside that.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes that are read of an answer. Telegram's repeats the message and stays below.
pub(super) const ANSWER_MAX: usize = 256 * 1024;
/// The most updates of an answer, and its most bytes: each may have two messages of 4,096 characters, their buttons and
/// their formats. More would be asked for again and again.
const UPDATES: usize = 50;
const UPDATES_MAX: usize = 16 << 20;
/// The longest text of an answer to a press, in characters.
const TEXT_MAX: usize = 200;
/// The updates that are asked for. What was written and then edited is none of them.
const WANTED: [&str; 2] = ["callback_query", "message"];
/// The reaction to a reply that became a note: a writing hand.
const NOTED: &str = "\u{270d}";

/// A message to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// The chat: an id, or `@name`.
    pub chat: &'a str,
    /// The topic of it, if it is to be in one.
    pub topic: Option<i64>,
    /// The message that it answers. It is written all the same if that one was deleted.
    pub reply_to: Option<i64>,
    /// Whether it makes no sound.
    pub is_silent: bool,
    /// What it shows.
    pub content: Content<'a>,
}

/// What a message shows.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Its text.
    pub text: &'a str,
    /// Whether that is HTML, as <https://core.telegram.org/bots/api#html-style> has it; else it is plain.
    pub is_html: bool,
    /// Buttons beneath it, as Telegram writes them.
    pub reply_markup: Option<&'a Value>,
}

impl Bot {
    /// Writes a message, and returns its id if Telegram gives one. All of it takes `within` at most.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn send(
        &self,
        message: NewMessage<'_>,
        within: Duration,
    ) -> Result<Option<String>, TelegramError> {
        let mut body = message.content.body(message.chat);
        if let Some(topic) = message.topic {
            body["message_thread_id"] = json!(topic);
        }
        if message.is_silent {
            body["disable_notification"] = json!(true);
        }
        if let Some(id) = message.reply_to {
            body["reply_parameters"] =
                json!({"message_id": id, "allow_sending_without_reply": true});
        }
        let sent = self.done("sendMessage", &body, within).await?;
        Ok(sent.get("message_id").and_then(scalar))
    }

    /// Has a message show something else. All of it takes `within` at most.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn edit(
        &self,
        (chat, id): (&str, i64),
        content: Content<'_>,
        within: Duration,
    ) -> Result<(), TelegramError> {
        let mut body = content.body(chat);
        body["message_id"] = json!(id);
        self.done("editMessageText", &body, within).await.map(drop)
    }

    /// Waits for presses and replies from `next` on, for 25 seconds at most.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn updates(&self, next: i64) -> Result<Vec<Update>, TelegramError> {
        let body = json!({
            "offset": next,
            "limit": UPDATES,
            "timeout": POLL.as_secs(),
            "allowed_updates": WANTED,
        });
        let call = Call {
            method: "getUpdates",
            body: &body,
            within: POLL + TIMEOUT,
            answer_max: UPDATES_MAX,
        };
        let found = self.call(call).await?;
        let updates = found.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(updates.iter().filter_map(Update::read).collect())
    }

    /// Shows the user the outcome of a press. A press that is too old takes no answer.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn answer(&self, query: &str, answer: &Answer) -> Result<(), TelegramError> {
        let body = answer_body(query, answer);
        let answered = self.done("answerCallbackQuery", &body, TIMEOUT).await;
        answered.map(drop)
    }

    /// Shows other buttons beneath a message.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn show(&self, message: &Message, keyboard: &Value) -> Result<(), TelegramError> {
        let body = json!({
            "chat_id": message.chat.id,
            "message_id": message.message_id,
            "reply_markup": keyboard,
        });
        let shown = self.done("editMessageReplyMarkup", &body, TIMEOUT).await;
        shown.map(drop)
    }

    /// Shows that a reply became a note, by a reaction to it.
    ///
    /// # Errors
    /// See [`TelegramError`]. A chat may allow no reactions.
    pub async fn react(&self, chat: i64, message: i64) -> Result<(), TelegramError> {
        let body = json!({
            "chat_id": chat,
            "message_id": message,
            "reaction": [{"type": "emoji", "emoji": NOTED}],
        });
        let shown = self.done("setMessageReaction", &body, TIMEOUT).await;
        shown.map(drop)
    }

    /// Has presses and replies sent to `url`, with `secret` in each request.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn set_webhook(&self, url: &str, secret: &str) -> Result<(), TelegramError> {
        let body = json!({"url": url, "secret_token": secret, "allowed_updates": WANTED});
        let set = self.done("setWebhook", &body, TIMEOUT).await;
        set.map(drop).map_err(|error| error.without(&[secret]))
    }

    /// Has presses and replies wait to be asked for.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn delete_webhook(&self) -> Result<(), TelegramError> {
        let deleted = self.done("deleteWebhook", &json!({}), TIMEOUT).await;
        deleted.map(drop)
    }

    async fn done(
        &self,
        method: &'static str,
        body: &Value,
        within: Duration,
    ) -> Result<Value, TelegramError> {
        let call = Call {
            method,
            body,
            within,
            answer_max: ANSWER_MAX,
        };
        self.call(call).await
    }
}

impl Content<'_> {
    fn body(&self, chat: &str) -> Value {
        let mut body = json!({
            "chat_id": chat,
            "text": self.text,
            "link_preview_options": {"is_disabled": true},
        });
        if self.is_html {
            body["parse_mode"] = json!("HTML");
        }
        if let Some(markup) = self.reply_markup {
            body["reply_markup"] = markup.clone();
        }
        body
    }
}

/// The answer to a press, as the body of a request.
pub(super) fn answer_body(query: &str, answer: &Answer) -> Value {
    let text: String = answer.text.chars().take(TEXT_MAX).collect();
    json!({"callback_query_id": query, "text": text, "show_alert": answer.is_alert})
}
