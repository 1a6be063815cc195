//! Telegram, by its Bot API: <https://core.telegram.org/bots/api#sendmessage>.

mod answer;
mod api;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tocsin::domain::budget::Budget;
use tocsin::text::Lang;

use super::patience::CircuitBreaker;
use super::{Card, Digest, Edited, Message, Notifier, SendError, Sent, digest, markup, message};
use answer::Instead;
pub use api::Api;

/// The longest message, in UTF-16 code units after entity parsing.
const MESSAGE_MAX: usize = 4_096;
/// So many messages and edits are on their way to the Bot API at once, at most.
const AT_ONCE: usize = 4;

/// How often a message is posted at most: to the chat, to what became of it, without its topic, and as plain
/// text.
const WAYS: u32 = 4;
/// The longest reason that is reported, in UTF-16 code units.
const REASON_MAX: usize = 500;

/// Writes to one chat, or to one topic of it.
///
/// A group that becomes a supergroup is another chat from then on, with messages of its own. It is
/// written to for as long as the process lives; the ids of messages there name it (`CHAT/ID`), so that
/// no other message is edited or answered.
pub struct Telegram {
    api: Api,
    channel: String,
    chat: String,
    moved_to: Mutex<Option<String>>,
    topic: Option<i64>,
    lang: Lang,
    budget: Budget,
    patience: CircuitBreaker,
}

impl Telegram {
    /// To this chat: an id or `@name`, with `/` and the topic's number behind it if it is one's.
    #[must_use]
    pub fn new(api: &Api, chat: &str, budget: Budget) -> Self {
        let (id, topic) = chat.split_once('/').unwrap_or((chat, ""));
        Self {
            api: api.clone(),
            channel: format!("telegram:{chat}"),
            chat: id.to_owned(),
            moved_to: Mutex::default(),
            topic: topic.parse().ok(),
            lang: Lang::default(),
            budget,
            patience: CircuitBreaker::with(Arc::clone(&api.receiver)),
        }
    }

    /// The same, writing in this language.
    #[must_use]
    pub fn in_language(self, lang: Lang) -> Self {
        Self { lang, ..self }
    }
}

/// Where a message goes, and how.
struct To {
    chat: String,
    topic: Option<i64>,
    is_plain: bool,
}

#[async_trait]
impl Notifier for Telegram {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn render(&self, card: &Card) -> String {
        markup::html(&message::lines(card, self.lang.text()), MESSAGE_MAX)
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        self.send_anywhere(message).await
    }

    fn render_digest(&self, digest: &Digest) -> Option<String> {
        Some(markup::html(
            &digest::lines(digest, self.lang.text()),
            MESSAGE_MAX,
        ))
    }

    fn budget(&self) -> Option<Budget> {
        Some(self.budget)
    }

    fn patience(&self) -> Option<&CircuitBreaker> {
        Some(&self.patience)
    }

    async fn edit(&self, message_id: &str, message: Message<'_>) -> Result<Edited, SendError> {
        let Some((chat, id)) = self.place_of(message_id) else {
            return Ok(Edited::Never(format!("{message_id} is no message's id")));
        };
        let began = Instant::now();
        let mut is_plain = false;
        loop {
            let mut body = body(chat, message, is_plain);
            body["message_id"] = json!(id);
            let within = self.api.total.saturating_sub(began.elapsed());
            let mut instead = None;
            let outcome = |status, bytes: &[u8]| {
                instead = answer::instead(status, bytes, false);
                answer::edited(status, bytes)
            };
            let edited = self
                .api
                .call("editMessageText", &body, within, outcome)
                .await;
            if is_plain || instead != Some(Instead::Plain) || edited.is_ok() {
                return edited;
            }
            is_plain = true;
        }
    }
}

impl Telegram {
    /// Sends it to the chat, or to where Telegram says that it can go instead.
    async fn send_anywhere(&self, message: Message<'_>) -> Result<Sent, SendError> {
        let began = Instant::now();
        let mut to = To {
            chat: self.chat_now(),
            topic: self.topic,
            is_plain: false,
        };
        let mut ways = WAYS;
        loop {
            ways -= 1;
            let within = self.api.total.saturating_sub(began.elapsed());
            let mut instead = None;
            let sent = self.post(message, &to, within, &mut instead).await;
            match instead {
                None => return sent,
                Some(_) if ways == 0 => return sent,
                Some(Instead::Plain) if to.is_plain => return sent,
                Some(Instead::Plain) => {
                    tracing::warn!(
                        notification.channel = self.channel,
                        "Telegram rejected a message's markup: sending it as plain text"
                    );
                    to.is_plain = true;
                }
                Some(Instead::NoTopic) => {
                    tracing::warn!(
                        notification.channel = self.channel,
                        "the Telegram topic is closed or deleted: sending its messages to the chat"
                    );
                    to.topic = None;
                }
                Some(Instead::Chat(now)) => {
                    tracing::warn!(
                        notification.channel = self.channel,
                        chat = now,
                        "the Telegram group has a new chat ID: set TOCSIN_TELEGRAM_CHAT, or the route, to it"
                    );
                    *self.moved() = Some(now.clone());
                    to.chat = now;
                }
            }
        }
    }

    async fn post(
        &self,
        message: Message<'_>,
        to: &To,
        within: Duration,
        instead: &mut Option<Instead>,
    ) -> Result<Sent, SendError> {
        let mut body = body(&to.chat, message, to.is_plain);
        if let Some(topic) = to.topic {
            body["message_thread_id"] = json!(topic);
        }
        if message.is_silent {
            body["disable_notification"] = json!(true);
        }
        // Whoever deleted the message it answers wants to be told all the same.
        let answers = message.reply_to.and_then(|id| self.place_of(id));
        if let Some((_, id)) = answers.filter(|(of, _)| *of == to.chat) {
            body["reply_parameters"] =
                json!({"message_id": id, "allow_sending_without_reply": true});
        }
        let outcome = |status, bytes: &[u8]| {
            *instead = answer::instead(status, bytes, to.topic.is_some());
            answer::outcome(status, bytes)
        };
        let mut sent = self.api.call("sendMessage", &body, within, outcome).await?;
        if to.chat != self.chat {
            let chat = &to.chat;
            sent.message_id = sent.message_id.map(|id| format!("{chat}/{id}"));
        }
        Ok(sent)
    }

    /// The chat that messages go to now.
    fn chat_now(&self) -> String {
        self.moved().as_ref().unwrap_or(&self.chat).clone()
    }

    fn moved(&self) -> MutexGuard<'_, Option<String>> {
        self.moved_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chat that a message is in, and its number there.
    fn place_of<'a>(&'a self, message_id: &'a str) -> Option<(&'a str, i64)> {
        let (chat, id) = message_id
            .split_once('/')
            .unwrap_or((&self.chat, message_id));
        Some((chat, id.parse().ok()?))
    }
}

fn body(chat: &str, message: Message<'_>, is_plain: bool) -> Value {
    let mut body = json!({
        "chat_id": chat,
        "link_preview_options": {"is_disabled": true},
    });
    if is_plain {
        body["text"] = json!(markup::without(message.body));
        return body;
    }
    body["text"] = json!(message.body);
    body["parse_mode"] = json!("HTML");
    if let Some(markup) = message.reply_markup {
        body["reply_markup"] = markup.clone();
    }
    body
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
