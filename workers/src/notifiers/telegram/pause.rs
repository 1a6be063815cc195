//! The pause that a 429 asks for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Until when a chat takes nothing. It lives as long as the process: another process learns it
/// from a 429 of its own.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Mutex<Option<Instant>>,
}

impl Pause {
    /// How long it still lasts, or `None` if it is over.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let remaining = until?.saturating_duration_since(now);
        (!remaining.is_zero()).then_some(remaining)
    }

    /// Lasts `after` from `now` at least; a longer one stays.
    pub(super) fn extend(&self, now: Instant, after: Duration) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(now.checked_add(after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_itself_and_a_shorter_one_does_not_shorten_it() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let pause = Pause::default();
        assert_eq!(pause.remaining(start), None);
        pause.extend(start, 7 * second);
        pause.extend(start + second, 2 * second);
        assert_eq!(pause.remaining(start), Some(7 * second));
        assert_eq!(pause.remaining(start + 3 * second), Some(4 * second));
        assert_eq!(pause.remaining(start + 7 * second), None);
        pause.extend(start + 8 * second, 2 * second);
        assert_eq!(pause.remaining(start + 9 * second), Some(second));
    }
}
