//! E-mail, by SMTP.
//!
//! Each notification is a message of its own, as plain text and as HTML. Its `Message-ID` is made of its ID, the
//! same for every try, so that a server or a reader that knows it takes it once; it answers an ID that is made of
//! its incident's, and has the incident's subject, so that all messages about an incident are one thread.

mod outcome;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use async_trait::async_trait;
use lettre::address::AddressError;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use serde::{Deserialize, Serialize};
use tocsin::config::{Config, EmailSettings, Secret, Security};
use tocsin::domain::budget::Budget;
use tocsin::domain::id::ShortId;
use tocsin::text::Lang;
use tokio::time::Instant;
use uuid::Uuid;

use super::circuit_breaker::{CircuitBreaker, Receiver};
use super::markup::{self, Line};
use super::text::tidy;
use super::{
    Card, Digest, Message, Notifier, SendError, Sent, TOTAL_TIMEOUT, TestMessage, digest, message,
    notice::Notice,
};

/// The longest title in a subject, in UTF-16 code units, as the other.
const TITLE: usize = 150;
/// The longest text.
const TEXT: usize = 10_000;
/// The most concurrent connections to the server.
const AT_ONCE: usize = 4;
/// Messages per second and per minute to one address, and per second to all; more are a storm.
const LIMITS: (u32, u32, u32) = (2, 60, 20);

/// Writes to one address. The password is kept out of every error and every log.
pub struct Email {
    server: Arc<Server>,
    to: Address,
    channel: String,
    lang: Lang,
    circuit_breaker: CircuitBreaker,
}

/// The server, which all addresses share.
struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    password: Option<Secret>,
}

/// What is stored of a message, and sent.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    subject: String,
    text: String,
    html: String,
    /// What its thread is about: an incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<Uuid>,
}

/// One for each address that a route leads to, if there is a server.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    if !config.email.is_set() {
        return Vec::new();
    }
    let server = match Server::new(&config.email) {
        Ok(server) => Arc::new(server),
        Err(error) => {
            tracing::error!("e-mail cannot be sent: {error:#}");
            return Vec::new();
        }
    };
    let receiver = Arc::new(Receiver::new(TOTAL_TIMEOUT, AT_ONCE));
    let mut notifiers: Vec<Box<dyn Notifier>> = Vec::new();
    for channel in config.all_channels() {
        let Some(address) = channel.strip_prefix("email:") else {
            continue;
        };
        match Email::new(&server, &receiver, address, config.language) {
            Ok(email) => notifiers.push(Box::new(email)),
            Err(error) => tracing::error!("no e-mail can be sent to {address}: {error}"),
        }
    }
    notifiers
}

impl Server {
    fn new(settings: &EmailSettings) -> anyhow::Result<Self> {
        tocsin::tls::choose();
        let (host, port) = settings.place().context("email.server is no host")?;
        let (name, address) = settings.sender().context("email.from is not set")?;
        let from = Mailbox::new(name.map(str::to_owned), address.parse()?);
        let tls = || TlsParameters::new_rustls(host.to_owned());
        let tls = match settings.security {
            Security::Starttls => Tls::Required(tls()?),
            Security::Tls => Tls::Wrapper(tls()?),
            Security::None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(TOTAL_TIMEOUT));
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            let known = Credentials::new(user.clone(), password.expose().to_owned());
            transport = transport.credentials(known);
        }
        Ok(Self {
            transport: transport.build(),
            from,
            password: settings.password.clone(),
        })
    }

    /// An ID as headers have it.
    fn id(&self, id: Uuid) -> String {
        format!("<{id}@{}>", self.from.email.domain())
    }

    /// The message as it is sent.
    fn message(&self, to: &Address, message: Message<'_>) -> anyhow::Result<lettre::Message> {
        let body: Body = serde_json::from_str(message.body)?;
        let at = Duration::from_millis(u64::try_from(message.at.0).unwrap_or_default());
        let by_machine = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut email = lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(tidy(&body.subject, 2 * TITLE))
            .date(UNIX_EPOCH + at)
            .message_id(Some(self.id(message.id)))
            // Suppresses out-of-office replies.
            .raw_header(HeaderValue::new(by_machine, "auto-generated".to_owned()));
        if let Some(thread) = body.thread {
            let root = self.id(thread);
            email = email.in_reply_to(root.clone()).references(root);
        }
        let parts = MultiPart::alternative_plain_html(body.text, body.html);
        Ok(email.multipart(parts)?)
    }
}

impl Email {
    fn new(
        server: &Arc<Server>,
        receiver: &Arc<Receiver>,
        address: &str,
        lang: Lang,
    ) -> Result<Self, AddressError> {
        Ok(Self {
            server: Arc::clone(server),
            to: address.parse()?,
            channel: format!("email:{address}"),
            lang,
            circuit_breaker: CircuitBreaker::with(Arc::clone(receiver)),
        })
    }

    async fn send_email(&self, email: lettre::Message) -> Result<Sent, SendError> {
        let sending = self.server.transport.send(email);
        let result = tokio::time::timeout(TOTAL_TIMEOUT, sending).await;
        let now = Instant::now();
        let password = self.server.password.as_ref();
        match result {
            Ok(Ok(response)) => {
                self.circuit_breaker.answered();
                let said: Vec<&str> = response.message().collect();
                let said = format!("answered {}: {}", response.code(), said.join(" "));
                Ok(Sent {
                    message_id: None,
                    answer: outcome::presentable(&said, password),
                })
            }
            Ok(Err(error)) => {
                match error.is_timeout() {
                    true => self.circuit_breaker.unanswered(now),
                    false if error.status().is_some() => self.circuit_breaker.answered(),
                    false => self.circuit_breaker.broken(now),
                }
                Err(outcome::failed(&self.channel, &error, password))
            }
            Err(_) => {
                self.circuit_breaker.unanswered(now);
                let why = format!("{}: the server did not answer in time", self.channel);
                Err(SendError::Retry(why))
            }
        }
    }
}

fn body(subject: String, lines: &[Line], thread: Option<Uuid>) -> String {
    let html = markup::html(lines, TEXT).replace('\n', "<br>\n");
    let body = Body {
        subject,
        text: markup::plain(lines),
        html: format!("<!DOCTYPE html>\n<html><body>\n<p>{html}</p>\n</body></html>\n"),
        thread,
    };
    serde_json::to_string(&body).unwrap_or_default()
}

#[async_trait]
impl Notifier for Email {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn render(&self, card: &Card) -> String {
        let text = self.lang.text();
        let names = [&card.incident.title, &card.anomaly.alert_name];
        let mut titles = names.into_iter().map(|name| tidy(name, TITLE));
        let title = titles.find(|title| !title.is_empty());
        let title = title.as_deref().unwrap_or(text.msg_untitled);
        // The same for all of an incident: readers make threads by it, too.
        let subject = format!("[Tocsin] {title} ({})", ShortId::of(card.incident.id));
        let lines = message::lines(card, text);
        body(subject, &lines, Some(card.incident.id))
    }

    fn render_test(&self, test: &TestMessage) -> String {
        let text = self.lang.text();
        let lines = message::of_test(test, text);
        body(format!("[Tocsin] {}", text.msg_test), &lines, None)
    }

    fn render_digest(&self, digest: &Digest) -> Option<String> {
        let lines = digest::lines(digest, self.lang.text());
        let headline = lines.first().map(Line::plain).unwrap_or_default();
        Some(body(format!("[Tocsin] {headline}"), &lines, None))
    }

    fn render_notice(&self, of: &Notice, page: Option<&str>) -> Option<String> {
        let lines = of.lines(page, self.lang);
        let headline = lines.first().map(Line::plain).unwrap_or_default();
        Some(body(format!("[Tocsin] {headline}"), &lines, None))
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        match self.server.message(&self.to, message) {
            Ok(email) => self.send_email(email).await,
            Err(error) => {
                let why = format!("the message cannot be written: {error:#}");
                Err(SendError::GiveUp(tidy(&why, outcome::REASON_MAX)))
            }
        }
    }

    fn budget(&self) -> Option<Budget> {
        let (second, minute, of_all) = LIMITS;
        Some(Budget::new(second, minute, of_all))
    }

    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        Some(&self.circuit_breaker)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email")
            .field("channel", &self.channel)
            .field("circuit_breaker", &self.circuit_breaker)
            .finish_non_exhaustive()
    }
}
