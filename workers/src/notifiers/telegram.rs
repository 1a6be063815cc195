//! Telegram, by its Bot API: <https://core.telegram.org/bots/api#sendmessage>.

mod api;
mod outcome;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tocsin::config::Config;
use tocsin::domain::budget::Budget;
use tocsin::telegram::{Class, Content, NewMessage, TelegramError};
use tocsin::text::Lang;

pub use self::api::Api;
use super::circuit_breaker::CircuitBreaker;
use super::{
    Card, Digest, Edited, Message, Notifier, SendError, Sent, TestMessage, digest, markup, message,
    notice::Notice,
};

/// The longest message, in UTF-16 code units after entity parsing.
const MESSAGE_MAX: usize = 4_096;
/// How often a message is posted at most: to the chat, to what became of it, without its topic, and as plain
/// text.
const WAYS: usize = 4;

/// One for each chat and topic that a route leads to, if there is a bot.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let Some(token) = &config.telegram_token else {
        return Vec::new();
    };
    let api = match Api::new(&config.telegram_api, token.expose()) {
        Ok(api) => api,
        Err(error) => {
            tracing::error!("Telegram cannot be used: {error}");
            return Vec::new();
        }
    };
    let channels = config.all_channels();
    let chats = channels.iter().filter_map(|c| c.strip_prefix("telegram:"));
    let notifier = |chat| -> Box<dyn Notifier> {
        let telegram = Telegram::new(&api, chat, config.budget(chat));
        Box::new(telegram.in_language(config.language))
    };
    chats.map(notifier).collect()
}

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
    circuit_breaker: CircuitBreaker,
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
            circuit_breaker: CircuitBreaker::with(Arc::clone(&api.receiver)),
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

    fn render_notice(&self, of: &Notice, page: Option<&str>) -> Option<String> {
        let lines = of.lines(page, self.lang);
        Some(markup::html(&lines, MESSAGE_MAX))
    }

    fn render_test(&self, test: &TestMessage) -> String {
        markup::html(&message::of_test(test, self.lang.text()), MESSAGE_MAX)
    }

    fn budget(&self) -> Option<Budget> {
        Some(self.budget)
    }

    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        Some(&self.circuit_breaker)
    }

    async fn edit(&self, message_id: &str, message: Message<'_>) -> Result<Edited, SendError> {
        let Some(place) = self.place_of(message_id) else {
            return Ok(Edited::Never(format!("{message_id} is no message's id")));
        };
        let began = Instant::now();
        let mut plain = None;
        loop {
            let within = self.api.rest(began);
            let content = content(message, plain.as_deref());
            let edited = self.api.bot.edit(place, content, within).await;
            let error = edited.as_ref().err();
            self.api.watch(error, within);
            if plain.is_some() || error.and_then(TelegramError::class) != Some(&Class::Markup) {
                return outcome::edited(edited);
            }
            plain = Some(markup::without(message.body));
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
            match self.post(message, &to, self.api.rest(began)).await {
                Err(error) if ways > 0 && self.redirect(&mut to, &error) => {}
                Err(error) => return Err(outcome::failed(&error)),
                Ok(sent) => return Ok(sent),
            }
        }
    }

    /// Says where the message can go instead, or how; `false` if it cannot.
    fn redirect(&self, to: &mut To, refused: &TelegramError) -> bool {
        match refused.class() {
            Some(Class::Markup) if !to.is_plain => {
                tracing::warn!(
                    notification.channel = self.channel,
                    "Telegram rejected a message's markup: sending it as plain text"
                );
                to.is_plain = true;
            }
            Some(Class::TopicClosed) => {
                tracing::warn!(
                    notification.channel = self.channel,
                    "the Telegram topic is closed or deleted: sending its messages to the chat"
                );
                to.topic = None;
            }
            Some(Class::Moved(now)) => {
                tracing::warn!(
                    notification.channel = self.channel,
                    chat = now,
                    "the Telegram group has a new chat ID: set TOCSIN_TELEGRAM_CHAT, or the route, to it"
                );
                *self.moved() = Some(now.clone());
                to.chat = now.clone();
            }
            _ => return false,
        }
        true
    }

    async fn post(
        &self,
        message: Message<'_>,
        to: &To,
        within: Duration,
    ) -> Result<Sent, TelegramError> {
        // If the message that it answers was deleted, it is sent all the same.
        let answers = message.reply_to.and_then(|id| self.place_of(id));
        let answers = answers.filter(|(chat, _)| *chat == to.chat);
        let plain = to.is_plain.then(|| markup::without(message.body));
        let new = NewMessage {
            chat: &to.chat,
            topic: to.topic,
            reply_to: answers.map(|(_, id)| id),
            is_silent: message.is_silent,
            content: content(message, plain.as_deref()),
        };
        let sent = self.api.bot.send(new, within).await;
        self.api.watch(sent.as_ref().err(), within);
        let id = sent?;
        Ok(Sent {
            answer: format!(
                "message {} in chat {}",
                id.as_deref().unwrap_or("?"),
                to.chat
            ),
            message_id: match to.chat == self.chat {
                true => id,
                false => id.map(|id| format!("{}/{id}", to.chat)),
            },
        })
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

/// What a message shows: HTML with its buttons, or this plain text without any.
fn content<'a>(message: Message<'a>, plain: Option<&'a str>) -> Content<'a> {
    match plain {
        Some(text) => Content {
            text,
            is_html: false,
            reply_markup: None,
        },
        None => Content {
            text: message.body,
            is_html: true,
            reply_markup: message.reply_markup,
        },
    }
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
