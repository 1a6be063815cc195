//! Notifiers. ADD A NOTIFIER HERE: a file with a type that is a [`Notifier`], and its line in
//! `NOTIFIERS`; the setting that chooses it is in `src/config.rs`.

mod circuit_breaker;
mod digest;
pub mod discord;
pub mod email;
pub(crate) mod http;
pub mod log;
mod markup;
mod message;
pub mod notice;
pub mod pagerduty;
pub mod recorder;
mod report;
pub mod sentry;
pub mod teams;
pub mod telegram;
#[cfg(test)]
mod tests;
mod text;
pub mod webhook;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tocsin::config::Config;
use tocsin::domain::again::AgainFigures;
use tocsin::domain::budget::Budget;
use tocsin::domain::notification::Kind;
use tocsin::domain::recommendation::Recommendation;
use tocsin::entity::{anomalies, incidents};
use tocsin::time::Timestamp;
use uuid::Uuid;

use self::notice::Notice;

pub use circuit_breaker::{CircuitBreaker, SendSlot};
pub use digest::Digest;

/// A try by HTTP: connecting, sending and the answer together. Less than the claim on a message lasts.
pub(crate) const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);

/// What makes the notifiers of one kind that the settings call for.
type Configured = fn(&Config) -> Vec<Box<dyn Notifier>>;

/// Every kind of notifier.
const NOTIFIERS: [Configured; 8] = [
    log::configured,
    telegram::configured,
    webhook::configured,
    pagerduty::configured,
    discord::configured,
    teams::configured,
    email::configured,
    sentry::configured,
];

/// The notifiers that the settings call for. Which of them new messages go to, `Config::channels` says.
#[must_use]
pub fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let each = NOTIFIERS.iter().map(|configured| configured(config));
    each.flatten().collect()
}

/// What a message is made from.
#[derive(Clone, Debug)]
pub struct Card {
    /// Its kind.
    pub kind: Kind,
    /// The incident it is about, as it stands now.
    pub incident: incidents::Model,
    /// That incident's anomaly, as it stands now.
    pub anomaly: anomalies::Model,
    /// When it was decided.
    pub at: Timestamp,
    /// Whether it is muted.
    pub muted: Option<Muted>,
    /// What it says of its anomaly's other incidents, where it continues on the card of one of them.
    pub again: Option<AgainFigures>,
    /// The address of the incident's page, where people can reach it.
    pub page: Option<String>,
    /// What to do next; none if it is resolved, or its tier is not calculated yet.
    pub recommendation: Option<Recommendation>,
    /// The action that a button can have run.
    pub run: Option<String>,
}

/// A mute.
#[derive(Clone, Debug)]
pub struct Muted {
    /// Its end.
    pub until: Timestamp,
    /// The person who asked for it.
    pub by: Option<String>,
}

/// A test message, sent on request.
#[derive(Clone, Debug)]
pub struct TestMessage {
    /// Its id.
    pub id: Uuid,
    /// When it was asked for.
    pub at: Timestamp,
    /// By whom.
    pub by: Option<String>,
    /// The address of the pages, where people can reach them.
    pub page: Option<String>,
}

/// One try to send a message, or to edit it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The message's own id, the same for every try.
    pub id: Uuid,
    /// When this try is made.
    pub at: Timestamp,
    /// What [`render`](Notifier::render) wrote.
    pub body: &'a str,
    /// The message that it answers, by the provider's id.
    pub reply_to: Option<&'a str>,
    /// Whether it makes no sound.
    pub is_silent: bool,
    /// Buttons beneath it, as Telegram writes them.
    pub reply_markup: Option<&'a Value>,
    /// Whether an earlier try of it may have gone out: its process died, or the provider did not answer.
    pub is_repeated: bool,
}

#[cfg(test)]
impl<'a> Message<'a> {
    fn for_test(body: &'a str) -> Self {
        Self {
            id: Uuid::from_u128(0x019a_ad6b_8bae_7c31_9d0e_52a1_7fb3_09c4),
            at: Timestamp(1_649_367_553_000),
            body,
            reply_to: None,
            is_silent: false,
            reply_markup: None,
            is_repeated: false,
        }
    }
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The message shows it.
    Done,
    /// The message cannot be edited any more, and why.
    Never(String),
}

/// A message that the provider took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The provider's id for it, where it gives one.
    pub message_id: Option<String>,
    /// What the provider said, for people. No secret is in it.
    pub answer: String,
}

/// Why a message did not go out. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The provider wants no message before this has passed. That is no failed attempt.
    #[error("wait {after:?}: {why}")]
    Wait {
        /// How long, from now.
        after: Duration,
        /// What the provider said.
        why: String,
    },
    /// It may go better later: the provider is down, out of reach or did not answer in time.
    #[error("{0}")]
    Retry(String),
    /// It will never go out as it is: the provider refused it, and says why.
    #[error("{0}")]
    GiveUp(String),
}

/// A provider of messages to people.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// The channel's name, as the `notifications` rows hold it.
    fn channel(&self) -> &str;

    /// The text for a card, ready for [`send`](Self::send) and within the channel's limits.
    fn render(&self, card: &Card) -> String;

    /// Sends what was rendered before, once. Repeating is the caller's.
    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError>;

    /// The text of a test message, likewise.
    fn render_test(&self, test: &TestMessage) -> String;

    /// Whether the provider has one thing for each incident, and every message and edit sets how that stands: by
    /// the incident's id. Then they arrive one after another, and each try says what holds at its moment.
    fn sets_state(&self) -> bool {
        false
    }

    /// The text of a digest, where the channel has a budget.
    fn render_digest(&self, _digest: &Digest) -> Option<String> {
        None
    }

    /// The text of a notice, with the address of its page, where the channel is more than a place for single
    /// incidents.
    fn render_notice(&self, _notice: &Notice, _page: Option<&str>) -> Option<String> {
        None
    }

    /// The provider's rate limits; none if they are not known. With a budget, a digest replaces many messages
    /// at once.
    fn budget(&self) -> Option<Budget> {
        None
    }

    /// What is known of how its receiver answers: who sends holds a place of it. None if there is nobody
    /// to wait for.
    fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        None
    }

    /// What an incident's message shall show, where that is another thing than what it shows; it may be
    /// unknown what that is.
    fn render_edit(&self, card: &Card, shown: Option<&str>) -> Option<String> {
        Some(self.render(card)).filter(|body| shown != Some(body))
    }

    /// Has a message that was sent, by the provider's id for it, show another text, once.
    async fn edit(&self, _message_id: &str, _message: Message<'_>) -> Result<Edited, SendError> {
        Ok(Edited::Never("such messages are not edited".to_owned()))
    }
}
