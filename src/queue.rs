//! The queue. Every job is delivered at least once, oldest first.
//!
//! ```text
//! push ─▶ store ─▶ fetcher ─▶ apalis worker ─▶ ack layer ─▶ acker ─▶ store
//!                     ▲                             │
//!                     └── lease renewal, promotion  └─▶ dead letter
//! ```
//!
//! [`store::QueueStore`] is what a driver implements; [`backend`] is what apalis sees of it.

pub mod about;
pub mod ack;
pub mod backend;
pub mod consumer;
pub mod data_loss;
pub mod list;
pub mod progress;
pub mod redis;
pub mod replay;
pub mod schedule;
pub mod sql;
pub mod standstill;
pub mod store;
mod wakeups;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::jobs::Job;
use crate::telemetry::trace_context::Trace;
use store::{NewJob, QueueError, QueueStore};

/// The queues of one store.
#[derive(Clone)]
pub struct Queues {
    store: Arc<dyn QueueStore>,
}

impl Queues {
    /// Queues in this store.
    #[must_use]
    pub fn new(store: Arc<dyn QueueStore>) -> Self {
        Self { store }
    }

    /// The store itself.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn QueueStore> {
        &self.store
    }

    /// Pushes one job.
    ///
    /// # Errors
    /// The store did not confirm it; it may have been pushed all the same.
    pub async fn push(&self, job: impl Into<Push>) -> Result<(), QueueError> {
        self.push_all([job.into()]).await
    }

    /// Pushes several jobs together, of whatever kind: a store takes those of one queue in one round trip.
    ///
    /// # Errors
    /// The store did not confirm it; they may have been pushed all the same.
    pub async fn push_all(&self, jobs: impl IntoIterator<Item = Push>) -> Result<(), QueueError> {
        let jobs: Result<Vec<NewJob>, serde_json::Error> =
            jobs.into_iter().map(|push| push.0).collect();
        let jobs = jobs.map_err(|error| QueueError(error.into()))?;
        if jobs.is_empty() {
            return Ok(());
        }
        self.store.push(&jobs).await
    }
}

/// A job, written down, and how it is to be pushed: `Push::new(&job).after(delay)`.
#[derive(Debug)]
#[must_use]
pub struct Push(Result<NewJob, serde_json::Error>);

impl Push {
    /// At once, with a new id.
    pub fn new<J: Job>(job: &J) -> Self {
        Self(serde_json::to_string(job).map(|payload| NewJob {
            queue: J::POLICY.queue,
            // Later ones sort behind earlier ones, within a millisecond too: the order of a push.
            id: Uuid::now_v7(),
            payload,
            ..NewJob::default()
        }))
    }

    /// With this id: pushed once for as long as it is queued.
    pub fn id(self, id: Uuid) -> Self {
        self.with(|job| {
            job.id = id;
            job.named = true;
        })
    }

    /// Not before this delay.
    pub fn after(self, delay: Duration) -> Self {
        self.with(|job| job.delay = delay)
    }

    /// As a part of this trace.
    pub fn trace(self, trace: Option<Trace>) -> Self {
        self.with(|job| job.trace_id = trace.map(|trace| trace.encode()))
    }

    fn with(mut self, change: impl FnOnce(&mut NewJob)) -> Self {
        if let Ok(job) = &mut self.0 {
            change(job);
        }
        self
    }
}

impl<J: Job> From<&J> for Push {
    fn from(job: &J) -> Self {
        Self::new(job)
    }
}
