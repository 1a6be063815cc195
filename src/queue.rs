//! The queue: at least once, in order, and nothing is lost.
//!
//! ```text
//! push ─▶ store ─▶ fetcher ─▶ apalis worker ─▶ ack layer ─▶ acker ─▶ store
//!                     ▲                             │
//!                     └── leaser, janitor           └─▶ dead letter
//! ```
//!
//! [`store::QueueStore`] is what a driver implements; [`backend`] is what apalis sees of it.

pub mod about;
pub mod ack;
pub mod backend;
pub mod consumer;
pub mod data_loss;
pub mod redis;
pub mod replay;
pub mod schedule;
pub mod sql;
pub mod store;
mod wakeups;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::jobs::Job;
use crate::telemetry::trace_context::Trace;
use store::{NewJob, QueueError, QueueStore};

/// Where jobs are pushed.
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
    pub async fn push<J: Job>(&self, job: &J) -> Result<(), QueueError> {
        self.push_all([Push::new(job)]).await
    }

    /// Pushes several jobs in one round trip.
    ///
    /// # Errors
    /// The store did not confirm it; they may have been pushed all the same.
    pub async fn push_all<J: Job>(
        &self,
        jobs: impl IntoIterator<Item = Push<'_, J>>,
    ) -> Result<(), QueueError> {
        let jobs: Result<Vec<NewJob>, QueueError> = jobs.into_iter().map(Push::encode).collect();
        let jobs = jobs?;
        if jobs.is_empty() {
            return Ok(());
        }
        self.store.push(&jobs).await
    }
}

/// A job, and how it is to be pushed.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a, J> {
    job: &'a J,
    id: Option<Uuid>,
    delay: Duration,
    trace: Option<Trace>,
}

impl<'a, J: Job> Push<'a, J> {
    /// At once, with a new id.
    pub const fn new(job: &'a J) -> Self {
        Self {
            job,
            id: None,
            delay: Duration::ZERO,
            trace: None,
        }
    }

    /// With this id: pushed once for as long as it is queued.
    #[must_use]
    pub const fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Not before this delay.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// As a part of this trace.
    #[must_use]
    pub const fn trace(mut self, trace: Option<Trace>) -> Self {
        self.trace = trace;
        self
    }

    fn encode(self) -> Result<NewJob, QueueError> {
        Ok(NewJob {
            queue: J::POLICY.queue,
            // Later ones sort behind earlier ones, within a millisecond too: the order of a push.
            id: self.id.unwrap_or_else(Uuid::now_v7),
            named: self.id.is_some(),
            payload: serde_json::to_string(self.job).map_err(|e| QueueError(e.into()))?,
            delay: self.delay,
            trace_id: self.trace.map(|trace| trace.encode()),
            replay: 0,
        })
    }
}
