//! Standstill: accepted alerts are not counted. The process that accepts them may not be the one that counts them, so
//! it is read from the workers' heartbeats, and, if no worker does anything, from how long alerts wait.

use std::time::Duration;

use super::Queues;
use super::about::WorkerStatus;
use super::store::{Depth, HEARTBEAT, LEASE, QueueError};
use crate::jobs::{IngestAlert, Job as _};
use crate::time::Timestamp;

/// How long alerts must wait uncounted before that is reported.
const STANDSTILL_AFTER: Duration = Duration::from_secs(30);
/// A worker that started more recently has not reported its rate yet.
const STARTING: Duration = Duration::from_secs(3 * HEARTBEAT.as_secs());

/// Alerts are accepted and not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// A worker tries to count them and fails.
    Stuck {
        /// For how long it has failed.
        lasts: Duration,
        /// The store's error.
        why: String,
    },
    /// There are workers, and none does a job.
    Idle {
        /// How long the oldest has waited.
        waits: Duration,
    },
    /// There are no workers.
    Unattended {
        /// How long the oldest has waited.
        waits: Duration,
    },
}

/// What the workers' heartbeats say.
#[derive(Debug, PartialEq, Eq)]
enum Work {
    /// Some count alerts, or started just now.
    Goes,
    Stuck {
        lasts: Duration,
        why: String,
    },
    /// None does a job; whether there are any.
    None {
        has_workers: bool,
    },
}

/// Reads the queue. The depth, which is expensive with many jobs, is read only if no worker does anything.
pub(crate) async fn of_alerts(
    queues: &Queues,
    now: Timestamp,
) -> Result<Option<Standstill>, QueueError> {
    let (store, queue) = (queues.store(), IngestAlert::POLICY.queue);
    let workers = store.consumers(queue).await?;
    Ok(match work(&workers, now) {
        Work::Goes => None,
        Work::Stuck { lasts, why } => Some(Standstill::Stuck { lasts, why }),
        Work::None { has_workers } => waits(&store.depth(queue).await?, has_workers),
    })
}

/// The same of a queue whose depth is known.
pub(crate) async fn of_queue(
    queues: &Queues,
    now: Timestamp,
    (queue, depth): (&str, &Depth),
) -> Result<Option<Standstill>, QueueError> {
    if waits(depth, false).is_none() {
        return Ok(None);
    }
    let workers = queues.store().consumers(queue).await?;
    Ok(match work(&workers, now) {
        Work::None { has_workers } => waits(depth, has_workers),
        Work::Goes | Work::Stuck { .. } => None,
    })
}

fn work(workers: &[WorkerStatus], now: Timestamp) -> Work {
    let is_live = |worker: &&WorkerStatus| Duration::from_millis(worker.seen_ms_ago) < LEASE;
    let live = || workers.iter().filter(is_live).map(|worker| &worker.about);
    // If one worker fails, another may succeed.
    if live().any(|about| about.rate > 0.0) {
        return Work::Goes;
    }
    let stuck = live().filter_map(|about| Some((about.stuck_seconds?, about)));
    if let Some((seconds, about)) = stuck.max_by_key(|(seconds, _)| *seconds) {
        return Work::Stuck {
            lasts: Duration::from_secs(seconds),
            why: about.stuck_why.clone().unwrap_or_default(),
        };
    }
    if live().any(|about| now.since(about.since) < STARTING) {
        return Work::Goes;
    }
    Work::None {
        has_workers: live().next().is_some(),
    }
}

/// Whether it is wrong that no job is done; in a paused queue it is intended.
fn waits(depth: &Depth, has_workers: bool) -> Option<Standstill> {
    let waits = Duration::from_millis(depth.oldest_age_ms?);
    if depth.paused || waits < STANDSTILL_AFTER {
        return None;
    }
    Some(match has_workers {
        true => Standstill::Idle { waits },
        false => Standstill::Unattended { waits },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::about::WorkerInfo;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// A worker by the age of its heartbeat in seconds, its rate, and for how long it is stuck.
    fn worker(seen: u64, rate: f64, stuck: Option<u64>) -> WorkerStatus {
        WorkerStatus {
            name: "one".to_owned(),
            about: WorkerInfo {
                rate,
                since: NOW.before(Duration::from_secs(3600)),
                stuck_seconds: stuck,
                stuck_why: stuck.map(|seconds| format!("locked for {seconds}")),
                ..WorkerInfo::default()
            },
            seen_ms_ago: seen * 1000,
        }
    }

    #[test]
    fn work_stands_still_where_no_live_worker_does_any() {
        let stuck = |seconds| Work::Stuck {
            lasts: Duration::from_secs(seconds),
            why: format!("locked for {seconds}"),
        };
        let none = |has_workers| Work::None { has_workers };
        let mut young = worker(1, 0.0, None);
        young.about.since = NOW.before(Duration::from_secs(5));
        for (workers, expected) in [
            (vec![], none(false)),
            (vec![worker(1, 0.0, None)], none(true)),
            (vec![worker(1, 0.2, None)], Work::Goes),
            (vec![worker(20, 0.2, None)], none(false)),
            (vec![worker(1, 0.0, Some(7))], stuck(7)),
            (
                vec![worker(1, 0.0, Some(7)), worker(1, 0.0, Some(9))],
                stuck(9),
            ),
            (
                vec![worker(1, 0.0, Some(7)), worker(1, 3.0, None)],
                Work::Goes,
            ),
            (vec![worker(20, 0.0, Some(7))], none(false)),
            (vec![young.clone()], Work::Goes),
            (vec![young, worker(1, 0.0, Some(7))], stuck(7)),
        ] {
            assert_eq!(work(&workers, NOW), expected, "{workers:?}");
        }
    }

    #[test]
    fn alerts_that_wait_for_nobody_are_told_of_unless_the_queue_is_paused() {
        let waited = Duration::from_secs;
        for (oldest, paused, has_workers, expected) in [
            (None, false, false, None),
            (Some(29), false, false, None),
            (
                Some(31),
                false,
                false,
                Some(Standstill::Unattended { waits: waited(31) }),
            ),
            (
                Some(31),
                false,
                true,
                Some(Standstill::Idle { waits: waited(31) }),
            ),
            (Some(31), true, true, None),
        ] {
            let depth = Depth {
                oldest_age_ms: oldest.map(|seconds: u64| seconds * 1000),
                paused,
                ..Depth::default()
            };
            assert_eq!(waits(&depth, has_workers), expected, "{oldest:?} {paused}");
        }
    }
}
