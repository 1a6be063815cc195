//! The gate: no alert is accepted while the queue is full or the process stops. A background task reads the
//! queue's depth, so that no request waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::health::short_of;
use crate::context::Context;
use crate::jobs::{IngestAlert, Job};
use crate::queue::data_loss::DataLossDetector;
use crate::telemetry::log_throttle::LogThrottle;

/// How often the depth is read.
const EVERY: Duration = Duration::from_secs(1);
/// How often the memory of the queue's store is read.
const MEMORY_EVERY: Duration = Duration::from_secs(10);
/// A warning that the memory is nearly full is logged at most once in this time.
const MEMORY_SAID: Duration = Duration::from_secs(600);
/// Looking takes at most this part of the time: where it is slow, it is done less often.
const SHARE: u32 = 20;

/// Closed while the queue is full; about to close when the process stops. Sampling the depth
/// also detects lost alerts.
#[derive(Debug)]
pub struct Gate {
    full: AtomicBool,
    stopping: AtomicBool,
    losses: Mutex<DataLossDetector>,
}

impl Default for Gate {
    fn default() -> Self {
        let by = format!("ingress {}", std::process::id());
        Self {
            full: AtomicBool::default(),
            stopping: AtomicBool::default(),
            losses: Mutex::new(DataLossDetector::new(IngestAlert::POLICY.queue, by)),
        }
    }
}

impl Gate {
    /// Whether the queue is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Says from now on that the process stops. Requests are still answered.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the process stops.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Looks once.
    ///
    /// # Errors
    /// The store did not answer; the gate stays as it is.
    pub async fn look(&self, context: &Context) -> Result<(), crate::queue::store::QueueError> {
        let depth = context
            .queues
            .store()
            .depth(IngestAlert::POLICY.queue)
            .await?;
        let queued = depth.ready + depth.delayed + depth.in_flight;
        let full = queued > context.config.queue.max_depth;
        if full && !self.full.swap(full, Ordering::Relaxed) {
            tracing::error!(
                queued,
                "the queue is full: webhooks are answered with 503 (queue.max_depth)"
            );
        }
        self.full.store(full, Ordering::Relaxed);
        let mut losses = self.losses.lock().await;
        let (parts, now) = ((&context.db, &*context.metrics), context.clock.now());
        if let Err(error) = losses.check(&depth, parts, now).await {
            tracing::warn!("cannot record lost alerts yet, will retry: {error}");
        }
        Ok(())
    }

    /// Looks until `stop`.
    pub async fn watch(&self, context: &Context, stop: CancellationToken) {
        let (mut looked, said) = (None::<Instant>, LogThrottle::new(MEMORY_SAID));
        loop {
            let began = Instant::now();
            if looked.is_none_or(|looked| looked.elapsed() >= MEMORY_EVERY) {
                looked = Some(began);
                look_at_memory(context, &said).await;
            }
            if let Err(error) = self.look(context).await {
                tracing::debug!("cannot read the queue's depth: {error}");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY.max(began.elapsed() * SHARE)) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Says so, once in a while, if the queue's store will soon take nothing more.
async fn look_at_memory(context: &Context, said: &LogThrottle<()>) {
    let memory = tokio::time::timeout(EVERY, context.queues.store().memory()).await;
    let Ok(Ok(Some(memory))) = memory else {
        return;
    };
    if let Some(short) = short_of(memory)
        && said.says(()).is_some()
    {
        tracing::warn!(
            memory.used_bytes = memory.used,
            memory.limit_bytes = memory.most,
            "{short}"
        );
    }
}
