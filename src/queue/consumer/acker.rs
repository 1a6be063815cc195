//! The acker: writes answers to the store, many at once, and retries while the leases hold.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::Consumer;
use super::answers::{Ack, Verdict};
use super::backoff::Backoff;
use crate::jobs::{IngestAlert, Job as _};
use crate::queue::store::{Answer, Lease, QueueError};
use crate::store::dead_letters::{self, Burial};

/// The most answers in one batch.
const TOGETHER: usize = 2000;

pub(super) async fn run(consumer: Arc<Consumer>, mut answered: mpsc::UnboundedReceiver<Ack>) {
    let mut acks = Vec::with_capacity(TOGETHER);
    let mut backoff = Backoff::new();
    loop {
        let got = tokio::select! {
            biased;
            got = answered.recv_many(&mut acks, TOGETHER) => got,
            () = consumer.stopped.cancelled() => 0,
        };
        if got == 0 {
            return;
        }
        while !acks.is_empty() {
            match consumer.settle_held(&mut acks).await {
                Ok(()) => {
                    backoff.succeeded();
                    consumer.count_buried(&acks);
                    consumer.release(acks.iter().map(|ack| &ack.held));
                    acks.clear();
                }
                Err(error) => {
                    consumer.store_failed("acknowledge jobs", &error);
                    consumer.drop_expired(&mut acks);
                    if consumer.stopped.is_cancelled() {
                        // The handlers ran, and dead letters may be written: the leases expire, instead of the jobs
                        // being given back as if they had not started.
                        consumer.release(acks.iter().map(|ack| &ack.held));
                        return;
                    }
                    backoff.failed().await;
                }
            }
        }
    }
}

impl Consumer {
    async fn settle_held(
        &self,
        acks: &mut Vec<Ack>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.drop_lost_burials(acks).await?;
        self.settle(acks).await
    }

    /// Drops the dead letters of jobs that this consumer no longer holds. Its process may have been suspended, and
    /// another worker may be running them now.
    async fn drop_lost_burials(&self, acks: &mut Vec<Ack>) -> Result<(), QueueError> {
        let leases: Vec<Lease> = acks
            .iter()
            .filter(|ack| matches!(ack.verdict, Verdict::Bury { .. }))
            .map(|ack| ack.held.lease)
            .collect();
        if leases.is_empty() {
            return Ok(());
        }
        let (store, queue) = (self.queues.store(), self.policy.queue);
        let _turn = self.settling.lock().await;
        let held = store.extend(queue, &self.name, &leases).await?;
        let lost = |ack: &mut Ack| {
            matches!(ack.verdict, Verdict::Bury { .. }) && !held.contains(&ack.held.lease.id)
        };
        for ack in acks.extract_if(.., lost) {
            self.count("stale");
            self.release(std::iter::once(&ack.held));
        }
        Ok(())
    }

    /// Writes dead letters before their jobs leave the queue: after a crash in between, the next worker gets the job
    /// and finds its dead letter.
    async fn settle(&self, acks: &[Ack]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let burials: Vec<Burial<'_>> = acks.iter().filter_map(|ack| self.burial(ack)).collect();
        if !burials.is_empty() {
            dead_letters::bury(self.db.write(), &burials).await?;
            for ack in acks {
                let Verdict::Bury { reason, .. } = &ack.verdict else {
                    continue;
                };
                let queue = self.policy.queue;
                let trace_id = ack.held.trace().map(|trace| trace.to_string());
                if let Some(more) = self.buried.says(()) {
                    tracing::warn!(queue, job.id = %ack.held.id(), trace_id, more, "a job failed for good and is now a dead letter: {reason}");
                }
            }
        }
        let answers: Vec<_> = acks
            .iter()
            .map(|ack| (ack.held.lease, ack.answer()))
            .collect();
        let store = self.queues.store();
        let _turn = self.settling.lock().await;
        store
            .settle(self.policy.queue, &self.name, &answers)
            .await?;
        Ok(())
    }

    fn burial<'a>(&self, ack: &'a Ack) -> Option<Burial<'a>> {
        match &ack.verdict {
            Verdict::Bury { reason, failed } => {
                let (queue, now) = (self.policy.queue, self.clock.now());
                Some(ack.held.burial(queue, reason, failed, now))
            }
            Verdict::Settle(_) | Verdict::Forget => None,
        }
    }

    /// Counts alerts that became dead letters. The process that removes the job counts, so that each counts once even
    /// if another process wrote the dead letter.
    fn count_buried(&self, acks: &[Ack]) {
        if self.policy.queue != IngestAlert::POLICY.queue {
            return;
        }
        for ack in acks {
            if let Verdict::Bury { .. } | Verdict::Forget = ack.verdict {
                self.metrics.alerts.add_buried(&ack.held.payload);
            }
        }
    }

    /// Drops answers whose lease may have expired: another worker may hold those jobs.
    fn drop_expired(&self, acks: &mut Vec<Ack>) {
        let now = Instant::now();
        let expired = |ack: &Ack| {
            let in_flight = self.in_flight();
            in_flight
                .get(ack.held.lease.id)
                .is_none_or(|entry| entry.until <= now)
        };
        for ack in acks.extract_if(.., |ack| expired(ack)) {
            self.count("stale");
            self.release(std::iter::once(&ack.held));
        }
    }
}

impl Ack {
    fn answer(&self) -> Answer {
        match &self.verdict {
            Verdict::Settle(answer) => answer.clone(),
            Verdict::Bury { .. } | Verdict::Forget => Answer::Remove,
        }
    }
}
