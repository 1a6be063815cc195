//! The probe: tries whether store and queue take writes, because reading says nothing about a full
//! disk, a standby or a Redis without memory. It is tried at most once a second for all who ask.

pub mod figures;
mod paused;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

pub use paused::Paused;

use crate::queue::Queues;
use crate::queue::progress::IngestProgress;
use crate::queue::standstill::{self, Standstill};
use crate::redis::Memory;
use crate::routines::{self, Last};
use crate::store::marks::{self, Mark};
use crate::store::{Db, maintenance};
use crate::time::Clock;

/// How long what was found is shown.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long a part may take to take something.
const PATIENCE: Duration = Duration::from_secs(2);
/// The row that is written.
const MARK: &str = "probe";

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

/// The stores that are probed.
#[derive(Clone)]
pub struct Stores {
    /// The store.
    pub db: Db,
    /// Where jobs are pushed.
    pub queues: Queues,
    /// What time it is.
    pub clock: Clock,
}

/// The state of the stores at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// How the store is.
    pub store: PartState,
    /// How the queue is.
    pub queue: PartState,
    /// How long ago what schedules bring back was last done, if that is known.
    pub last: Option<Last>,
    /// How much of the queue's memory is used, where that is bounded.
    pub memory: Option<Memory>,
    /// Whether accepted alerts are not being counted, by any process.
    pub standstill: Option<Standstill>,
}

/// The last reading, and what this process met in its own work.
#[derive(Debug, Default)]
pub struct Probe {
    /// Whether this process enters alerts.
    pub progress: Arc<IngestProgress>,
    last: Mutex<Option<(Instant, Reading)>>,
    paused: paused::Latest,
}

impl Probe {
    /// The queues that are paused, as they were a second ago at most; none if that is not known.
    pub async fn paused(&self, stores: &Stores) -> Option<Arc<[Paused]>> {
        self.paused.get(stores).await
    }

    /// This process paused or resumed a queue: the cached answer is wrong.
    pub async fn paused_or_resumed(&self) {
        self.paused.forget().await;
    }

    /// Probes the stores, or returns a reading of the last second. Concurrent callers wait for one probe.
    pub async fn look(&self, stores: &Stores) -> Reading {
        let mut last = self.last.lock().await;
        let is_good = |(at, _): &&(Instant, Reading)| at.elapsed() < GOOD_FOR;
        if let Some((_, found)) = last.as_ref().filter(is_good) {
            return found.clone();
        }
        let store = tried(write(stores), async {
            maintenance::now(stores.db.read()).await.is_ok()
        });
        let queue = stores.queues.store();
        let queue = tried(async { queue.takes().await.is_ok() }, async {
            queue.now().await.is_ok()
        });
        let last_done = async {
            let last = routines::last(&stores.db, &stores.clock);
            let last = tokio::time::timeout(PATIENCE, last).await;
            last.ok().and_then(Result::ok)
        };
        let memory = async {
            let memory = tokio::time::timeout(PATIENCE, stores.queues.store().memory()).await;
            memory.ok().and_then(Result::ok).flatten()
        };
        let counts = async {
            let counts = standstill::of_alerts(&stores.queues, stores.clock.now());
            let counts = tokio::time::timeout(PATIENCE, counts).await;
            counts.ok().and_then(Result::ok).flatten()
        };
        let (store, queue, done, memory, standstill) =
            tokio::join!(store, queue, last_done, memory, counts);
        let found = Reading {
            store,
            queue,
            last: done,
            memory,
            // This process knows at once what it cannot do, and others hear of it.
            standstill: self.progress.is_stuck().map(stuck).or(standstill),
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

fn stuck((lasts, why): (Duration, String)) -> Standstill {
    Standstill::Stuck { lasts, why }
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

async fn write(stores: &Stores) -> bool {
    let mark = Mark {
        at: stores.clock.now(),
        ..Mark::default()
    };
    marks::set(stores.db.write(), MARK, &mark).await.is_ok()
}
