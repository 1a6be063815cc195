//! Detects that a queue's store came back without its jobs, and logs how many were lost.
//!
//! A store that can lose its data keeps an epoch: a random ID that it makes when its depth is read and there is
//! none. Every process reads the depth once a second and remembers the epoch and how many jobs waited. If the
//! epoch differs at the next read, those jobs are lost; the number is as old as the last read. Jobs in flight are
//! not lost: their workers finish them. Of the processes that detect it, the first to record the loss logs it. A
//! loss while no process ran is not detected.

use std::time::{Duration, Instant};

use sea_orm::{ConnAcquireErr, DbErr};
use uuid::Uuid;

use super::store::Depth;
use crate::jobs::{IngestAlert, Job as _, RecordRepair};
use crate::store::{Db, losses};
use crate::telemetry::metrics::{ByQueue, Metrics};
use crate::time::Timestamp;

/// How long recording a loss may take before it is retried at the next read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Watches one queue's epoch.
#[derive(Debug)]
pub struct DataLossDetector {
    queue: &'static str,
    by: String,
    last: Option<DepthSample>,
    unsaved: Vec<DataLoss>,
}

#[derive(Clone, Copy, Debug)]
struct DepthSample {
    epoch: Uuid,
    waited: u64,
    at: Instant,
}

/// One loss of a queue's jobs.
#[derive(Clone, Copy, Debug)]
pub struct DataLoss {
    /// The epoch that ended.
    pub epoch: Uuid,
    /// The jobs that waited at the last read of the old epoch.
    pub jobs: u64,
    /// How long before the detection that read was.
    pub age: Duration,
}

impl DataLossDetector {
    /// Watches `queue`; `by` names the process in the record of a loss.
    #[must_use]
    pub const fn new(queue: &'static str, by: String) -> Self {
        Self {
            queue,
            by,
            last: None,
            unsaved: Vec::new(),
        }
    }

    /// Compares the queue's depth with the last sample. A loss is logged and counted once, by the process that
    /// records it first, and kept in memory until the database is reachable.
    ///
    /// # Errors
    /// The database did not record it.
    pub async fn check(
        &mut self,
        depth: &Depth,
        (db, metrics): (&Db, &Metrics),
        now: Timestamp,
    ) -> Result<(), DbErr> {
        let lost = self.compare(depth);
        self.unsaved.extend(lost);
        while let Some(loss) = self.unsaved.last() {
            let note = losses::note(
                db.write(),
                self.queue,
                (loss.epoch, loss.jobs),
                &self.by,
                now,
            );
            let late = |_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
            if tokio::time::timeout(PATIENCE, note).await.map_err(late)?? {
                let by = ByQueue { queue: self.queue };
                metrics.jobs_lost.get_or_create(&by).inc_by(loss.jobs);
                log(self.queue, loss);
            }
            self.unsaved.pop();
        }
        Ok(())
    }

    fn compare(&mut self, depth: &Depth) -> Option<DataLoss> {
        let sample = DepthSample {
            epoch: depth.epoch?,
            waited: depth.ready + depth.delayed,
            at: Instant::now(),
        };
        let last = self.last.replace(sample)?;
        let lost = last.epoch != sample.epoch && last.waited > 0;
        lost.then(|| DataLoss {
            epoch: last.epoch,
            jobs: last.waited,
            age: last.at.elapsed(),
        })
    }
}

fn log(queue: &'static str, loss: &DataLoss) {
    let (jobs, looked_ms_before) = (loss.jobs, loss.age.as_millis());
    if queue == IngestAlert::POLICY.queue {
        tracing::error!(
            queue,
            jobs,
            looked_ms_before,
            "Redis lost its data: about {jobs} queued alerts are lost; Alertmanager re-sends those that still fire"
        );
    } else if queue == RecordRepair::POLICY.queue {
        tracing::error!(
            queue,
            jobs,
            looked_ms_before,
            "Redis lost its data: about {jobs} queued repairs are lost"
        );
    } else {
        tracing::warn!(
            queue,
            jobs,
            looked_ms_before,
            "Redis lost its data: about {jobs} queued jobs are gone; recount enqueues them again"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_seen_at_the_last_sample_are_lost_with_their_epoch() {
        let mut watch = DataLossDetector::new("ingest", "test".to_owned());
        let mut see = |epoch: Option<u128>, ready, delayed| {
            let depth = Depth {
                ready,
                delayed,
                in_flight: 7,
                epoch: epoch.map(Uuid::from_u128),
                ..Depth::default()
            };
            watch
                .compare(&depth)
                .map(|loss| (loss.epoch.as_u128(), loss.jobs))
        };
        assert_eq!(see(Some(1), 10, 0), None, "nothing to compare with");
        assert_eq!(see(Some(1), 5, 2), None, "what is gone was done");
        assert_eq!(see(Some(2), 0, 0), Some((1, 7)));
        assert_eq!(see(Some(3), 4, 0), None, "nothing waited");
        assert_eq!(see(None, 0, 0), None, "a store that loses nothing");
        assert_eq!(see(Some(4), 0, 0), Some((3, 4)));
    }
}
