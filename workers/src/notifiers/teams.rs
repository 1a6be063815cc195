//! Microsoft Teams, by a workflow that starts when it receives a webhook request:
//! <https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook>.
//!
//! What we post is a message with one Adaptive Card. Its texts are runs of rich text, in which Teams reads no
//! Markdown, so that nothing in an alert acts; links are buttons beneath. The workflow answers 202 and gives no ID:
//! what was posted is not edited.

#[cfg(test)]
mod tests;

use std::fmt;

use async_trait::async_trait;
use reqwest::Url;
use serde_json::{Value, json};
use tocsin::config::{self, Config};
use tocsin::domain::budget::Budget;
use tocsin::text::Lang;
use tokio::time::Instant;

use super::circuit_breaker::CircuitBreaker;
use super::http::{self, HttpReceiver, Reads};
use super::markup::Line;
use super::{
    Card, Digest, Message, Notifier, SendError, Sent, TOTAL_TIMEOUT, TestMessage, digest, message,
    notice::Notice,
};

/// The longest body, in bytes: Teams takes 28 KiB.
const BODY_MAX: usize = 24 * 1024;
/// Limits: messages per second and per minute to one workflow, and per second to all.
const LIMITS: (u32, u32, u32) = (2, 60, 30);

/// Posts to one workflow. The address is kept out of every error and every log.
pub struct Teams {
    http: HttpReceiver,
    url: Url,
    channel: String,
    lang: Lang,
}

/// One for each section of `teams`.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let new = |name: &str, settings: &config::Teams| Teams::new(name, settings, config.language);
    http::of_sections("the Teams workflow", &config.teams, new, |it| {
        (&mut it.http, &it.url)
    })
}

impl Teams {
    /// The workflow of this name, with its texts in `lang`.
    ///
    /// # Errors
    /// Its address cannot be used, or the HTTP client cannot be set up.
    pub fn new(name: &str, settings: &config::Teams, lang: Lang) -> anyhow::Result<Self> {
        let url = Url::parse(settings.url.expose())?;
        let channel = format!("teams:{name}");
        Ok(Self {
            http: HttpReceiver::new(&channel, &url, None, TOTAL_TIMEOUT)?,
            url,
            channel,
            lang,
        })
    }
}

/// The message that is posted. What does not fit goes as whole lines, the last first.
fn card(lines: &[Line]) -> String {
    let mut shown = lines.len();
    loop {
        let body = with(&lines[..shown], lines);
        if body.len() <= BODY_MAX || shown == 0 {
            return body;
        }
        shown -= 1;
    }
}

/// The message with these lines, and with the links of all.
fn with(shown: &[Line], all: &[Line]) -> String {
    let blocks = shown.iter().enumerate().filter_map(|(n, line)| {
        let mut runs = line.runs();
        if runs.is_empty() {
            return None;
        }
        if n == 0 {
            for run in &mut runs {
                run["size"] = "Medium".into();
            }
        }
        let mut block = json!({"type": "RichTextBlock", "inlines": runs});
        if n > 0 {
            block["spacing"] = "Small".into();
        }
        Some(block)
    });
    let links = all.iter().flat_map(Line::links);
    let actions = links
        .map(|(label, url)| json!({"type": "Action.OpenUrl", "title": label, "url": url.as_str()}));
    let headline = all.first().map(Line::plain).unwrap_or_default();
    let content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": headline,
        "body": blocks.collect::<Vec<Value>>(),
        "actions": actions.collect::<Vec<Value>>(),
    });
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": content,
    });
    json!({"type": "message", "summary": headline, "attachments": [attachment]}).to_string()
}

#[async_trait]
impl Notifier for Teams {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn render(&self, of: &Card) -> String {
        card(&message::lines(of, self.lang.text()))
    }

    fn render_test(&self, test: &TestMessage) -> String {
        card(&message::of_test(test, self.lang.text()))
    }

    fn render_digest(&self, digest: &Digest) -> Option<String> {
        Some(card(&digest::lines(digest, self.lang.text())))
    }

    fn render_notice(&self, of: &Notice, page: Option<&str>) -> Option<String> {
        Some(card(&of.lines(page, self.lang)))
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        let request = self
            .http
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .body(message.body.to_owned());
        let answer = self
            .http
            .call(Instant::now, request, Reads::Refusals)
            .await?;
        Ok(Sent {
            message_id: None,
            answer: self.http.outcome(Instant::now, &answer)?,
        })
    }

    fn budget(&self) -> Option<Budget> {
        let (second, minute, of_all) = LIMITS;
        Some(Budget::new(second, minute, of_all))
    }

    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        Some(&self.http.circuit_breaker)
    }
}

impl fmt::Debug for Teams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teams")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
