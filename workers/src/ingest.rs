//! Ingest: stores delivered alerts. A handler hands what its list carries to batchers, each of which commits what
//! waits for it in one transaction and answers for each alert.

mod batcher;
mod rules;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use apalis::prelude::Data;
use futures::{StreamExt as _, stream};
use tocsin::context::Context;
use tocsin::domain::alert::Alert;
use tocsin::domain::episode::AlertDelivery;
use tocsin::domain::names::Names;
use tocsin::jobs::{Content, IngestAlert, Job as _, JobError};
use tocsin::queue::consumer::JobHandle;
use tocsin::queue::list::{List, Unanswered};
use tocsin::store::overflow;
use tocsin::telemetry::log_throttle::LogThrottle;
use tocsin::telemetry::metrics::Outcome;
use tocsin::telemetry::task_context::TaskContext;
use tocsin::time::Timestamp;
use tokio::sync::mpsc;

use crate::canary;
use batcher::{Batcher, Waiting};
use rules::Rules;

/// How many alerts of a list ask the store at once.
const CONCURRENT_LOOKUPS: usize = 16;
/// How often anomalies are counted: what others make and what is pruned in the meantime is not known.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// Delivered alerts.
pub async fn handle(alerts: List<IngestAlert>, batchers: Data<Arc<Batchers>>) {
    let mut parts: Vec<Vec<Waiting>> = batchers.parts.iter().map(|_| Vec::new()).collect();
    let mut apart = Vec::new();
    for (job, answer) in alerts {
        if batchers.asks_the_store(&job) {
            answer.held().wait_for_store();
            apart.push((job, answer));
            continue;
        }
        match batchers.usable(&job.source, job.content) {
            Err(result) => answer.answer(result),
            Ok(alert) => {
                let held = answer.held();
                // Whatever keeps its batch waiting is not the alert.
                held.wait_for_store();
                let delivery = batchers.deliver(held, job.source, job.received_at, alert);
                let delivery = Box::new(delivery);
                parts[batchers.part_of(&delivery)].push(Waiting { delivery, answer });
            }
        }
    }
    for (queue, part) in batchers.parts.iter().zip(parts) {
        send(queue, part);
    }
    if !apart.is_empty() {
        let entered = |(job, answer)| Box::pin(batchers.enter_apart(job, answer));
        stream::iter(apart)
            .for_each_concurrent(CONCURRENT_LOOKUPS, entered)
            .await;
    }
}

/// One batcher for each part of the anomalies, so that no two wait for the same rows, but for those of what has
/// too many names.
pub struct Batchers {
    context: Context,
    rules: Rules,
    /// Unbounded: a process holds only as many jobs as its policy allows.
    parts: Vec<mpsc::UnboundedSender<Vec<Waiting>>>,
}

impl Batchers {
    /// Starts the batchers; they end with the last handle to them.
    #[must_use]
    pub fn start(context: &Context) -> Arc<Self> {
        let config = &context.config;
        let parts = if config.is_embedded() {
            1
        } else {
            config.ingest.batchers
        };
        let names = Arc::new(Names::new(
            config.anomalies.per_minute,
            config.anomalies.total,
        ));
        tokio::spawn(count_names(context.clone(), Arc::downgrade(&names)));
        let overflow_log = Arc::new((LogThrottle::new(COUNT_EVERY), AtomicU64::default()));
        let parts = (0..parts).map(|_| {
            let (queue, waiting) = mpsc::unbounded_channel();
            let batcher = Batcher {
                context: context.clone(),
                policy: config.aggregation_policy(),
                names: Arc::clone(&names),
                overflow_log: Arc::clone(&overflow_log),
            };
            tokio::spawn(Arc::new(batcher).run(waiting));
            queue
        });
        Arc::new(Self {
            context: context.clone(),
            rules: Rules::default(),
            parts: parts.collect(),
        })
    }

    fn part_of(&self, delivery: &AlertDelivery) -> usize {
        let key = delivery.key.as_bytes();
        usize::from(key[0] ^ key[1].rotate_left(4)) % self.parts.len()
    }

    /// Whether the store is to be asked about an alert before it can be entered.
    fn asks_the_store(&self, job: &IngestAlert) -> bool {
        match &job.content {
            Content::Alert(alert) => alert.rule.is_some() || canary::marked(job).is_some(),
            Content::Rejected { .. } => false,
        }
    }

    /// The alert of a job if it is to be entered; else what becomes of the job.
    fn usable(&self, source: &str, content: Content) -> Result<Alert, Result<(), JobError>> {
        let alert = match content {
            Content::Alert(alert) => alert,
            Content::Rejected { reason, .. } => return Err(Err(JobError::GiveUp(reason))),
        };
        let context = &self.context;
        if alert.is_ignored(&context.config.ingest.ignore) {
            context.metrics.alerts.add(source, Outcome::Ignored);
            return Err(Ok(()));
        }
        Ok(alert)
    }

    fn deliver(
        &self,
        held: &JobHandle,
        source: String,
        received_at: Timestamp,
        alert: Alert,
    ) -> AlertDelivery {
        let config = &self.context.config;
        let origin = (held.id(), held.is_redelivery());
        let (labels, families) = (&config.signature, &config.counting.families);
        AlertDelivery::new(origin, source, received_at, alert, labels, families)
    }

    /// Enters an alert that the store is to be asked about.
    async fn enter_apart(&self, job: IngestAlert, answer: Unanswered) {
        let held = answer.held();
        let task_context = TaskContext {
            request: None,
            job: Some((held.id(), IngestAlert::POLICY.queue)),
            trace: answer.trace(),
        };
        match task_context.follow(self.look_up(job, held)).await {
            Err(error) => answer.answer(Err(error)),
            Ok(None) => answer.answer(Ok(())),
            Ok(Some(delivery)) => {
                let queue = &self.parts[self.part_of(&delivery)];
                let delivery = Box::new(delivery);
                send(queue, vec![Waiting { delivery, answer }]);
            }
        }
    }

    /// What is to be entered of an alert that the store is to be asked about, if anything is.
    async fn look_up(
        &self,
        job: IngestAlert,
        held: &JobHandle,
    ) -> Result<Option<AlertDelivery>, JobError> {
        if let Some(id) = canary::marked(&job)
            && let Some(found) = canary::of(&self.context, &job, id).await?
        {
            canary::enter(&self.context, found, job).await?;
            return Ok(None);
        }
        let alert = match self.usable(&job.source, job.content) {
            Err(result) => return result.map(|()| None),
            Ok(alert) => alert,
        };
        if alert.rule.is_none() {
            return Ok(Some(self.deliver(held, job.source, job.received_at, alert)));
        }
        let deliver = |alert| self.deliver(held, job.source.clone(), job.received_at, alert);
        Ok(Some(self.rules.read(&self.context, alert, deliver).await?))
    }
}

/// Enters alerts. If the batcher has ended, they are dropped, and come again.
fn send(queue: &mpsc::UnboundedSender<Vec<Waiting>>, part: Vec<Waiting>) {
    if !part.is_empty() && queue.send(part).is_err() {
        tracing::error!("an ingest batcher has ended");
    }
}

/// Counts anomalies while a reader is interested.
async fn count_names(context: Context, names: Weak<Names>) {
    let mut every = tokio::time::interval(COUNT_EVERY);
    loop {
        every.tick().await;
        let Some(names) = names.upgrade() else {
            return;
        };
        match overflow::count(context.db.read(), names.total()).await {
            Ok(known) => names.counted(known),
            Err(error) => tracing::debug!("cannot count anomalies: {error}"),
        }
    }
}
