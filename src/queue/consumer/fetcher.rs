//! The fetcher: fills free slots, with jobs of expired leases first, up to the policy's slots and bytes.
//!
//! A job whose lease expired was in a process that died, and may be the cause. So such jobs run few at a time: if
//! one kills the next process as well, few others lose another delivery with it and become suspects, which run
//! alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::answers::Verdict;
use super::backoff::Backoff;
use super::{Consumer, JobHandle, lease_end};
use crate::queue::store::{Capacity, Delivery, Lease, QueueError, RECLAIM_EVERY};
use crate::store::dead_letters;

/// Redelivered jobs get at most one in this many slots.
const SLOTS_PER_REDELIVERY: usize = 4;
/// How long suspects run, one by one, before other jobs are fetched again.
const SUSPECTS_ONLY: Duration = Duration::from_secs(1);
/// The shortest and the longest pause of an idle fetcher.
const IDLE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// Above this many consumers each polls less often, so that all together poll as often as these; and the most that
/// the pause grows by.
const MANY: (u64, u64) = (5, 5);
/// How long a fetcher with few free slots waits for more, so that it fetches in larger batches.
const GATHER: Duration = Duration::from_millis(2);

struct Fetcher {
    consumer: Arc<Consumer>,
    slots: mpsc::Sender<Vec<Arc<JobHandle>>>,
    reclaimed_at: Option<Instant>,
    /// Whether more expired leases may wait than were taken over.
    more: bool,
    /// Since when suspects wait: nothing is fetched until nothing is in flight.
    make_room: Option<Instant>,
    /// Whether a suspect runs: nothing is fetched until it is settled.
    suspect_runs: bool,
}

pub(super) async fn run(consumer: Arc<Consumer>, slots: mpsc::Sender<Vec<Arc<JobHandle>>>) {
    let mut fetcher = Fetcher {
        consumer: Arc::clone(&consumer),
        slots,
        reclaimed_at: None,
        more: false,
        make_room: None,
        suspect_runs: false,
    };
    let (mut backoff, mut idle) = (Backoff::new(), IDLE.0);
    let stopping = consumer.stopping.clone();
    while !stopping.is_cancelled() {
        let free = fetcher.free();
        if free.is_none() {
            tokio::select! {
                () = consumer.freed.notified() => {}
                () = stopping.cancelled() => {}
            }
            continue;
        }
        if free.jobs < consumer.policy.concurrency / 4 {
            tokio::time::sleep(GATHER).await;
        }
        match fetcher.pass().await {
            Ok(0) => {
                backoff.succeeded();
                tokio::select! {
                    () = tokio::time::sleep(idle) => idle = (idle * 2).min(longest(consumer.peers())),
                    () = consumer.queues.store().pushed(consumer.policy.queue) => {}
                    () = consumer.freed.notified(), if fetcher.more => {}
                    () = stopping.cancelled() => {}
                }
            }
            Ok(_) => {
                backoff.succeeded();
                idle = IDLE.0;
            }
            Err(error) => {
                consumer.store_failed("fetch jobs", &error);
                tokio::select! {
                    () = backoff.failed() => {}
                    () = stopping.cancelled() => {}
                }
            }
        }
    }
}

/// The longest pause of an idle fetcher of a queue with this many consumers.
fn longest(consumers: u64) -> Duration {
    let times = consumers.div_ceil(MANY.0).clamp(1, MANY.1);
    IDLE.1 * u32::try_from(times).unwrap_or(1)
}

impl Fetcher {
    fn free(&mut self) -> Capacity {
        let (held, bytes) = {
            let in_flight = self.consumer.in_flight();
            (in_flight.len(), in_flight.bytes())
        };
        if held == 0 {
            self.suspect_runs = false;
        }
        let policy = &self.consumer.policy;
        if self.suspect_runs || (self.make_room.is_some() && held > 0) {
            return Capacity::jobs(0);
        }
        Capacity {
            jobs: policy.concurrency.saturating_sub(held),
            bytes: policy.in_flight_bytes.saturating_sub(bytes),
        }
    }

    /// One pass; returns how many jobs it handed out.
    async fn pass(&mut self) -> Result<usize, QueueError> {
        let (store, queue) = (
            Arc::clone(self.consumer.queues.store()),
            self.consumer.policy.queue,
        );
        let asked_at = Instant::now();
        let mut handed = 0;
        let is_time = self
            .reclaimed_at
            .is_none_or(|at| at.elapsed() >= RECLAIM_EVERY);
        let mut room = self.free();
        room.jobs = room.jobs.min(self.room_for_returned());
        let goes_on = self.more || self.make_room.is_some();
        if !room.is_none() && (goes_on || (is_time && self.is_turn(asked_at).await?)) {
            let alone = self.make_room.is_some();
            let found = store
                .reclaim(queue, &self.consumer.name, room, alone)
                .await?;
            self.reclaimed_at = Some(asked_at);
            self.suspect_runs = found.jobs.iter().any(|job| job.lease.is_suspect());
            self.more = !found.jobs.is_empty();
            self.make_room = self.whose_turn(found.suspects_wait);
            handed += found.jobs.len();
            self.hand_out(asked_at, found.jobs).await;
        }
        let free = self.free();
        if !free.is_none() && self.make_room.is_none() {
            let jobs = store.fetch(queue, &self.consumer.name, free).await?;
            handed += jobs.len();
            self.hand_out(asked_at, jobs).await;
        }
        Ok(handed)
    }

    /// Whether this consumer may search for expired leases now.
    async fn is_turn(&mut self, asked_at: Instant) -> Result<bool, QueueError> {
        self.reclaimed_at = Some(asked_at);
        let store = self.consumer.queues.store();
        store.is_turn_to_reclaim(self.consumer.policy.queue).await
    }

    /// Since when suspects have their turn, if they have.
    fn whose_turn(&self, suspects_wait: bool) -> Option<Instant> {
        match self.make_room {
            None => suspects_wait.then(Instant::now),
            Some(since) => {
                Some(since).filter(|since| self.suspect_runs && since.elapsed() < SUSPECTS_ONLY)
            }
        }
    }

    /// Slots left for redelivered jobs.
    fn room_for_returned(&self) -> usize {
        let held = self.consumer.in_flight().suspect_weights();
        self.consumer
            .policy
            .concurrency
            .div_ceil(SLOTS_PER_REDELIVERY)
            .saturating_sub(held)
    }

    async fn hand_out(&self, asked_at: Instant, jobs: Vec<Delivery>) {
        let until = lease_end(asked_at);
        let jobs: Vec<Arc<JobHandle>> =
            jobs.into_iter().map(JobHandle::new).map(Arc::new).collect();
        {
            let mut in_flight = self.consumer.in_flight();
            for held in &jobs {
                in_flight.hold(Arc::clone(held), until);
            }
        }
        let buried = self.buried(&jobs).await;
        let mut to_run = Vec::with_capacity(jobs.len());
        for held in jobs {
            if buried.contains(&held.lease) {
                self.consumer.forget(held);
            } else if held.lease.is_poison() {
                let times = held.lease.delivery - 1;
                let reason = format!(
                    "the worker died {times} times while running it, the last times with no other job"
                );
                self.consumer.bury(held, reason);
            } else {
                to_run.push(held);
            }
        }
        if to_run.is_empty() {
            return;
        }
        if let Err(unsent) = self.slots.send(to_run).await {
            // Fails if the worker has ended.
            for held in unsent.0 {
                self.consumer.give_back(held);
            }
        }
    }

    /// The jobs that are dead letters already, or were replayed or discarded since: their worker died after it wrote
    /// the dead letter and before it removed the job. If the database does not answer, none is: a job that runs
    /// twice changes nothing, and an older replay does not overwrite a newer one.
    async fn buried(&self, jobs: &[Arc<JobHandle>]) -> HashSet<Lease> {
        let again: Vec<_> = jobs
            .iter()
            .filter(|held| held.lease.delivery > 1 || held.lease.replay > 0)
            .map(|held| (held.lease, held.enqueued_at))
            .collect();
        if again.is_empty() {
            return HashSet::new();
        }
        let buried = dead_letters::buried(self.consumer.db.read(), &again).await;
        buried.unwrap_or_else(|error| {
            self.consumer.store_failed("query dead letters", &error);
            HashSet::new()
        })
    }
}

impl Consumer {
    /// Removes a job that is a dead letter already.
    fn forget(&self, held: Arc<JobHandle>) {
        self.send(held, Verdict::Forget, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_poll_less_often_the_more_there_are() {
        let table = [
            (0, 100),
            (1, 100),
            (5, 100),
            (6, 200),
            (20, 400),
            (25, 500),
            (1000, 500),
        ];
        for (consumers, ms) in table {
            let expected = Duration::from_millis(ms);
            assert_eq!(longest(consumers), expected, "{consumers} consumers");
        }
    }
}
