//! Signed webhooks, as the Standard Webhooks have them:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

mod event;
pub(crate) mod signature;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tocsin::config::{self, Config, Payload};
use tocsin::text::Lang;
use tokio::time::Instant;

use self::signature::Key;
use super::circuit_breaker::CircuitBreaker;
use super::http::{self, HttpReceiver, Reads};
use super::{
    Card, Message, Notifier, SendError, Sent, TOTAL_TIMEOUT, TestMessage, markup, message,
    notice::Notice,
};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// The longest text, in UTF-16 code units: what Slack advises.
const TEXT_MAX: usize = 4_000;

/// Posts to one address. The address and the secret are kept out of every error and every log.
pub struct Webhook {
    http: HttpReceiver,
    url: Url,
    key: Option<Key>,
    payload: Payload,
    channel: String,
    lang: Lang,
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

/// One for each section of `webhooks`.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let new =
        |name: &str, settings: &config::Webhook| Webhook::new(name, settings, config.language);
    http::of_sections("the webhook", &config.webhooks, new, |it| {
        (&mut it.http, &it.url)
    })
}

impl Webhook {
    /// The webhook of this name, whose events are written in `lang`.
    ///
    /// # Errors
    /// Its address or its secret cannot be used, or the HTTP client cannot be set up.
    pub fn new(name: &str, settings: &config::Webhook, lang: Lang) -> Result<Self, Unusable> {
        Self::with_timeout(name, settings, lang, TOTAL_TIMEOUT)
    }

    fn with_timeout(
        name: &str,
        settings: &config::Webhook,
        lang: Lang,
        total: Duration,
    ) -> Result<Self, Unusable> {
        let url = Url::parse(settings.url.expose()).map_err(|_| Unusable::Url)?;
        let channel = config::Webhook::channel(name);
        Ok(Self {
            http: HttpReceiver::new(&channel, &url, settings.secret.as_ref(), total)?,
            key: settings.key().map_err(Unusable::Secret)?.map(Key::new),
            url,
            payload: settings.payload,
            channel,
            lang,
        })
    }

    /// Sends, and keeps in mind by `clock` how the receiver answered.
    async fn send_by(
        &self,
        clock: impl Fn() -> Instant + Send + Sync,
        message: Message<'_>,
    ) -> Result<Sent, SendError> {
        let request = self
            .http
            .client
            .post(self.url.clone())
            .headers(self.headers(message))
            .body(message.body.to_owned());
        let answer = self.http.call(&clock, request, Reads::Refusals).await?;
        Ok(Sent {
            message_id: None,
            answer: self.http.outcome(clock, &answer)?,
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

    fn render_notice(&self, of: &Notice, page: Option<&str>) -> Option<String> {
        let text = markup::chat(&of.lines(page, self.lang), TEXT_MAX);
        Some(match self.payload {
            Payload::Event => event::notice(of, &text, page),
            Payload::Text => event::text(&text),
        })
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        self.send_by(Instant::now, message).await
    }

    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        Some(&self.http.circuit_breaker)
    }

    fn render_test(&self, test: &TestMessage) -> String {
        let text = markup::chat(&message::of_test(test, self.lang.text()), TEXT_MAX);
        match self.payload {
            Payload::Event => event::test(test, &text),
            Payload::Text => event::text(&text),
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("channel", &self.channel)
            .field("is_signed", &self.key.is_some())
            .field("circuit_breaker", &self.http.circuit_breaker)
            .finish_non_exhaustive()
    }
}
