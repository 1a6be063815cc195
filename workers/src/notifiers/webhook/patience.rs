//! When a receiver is left alone.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many messages are on their way to one receiver at once, at most.
const AT_ONCE: usize = 2;
/// How long a message waits that was one too many.
const BUSY: Duration = Duration::from_secs(1);

/// Keeps messages from a receiver that has enough of them: that asked for a pause, is slow, or does
/// not answer. Each message holds one of the few places in which those of other channels are sent,
/// too. As long as a receiver did not answer the last time, one message at a time finds out whether
/// it does. It lives as long as the process: another learns it by itself.
pub(super) struct Patience {
    /// How long a try may take, and how long a silent receiver is left alone after one.
    try_takes: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    until: Option<Instant>,
    is_silent: bool,
    under_way: usize,
}

impl State {
    fn left_alone(&self, now: Instant) -> Option<Duration> {
        let until = self.until.filter(|until| *until > now);
        let remaining = until.map(|until| until.saturating_duration_since(now));
        remaining.or((self.under_way >= AT_ONCE).then_some(BUSY))
    }
}

/// A message may be sent for as long as this is held.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Patience);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
    }
}

impl Patience {
    pub(super) const fn new(try_takes: Duration) -> Self {
        Self {
            try_takes,
            state: Mutex::new(State {
                until: None,
                is_silent: false,
                under_way: 0,
            }),
        }
    }

    /// A turn to send a message now; else how long it must wait.
    pub(super) fn begin(&self, now: Instant) -> Result<Turn<'_>, Duration> {
        let mut state = self.state();
        if let Some(wait) = state.left_alone(now) {
            return Err(wait);
        }
        state.until = state.is_silent.then(|| now + self.try_takes);
        state.under_way += 1;
        Ok(Turn(self))
    }

    /// How long a message must wait, if there is no turn now.
    pub(super) fn left_alone(&self, now: Instant) -> Option<Duration> {
        self.state().left_alone(now)
    }

    /// It answered.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        if state.is_silent {
            state.is_silent = false;
            state.until = None;
        }
    }

    /// It did not answer in time.
    pub(super) fn unanswered(&self, now: Instant) {
        self.state().is_silent = true;
        self.wait(now, self.try_takes);
    }

    /// It is left alone for `after` from `now` at least; a longer while stays.
    pub(super) fn wait(&self, now: Instant, after: Duration) {
        let mut state = self.state();
        state.until = state.until.max(now.checked_add(after));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How long a message must wait, if it must; one that need not is done at once.
    fn waits(patience: &Patience, now: Instant) -> Option<Duration> {
        patience.begin(now).err()
    }

    #[test]
    fn who_asked_for_a_pause_gets_it() {
        let (patience, start) = (Patience::new(10 * SECOND), Instant::now());
        assert_eq!(waits(&patience, start), None);
        patience.wait(start, 7 * SECOND);
        patience.wait(start + SECOND, 2 * SECOND);
        patience.answered();
        assert_eq!(waits(&patience, start + 3 * SECOND), Some(4 * SECOND));
        assert_eq!(waits(&patience, start + 7 * SECOND), None);
        assert_eq!(waits(&patience, start + 7 * SECOND), None);
    }

    #[test]
    fn no_more_than_two_are_on_their_way() -> Result<(), Duration> {
        let (patience, start) = (Patience::new(10 * SECOND), Instant::now());
        let (first, second) = (patience.begin(start)?, patience.begin(start)?);
        assert_eq!(waits(&patience, start), Some(BUSY));
        assert_eq!(patience.left_alone(start), Some(BUSY));
        drop(first);
        assert_eq!(patience.left_alone(start), None, "to ask takes no turn");
        assert_eq!(waits(&patience, start), None);
        let third = patience.begin(start)?;
        assert_eq!(waits(&patience, start), Some(BUSY));
        drop((second, third));
        Ok(())
    }

    #[test]
    fn a_silent_one_is_tried_by_one_message_at_a_time() {
        let (patience, start) = (Patience::new(10 * SECOND), Instant::now());
        patience.unanswered(start);
        assert_eq!(waits(&patience, start), Some(10 * SECOND));
        let later = start + 10 * SECOND;
        assert_eq!(waits(&patience, later), None);
        assert_eq!(waits(&patience, later + SECOND), Some(9 * SECOND));
        patience.answered();
        assert_eq!(waits(&patience, later + SECOND), None);
        assert_eq!(waits(&patience, later + SECOND), None);
    }
}
