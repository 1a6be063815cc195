//! The notify worker's context.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tocsin::config::channel_kind;
use tocsin::context::Context;
use tocsin::domain::notification::Kind;
use tocsin::entity::notifications::{Model, State};
use tocsin::jobs::{JobError, Notify};
use tocsin::store::channels::chat_of;
use tocsin::store::notifications;
use tocsin::telegram;
use tocsin::telemetry::metrics::{ByChannel, ByMessage};
use tocsin::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::notifiers::{Card, Notifier, SendSlot};

/// What sends need: settings, stores, and the notifiers by channel.
#[derive(Clone)]
pub struct NotifyContext {
    pub(super) context: Context,
    notifiers: Arc<[Box<dyn Notifier>]>,
}

impl NotifyContext {
    /// With these notifiers, one for each channel.
    #[must_use]
    pub fn new(context: &Context, notifiers: Vec<Box<dyn Notifier>>) -> Self {
        Self {
            context: context.clone(),
            notifiers: notifiers.into(),
        }
    }

    /// What all parts of the process share.
    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    /// The notifier of this channel, if the settings still name it.
    pub(crate) fn notifier(&self, channel: &str) -> Option<&dyn Notifier> {
        let found = self.notifiers.iter().find(|n| n.channel() == channel);
        found.map(AsRef::as_ref)
    }

    /// Fails, with how long to wait, while the receiver's circuit breaker is open. Ask before the claim: while a receiver
    /// hangs, all its messages come here again and again.
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
        self.count(to.channel(), "delayed");
        let why = format!(
            "{} did not respond: waiting before the next attempt",
            to.channel()
        );
        JobError::RetryAfter { after, why }
    }

    /// A slot for one call to the receiver.
    pub(super) fn place<'a>(&self, to: &'a dyn Notifier) -> Result<Option<SendSlot<'a>>, JobError> {
        let Some(circuit_breaker) = to.circuit_breaker() else {
            return Ok(None);
        };
        let place = circuit_breaker.take(Instant::now());
        place.map(Some).map_err(|after| self.put_off(to, after))
    }

    /// The channels that share a chat with this one, itself included.
    pub(super) fn neighbours(&self, channel: &str) -> Vec<String> {
        let chat = chat_of(channel);
        let all = self.notifiers.iter().map(|notifier| notifier.channel());
        let of_chat = all.filter(|other| chat_of(other) == chat);
        of_chat.map(str::to_owned).collect()
    }

    /// The attempts of a message until it fails.
    pub(super) fn attempts(&self) -> usize {
        self.context.config.policy::<Notify>().attempts as usize
    }

    /// The URL of a page; none without `public_url`.
    pub(super) fn page(&self, path: &str) -> Option<String> {
        let base = self.context.config.public_url.as_deref()?;
        Some(format!("{}{path}", base.trim_end_matches('/')))
    }

    /// The buttons below a message, if buttons are enabled.
    pub(super) fn keyboard(&self, row: &Model, card: &Card, now: Timestamp) -> Option<Value> {
        // A resolved incident needs no buttons.
        let is_card = !matches!(row.kind, Kind::Digest | Kind::Resolved) && !row.kind.is_notice();
        let has_buttons = self.context.config.has_buttons() && row.channel.starts_with("telegram:");
        (is_card && has_buttons).then(|| {
            let text = self.context.config.language.text();
            let run = card.run.as_deref();
            telegram::keyboard(text, &card.incident, &card.anomaly, now, run)
        })
    }

    pub(super) fn count(&self, channel: &str, outcome: &'static str) {
        self.count_many(channel, outcome, 1);
    }

    pub(super) fn count_many(&self, channel: &str, outcome: &'static str, n: u64) {
        let messages = &self.context.metrics.messages;
        let channel = channel_kind(channel);
        let by = ByMessage { channel, outcome };
        messages.get_or_create(&by).inc_by(n);
    }

    /// Notes how long after the receipt of its alert the provider took the message that an incident opened.
    pub(super) fn note_latency(&self, channel: &str, after: Duration) {
        let channel = channel_kind(channel);
        let seconds = &self.context.metrics.message_seconds;
        let seconds = seconds.get_or_create(&ByChannel { channel });
        seconds.observe(after.as_secs_f64());
    }
}
