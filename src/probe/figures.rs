//! Figures of what the stores hold, for `/metrics`.
//!
//! Counting what waits costs the more the more there is. So a task of each process does it beside those who
//! ask: `/metrics` asks no store, and answers alike whatever waits, and also where a store does not answer.
//!
//! | promise | number |
//! |---|---|
//! | how old figures are while the stores answer | 5 s; up to 30 s more where counting takes long: it takes at most a twentieth of the time |
//! | how long one look may take | 10 s; then the figures stay what they were |
//! | how old figures may be | 60 s; older ones are left out, and [`Metrics::figures_age`] goes on rising |
//!
//! [`Metrics::figures_age`]: crate::telemetry::metrics::Metrics::figures_age

mod incidents;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use super::Stores;
use crate::domain::canary::SCHEDULE;
use crate::domain::source_watch::Warning;
use crate::jobs::{IngestAlert, Job as _, QUEUES};
use crate::queue::standstill::{self, Standstill};
use crate::queue::store::{Depth, QueueError};
use crate::redis::Memory;
use crate::routines::{self, Routine};
use crate::store::canaries::{self, Canary};
use crate::store::watches::Watch;
use crate::store::{dead_letters, maintenance, watches};
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::metrics::{ByFigureStore, ByLink, ByQueue, BySchedule, ByWarning, Metrics};

/// How long it rests after a look: at least, and at most.
const RESTS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// Looking takes at most this part of the time, where that lets it rest for no longer than it may.
const SHARE: u32 = 20;
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to count the unresolved incidents, which takes longer the more there are.
const INCIDENTS: Duration = Duration::from_secs(5);
/// Maximum age of a figure that is exported.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// How often the log says that they are old.
const SAID: Duration = Duration::from_secs(60);

/// Where figures are kept. Each answers, or does not, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FigureStore {
    /// In the store: dead letters, and what schedules did.
    Store,
    /// In the queue: jobs, workers and its memory.
    Queue,
}

impl FigureStore {
    /// All places.
    pub const ALL: [Self; 2] = [Self::Store, Self::Queue];

    /// As health names it, too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Queue => "queue",
        }
    }
}

/// When the figures of a process were measured.
#[derive(Debug)]
pub struct Figures {
    began: Instant,
    measured: Mutex<[Option<Instant>; FigureStore::ALL.len()]>,
    said: LogThrottle<FigureStore>,
    /// Queues without progress, without that of alerts, which each probe asks for itself.
    standing_still: Mutex<Vec<(&'static str, Standstill)>>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            measured: Mutex::default(),
            said: LogThrottle::new(SAID),
            standing_still: Mutex::default(),
        }
    }
}

impl Figures {
    /// How old these figures are. Where there are none, since when there should be.
    #[must_use]
    pub fn age(&self, kept: FigureStore) -> Duration {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured[kept as usize].unwrap_or(self.began).elapsed()
    }

    /// Queues whose jobs wait and are not done, as far as is known: the jobs that follow alerts.
    #[must_use]
    pub fn standing_still(&self) -> Vec<(&'static str, Standstill)> {
        if self.age(FigureStore::Queue) > GOOD_FOR {
            return Vec::new();
        }
        let still = self.standing_still.lock();
        still.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn are_of(&self, kept: FigureStore, at: Instant) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured[kept as usize] = Some(at);
    }

    /// Sets the age of the figures in `metrics`, and removes figures that are too old.
    pub fn export(&self, metrics: &Metrics) {
        for kept in FigureStore::ALL {
            let age = self.age(kept);
            let by = ByFigureStore { part: kept.name() };
            metrics
                .figures_age
                .get_or_create(&by)
                .set(age.as_secs_f64());
            if age > GOOD_FOR {
                forget(metrics, kept);
            }
        }
    }
}

/// Measures until `stop`. What is kept in one place does not wait for the other.
pub async fn run(
    figures: Arc<Figures>,
    stores: Stores,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let [store, queue] = FigureStore::ALL.map(|kept| keep(&figures, &stores, &metrics, kept));
    tokio::select! {
        _ = store => {}
        _ = queue => {}
        () = stop.cancelled() => {}
    }
}

async fn keep(
    figures: &Figures,
    stores: &Stores,
    metrics: &Metrics,
    kept: FigureStore,
) -> Infallible {
    loop {
        let began = Instant::now();
        let is_measured = figures.measure(stores, metrics, kept).await;
        tokio::time::sleep(rest(is_measured, began.elapsed())).await;
    }
}

/// The pause after a measurement that took `took`. A failed one says nothing about the cost, so its pause is fixed.
fn rest(is_measured: bool, took: Duration) -> Duration {
    match is_measured {
        true => (took * SHARE).clamp(RESTS.0, RESTS.1),
        false => RESTS.0,
    }
}

impl Figures {
    /// Measures everything once.
    pub async fn pass(&self, stores: &Stores, metrics: &Metrics) {
        let [store, queue] = FigureStore::ALL.map(|kept| self.measure(stores, metrics, kept));
        tokio::join!(store, queue);
    }

    /// Measures what is kept there; returns whether that was done. All of it is put into the metrics, or nothing; but
    /// unresolved incidents may be left out.
    async fn measure(&self, stores: &Stores, metrics: &Metrics, kept: FigureStore) -> bool {
        let began = Instant::now();
        let look = async {
            match kept {
                FigureStore::Store => {
                    let measured = self.of_store(stores, metrics).await;
                    measured.map_err(|error| error.to_string())
                }
                FigureStore::Queue => {
                    let measured = self.of_queue(stores, metrics).await;
                    measured.map_err(|error| error.to_string())
                }
            }
        };
        let late = |_| Err("it does not answer".to_owned());
        let measured = tokio::time::timeout(PATIENCE, look).await;
        match measured.unwrap_or_else(late) {
            Ok(()) => {
                self.are_of(kept, began);
                true
            }
            Err(error) => {
                let (of, age_s) = (kept.name(), self.age(kept).as_secs());
                if let Some(more) = self.said.says(kept) {
                    tracing::warn!(of, age_s, more, "figures for /metrics are old: {error}");
                }
                false
            }
        }
    }

    async fn of_queue(&self, stores: &Stores, metrics: &Metrics) -> Result<(), QueueError> {
        let (queues, store) = (&stores.queues, stores.queues.store());
        let mut depths = Vec::with_capacity(QUEUES.len());
        let mut still = Vec::new();
        for queue in QUEUES {
            let depth = store.depth(queue).await?;
            if queue != IngestAlert::POLICY.queue {
                let now = stores.clock.now();
                let stands = standstill::of_queue(queues, now, (queue, &depth)).await?;
                still.extend(stands.map(|stands| (queue, stands)));
            }
            depths.push((queue, depth));
        }
        let ratio = store.memory().await?.map_or(0.0, Memory::ratio);
        for (queue, depth) in depths {
            put(metrics, queue, &depth);
        }
        metrics.redis_memory.set(ratio);
        let standing_still = self.standing_still.lock();
        *standing_still.unwrap_or_else(PoisonError::into_inner) = still;
        Ok(())
    }

    async fn of_store(&self, stores: &Stores, metrics: &Metrics) -> Result<(), DbErr> {
        let (db, clock) = (stores.db.read(), &stores.clock);
        let now = clock.of_store(maintenance::now(db).await?);
        metrics.replica_behind.set(match stores.db.has_replica() {
            true => stores
                .db
                .replica_behind()
                .map_or(f64::NAN, |behind| behind.as_secs_f64()),
            false => 0.0,
        });
        let standing = dead_letters::standing(db).await?;
        let last = routines::last(&stores.db, clock).await?;
        let canary = canaries::newest(db, SCHEDULE).await?;
        let watches = watches::all(db).await?;
        for queue in QUEUES {
            let of_queue = standing.iter().find(|(name, ..)| name == queue);
            let (letters, oldest) = of_queue.map_or((0, now), |(_, letters, at)| (*letters, *at));
            let by = ByQueue { queue };
            metrics.dead.get_or_create(&by).set(letters);
            let dead_seconds = metrics.dead_seconds.get_or_create(&by);
            dead_seconds.set(now.since(oldest).as_secs_f64());
        }
        if let Some(canary) = canary {
            put_links(metrics, &canary);
        }
        for warning in Warning::ALL {
            let prefix = warning.watch("");
            let is_told =
                |watch: &&Watch| watch.late_since.is_some() && watch.name.starts_with(&prefix);
            let told = watches.iter().filter(is_told).count();
            let by = ByWarning {
                warning: warning.name(),
            };
            let told = i64::try_from(told).unwrap_or(i64::MAX);
            metrics.source_warnings.get_or_create(&by).set(told);
        }
        for (routine, ago) in last.each() {
            let by = BySchedule {
                schedule: routine.name(),
            };
            let age = ago.unwrap_or_else(|| self.began.elapsed());
            let age = age.as_secs_f64();
            metrics.schedule_seconds.get_or_create(&by).set(age);
        }
        // Read last, with a limit of its own: if it is slow, only these figures are missing.
        match tokio::time::timeout(INCIDENTS, incidents::read(db, now)).await {
            Ok(read) => incidents::put(metrics, &read?),
            Err(_) => {
                metrics.incidents.clear();
                if let Some(more) = self.said.says(FigureStore::Store) {
                    tracing::warn!(
                        more,
                        "counting unresolved incidents took more than {INCIDENTS:?}"
                    );
                }
            }
        }
        Ok(())
    }
}

fn put(metrics: &Metrics, queue: &'static str, depth: &Depth) {
    let by = ByQueue { queue };
    for (family, jobs) in [
        (&metrics.ready, depth.ready),
        (&metrics.delayed, depth.delayed),
        (&metrics.in_flight, depth.in_flight),
        (&metrics.workers, depth.workers),
        (&metrics.paused, depth.paused.into()),
    ] {
        let jobs = i64::try_from(jobs).unwrap_or(i64::MAX);
        family.get_or_create(&by).set(jobs);
    }
    let oldest = Duration::from_millis(depth.oldest_age_ms.unwrap_or(0));
    let oldest_seconds = metrics.oldest_seconds.get_or_create(&by);
    oldest_seconds.set(oldest.as_secs_f64());
}

/// What the last canary found. One that is on its way says nothing yet of the links before it.
fn put_links(metrics: &Metrics, canary: &Canary) {
    for (link, _, ms) in canary.links() {
        let by = ByLink { link: link.name() };
        if canary.failed_link == Some(link) {
            metrics.link_up.get_or_create(&by).set(0.0);
        } else if let Some(ms) = ms {
            metrics.link_up.get_or_create(&by).set(1.0);
            let took = Duration::from_millis(ms).as_secs_f64();
            metrics.link_seconds.get_or_create(&by).set(took);
        }
    }
}

/// Removes figures from the metrics, so that `/metrics` leaves them out.
fn forget(metrics: &Metrics, kept: FigureStore) {
    match kept {
        FigureStore::Store => {
            for queue in QUEUES {
                let by = ByQueue { queue };
                metrics.dead.remove(&by);
                metrics.dead_seconds.remove(&by);
            }
            incidents::forget(metrics);
            metrics.forget_links();
            for warning in Warning::ALL {
                metrics.source_warnings.remove(&ByWarning {
                    warning: warning.name(),
                });
            }
            for routine in Routine::ALL {
                metrics.schedule_seconds.remove(&BySchedule {
                    schedule: routine.name(),
                });
            }
        }
        FigureStore::Queue => {
            for queue in QUEUES {
                let by = ByQueue { queue };
                metrics.ready.remove(&by);
                metrics.delayed.remove(&by);
                metrics.in_flight.remove(&by);
                metrics.workers.remove(&by);
                metrics.paused.remove(&by);
                metrics.oldest_seconds.remove(&by);
            }
            metrics.redis_memory.set(f64::NAN);
        }
    }
}

#[cfg(test)]
mod tests;
