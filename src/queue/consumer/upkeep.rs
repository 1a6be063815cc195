//! Lease renewal, promotion and heartbeat.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::backoff::Backoff;
use super::{Consumer, lease_end};
use crate::jobs::{IngestAlert, Job as _};
use crate::queue::about::WorkerInfo;
use crate::queue::data_loss::DataLossDetector;
use crate::queue::store::{HEARTBEAT, LEASE, Lease};

/// How often delayed jobs are made ready.
const PROMOTE: Duration = Duration::from_secs(1);
/// The most in one go.
const PROMOTE_AT_ONCE: usize = 500;
/// How long unregistering may take. A worker that did not is removed when its heartbeat expires.
const GOODBYE: Duration = Duration::from_secs(2);

/// Extends the leases of the jobs in flight, three times per lease.
pub(super) async fn renew_leases(consumer: Arc<Consumer>) {
    let mut every = tokio::time::interval(LEASE / 3);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = consumer.stopped.cancelled() => return,
        }
        if let Err(error) = consumer.extend().await {
            consumer.store_failed("extend leases", &error);
        }
    }
}

/// Makes delayed jobs ready whose time has come, and checks the store for lost data.
pub(super) async fn promote_due(consumer: Arc<Consumer>) {
    let mut watch = DataLossDetector::new(consumer.policy.queue, consumer.name.clone());
    let mut every = tokio::time::interval(PROMOTE);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = consumer.stopped.cancelled() => return,
        }
        let (store, queue) = (consumer.queues.store(), consumer.policy.queue);
        if let Err(error) = store.promote(queue, PROMOTE_AT_ONCE).await {
            consumer.store_failed("make retries ready", &error);
            continue;
        }
        if store.can_lose()
            && let Err(error) = consumer.check_for_loss(&mut watch).await
        {
            consumer.store_failed("check for data loss", &error);
        }
    }
}

/// Sends heartbeats, with the figures that the list of workers shows.
pub(super) async fn send_heartbeats(consumer: Arc<Consumer>) {
    let (mut backoff, mut said) = (Backoff::new(), (Instant::now(), consumer.done.get()));
    loop {
        let now = (Instant::now(), consumer.done.get());
        let took = now.0.duration_since(said.0).as_secs_f64();
        let about = WorkerInfo {
            in_flight: consumer.in_flight().len(),
            rate: (now.1 - said.1) as f64 / took.max(f64::EPSILON),
            ..consumer.about.clone()
        };
        let about = about.stuck(consumer.stuck());
        let (store, queue) = (consumer.queues.store(), consumer.policy.queue);
        let said_so = store.heartbeat(queue, &consumer.name, &about).await;
        let pause = async {
            match said_so {
                Ok(()) => {
                    said = now;
                    backoff.succeeded();
                    tokio::time::sleep(HEARTBEAT).await;
                }
                Err(error) => {
                    consumer.store_failed("send a heartbeat", &error);
                    backoff.failed().await;
                }
            }
        };
        tokio::select! {
            () = pause => {}
            () = consumer.stopped.cancelled() => return,
        }
    }
}

impl Consumer {
    /// For how long, and why, this process cannot count alerts; none for consumers of other queues.
    fn stuck(&self) -> Option<(Duration, String)> {
        let counts = self.policy.queue == IngestAlert::POLICY.queue;
        counts.then(|| self.progress.is_stuck()).flatten()
    }

    async fn check_for_loss(
        &self,
        watch: &mut DataLossDetector,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let depth = self.queues.store().depth(self.policy.queue).await?;
        if self.queues.store().is_asked_dearly() {
            self.peers.store(depth.workers, Ordering::Relaxed);
        }
        let now = self.clock.now();
        Ok(watch.check(&depth, (&self.db, &self.metrics), now).await?)
    }

    async fn extend(&self) -> Result<(), crate::queue::store::QueueError> {
        let leases: Vec<Lease> = self
            .in_flight()
            .iter()
            .map(|entry| entry.held.lease)
            .collect();
        if leases.is_empty() {
            return Ok(());
        }
        let _turn = self.settling.lock().await;
        let asked_at = Instant::now();
        let store = self.queues.store();
        let held = store.extend(self.policy.queue, &self.name, &leases).await?;
        let mut in_flight = self.in_flight();
        for id in &held {
            if let Some(entry) = in_flight.get_mut(*id) {
                entry.until = lease_end(asked_at);
            }
        }
        Ok(())
    }

    /// Removes the worker from the store's list.
    pub(super) async fn leave(&self) {
        let leave = self.queues.store().leave(self.policy.queue, &self.name);
        match tokio::time::timeout(GOODBYE, leave).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.store_failed("unregister a worker", &error),
            Err(_) => tracing::debug!(
                queue = self.policy.queue,
                "cannot unregister a worker: it stays listed until its heartbeat expires"
            ),
        }
    }
}
