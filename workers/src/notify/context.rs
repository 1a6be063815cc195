//! Where messages are sent from.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tocsin::context::Context;
use tocsin::domain::notification::Kind;
use tocsin::entity::notifications::{Model, State};
use tocsin::jobs::{JobError, Notify};
use tocsin::store::channels::chat_of;
use tocsin::store::notifications;
use tocsin::telegram;
use tocsin::telemetry::metrics::ByMessage;
use tocsin::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::notifiers::{Card, Notifier, SendSlot};

/// Where messages are sent from.
#[derive(Clone)]
pub struct NotifyContext {
    pub(super) context: Context,
    notifiers: Arc<[Box<dyn Notifier>]>,
}

impl NotifyContext {
    /// With these notifiers.
    #[must_use]
    pub fn new(context: &Context, notifiers: Vec<Box<dyn Notifier>>) -> Self {
        Self {
            context: context.clone(),
            notifiers: notifiers.into(),
        }
    }

    /// The notifier of this channel, if the settings still name it.
    pub(super) fn notifier(&self, channel: &str) -> Option<&dyn Notifier> {
        let found = self.notifiers.iter().find(|n| n.channel() == channel);
        found.map(AsRef::as_ref)
    }

    /// Whether a message has to wait because its receiver is left alone, and how long. It is asked
    /// before the message is claimed: where a receiver hangs, all that wait for it come again and again.
    pub(super) async fn left_alone(&self, message: Uuid) -> Result<(), JobError> {
        let now = Instant::now();
        let is_left_alone = |notifier: &dyn Notifier| {
            let circuit_breaker = notifier.circuit_breaker();
            circuit_breaker.is_some_and(|circuit_breaker| circuit_breaker.is_left_alone(now))
        };
        if !self.notifiers.iter().any(|n| is_left_alone(n.as_ref())) {
            return Ok(());
        }
        let row = notifications::find(self.context.db.read(), message).await?;
        let waits = |row: &Model| match row.edit_due_since {
            None => matches!(row.state, State::Pending | State::Sending),
            Some(_) => true,
        };
        let notifier = row
            .filter(waits)
            .and_then(|row| self.notifier(&row.channel));
        let circuit_breaker =
            notifier.and_then(|notifier| Some((notifier, notifier.circuit_breaker()?)));
        let wait = circuit_breaker
            .and_then(|(to, circuit_breaker)| Some((to, circuit_breaker.left_alone(now)?)));
        match wait {
            Some((to, after)) => Err(self.put_off(to, after)),
            None => Ok(()),
        }
    }

    fn put_off(&self, to: &dyn Notifier, after: Duration) -> JobError {
        self.count("delayed");
        let why = format!(
            "{} did not respond: waiting before the next attempt",
            to.channel()
        );
        JobError::RetryAfter { after, why }
    }

    /// A place to send something from now.
    pub(super) fn place<'a>(&self, to: &'a dyn Notifier) -> Result<Option<SendSlot<'a>>, JobError> {
        let Some(circuit_breaker) = to.circuit_breaker() else {
            return Ok(None);
        };
        let place = circuit_breaker.take(Instant::now());
        place.map(Some).map_err(|after| self.put_off(to, after))
    }

    /// The channels that share a chat with this one, itself among them.
    pub(super) fn neighbours(&self, channel: &str) -> Vec<String> {
        let chat = chat_of(channel);
        let all = self.notifiers.iter().map(|notifier| notifier.channel());
        let of_chat = all.filter(|other| chat_of(other) == chat);
        of_chat.map(str::to_owned).collect()
    }

    /// How often a message is tried.
    pub(super) fn attempts(&self) -> usize {
        self.context.config.policy::<Notify>().attempts as usize
    }

    /// The address of a page, if people can reach the pages.
    pub(super) fn page(&self, path: &str) -> Option<String> {
        let base = self.context.config.public_url.as_deref()?;
        Some(format!("{}{path}", base.trim_end_matches('/')))
    }

    /// The buttons beneath a message, if people may press any.
    pub(super) fn keyboard(&self, row: &Model, card: &Card, now: Timestamp) -> Option<Value> {
        // What is over asks for nothing.
        let is_card = !matches!(row.kind, Kind::Digest | Kind::Report | Kind::Resolved);
        let has_buttons = self.context.config.has_buttons() && row.channel.starts_with("telegram:");
        (is_card && has_buttons).then(|| {
            let text = self.context.config.language.text();
            telegram::keyboard(text, &card.incident, &card.anomaly, now)
        })
    }

    pub(super) fn count(&self, outcome: &'static str) {
        self.count_many(outcome, 1);
    }

    pub(super) fn count_many(&self, outcome: &'static str, n: u64) {
        let messages = &self.context.metrics.messages;
        messages.get_or_create(&ByMessage { outcome }).inc_by(n);
    }
}
