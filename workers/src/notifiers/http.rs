//! A receiver of messages by HTTP: what all that post to one share. The address and other secrets are kept out
//! of every error and every log.

mod answer;
mod hidden;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url};
use tocsin::config::Secret;
use tocsin::http_client::{self, causes};
use tocsin::time::Timestamp;
use tokio::time::Instant;

use self::hidden::Hidden;
use super::circuit_breaker::{CircuitBreaker, Receiver};
use super::text::tidy;
use super::{Notifier, SendError, TOTAL_TIMEOUT};

/// The most concurrent requests to one host.
const AT_ONCE: usize = 4;
/// The most bytes that are read of an error's body.
const REFUSAL_MAX: usize = 4 * 1024;
/// The most bytes that are read of a success, which may repeat the message.
const SUCCESS_MAX: usize = 64 * 1024;
/// The longest reason that is reported, in UTF-16 code units.
const REASON_MAX: usize = 500;

/// One receiver, and how it answered.
pub(crate) struct HttpReceiver {
    pub(crate) client: Client,
    channel: String,
    hidden: Hidden,
    pub(super) circuit_breaker: CircuitBreaker,
}

/// An answer: its status, how long it wants to be left alone, and what it says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// Receivers by host and port: those whose addresses have one host share what is known of it.
type Hosts = HashMap<String, Arc<Receiver>>;

/// A notifier for each section of its settings, by name. Those whose addresses have one host share what is known of
/// it. A section that cannot be used is logged, as `kind` and its name, and left out.
pub(super) fn of_sections<S, N: Notifier + 'static, E: fmt::Display>(
    kind: &str,
    sections: &BTreeMap<String, S>,
    new: impl Fn(&str, &S) -> Result<N, E>,
    receiver: impl Fn(&mut N) -> (&mut HttpReceiver, &Url),
) -> Vec<Box<dyn Notifier>> {
    let mut hosts = Hosts::new();
    let mut notifiers: Vec<Box<dyn Notifier>> = Vec::with_capacity(sections.len());
    for (name, settings) in sections {
        match new(name, settings) {
            Ok(mut notifier) => {
                let (receiver, url) = receiver(&mut notifier);
                receiver.share(url, &mut hosts);
                notifiers.push(Box::new(notifier));
            }
            Err(error) => tracing::error!("{kind} {name} cannot be used: {error}"),
        }
    }
    notifiers
}

/// Whether a success is read. What is not wanted may never end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// No: that it is one is enough.
    Refusals,
    /// Yes.
    Everything,
}

impl HttpReceiver {
    /// The receiver of a channel at an address, part of which is `secret`. A call may take as long as `total`.
    pub(crate) fn new(
        channel: &str,
        url: &Url,
        secret: Option<&Secret>,
        total: Duration,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: http_client::builder().timeout(total).build()?,
            channel: channel.to_owned(),
            hidden: Hidden::of(url, secret),
            circuit_breaker: CircuitBreaker::with(Arc::new(Receiver::new(total, AT_ONCE))),
        })
    }

    /// Shares what is known of the host at `url` with the others in `hosts`.
    fn share(&mut self, url: &Url, hosts: &mut Hosts) {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let receiver = hosts.entry(format!("{host}:{port}"));
        let receiver = receiver.or_insert_with(|| Arc::new(Receiver::new(TOTAL_TIMEOUT, AT_ONCE)));
        self.circuit_breaker = CircuitBreaker::with(Arc::clone(receiver));
    }

    /// Calls it, and keeps in mind by `clock` how it answered.
    pub(crate) async fn call(
        &self,
        clock: impl Fn() -> Instant + Send + Sync,
        request: RequestBuilder,
        reads: Reads,
    ) -> Result<Answer, SendError> {
        match answered(request, reads).await {
            Ok(answer) => {
                match answer.status.is_server_error() {
                    true => self.circuit_breaker.broken(clock()),
                    false => self.circuit_breaker.answered(),
                }
                Ok(answer)
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
        }
    }

    /// What an answer means for a message: what it said, if it took it. One that wants to be left alone is.
    pub(crate) fn outcome(
        &self,
        clock: impl Fn() -> Instant,
        answer: &Answer,
    ) -> Result<String, SendError> {
        let said = self.said(answer);
        let outcome = answer::outcome(&self.channel, answer.status, answer.retry_after, &said);
        if let Err(SendError::Wait { after, .. }) = &outcome {
            self.circuit_breaker.wait(clock(), *after);
        }
        outcome
    }

    /// What an answer says, safe to log: without what is secret (whatever answers may repeat the address it
    /// was called by), and bounded.
    pub(super) fn said(&self, answer: &Answer) -> String {
        self.presentable(&String::from_utf8_lossy(&answer.body))
    }

    fn presentable(&self, said: &str) -> String {
        tidy(&self.hidden.taken_out_of(said.to_owned()), REASON_MAX)
    }
}

async fn answered(request: RequestBuilder, reads: Reads) -> Result<Answer, reqwest::Error> {
    let response = request.send().await.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    Ok(Answer {
        status,
        retry_after: answer::retry_after(status, response.headers(), Timestamp::now()),
        body: match (status.is_success(), reads) {
            (true, Reads::Refusals) => Vec::new(),
            (true, Reads::Everything) => http_client::read(response, SUCCESS_MAX).await.0,
            (false, _) => http_client::read(response, REFUSAL_MAX).await.0,
        },
    })
}

impl fmt::Debug for HttpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReceiver")
            .field("channel", &self.channel)
            .field("circuit_breaker", &self.circuit_breaker)
            .finish_non_exhaustive()
    }
}
