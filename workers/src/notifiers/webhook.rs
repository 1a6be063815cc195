//! Signed webhooks, as the Standard Webhooks have them:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

mod answer;
mod event;
mod hidden;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, StatusCode, Url};
use tocsin::config::{self, Config, Payload};
use tocsin::http_client::{self, causes};
use tocsin::text::Lang;
use tocsin::time::Timestamp;
use tokio::time::Instant;

use self::hidden::Hidden;
use self::signature::Key;
use super::circuit_breaker::{CircuitBreaker, Receiver};
use super::text::tidy;
use super::{Card, Message, Notifier, SendError, Sent, TOTAL_TIMEOUT, markup, message};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// So many messages are on their way to one host at once, at most.
const AT_ONCE: usize = 4;
/// The longest text, in UTF-16 code units: what Slack advises.
const TEXT_MAX: usize = 4_000;
/// So many bytes are read of an answer that is no success.
const ANSWER_MAX: usize = 4 * 1024;
/// The longest reason that is reported, in UTF-16 code units.
const REASON_MAX: usize = 500;

/// Posts to one address. The address and the secret are kept out of every error and every log.
pub struct Webhook {
    client: Client,
    url: Url,
    key: Option<Key>,
    payload: Payload,
    channel: String,
    lang: Lang,
    hidden: Hidden,
    circuit_breaker: CircuitBreaker,
}

/// A webhook that cannot be used. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its address is none.
    #[error("its url is no address")]
    Url,
    /// Its secret cannot be read.
    #[error("its secret {0}")]
    Secret(&'static str),
    /// There is no HTTP client.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// An answer: its status, how long it wants to be left alone, and what it says.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// One for each section of `webhooks`.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let mut hosts = HashMap::new();
    let notifier = |(name, settings): (&String, &config::Webhook)| match Webhook::new(
        name,
        settings,
        config.language,
    ) {
        Ok(webhook) => Some(Box::new(webhook.beside(&mut hosts)) as Box<dyn Notifier>),
        Err(error) => {
            tracing::error!("the webhook {name} cannot be used: {error}");
            None
        }
    };
    config.webhooks.iter().filter_map(notifier).collect()
}

impl Webhook {
    /// The webhook of this name, whose events are written in `lang`.
    ///
    /// # Errors
    /// Its address or its secret cannot be used, or the HTTP client cannot be set up.
    pub fn new(name: &str, settings: &config::Webhook, lang: Lang) -> Result<Self, Unusable> {
        Self::with_timeout(name, settings, lang, TOTAL_TIMEOUT)
    }

    /// The same, where those whose addresses have one host share what is known of it.
    pub(super) fn beside(self, hosts: &mut HashMap<String, Arc<Receiver>>) -> Self {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let receiver = hosts.entry(format!("{host}:{port}"));
        let receiver = receiver.or_insert_with(|| Arc::new(receiver_of(TOTAL_TIMEOUT)));
        Self {
            circuit_breaker: CircuitBreaker::with(Arc::clone(receiver)),
            ..self
        }
    }

    fn with_timeout(
        name: &str,
        settings: &config::Webhook,
        lang: Lang,
        total: Duration,
    ) -> Result<Self, Unusable> {
        let url = Url::parse(settings.url.expose()).map_err(|_| Unusable::Url)?;
        Ok(Self {
            client: http_client::builder().timeout(total).build()?,
            key: settings.key().map_err(Unusable::Secret)?.map(Key::new),
            hidden: Hidden::of(&url, settings.secret.as_ref()),
            url,
            payload: settings.payload,
            channel: config::Webhook::channel(name),
            lang,
            circuit_breaker: CircuitBreaker::with(Arc::new(receiver_of(total))),
        })
    }

    /// Sends, and keeps in mind by `clock` how the receiver answered.
    async fn send_by(
        &self,
        clock: impl Fn() -> Instant + Send + Sync,
        message: Message<'_>,
    ) -> Result<Sent, SendError> {
        let outcome = match self.post(message).await {
            Ok(answer) => {
                match answer.status.is_server_error() {
                    true => self.circuit_breaker.broken(clock()),
                    false => self.circuit_breaker.answered(),
                }
                let said = self.presentable(&String::from_utf8_lossy(&answer.body));
                answer::outcome(&self.channel, answer.status, answer.retry_after, &said)
            }
            Err(error) => {
                if error.is_timeout() {
                    self.circuit_breaker.unanswered(clock());
                } else if !error.is_builder() {
                    self.circuit_breaker.broken(clock());
                }
                let why = self.presentable(&causes(&error));
                Err(match error.is_builder() {
                    true => SendError::GiveUp(why),
                    false => SendError::Retry(why),
                })
            }
        };
        if let Err(SendError::Wait { after, .. }) = &outcome {
            self.circuit_breaker.wait(clock(), *after);
        }
        outcome
    }

    async fn post(&self, message: Message<'_>) -> Result<Answer, reqwest::Error> {
        let request = self
            .client
            .post(self.url.clone())
            .headers(self.headers(message))
            .body(message.body.to_owned());
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        Ok(Answer {
            status,
            retry_after: answer::retry_after(response.headers(), Timestamp::now()),
            // Of a success nothing more is wanted, and it may never end.
            body: if status.is_success() {
                Vec::new()
            } else {
                http_client::read(response, ANSWER_MAX).await.0
            },
        })
    }

    fn headers(&self, message: Message<'_>) -> HeaderMap {
        let (id, at) = (message.id.to_string(), message.at.0.div_euclid(1000));
        let signature = self.key.as_ref().map(|key| key.sign(&id, at, message.body));
        let agent = concat!("tocsin/", env!("CARGO_PKG_VERSION"));
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(agent)),
            (TIMESTAMP, HeaderValue::from(at)),
        ]);
        for (name, value) in [(ID, Some(id)), (SIGNATURE, signature)] {
            // What they are made of is always fit for a header.
            let value = value.and_then(|value| HeaderValue::try_from(value).ok());
            headers.extend(value.map(|value| (name, value)));
        }
        headers
    }

    /// A foreign text that can be shown: without what is secret (whatever answers may repeat the
    /// address it was called by), and bounded.
    fn presentable(&self, said: &str) -> String {
        tidy(&self.hidden.taken_out_of(said.to_owned()), REASON_MAX)
    }
}

#[async_trait]
impl Notifier for Webhook {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn render(&self, card: &Card) -> String {
        let text = markup::chat(&message::lines(card, self.lang.text()), TEXT_MAX);
        match self.payload {
            Payload::Event => event::event(card, &text),
            Payload::Text => event::text(&text),
        }
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        self.send_by(Instant::now, message).await
    }

    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        Some(&self.circuit_breaker)
    }
}

fn receiver_of(total: Duration) -> Receiver {
    Receiver::new(total, AT_ONCE)
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("channel", &self.channel)
            .field("is_signed", &self.key.is_some())
            .field("patience", &self.circuit_breaker)
            .finish_non_exhaustive()
    }
}
