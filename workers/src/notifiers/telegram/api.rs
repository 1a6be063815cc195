//! The Bot API as a receiver of messages: how long it has, and how well it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin::telegram::{Bot, TelegramError};

use crate::notifiers::TOTAL_TIMEOUT;
use crate::notifiers::circuit_breaker::Receiver;

/// The most concurrent calls of the Bot API.
const AT_ONCE: usize = 4;

/// One bot, and how the API answered it: what all chats share.
#[derive(Clone, Debug)]
pub struct Api {
    pub(super) bot: Bot,
    /// How long a message may take, whatever has to be called for it.
    total: Duration,
    pub(super) receiver: Arc<Receiver>,
}

impl Api {
    /// The bot that `token` belongs to, by the API at `base`.
    ///
    /// # Errors
    /// If `base` is no address, or the HTTP client cannot be set up.
    pub fn new(base: &str, token: &str) -> Result<Self, reqwest::Error> {
        Self::with_timeout(base, token, TOTAL_TIMEOUT)
    }

    pub(super) fn with_timeout(
        base: &str,
        token: &str,
        total: Duration,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            bot: Bot::new(base, token)?,
            total,
            receiver: Arc::new(Receiver::new(total, AT_ONCE)),
        })
    }

    /// What is left of the time of a message that `began` then.
    pub(super) fn rest(&self, began: Instant) -> Duration {
        self.total.saturating_sub(began.elapsed())
    }

    /// Keeps in mind how the API answered a call that might take as long as `within`.
    pub(super) fn watch(&self, error: Option<&TelegramError>, within: Duration) {
        let now = tokio::time::Instant::now();
        match error {
            Some(TelegramError::Refused(refusal)) if (500..600).contains(&refusal.status) => {
                self.receiver.broken(now);
            }
            None | Some(TelegramError::Refused(_)) => self.receiver.answered(),
            // What was left of the time of a message that had answers before says nothing.
            Some(TelegramError::TimedOut(_)) if within * 2 <= self.total => {}
            Some(TelegramError::TimedOut(_)) => self.receiver.unanswered(now),
            Some(TelegramError::Unreachable(_)) => self.receiver.broken(now),
            Some(TelegramError::Request(_)) => {}
        }
    }
}
