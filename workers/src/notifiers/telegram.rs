//! Telegram, by its Bot API: <https://core.telegram.org/bots/api#sendmessage>.

mod answer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};
use tocsin::config::Config;
use tocsin::domain::budget::Budget;
use tocsin::text::Lang;

use self::answer::Instead;
use super::http::{self, causes};
use super::patience::{CircuitBreaker, Receiver};
use super::text::tidy;
use super::{Card, Digest, Edited, Message, Notifier, SendError, Sent, digest, markup, message};

/// The longest message, in UTF-16 code units after entity parsing.
const MESSAGE_MAX: usize = 4_096;
/// So many messages and edits are on their way to the Bot API at once, at most.
const AT_ONCE: usize = 4;
/// So many bytes of an answer are read; Telegram's own repeats the message and stays below.
const ANSWER_MAX: usize = 256 * 1024;
/// How often a message is posted at most: to the chat, to what became of it, without its topic, and as plain
/// text.
const WAYS: u32 = 4;
/// The longest reason that is reported, in UTF-16 code units.
const REASON_MAX: usize = 500;

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

/// The Bot API, for one bot. Its token is part of the address that is called, and is kept out of
/// every error and every log.
#[derive(Clone)]
pub struct Api {
    client: Client,
    url: Url,
    secret: String,
    /// How long a message may take, whatever has to be called for it.
    total: Duration,
    receiver: Arc<Receiver>,
}

impl Api {
    /// The bot that `token` belongs to, by the API at `base`.
    ///
    /// # Errors
    /// If `base` is no address, or the HTTP client cannot be set up.
    pub fn new(base: &str, token: &str) -> Result<Self, reqwest::Error> {
        Self::with_timeout(base, token, http::TOTAL_TIMEOUT)
    }

    fn with_timeout(base: &str, token: &str, total: Duration) -> Result<Self, reqwest::Error> {
        let client = http::client(total)?;
        let url = format!("{}/bot{token}/", base.trim_end_matches('/'));
        let request = client
            .post(url)
            .build()
            .map_err(reqwest::Error::without_url)?;
        Ok(Self {
            url: request.url().clone(),
            client,
            secret: secret_of(token).to_owned(),
            total,
            receiver: Arc::new(Receiver::new(total, AT_ONCE)),
        })
    }

    /// Calls a method, once, for as long as `within`; what came of it is read by `outcome`.
    async fn call<T>(
        &self,
        method: &str,
        body: &Value,
        within: Duration,
        outcome: impl FnOnce(StatusCode, &[u8]) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        let answered = async {
            let mut url = self.url.clone();
            url.set_path(&format!("{}{method}", self.url.path()));
            let request = self.client.post(url).timeout(within).json(body);
            let response = request.send().await.map_err(reqwest::Error::without_url)?;
            Ok::<_, reqwest::Error>((response.status(), http::read(response, ANSWER_MAX).await))
        };
        let outcome = match answered.await {
            Ok((status, answer)) => {
                match status.is_server_error() {
                    true => self.receiver.broken(tokio::time::Instant::now()),
                    false => self.receiver.answered(),
                }
                outcome(status, &answer)
            }
            Err(error) if error.is_builder() => Err(SendError::GiveUp(causes(&error))),
            Err(error) => {
                // What was left of the time of a message that had answers before says nothing.
                let now = tokio::time::Instant::now();
                if !error.is_timeout() {
                    self.receiver.broken(now);
                } else if within * 2 > self.total {
                    self.receiver.unanswered(now);
                }
                Err(SendError::Retry(causes(&error)))
            }
        };
        outcome.map_err(|error| self.presentable(error))
    }

    /// Takes the token out of an error (whatever answers may repeat the address it was called by)
    /// and bounds it.
    fn presentable(&self, error: SendError) -> SendError {
        let present = |why: String| {
            let why = if self.secret.is_empty() {
                why
            } else {
                why.replace(&self.secret, "***")
            };
            tidy(&why, REASON_MAX)
        };
        match error {
            SendError::Wait { after, why } => SendError::Wait {
                after,
                why: present(why),
            },
            SendError::Retry(why) => SendError::Retry(present(why)),
            SendError::GiveUp(why) => SendError::GiveUp(present(why)),
        }
    }
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

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// The part of a token that is secret: what stands before the colon is the bot's public id.
fn secret_of(token: &str) -> &str {
    token.split_once(':').map_or(token, |(_, secret)| secret)
}
