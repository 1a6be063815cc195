//! Discord, by a channel's webhook: <https://discord.com/developers/docs/resources/webhook#execute-webhook>.
//!
//! What we post is one embed, whose title is the first line and whose text the others, in Discord's Markdown, with
//! nothing in it that mentions anybody. Discord gives it an ID, by which it is edited as its incident changes.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tocsin::config::{self, Config};
use tocsin::domain::aggregation::Status;
use tocsin::domain::budget::Budget;
use tocsin::domain::severity;
use tocsin::text::{Lang, address};
use tokio::time::Instant;

use super::circuit_breaker::CircuitBreaker;
use super::http::{self, Answer, HttpReceiver, Reads};
use super::markup::{Line, escape_markdown, markdown};
use super::{
    Card, Digest, Edited, Message, Notifier, SendError, Sent, TOTAL_TIMEOUT, TestMessage, digest,
    message, notice::Notice,
};

/// The longest title, in UTF-16 code units, as the other.
const TITLE: usize = 256;
/// The longest text.
const TEXT: usize = 4_096;
/// Limits: messages per second and per minute to one webhook, and per second from one address.
const LIMITS: (u32, u32, u32) = (2, 30, 40);
/// The longest wait that is obeyed.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// Discord's word for a message that was deleted.
const UNKNOWN_MESSAGE: i64 = 10_008;

const RED: u32 = 0x00E7_4C3C;
const ORANGE: u32 = 0x00E6_7E22;
const BLUE: u32 = 0x0034_98DB;
const GREEN: u32 = 0x002E_CC71;
const GREY: u32 = 0x0095_A5A6;

/// Posts to one channel. The address is kept out of every error and every log.
pub struct Discord {
    http: HttpReceiver,
    url: Url,
    channel: String,
    lang: Lang,
}

/// One for each section of `discord`.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let new =
        |name: &str, settings: &config::Discord| Discord::new(name, settings, config.language);
    http::of_sections("the Discord webhook", &config.discord, new, |it| {
        (&mut it.http, &it.url)
    })
}

impl Discord {
    /// The webhook of this name, with its texts in `lang`.
    ///
    /// # Errors
    /// Its address cannot be used, or the HTTP client cannot be set up.
    pub fn new(name: &str, settings: &config::Discord, lang: Lang) -> anyhow::Result<Self> {
        let url = Url::parse(settings.url.expose())?;
        let channel = format!("discord:{name}");
        Ok(Self {
            http: HttpReceiver::new(&channel, &url, None, TOTAL_TIMEOUT)?,
            url,
            channel,
            lang,
        })
    }

    /// The address that gives back the message it posted.
    fn post_url(&self) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("wait", "true");
        url
    }

    fn message_url(&self, id: &str) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["messages", id]);
        }
        url
    }

    async fn call(
        &self,
        request: reqwest::RequestBuilder,
        body: &str,
    ) -> Result<Answer, SendError> {
        let request = request
            .header("content-type", "application/json")
            .body(body.to_owned());
        let mut answer = self
            .http
            .call(Instant::now, request, Reads::Everything)
            .await?;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            answer.retry_after = retry_after(&answer.body).or(answer.retry_after);
        }
        Ok(answer)
    }
}

/// How long Discord wants to be left alone, by what it says: its header has whole seconds.
fn retry_after(body: &[u8]) -> Option<Duration> {
    let said: Value = serde_json::from_slice(body).ok()?;
    let seconds = Duration::try_from_secs_f64(said["retry_after"].as_f64()?).ok()?;
    Some(seconds.clamp(Duration::from_millis(100), WAIT_MAX))
}

/// What is posted: the lines, with a colour beside them and the page behind the title.
fn embed(lines: &[Line], colour: u32, page: Option<&str>) -> String {
    let (first, rest) = lines
        .split_first()
        .map_or((None, lines), |(first, rest)| (Some(first), rest));
    let mut embed = json!({
        "title": title(first),
        "description": markdown(rest, TEXT),
        "color": colour,
    });
    if let Some(url) = page.and_then(address) {
        embed["url"] = url.as_str().into();
    }
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}}).to_string()
}

/// A line in which nothing acts, cut between characters.
fn title(line: Option<&Line>) -> String {
    let mut title = String::new();
    let mut units = 0;
    for c in line.map(Line::shown).unwrap_or_default().chars() {
        let c = escape_markdown(&c.to_string());
        units += c.encode_utf16().count();
        if units > TITLE - 1 {
            title.push('…');
            break;
        }
        title.push_str(&c);
    }
    title
}

fn colour(card: &Card) -> u32 {
    match (
        card.incident.status,
        severity::rank(&card.incident.severity),
    ) {
        (Status::Resolved, _) => GREEN,
        (Status::Acknowledged, _) => BLUE,
        (_, Some(1)) => GREY,
        (_, Some(2 | 3)) => ORANGE,
        _ => RED,
    }
}

#[async_trait]
impl Notifier for Discord {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn render(&self, card: &Card) -> String {
        let lines = message::lines(card, self.lang.text());
        embed(&lines, colour(card), card.page.as_deref())
    }

    fn render_test(&self, test: &TestMessage) -> String {
        let lines = message::of_test(test, self.lang.text());
        embed(&lines, GREY, test.page.as_deref())
    }

    fn render_digest(&self, digest: &Digest) -> Option<String> {
        let lines = digest::lines(digest, self.lang.text());
        let colour = if digest.is_over { GREEN } else { RED };
        Some(embed(&lines, colour, digest.page.as_deref()))
    }

    fn render_notice(&self, of: &Notice, page: Option<&str>) -> Option<String> {
        Some(embed(&of.lines(page, self.lang), BLUE, page))
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        let request = self.http.client.post(self.post_url());
        let answer = self.call(request, message.body).await?;
        let said = self.http.outcome(Instant::now, &answer)?;
        let posted: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let is_id = |id: &&str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        let id = posted["id"].as_str().filter(is_id).map(str::to_owned);
        Ok(Sent {
            answer: match &id {
                Some(id) => format!("message {id}"),
                None => said,
            },
            message_id: id,
        })
    }

    fn budget(&self) -> Option<Budget> {
        let (second, minute, of_all) = LIMITS;
        Some(Budget::new(second, minute, of_all))
    }

    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        Some(&self.http.circuit_breaker)
    }

    async fn edit(&self, message_id: &str, message: Message<'_>) -> Result<Edited, SendError> {
        let request = self.http.client.patch(self.message_url(message_id));
        let answer = self.call(request, message.body).await?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == StatusCode::NOT_FOUND && said["code"] == UNKNOWN_MESSAGE {
            return Ok(Edited::Never("the message was deleted".to_owned()));
        }
        self.http.outcome(Instant::now, &answer)?;
        Ok(Edited::Done)
    }
}

impl fmt::Debug for Discord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discord")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
