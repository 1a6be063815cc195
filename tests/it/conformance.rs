//! The conformance suite of the queue's drivers, written against `dyn QueueStore`.
//!
//! A driver takes part by a line in [`conformance!`] and a function that opens a fresh [`Bench`].
//! Time passes by [`Bench::advance`], never by waiting.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tocsin::queue::redis::RedisQueue;
use tocsin::queue::sql::SqlQueue;
use tocsin::queue::store::Capacity;
use tocsin::queue::store::{
    Answer, Delivery, Depth, FailedAttempt, LEASE, Lease, NewJob, QueueStore, Reclaimed,
};
use tocsin::store::Db;
use tocsin::store::db::migrate;
use tocsin::time::{Clock, Timestamp};
use uuid::Uuid;

use crate::harness::{On, Scratch};
use crate::redis_keys::RedisKeys;

/// Writes each test once and runs it against every driver.
macro_rules! conformance {
    (@on $driver:ident: $(async fn $name:ident($bench:ident) $body:block)*) => {
        mod $driver {
            $( #[tokio::test(flavor = "multi_thread")]
               async fn $name() {
                   super::$name(crate::conformance::Bench::$driver().await).await;
               } )*
        }
    };
    ($(async fn $name:ident($bench:ident) $body:block)*) => {
        conformance!(@on sqlite: $(async fn $name($bench) $body)*);
        conformance!(@on postgres: $(async fn $name($bench) $body)*);
        conformance!(@on redis: $(async fn $name($bench) $body)*);
        $( async fn $name($bench: crate::conformance::Bench) $body )*
    };
}

mod delivery;
mod figures;
mod leases;
mod load;
mod pause;
mod retries;
mod search;
mod stale;
mod suspects;
mod ticks;
mod workers;

/// The queue that a test uses if it needs only one.
const MAIL: &str = "mail";

/// A driver's store of one test's own, empty at first, and the clock that moves it.
struct Bench {
    store: Arc<dyn QueueStore>,
    clock: Clock,
    /// Redis' pending entries, which its own clock ages.
    pending: Option<RedisKeys>,
    _scratch: Option<Scratch>,
}

impl Bench {
    async fn sqlite() -> Self {
        Self::sql(On::Sqlite).await
    }

    async fn postgres() -> Self {
        Self::sql(On::Postgres).await
    }

    async fn sql(on: On) -> Self {
        let scratch = Scratch::new(on).await;
        let db = Db::open(&scratch.url, 9, Duration::from_secs(10))
            .await
            .unwrap();
        migrate(&db, &scratch.url).await.unwrap();
        let clock = Clock::default();
        Self {
            store: Arc::new(SqlQueue::new(db, clock.clone())),
            clock,
            pending: None,
            _scratch: Some(scratch),
        }
    }

    async fn redis() -> Self {
        let keys = RedisKeys::new().await;
        let clock = Clock::default();
        Self {
            store: Arc::new(RedisQueue::new(&keys.open().await, clock.clone()).unwrap()),
            clock,
            pending: Some(keys),
            _scratch: None,
        }
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        if let Some(keys) = &self.pending {
            keys.age(by);
        }
    }

    async fn push(&self, jobs: &[NewJob]) {
        self.store.push(jobs).await.unwrap();
    }

    /// Pushes so many jobs at once; returns their ids in order.
    async fn push_some(&self, n: u32) -> Vec<Uuid> {
        let jobs: Vec<NewJob> = (0..n).map(job).collect();
        self.push(&jobs).await;
        jobs.iter().map(|job| job.id).collect()
    }

    /// Makes ready what is due, as promotion does, and fetches.
    async fn fetch(&self, consumer: &str, limit: usize) -> Vec<Delivery> {
        self.fetch_from(MAIL, consumer, limit).await
    }

    async fn fetch_from(&self, queue: &str, consumer: &str, limit: usize) -> Vec<Delivery> {
        self.promote(queue).await;
        let jobs = self
            .store
            .fetch(queue, consumer, Capacity::jobs(limit))
            .await
            .unwrap();
        assert!(jobs.len() <= limit, "{} of {limit}", jobs.len());
        jobs
    }

    async fn fetch_one(&self, consumer: &str) -> Delivery {
        one(self.fetch(consumer, 1).await)
    }

    async fn promote(&self, queue: &str) {
        const AT_ONCE: usize = 500;
        loop {
            let promoted = self.store.promote(queue, AT_ONCE).await.unwrap();
            assert!(promoted <= AT_ONCE);
            if promoted == 0 {
                return;
            }
        }
    }

    async fn reclaim(&self, consumer: &str, limit: usize, alone: bool) -> Reclaimed {
        let reclaim = self
            .store
            .reclaim(MAIL, consumer, Capacity::jobs(limit), alone);
        let found = reclaim.await.unwrap();
        assert!(found.jobs.len() <= limit);
        found
    }

    async fn settle(&self, consumer: &str, lease: Lease, answer: Answer) {
        self.settle_all(consumer, &[(lease, answer)]).await;
    }

    async fn settle_all(&self, consumer: &str, answers: &[(Lease, Answer)]) {
        self.store.settle(MAIL, consumer, answers).await.unwrap();
    }

    async fn extend(&self, consumer: &str, leases: &[Lease]) -> Vec<Uuid> {
        self.store.extend(MAIL, consumer, leases).await.unwrap()
    }

    /// Its figures; what tells losses is not among them.
    async fn depth(&self) -> Depth {
        self.promote(MAIL).await;
        Depth {
            epoch: None,
            ..self.store.depth(MAIL).await.unwrap()
        }
    }

    /// Hands every ready job out and lets it go unanswered so often, each time to another consumer.
    async fn leave_unanswered(&self, times: u32) {
        let mut left = self.fetch("victim-1", 100).await.len();
        self.advance(LEASE);
        for n in 2..=times {
            let consumer = format!("victim-{n}");
            let mut taken = 0;
            while taken < left {
                let found = self.reclaim(&consumer, 100, true).await;
                assert!(!found.jobs.is_empty(), "{taken} of {left} were taken over");
                taken += found.jobs.len();
            }
            left = taken;
            self.advance(LEASE);
        }
    }
}

/// The `n`th job: ids of later ones sort behind those of earlier ones.
fn job(n: u32) -> NewJob {
    NewJob {
        queue: MAIL,
        id: Uuid::now_v7(),
        payload: format!("{{\"n\":{n}}}"),
        ..NewJob::default()
    }
}

fn again(delay: Duration) -> Answer {
    Answer::Again {
        delay,
        failed: Vec::new(),
    }
}

fn failure(at: i64, error: &str) -> FailedAttempt {
    FailedAttempt {
        at: Timestamp(at),
        error: error.to_owned(),
    }
}

fn one(mut jobs: Vec<Delivery>) -> Delivery {
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

fn ids(jobs: &[Delivery]) -> Vec<Uuid> {
    jobs.iter().map(|job| job.lease.id).collect()
}

fn set(ids: impl IntoIterator<Item = Uuid>) -> HashSet<Uuid> {
    ids.into_iter().collect()
}
