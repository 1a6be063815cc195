//! When a receiver is left alone.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a message waits that was one too many.
const BUSY: Duration = Duration::from_millis(250);
/// How far apart those come back that wait for a receiver that does not answer.
const APART: Duration = Duration::from_millis(20);
/// Failures in a row after which a receiver counts as down, whether it could not be reached or answered with errors:
/// trying its messages would delay those for others.
const BROKEN: u32 = 20;
/// How long it is left alone after the next failure.
const BREATH: Duration = Duration::from_secs(1);
/// The longest that one of them waits.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Who answers for some channels: a bot's API, or a host. Messages to it hold places in which those of
/// other channels are sent, too, so it has few of them; and while it did not answer the last time, one
/// message at a time finds out whether it does. It lives as long as the process: another learns it by
/// itself.
pub(super) struct Receiver {
    /// How long a try may take, and how long a silent receiver is left alone after one.
    try_takes: Duration,
    /// The most concurrent messages to it.
    at_once: usize,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    until: Option<Instant>,
    is_silent: bool,
    under_way: usize,
    /// How many messages were put off since it answered last.
    put_off: u32,
    /// How many could not be brought to it since then, or made it fail.
    broken: u32,
}

impl Receiver {
    pub(super) fn new(try_takes: Duration, at_once: usize) -> Self {
        Self {
            try_takes,
            at_once,
            state: Mutex::default(),
        }
    }

    /// It answered, and did not fail.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        *state = State {
            under_way: state.under_way,
            ..State::default()
        };
    }

    /// It did not answer in time.
    pub(super) fn unanswered(&self, now: Instant) {
        let mut state = self.state();
        state.is_silent = true;
        state.until = state.until.max(now.checked_add(self.try_takes));
    }

    /// It could not be reached, the connection broke, or it answered that it failed. That takes it no time, so
    /// it is not silent for it; but one that is stays so, until it answers without failing.
    pub(super) fn broken(&self, now: Instant) {
        let mut state = self.state();
        state.broken = state.broken.saturating_add(1);
        if state.is_silent || state.broken >= BROKEN {
            state.is_silent = true;
            state.until = state.until.max(now.checked_add(BREATH));
        }
    }

    /// Takes a place, or says how long one more message must wait.
    fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        match self.waits(&mut state, now) {
            Some(wait) => Err(wait),
            None => {
                state.under_way += 1;
                Ok(())
            }
        }
    }

    /// How long one more message must wait, which is put off if it must.
    fn waits(&self, state: &mut State, now: Instant) -> Option<Duration> {
        let until = state.until.filter(|until| *until > now);
        let remaining = until.map(|until| until.saturating_duration_since(now));
        if !state.is_silent {
            return (state.under_way >= self.at_once).then_some(BUSY);
        }
        let one_tries = (state.under_way > 0).then_some(self.try_takes);
        let wait = remaining.max(one_tries)?;
        // All that wait for it are not to come back at once, again and again.
        state.put_off = state.put_off.saturating_add(1);
        Some((wait + APART.saturating_mul(state.put_off - 1)).min(LONGEST.max(wait)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the messages of one channel from its receiver: because that one is slow or silent, or because
/// it asked for a pause for this channel.
#[derive(Debug)]
pub struct CircuitBreaker {
    receiver: Arc<Receiver>,
    paused_until: Mutex<Option<Instant>>,
}

/// A slot for one message to a receiver, freed on drop.
#[derive(Debug)]
pub struct SendSlot<'a>(&'a Receiver);

impl Drop for SendSlot<'_> {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
    }
}

impl CircuitBreaker {
    pub(super) const fn with(receiver: Arc<Receiver>) -> Self {
        Self {
            receiver,
            paused_until: Mutex::new(None),
        }
    }

    /// A place to send a message from now; else how long it must wait.
    ///
    /// # Errors
    /// It must wait.
    pub fn take(&self, now: Instant) -> Result<SendSlot<'_>, Duration> {
        match self.pause(now) {
            Some(pause) => Err(pause),
            None => self.receiver.take(now).map(|()| SendSlot(&self.receiver)),
        }
    }

    /// How long a message must wait, which is put off if it must.
    #[must_use]
    pub fn left_alone(&self, now: Instant) -> Option<Duration> {
        let mut state = self.receiver.state();
        self.pause(now).max(self.receiver.waits(&mut state, now))
    }

    /// Whether a message would have to wait, without any being put off.
    #[must_use]
    pub fn is_left_alone(&self, now: Instant) -> bool {
        let mut state = *self.receiver.state();
        self.pause(now).is_some() || self.receiver.waits(&mut state, now).is_some()
    }

    fn pause(&self, now: Instant) -> Option<Duration> {
        let until = self.paused().filter(|until| *until > now);
        until.map(|until| until.saturating_duration_since(now))
    }

    /// It answered, and did not fail.
    pub(super) fn answered(&self) {
        self.receiver.answered();
    }

    /// It did not answer in time.
    pub(super) fn unanswered(&self, now: Instant) {
        self.receiver.unanswered(now);
    }

    /// It could not be reached, the connection broke, or it answered that it failed. That takes it no time, so
    /// it is not silent for it; but one that is stays so, until it takes a message.
    pub(super) fn broken(&self, now: Instant) {
        self.receiver.broken(now);
    }

    /// The channel is left alone for `after` from `now` at least; a longer while stays.
    pub(super) fn wait(&self, now: Instant, after: Duration) {
        let mut paused = self.paused();
        *paused = paused.max(now.checked_add(after));
    }

    fn paused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

#[cfg(test)]
mod tests;
