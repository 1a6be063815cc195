//! PagerDuty, by its Events API v2: <https://developer.pagerduty.com/docs/send-alert-event>.
//!
//! What we send is an event: `trigger` while our incident is open, `acknowledge` once it is acknowledged, `resolve`
//! when it is over. Events with one `dedup_key`, which is our incident's id, are about one incident there: so a
//! rise, sent as another `trigger`, updates it, and whatever is sent twice harms nothing. What comes out is an
//! incident there that stands as ours does.

mod event;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use tocsin::config::{self, Config, Secret};
use tocsin::text::Lang;
use tokio::time::Instant;

use self::event::Action;
use super::circuit_breaker::CircuitBreaker;
use super::http::{self, HttpReceiver, Reads};
use super::{Card, Edited, Message, Notifier, SendError, Sent, TOTAL_TIMEOUT, TestMessage};

/// Tells incidents to one integration. Its key is kept out of every error, every log and every row.
pub struct PagerDuty {
    http: HttpReceiver,
    url: Url,
    routing_key: Secret,
    channel: String,
    lang: Lang,
}

/// One for each section of `pagerduty`.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let new =
        |name: &str, settings: &config::PagerDuty| PagerDuty::new(name, settings, config.language);
    http::of_sections("PagerDuty", &config.pagerduty, new, |it| {
        (&mut it.http, &it.url)
    })
}

impl PagerDuty {
    /// The integration of this name, with its texts in `lang`.
    ///
    /// # Errors
    /// Its address cannot be used, or the HTTP client cannot be set up.
    pub fn new(name: &str, settings: &config::PagerDuty, lang: Lang) -> anyhow::Result<Self> {
        let base = settings.url.trim_end_matches('/');
        let url = Url::parse(&format!("{base}/v2/enqueue"))?;
        let (channel, key) = (format!("pagerduty:{name}"), &settings.routing_key);
        // Nothing of the address is secret.
        let nowhere = Url::parse("https://events.pagerduty.com")?;
        Ok(Self {
            http: HttpReceiver::new(&channel, &nowhere, Some(key), TOTAL_TIMEOUT)?,
            url,
            routing_key: key.clone(),
            channel,
            lang,
        })
    }

    /// Sends the event. An acknowledged incident that may not be open there is opened before it is acknowledged.
    async fn deliver(&self, body: &str) -> Result<String, SendError> {
        let began = Instant::now();
        if event::opens_first(body) {
            self.post(body, Some(Action::Trigger), began).await?;
        }
        self.post(body, None, began).await
    }

    /// Sends the event, as that action if one is given; `began` is when the first of its message's calls did.
    async fn post(
        &self,
        body: &str,
        action: Option<Action>,
        began: Instant,
    ) -> Result<String, SendError> {
        let event = event::with(body, self.routing_key.expose(), action);
        let Some(event) = event else {
            return Err(SendError::GiveUp("the event cannot be read".to_owned()));
        };
        let rest = TOTAL_TIMEOUT.saturating_sub(began.elapsed());
        let request = self.http.client.post(self.url.clone());
        let request = request.json(&event).timeout(rest.max(LEAST));
        let answer = self.http.call(Instant::now, request, Reads::Everything);
        self.http.outcome(Instant::now, &answer.await?)
    }
}

/// What is left to a call at least.
const LEAST: Duration = Duration::from_millis(10);

#[async_trait]
impl Notifier for PagerDuty {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn render(&self, card: &Card) -> String {
        event::of_card(card, self.lang.text())
    }

    fn render_test(&self, test: &TestMessage) -> String {
        event::of_test(test, self.lang.text())
    }

    fn sets_state(&self) -> bool {
        true
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        let answer = self.deliver(message.body).await?;
        Ok(Sent {
            message_id: event::key(message.body),
            answer,
        })
    }

    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        Some(&self.http.circuit_breaker)
    }

    fn render_edit(&self, card: &Card, shown: Option<&str>) -> Option<String> {
        event::after(shown.unwrap_or_default(), &self.render(card))
    }

    async fn edit(&self, _: &str, message: Message<'_>) -> Result<Edited, SendError> {
        self.deliver(message.body).await?;
        Ok(Edited::Done)
    }
}

impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagerDuty")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
