//! Progress of this process with the alerts that it takes from the queue. Its workers' heartbeats report it to the
//! other processes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long every try must fail before that is reported, and how long after the last try it is reported.
const STUCK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The failed tries to count alerts since the last that succeeded.
#[derive(Debug, Default)]
pub struct IngestProgress(Mutex<Option<Stuck>>);

/// Alerts cannot be counted, although the database answers: for instance a table is damaged.
#[derive(Debug)]
struct Stuck {
    since: Instant,
    last: Instant,
    why: String,
}

impl IngestProgress {
    /// Alerts were counted.
    pub fn entered(&self) {
        *self.stuck() = None;
    }

    /// Alerts could not be counted; `why` is the store's error.
    pub fn not_entered(&self, why: &str) {
        self.not_entered_at(why, Instant::now());
    }

    fn not_entered_at(&self, why: &str, now: Instant) {
        let mut stuck = self.stuck();
        // After a long pause another process may have counted those alerts.
        let is_news = |stuck: &&Stuck| now.saturating_duration_since(stuck.last) < STUCK.1;
        let since = stuck
            .as_ref()
            .filter(is_news)
            .map_or(now, |stuck| stuck.since);
        *stuck = Some(Stuck {
            since,
            last: now,
            why: why.to_owned(),
        });
    }

    /// For how long every try has failed, and why; none below 5 s.
    pub fn is_stuck(&self) -> Option<(Duration, String)> {
        self.is_stuck_at(Instant::now())
    }

    fn is_stuck_at(&self, now: Instant) -> Option<(Duration, String)> {
        let stuck = self.stuck();
        let stuck = stuck.as_ref()?;
        let for_long = stuck.last.saturating_duration_since(stuck.since);
        let is_news = now.saturating_duration_since(stuck.last) < STUCK.1;
        (for_long >= STUCK.0 && is_news).then(|| (for_long, stuck.why.clone()))
    }

    fn stuck(&self) -> MutexGuard<'_, Option<Stuck>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stuck_while_alerts_are_tried_for_a_while_and_none_is_entered() {
        let (progress, start) = (IngestProgress::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(progress.is_stuck_at(at(0)), None);
        progress.not_entered_at("locked", at(0));
        assert_eq!(progress.is_stuck_at(at(20)), None, "once is not for long");
        progress.not_entered_at("malformed", at(6));
        let expected = (Duration::from_secs(6), "malformed".to_owned());
        assert_eq!(progress.is_stuck_at(at(7)), Some(expected));
        assert_eq!(progress.is_stuck_at(at(90)), None, "nobody tries any more");
        progress.not_entered_at("malformed", at(91));
        assert_eq!(progress.is_stuck_at(at(92)), None, "that was another time");
        progress.not_entered_at("malformed", at(97));
        progress.entered();
        assert_eq!(progress.is_stuck_at(at(98)), None);
    }
}
