//! Log throttling: a frequent event is logged once in a while, with how many more there were.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Logs frequent events at intervals, kind by kind. There should be few kinds: all are remembered.
#[derive(Debug)]
pub struct LogThrottle<K> {
    every: Duration,
    said: Mutex<HashMap<K, LastLogged>>,
}

#[derive(Debug)]
struct LastLogged {
    at: Instant,
    more: u64,
}

impl<K: Eq + Hash> LogThrottle<K> {
    /// Once in this time.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self {
            every,
            said: Mutex::default(),
        }
    }

    /// Whether it is to be said that this happened, and how many there were since it was said last; `None`
    /// if it was said a moment ago.
    pub fn says(&self, kind: K) -> Option<u64> {
        self.says_at(kind, Instant::now())
    }

    fn says_at(&self, kind: K, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match said.get_mut(&kind) {
            Some(said) if now.saturating_duration_since(said.at) < self.every => {
                said.more += 1;
                None
            }
            other => {
                let more = other.map_or(0, |said| said.more);
                said.insert(kind, LastLogged { at: now, more: 0 });
                Some(more)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_logged_at_intervals_with_the_number_of_the_rest() {
        let every = Duration::from_secs(10);
        let (log_throttle, start) = (LogThrottle::new(every), Instant::now());
        assert_eq!(log_throttle.says_at("a", start), Some(0));
        assert_eq!(log_throttle.says_at("a", start), None);
        assert_eq!(log_throttle.says_at("a", start + every / 2), None);
        assert_eq!(log_throttle.says_at("b", start + every / 2), Some(0));
        assert_eq!(log_throttle.says_at("a", start + every), Some(2));
        assert_eq!(log_throttle.says_at("a", start + every), None);
    }
}
