//! The one client of the Bot API: the address, time limits, and what came back. What can be called is in
//! `methods`.

use std::fmt;
use std::time::Duration;

use reqwest::{Client, Url};
use serde_json::Value;

use super::answer::Answer;
use super::error::TelegramError;
use crate::config::Config;
use crate::http_client;

/// Speaks to Telegram for one bot. Its token is part of every address, and of no error and no log. Clones
/// share their connections.
#[derive(Clone)]
pub struct Bot {
    client: Client,
    base: Url,
    name: String,
    secret: String,
}

/// One call of a method.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) body: &'a Value,
    /// How long all of it may take.
    pub(super) within: Duration,
    /// The most bytes that are read of the answer.
    pub(super) answer_max: usize,
}

impl Bot {
    /// The bot that `token` belongs to, by the API at `base`.
    ///
    /// # Errors
    /// If `base` is no address, or the HTTP client cannot be set up.
    pub fn new(base: &str, token: &str) -> Result<Self, reqwest::Error> {
        let client = http_client::builder().build()?;
        let url = format!("{}/bot{token}/", base.trim_end_matches('/'));
        let request = client
            .post(url)
            .build()
            .map_err(reqwest::Error::without_url)?;
        let (name, secret) = token.split_once(':').unwrap_or(("", token));
        Ok(Self {
            base: request.url().clone(),
            client,
            name: name.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// The bot of these settings whose buttons are pressed; `None` if there is none, or its list of people is empty.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn of(config: &Config) -> Result<Option<Self>, reqwest::Error> {
        let token = config.telegram_token.as_ref();
        let token = token.filter(|_| config.has_buttons());
        let bot = token.map(|token| Self::new(&config.telegram_api, token.expose()));
        bot.transpose()
    }

    /// Its number, which is no secret.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls a method, once.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Value, TelegramError> {
        let answered = self.answered(call).await;
        answered.map_err(|error| error.without(&[&self.secret]))
    }

    async fn answered(&self, call: Call<'_>) -> Result<Value, TelegramError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), call.method));
        let request = self.client.post(url).timeout(call.within).json(call.body);
        let response = request.send().await.map_err(TelegramError::unanswered)?;
        let status = response.status().as_u16();
        let (body, cut) = http_client::read(response, call.answer_max).await;
        let answer = Answer {
            method: call.method,
            in_topic: call.body.get("message_thread_id").is_some(),
            status,
            body: &body,
            cut: cut.as_ref().map(http_client::causes),
        };
        answer.read()
    }
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
