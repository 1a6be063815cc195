//! Telegram, by its Bot API: <https://core.telegram.org/bots/api#sendmessage>.

mod answer;
mod pause;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde_json::json;
use tokio::time::Instant;

use self::pause::Pause;
use super::text::tidy;
use super::{Card, Notifier, SendError, Sent, markup, message};

/// The longest message, in UTF-16 code units after entity parsing.
const MESSAGE_MAX: usize = 4_096;
/// Connecting, sending and the answer together.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connecting alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
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
    pause: Pause,
}

impl Telegram {
    /// The bot that `token` belongs to, in `chat` (an id or `@name`), by the API at `api_base`.
    ///
    /// # Errors
    /// If `api_base` is no address, or the HTTP client cannot be set up.
    pub fn new(api_base: &str, token: &str, chat: &str) -> Result<Self, reqwest::Error> {
        Self::with_timeout(api_base, token, chat, TOTAL_TIMEOUT)
    }

    fn with_timeout(
        api_base: &str,
        token: &str,
        chat: &str,
        total: Duration,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(total)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
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
        Ok((response.status(), read(response).await))
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
        markup::html(&message::lines(card), MESSAGE_MAX)
    }

    async fn send(&self, body: &str) -> Result<Sent, SendError> {
        self.send_by(Instant::now, body).await
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

/// What came of an answer. Where it breaks off, the status and the beginning have to do.
async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            break;
        }
    }
    body
}

/// An error with all its causes: reqwest's own text says only that it failed.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
