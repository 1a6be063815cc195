//! The bot, as far as buttons need it: <https://core.telegram.org/bots/api>.

use std::fmt;
use std::time::Duration;

use reqwest::{Client, Url, redirect};
use serde_json::{Value, json};

use super::update::{Message, Update};
use crate::config::Config;
use crate::store::presses::Answer;

/// How long Telegram may wait for a press before it answers.
pub const POLL: Duration = Duration::from_secs(25);
/// How long any answer may take beside that.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So many bytes of an answer are read: a hundred presses, each with its message.
const ANSWER_MAX: usize = 4 << 20;
/// The longest text of an answer to a press, in characters.
const TEXT_MAX: usize = 200;
/// The longest reason that is told, in characters.
const REASON_MAX: usize = 300;
/// What is asked for.
const WANTED: [&str; 1] = ["callback_query"];

/// Why Telegram did not do it. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelegramError {
    /// Somebody else asks for updates, or a webhook is set.
    #[error("{0}")]
    Conflict(String),
    /// It wants a pause.
    #[error("{why}")]
    Wait {
        /// How long.
        after: Duration,
        /// What it said.
        why: String,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Speaks to Telegram for the bot. Its token is part of every address, and of no error.
#[derive(Clone)]
pub struct Bot {
    client: Client,
    base: Url,
    secret: String,
    name: String,
}

impl Bot {
    /// The bot of these settings; `None` if there is none, or nobody may press.
    ///
    /// # Errors
    /// The address is none, or the client cannot be set up.
    pub fn of(config: &Config) -> Result<Option<Self>, reqwest::Error> {
        let Some(token) = config
            .telegram_token
            .as_ref()
            .filter(|_| config.has_buttons())
        else {
            return Ok(None);
        };
        let token = token.expose();
        let client = crate::tls::client()
            .connect_timeout(TIMEOUT / 2)
            .redirect(redirect::Policy::none())
            .build()?;
        let url = format!("{}/bot{token}/", config.telegram_api.trim_end_matches('/'));
        let built = client
            .get(url)
            .build()
            .map_err(reqwest::Error::without_url)?;
        let (name, secret) = token.split_once(':').unwrap_or(("", token));
        Ok(Some(Self {
            base: built.url().clone(),
            client,
            secret: secret.to_owned(),
            name: name.to_owned(),
        }))
    }

    /// Its number, which is no secret.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for presses from `next` on, for as long as [`POLL`].
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn updates(&self, next: i64) -> Result<Vec<Update>, TelegramError> {
        let body = json!({
            "offset": next,
            "limit": 100,
            "timeout": POLL.as_secs(),
            "allowed_updates": WANTED,
        });
        let found = self.call("getUpdates", &body, POLL + TIMEOUT).await?;
        let updates = found.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(updates.iter().filter_map(Update::read).collect())
    }

    /// Tells whoever pressed what came of it. A press that is too old takes no answer.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn answer(&self, query: &str, answer: &Answer) -> Result<(), TelegramError> {
        let body = answer_body(query, answer);
        self.call("answerCallbackQuery", &body, TIMEOUT)
            .await
            .map(drop)
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
        self.call("editMessageReplyMarkup", &body, TIMEOUT)
            .await
            .map(drop)
    }

    /// Has presses sent to `url`, with `secret` in each request.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn set_webhook(&self, url: &str, secret: &str) -> Result<(), TelegramError> {
        let body = json!({"url": url, "secret_token": secret, "allowed_updates": WANTED});
        let set = self.call("setWebhook", &body, TIMEOUT).await;
        set.map(drop).map_err(|trouble| trouble.without(secret))
    }

    /// Has presses wait to be asked for.
    ///
    /// # Errors
    /// See [`TelegramError`].
    pub async fn delete_webhook(&self) -> Result<(), TelegramError> {
        self.call("deleteWebhook", &json!({}), TIMEOUT)
            .await
            .map(drop)
    }

    async fn call(
        &self,
        method: &str,
        body: &Value,
        within: Duration,
    ) -> Result<Value, TelegramError> {
        let answered = async {
            let mut url = self.base.clone();
            url.set_path(&format!("{}{method}", self.base.path()));
            let request = self.client.post(url).timeout(within).json(body);
            let mut response = request.send().await?;
            let (status, mut bytes) = (response.status().as_u16(), Vec::new());
            while let Some(chunk) = response.chunk().await? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > ANSWER_MAX {
                    break;
                }
            }
            Ok::<_, reqwest::Error>((status, bytes))
        };
        let (status, bytes) = answered.await.map_err(|error| {
            let error = error.without_url();
            TelegramError::Other(self.presentable(&causes(&error)))
        })?;
        self.read(method, status, &bytes)
    }

    fn read(&self, method: &str, status: u16, bytes: &[u8]) -> Result<Value, TelegramError> {
        let mut answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
        if answer["ok"] == true {
            return Ok(answer["result"].take());
        }
        let said = answer["description"].as_str().unwrap_or("no reason");
        let why = self.presentable(&format!("Telegram answered {method} with {status}: {said}"));
        Err(match status {
            409 => TelegramError::Conflict(why),
            429 => {
                let after = answer["parameters"]["retry_after"].as_u64().unwrap_or(5);
                let after = Duration::from_secs(after.clamp(1, 3600));
                TelegramError::Wait { after, why }
            }
            _ => TelegramError::Other(why),
        })
    }

    /// Without the token, whoever repeats it, and bounded.
    fn presentable(&self, why: &str) -> String {
        let why = match self.secret.is_empty() {
            true => why.to_owned(),
            false => why.replace(&self.secret, "***"),
        };
        let why: String = why.chars().filter(|c| !c.is_control()).collect();
        why.chars().take(REASON_MAX).collect()
    }
}

impl TelegramError {
    fn without(self, secret: &str) -> Self {
        let clean = |why: String| match secret.is_empty() {
            true => why,
            false => why.replace(secret, "***"),
        };
        match self {
            Self::Conflict(why) => Self::Conflict(clean(why)),
            Self::Wait { after, why } => Self::Wait {
                after,
                why: clean(why),
            },
            Self::Other(why) => Self::Other(clean(why)),
        }
    }
}

/// The answer to a press, as the body of a request.
pub(super) fn answer_body(query: &str, answer: &Answer) -> Value {
    let text: String = answer.text.chars().take(TEXT_MAX).collect();
    json!({"callback_query_id": query, "text": text, "show_alert": answer.is_alert})
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An error with all its causes: reqwest's own text says only that it failed.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
