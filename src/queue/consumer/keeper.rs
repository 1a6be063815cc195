//! The leaser and the janitor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::{Consumer, lease_end};
use crate::queue::store::{LEASE, Lease};
use crate::queue::watch::Watch;

/// How often due retries are made ready.
const PROMOTE: Duration = Duration::from_secs(1);
/// How many at a time.
const PROMOTE_AT_ONCE: usize = 500;
/// Every so many rounds the consumer says that it is there.
const HEARTBEAT_ROUNDS: u64 = 10;

/// Holds what is in flight for another lease, three times a lease.
pub(super) async fn lease(consumer: Arc<Consumer>) {
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

/// Makes due retries ready, says that the consumer is there, and looks whether the store is what it
/// was.
pub(super) async fn keep(consumer: Arc<Consumer>) {
    let mut watch = Watch::new(consumer.policy.queue, consumer.name.clone());
    let mut every = tokio::time::interval(PROMOTE);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u64.. {
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
            && let Err(error) = consumer.look(&mut watch).await
        {
            consumer.store_failed("look for losses", &error);
        }
        if round % HEARTBEAT_ROUNDS == 0
            && let Err(error) = store.heartbeat(queue, &consumer.name).await
        {
            consumer.store_failed("say that a worker is there", &error);
        }
    }
}

impl Consumer {
    async fn look(
        &self,
        watch: &mut Watch,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let depth = self.queues.store().depth(self.policy.queue).await?;
        let now = self.clock.now();
        Ok(watch.look(&depth, (&self.db, &self.metrics), now).await?)
    }

    async fn extend(&self) -> Result<(), crate::queue::store::QueueError> {
        let leases: Vec<Lease> = self
            .in_flight()
            .values()
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
            if let Some(entry) = in_flight.get_mut(id) {
                entry.until = lease_end(asked_at);
            }
        }
        Ok(())
    }
}
