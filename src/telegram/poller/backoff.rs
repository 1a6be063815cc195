//! Backoff of the poller after repeated errors.

use std::time::Duration;

use super::PollError;
use crate::telegram::Class;

/// The wait after a failure, doubled with each that follows, up to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The longest pause that is kept because Telegram wants one.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// What goes wrong again and again: logged once, and waited for ever longer.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    logged: Option<String>,
    failures: u32,
}

impl Backoff {
    /// How long to wait; logs what is wrong, unless it was logged.
    pub(super) fn wait(&mut self, failure: &PollError) -> Duration {
        let why = failure.to_string();
        if self.logged.as_ref() != Some(&why) {
            tracing::warn!("cannot receive button presses from Telegram: {why}");
            self.logged = Some(why);
        }
        let doubled = BACKOFF.0.saturating_mul(1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        let telegram = match failure {
            PollError::Telegram(error) => error.class(),
            PollError::Store(_) | PollError::CallbackData(_) => None,
        };
        let wanted = match telegram {
            Some(Class::Wait(pause)) => (*pause).min(PAUSE_MAX),
            _ => Duration::ZERO,
        };
        doubled.min(BACKOFF.1).max(wanted)
    }

    /// It goes well.
    pub(super) fn over(&mut self) {
        if self.logged.take().is_some() {
            tracing::info!("receiving button presses from Telegram again");
        }
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::{Refusal, TelegramError};

    fn pause(seconds: u64) -> PollError {
        PollError::Telegram(TelegramError::Refused(Refusal {
            method: "getUpdates",
            status: 429,
            description: None,
            cut: None,
            class: Class::Wait(Duration::from_secs(seconds)),
        }))
    }

    #[test]
    fn the_poll_backoff_grows_until_a_success_resets_it() {
        let down = PollError::Telegram(TelegramError::Unreachable("down".to_owned()));
        let mut again = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| again.wait(&down).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(again.wait(&pause(300)).as_secs(), 300);
        assert_eq!(again.wait(&pause(7200)).as_secs(), 3600);
        again.over();
        assert_eq!(again.wait(&down).as_secs(), 1);
    }
}
