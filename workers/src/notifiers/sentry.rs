//! Comments in Sentry: <https://docs.sentry.io/api/>, `POST /organizations/ORG/issues/ID/comments/`, and `PUT` of one of
//! these by its ID (`group_notes_details.py` in Sentry's source).
//!
//! What we post is a comment at the issue that an incident is about: when the incident opens, at each rise to
//! `ESCALATE` or `PERMANENT_FIX`, and when it is resolved (which of them, `tocsin::domain::messages` decides). The
//! last line names Tocsin and the message's own ID. What comes out is one comment for each message: after a try that
//! may have arrived, the newest comments are searched for that ID first, and Sentry itself refuses a text that the
//! same user wrote within an hour ("already posted"), which is as good as taken.
//!
//! A comment is edited when there is an analysis that it does not show, and for nothing else: what it said of its moment
//! stays, and each later comment speaks of its own. Sentry lets only the user edit who wrote it, with as many words for
//! that as for a comment that is gone: 404.
//!
//! A comment cannot be tried without an issue to write it at. So a test message posts nothing: it reads one issue of
//! the organization, and tells whether the token may.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tocsin::config::{Config, Secret, SentrySettings};
use tocsin::domain::sentry;
use tocsin::text::Lang;
use tokio::time::Instant;
use uuid::Uuid;

use super::circuit_breaker::CircuitBreaker;
use super::http::{Answer, HttpReceiver, Reads};
use super::markup::{self, Line};
use super::{
    Card, Edited, Message, Notifier, SendError, Sent, TOTAL_TIMEOUT, TestMessage, message,
};

/// The longest text, in UTF-16 code units. Sentry is not known to have a limit.
const TEXT_MAX: usize = 4000;
/// The newest comments of an issue that are searched. Few are written between two attempts of a message.
const SEARCHED: &str = "20";
/// The least timeout of a call.
const LEAST: Duration = Duration::from_millis(10);

/// Comments on the issues of one organization. The token is kept out of every error, every log and every row.
pub struct Sentry {
    http: HttpReceiver,
    base: String,
    organization: String,
    token: Secret,
    channel: &'static str,
    lang: Lang,
}

/// What is sent, as it is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    /// This text, at this issue.
    Comment {
        issue: String,
        text: String,
        /// The part of it that is the analysis; empty if there is none in it.
        #[serde(default)]
        analysis: String,
    },
    /// Whether the token is good.
    Check,
}

/// One, if comments are set up.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let Some(channel) = config.comments() else {
        return Vec::new();
    };
    match Sentry::new(channel, &config.sentry, config.language) {
        Ok(sentry) => vec![Box::new(sentry)],
        Err(error) => {
            tracing::error!("comments in Sentry cannot be written: {error}");
            Vec::new()
        }
    }
}

impl Sentry {
    /// Comments by these settings, written in `lang`.
    ///
    /// # Errors
    /// The address cannot be used, or the HTTP client cannot be set up.
    pub fn new(
        channel: &'static str,
        settings: &SentrySettings,
        lang: Lang,
    ) -> anyhow::Result<Self> {
        let token = settings.token.clone();
        let token = token.unwrap_or_else(|| Secret::from(""));
        let organization = settings.organization.clone().unwrap_or_default();
        let url = settings.url.trim_end_matches('/');
        let base = format!("{url}/api/0/organizations/{organization}/issues/");
        // Nothing of the address is secret.
        let nowhere = Url::parse("https://sentry.io")?;
        Url::parse(&base)?;
        Ok(Self {
            http: HttpReceiver::new(channel, &nowhere, Some(&token), TOTAL_TIMEOUT)?,
            base,
            organization,
            token,
            channel,
            lang,
        })
    }

    fn comments(&self, issue: &str) -> String {
        format!("{}{issue}/comments/", self.base)
    }

    /// Asks what this makes of a client. All calls of one try together take as long as one may.
    async fn call(
        &self,
        began: Instant,
        reads: Reads,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Answer, SendError> {
        let rest = TOTAL_TIMEOUT.saturating_sub(began.elapsed());
        let request = request(&self.http.client).bearer_auth(self.token.expose());
        let request = request.timeout(rest.max(LEAST));
        self.http.call(Instant::now, request, reads).await
    }

    /// The comment of this message that an issue has already, as Sentry gives it.
    async fn find(
        &self,
        issue: &str,
        id: Uuid,
        began: Instant,
    ) -> Result<Option<Value>, SendError> {
        let url = self.comments(issue);
        let newest = [("per_page", SEARCHED)];
        let newest = |client: &Client| client.get(url).query(&newest);
        let answer = self.call(began, Reads::Everything, newest).await?;
        self.http.outcome(Instant::now, &answer)?;
        let has_id = |said: &str| said.contains(&id.to_string());
        if !has_id(&String::from_utf8_lossy(&answer.body)) {
            return Ok(None);
        }
        let comments: Vec<Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
        let found = comments
            .into_iter()
            .find(|comment| has_id(&comment.to_string()));
        Ok(Some(found.unwrap_or_default()))
    }

    async fn comment(
        &self,
        issue: &str,
        text: &str,
        message: Message<'_>,
    ) -> Result<Sent, SendError> {
        let began = Instant::now();
        if issue.is_empty() {
            let why = "the incident is about no issue in Sentry".to_owned();
            return Err(SendError::GiveUp(why));
        }
        if message.is_repeated
            && let Some(found) = self.find(issue, message.id, began).await?
        {
            return Ok(Sent {
                message_id: comment_id(&found),
                answer: format!("issue {issue} has the comment already"),
            });
        }
        let url = self.comments(issue);
        let comment = json!({"text": signed(text, message.id)});
        let post = |client: &Client| client.post(url).json(&comment);
        let answer = self.call(began, Reads::Everything, post).await?;
        if is_duplicate(&answer) {
            // Only its ID is missing, without which it cannot be edited.
            let found = self.find(issue, message.id, began).await.ok().flatten();
            return Ok(Sent {
                message_id: found.as_ref().and_then(comment_id),
                answer: self.http.said(&answer),
            });
        }
        self.http.outcome(Instant::now, &answer)?;
        let comment: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let id = comment_id(&comment);
        Ok(Sent {
            answer: format!(
                "comment {} at issue {issue}",
                id.as_deref().unwrap_or("without an ID")
            ),
            message_id: id,
        })
    }

    /// Whether the token may read issues, which those that may write them may, too.
    async fn check(&self) -> Result<Sent, SendError> {
        let first = [("limit", "1")];
        let read = |client: &Client| client.get(&self.base).query(&first);
        let answer = self.call(Instant::now(), Reads::Refusals, read).await?;
        let answered = self.http.outcome(Instant::now, &answer)?;
        Ok(Sent {
            message_id: None,
            answer: format!(
                "{answered}: the token may read issues of {}; nothing was posted, because a comment needs an issue",
                self.organization
            ),
        })
    }
}

/// The text with what it is known by.
fn signed(text: &str, id: Uuid) -> String {
    format!("{text}\n\nTocsin `{id}`")
}

/// Whether a refusal to edit a comment is the last word of it: it is not this user's, or it or its issue is gone.
fn is_final(status: StatusCode) -> bool {
    matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

/// The ID of a comment, as it stands in addresses.
fn comment_id(comment: &Value) -> Option<String> {
    let is_id = |id: &&str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    comment["id"].as_str().filter(is_id).map(str::to_owned)
}

/// Lines in Sentry's Markdown, in which one line break is none.
fn written(lines: &[Line]) -> String {
    markup::markdown(lines, TEXT_MAX).replace('\n', "\n\n")
}

/// Whether the same user wrote the same text there within an hour.
fn is_duplicate(answer: &Answer) -> bool {
    let says_so = |body: &[u8]| String::from_utf8_lossy(body).contains("already posted");
    answer.status == StatusCode::BAD_REQUEST && says_so(&answer.body)
}

impl Body {
    /// What is said of a card.
    fn of(card: &Card, lang: Lang) -> Self {
        let text = lang.text();
        let issue = sentry::issue(&card.incident.source, &card.incident.labels);
        Self::Comment {
            issue: issue.unwrap_or_default().to_owned(),
            text: written(&message::of_comment(card, text)),
            analysis: written(&message::of_analysis(card, text)),
        }
    }

    fn written(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[async_trait]
impl Notifier for Sentry {
    fn channel(&self) -> &str {
        self.channel
    }

    fn render(&self, card: &Card) -> String {
        Body::of(card, self.lang).written()
    }

    fn render_test(&self, _: &TestMessage) -> String {
        Body::Check.written()
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        match serde_json::from_str(message.body) {
            Ok(Body::Comment { issue, text, .. }) => self.comment(&issue, &text, message).await,
            Ok(Body::Check) => self.check().await,
            Err(_) => Err(SendError::GiveUp("the comment cannot be read".to_owned())),
        }
    }

    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        Some(&self.http.circuit_breaker)
    }

    fn render_edit(&self, card: &Card, shown: Option<&str>) -> Option<String> {
        let shown = shown.and_then(|shown| serde_json::from_str(shown).ok());
        let new = Body::of(card, self.lang);
        let is_due = match (&new, &shown) {
            (Body::Comment { analysis: new, .. }, Some(Body::Comment { analysis: old, .. })) => {
                !new.is_empty() && new != old
            }
            // It may show an older one.
            (Body::Comment { analysis, .. }, _) => !analysis.is_empty(),
            (Body::Check, _) => false,
        };
        is_due.then(|| new.written())
    }

    async fn edit(&self, message_id: &str, message: Message<'_>) -> Result<Edited, SendError> {
        let Ok(Body::Comment { issue, text, .. }) = serde_json::from_str(message.body) else {
            return Ok(Edited::Never("the comment cannot be read".to_owned()));
        };
        let url = format!("{}{message_id}/", self.comments(&issue));
        let comment = json!({"text": signed(&text, message.id)});
        let put = |client: &Client| client.put(url).json(&comment);
        let answer = self.call(Instant::now(), Reads::Refusals, put).await?;
        match self.http.outcome(Instant::now, &answer) {
            Err(SendError::GiveUp(why)) if is_final(answer.status) => Ok(Edited::Never(why)),
            outcome => outcome.map(|_| Edited::Done),
        }
    }
}

impl fmt::Debug for Sentry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentry")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
