//! A job that a consumer holds, as its handler sees it.

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use crate::queue::store::{Delivery, FailedAttempt, Lease};
use crate::store::dead_letters::Burial;
use crate::telemetry::trace_context::Trace;
use crate::time::Timestamp;

/// A job that this consumer holds. Handlers get it as `Data`.
#[derive(Debug)]
pub struct JobHandle {
    /// The job's ID and which delivery this is.
    pub lease: Lease,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    /// Failed attempts before this one, oldest first.
    pub failed: Vec<FailedAttempt>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// When it was pushed, by the store's clock.
    pub enqueued_at: Timestamp,
    /// Whether it was deferred or retried before.
    pub put_off: bool,
    /// Whether its handler only waits for the store.
    pub waits: AtomicBool,
}

impl JobHandle {
    pub(super) fn new(job: Delivery) -> Self {
        Self {
            lease: job.lease,
            payload: job.payload,
            failed: job.failed,
            trace_id: job.trace_id,
            enqueued_at: job.enqueued_at,
            put_off: job.put_off,
            waits: AtomicBool::new(false),
        }
    }

    /// Call before waiting for a batch's write: a timeout from then on is the store's fault and costs no attempt.
    pub fn wait_for_store(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// Whether its handler only waits for the store.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// The trace that it was pushed in.
    #[must_use]
    pub fn trace(&self) -> Option<Trace> {
        Trace::decode(self.trace_id.as_deref()?)
    }

    /// The job's ID.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.lease.id
    }

    /// The job as a dead letter of its `queue`.
    #[must_use]
    pub fn burial<'a>(
        &'a self,
        queue: &'a str,
        reason: &'a str,
        failed: &'a [FailedAttempt],
        died_at: Timestamp,
    ) -> Burial<'a> {
        let known = self.trace().map(|trace| trace.to_string());
        Burial {
            queue,
            lease: self.lease,
            payload: &self.payload,
            trace_id: known.or_else(|| self.trace_id.clone()),
            enqueued_at: self.enqueued_at,
            reason,
            failed,
            died_at,
        }
    }

    /// Whether a handler may have run it before.
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.lease.delivery > 1 || self.lease.replay > 0 || self.put_off || !self.failed.is_empty()
    }
}
