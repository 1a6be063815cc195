//! Whether the store and the queue take what is written, which is tried: reading says nothing about a full
//! disk, a standby or a Redis without memory. It is tried at most once a second for all who ask.

mod paused;
pub(crate) mod standstill;

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

pub use paused::Paused;
pub use standstill::Standstill;

use crate::context::Context;
use crate::redis::Memory;
use crate::routines::{self, Last};
use crate::store::maintenance;
use crate::store::marks::{self, Mark};

/// How long what was found is shown.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long a part may take to take something.
const PATIENCE: Duration = Duration::from_secs(2);
/// The row that is written.
const MARK: &str = "probe";

/// For how long no alert is entered before that is told, and for how long it is told after the last try.
const STUCK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartState {
    /// It took what was written.
    Up,
    /// It answers, and takes nothing.
    ReadOnly,
    /// It does not answer.
    Unreachable,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// How the store is.
    pub store: PartState,
    /// How the queue is.
    pub queue: PartState,
    /// How long ago what schedules bring back was last done, if that is known.
    pub last: Option<Last>,
    /// How much of the queue's memory is used, where that is bounded.
    pub memory: Option<Memory>,
    /// Whether alerts are taken and not counted, whoever should count them.
    pub stands: Option<Standstill>,
}

/// What was found last, and what the work itself met.
#[derive(Debug, Default)]
pub struct Probe {
    last: Mutex<Option<(Instant, Found)>>,
    stuck: std::sync::Mutex<Option<Stuck>>,
    paused: paused::Seen,
}

/// Alerts are not entered: what is tried works, and they meet something else, as a damaged table is.
#[derive(Debug)]
struct Stuck {
    since: Instant,
    last: Instant,
    why: String,
}

impl Probe {
    /// Alerts were counted.
    pub fn entered(&self) {
        *self.stuck() = None;
    }

    /// Alerts could not be counted, because of the store.
    pub fn not_entered(&self, why: &str) {
        self.not_entered_at(why, Instant::now());
    }

    fn not_entered_at(&self, why: &str, now: Instant) {
        let mut stuck = self.stuck();
        // What failed long ago may have been done by another process.
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

    /// Whether this process has entered no alert for long though it tried.
    pub fn is_stuck(&self) -> Option<Standstill> {
        let (lasts, why) = self.is_stuck_at(Instant::now())?;
        Some(Standstill::Stuck { lasts, why })
    }

    fn is_stuck_at(&self, now: Instant) -> Option<(Duration, String)> {
        let stuck = self.stuck();
        let stuck = stuck.as_ref()?;
        let for_long = stuck.last.saturating_duration_since(stuck.since);
        let is_news = now.saturating_duration_since(stuck.last) < STUCK.1;
        (for_long >= STUCK.0 && is_news).then(|| (for_long, stuck.why.clone()))
    }

    fn stuck(&self) -> std::sync::MutexGuard<'_, Option<Stuck>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queues that are paused, as they were a second ago at most; none if that is not known.
    pub async fn paused(&self, context: &Context) -> Option<Arc<[Paused]>> {
        self.paused.look(context).await
    }

    /// This process paused or resumed a queue: what was found before does not hold any more.
    pub async fn paused_or_resumed(&self) {
        self.paused.forget().await;
    }

    /// Tries, or says what was found within the last second. Who asks meanwhile waits for the same try.
    pub async fn look(&self, context: &Context) -> Found {
        let mut last = self.last.lock().await;
        let is_good = |(at, _): &&(Instant, Found)| at.elapsed() < GOOD_FOR;
        if let Some((_, found)) = last.as_ref().filter(is_good) {
            return found.clone();
        }
        let store = tried(write(context), async {
            maintenance::now(context.db.read()).await.is_ok()
        });
        let queue = context.queues.store();
        let queue = tried(async { queue.takes().await.is_ok() }, async {
            queue.now().await.is_ok()
        });
        let last_done = async {
            let last = tokio::time::timeout(PATIENCE, routines::last(context)).await;
            last.ok().and_then(Result::ok)
        };
        let memory = async {
            let memory = tokio::time::timeout(PATIENCE, context.queues.store().memory()).await;
            memory.ok().and_then(Result::ok).flatten()
        };
        let counts = async {
            let counts = tokio::time::timeout(PATIENCE, standstill::look(context)).await;
            counts.ok().and_then(Result::ok).flatten()
        };
        let (store, queue, done, memory, stands) =
            tokio::join!(store, queue, last_done, memory, counts);
        let found = Found {
            store,
            queue,
            last: done,
            memory,
            // This process knows at once what it cannot do, and others hear of it.
            stands: self.is_stuck().or(stands),
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

async fn tried(write: impl Future<Output = bool>, read: impl Future<Output = bool>) -> PartState {
    let within = async |work| tokio::time::timeout(PATIENCE, work).await.unwrap_or(false);
    let answered = async { tokio::time::timeout(PATIENCE, read).await.unwrap_or(false) };
    match tokio::join!(within(write), answered) {
        (true, _) => PartState::Up,
        (false, true) => PartState::ReadOnly,
        (false, false) => PartState::Unreachable,
    }
}

async fn write(context: &Context) -> bool {
    let mark = Mark {
        at: context.clock.now(),
        ..Mark::default()
    };
    marks::set(context.db.write(), MARK, &mark).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stuck_while_alerts_are_tried_for_a_while_and_none_is_entered() {
        let (probe, start) = (Probe::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(probe.is_stuck_at(at(0)), None);
        probe.not_entered_at("locked", at(0));
        assert_eq!(probe.is_stuck_at(at(20)), None, "once is not for long");
        probe.not_entered_at("malformed", at(6));
        let told = (Duration::from_secs(6), "malformed".to_owned());
        assert_eq!(probe.is_stuck_at(at(7)), Some(told));
        assert_eq!(probe.is_stuck_at(at(90)), None, "nobody tries any more");
        probe.not_entered_at("malformed", at(91));
        assert_eq!(probe.is_stuck_at(at(92)), None, "that was another time");
        probe.not_entered_at("malformed", at(97));
        probe.entered();
        assert_eq!(probe.is_stuck_at(at(98)), None);
    }
}
