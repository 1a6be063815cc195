//! Telegram, by its Bot API: <https://core.telegram.org/bots/api#sendmessage>.

mod answer;
mod pause;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url};
use serde_json::json;
use tocsin::text::Lang;
use tokio::time::Instant;

use self::pause::Pause;
use super::http::{self, causes};
use super::text::tidy;
use super::{Card, Message, Notifier, SendError, Sent, markup, message};

/// The longest message, in UTF-16 code units after entity parsing.
const MESSAGE_MAX: usize = 4_096;
/// So many bytes of an answer are read; Telegram's own repeats the message and stays below.
const ANSWER_MAX: usize = 256 * 1024;
/// The longest reason that is reported, in UTF-16 code units.
const REASON_MAX: usize = 500;

/// Sends to one chat. The bot's token is part of the address that it calls, and is kept out of
/// every error and every log.
pub struct Telegram {
    client: Client,
    url: Url,
    secret: String,
    channel: String,
    chat: String,
    lang: Lang,
    pause: Pause,
}

impl Telegram {
    /// The bot that `token` belongs to, in `chat` (an id or `@name`), by the API at `api_base`.
    ///
    /// # Errors
    /// If `api_base` is no address, or the HTTP client cannot be set up.
    pub fn new(api_base: &str, token: &str, chat: &str) -> Result<Self, reqwest::Error> {
        Self::with_timeout(api_base, token, chat, http::TOTAL_TIMEOUT)
    }

    /// The same, writing in this language.
    #[must_use]
    pub fn in_language(self, lang: Lang) -> Self {
        Self { lang, ..self }
    }

    fn with_timeout(
        api_base: &str,
        token: &str,
        chat: &str,
        total: Duration,
    ) -> Result<Self, reqwest::Error> {
        let client = http::client(total)?;
        let url = format!("{}/bot{token}/sendMessage", api_base.trim_end_matches('/'));
        let request = client
            .post(url)
            .build()
            .map_err(reqwest::Error::without_url)?;
        Ok(Self {
            url: request.url().clone(),
            client,
            secret: secret_of(token).to_owned(),
            channel: format!("telegram:{chat}"),
            chat: chat.to_owned(),
            lang: Lang::default(),
            pause: Pause::default(),
        })
    }

    /// Sends, unless the chat is paused by `clock`.
    async fn send_by(
        &self,
        clock: impl Fn() -> Instant + Send + Sync,
        body: &str,
    ) -> Result<Sent, SendError> {
        if let Some(after) = self.pause.remaining(clock()) {
            let why = "Telegram wants a pause in this chat".to_owned();
            return Err(SendError::Wait { after, why });
        }
        let outcome = match self.post(body).await {
            Ok((status, answer)) => answer::outcome(status, &answer),
            Err(error) if error.is_builder() => Err(SendError::GiveUp(causes(&error))),
            Err(error) => Err(SendError::Retry(causes(&error))),
        };
        if let Err(SendError::Wait { after, .. }) = &outcome {
            self.pause.extend(clock(), *after);
        }
        outcome.map_err(|error| self.presentable(error))
    }

    async fn post(&self, body: &str) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        let message = json!({
            "chat_id": self.chat,
            "text": body,
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        let request = self.client.post(self.url.clone()).json(&message);
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        Ok((response.status(), http::read(response, ANSWER_MAX).await))
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

#[async_trait]
impl Notifier for Telegram {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn render(&self, card: &Card) -> String {
        markup::html(&message::lines(card, self.lang.text()), MESSAGE_MAX)
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        self.send_by(Instant::now, message.body).await
    }
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram")
            .field("chat", &self.chat)
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}

/// The part of a token that is secret: what stands before the colon is the bot's public id.
fn secret_of(token: &str) -> &str {
    token.split_once(':').map_or(token, |(_, secret)| secret)
}
