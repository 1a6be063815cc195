//! Calls of the Bot API.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use super::{AT_ONCE, REASON_MAX};
use crate::notifiers::SendError;
use crate::notifiers::http::{self, causes};
use crate::notifiers::patience::Receiver;
use crate::notifiers::text::tidy;

/// So many bytes of an answer are read; Telegram's own repeats the message and stays below.
pub(super) const ANSWER_MAX: usize = 256 * 1024;

/// The Bot API, for one bot. Its token is part of the address that is called, and is kept out of
/// every error and every log.
#[derive(Clone)]
pub struct Api {
    client: Client,
    url: Url,
    secret: String,
    /// How long a message may take, whatever has to be called for it.
    pub(super) total: Duration,
    pub(super) receiver: Arc<Receiver>,
}

impl Api {
    /// The bot that `token` belongs to, by the API at `base`.
    ///
    /// # Errors
    /// If `base` is no address, or the HTTP client cannot be set up.
    pub fn new(base: &str, token: &str) -> Result<Self, reqwest::Error> {
        Self::with_timeout(base, token, http::TOTAL_TIMEOUT)
    }

    pub(super) fn with_timeout(
        base: &str,
        token: &str,
        total: Duration,
    ) -> Result<Self, reqwest::Error> {
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
    pub(super) async fn call<T>(
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

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// The part of a token that is secret: what stands before the colon is the bot's public id.
fn secret_of(token: &str) -> &str {
    token.split_once(':').map_or(token, |(_, secret)| secret)
}
