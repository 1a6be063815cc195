//! Topics: for each page that is not about single incidents, a number that changes when the page does. An idle
//! page costs one read that all pages like it share, and no rendering.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::jobs::QUEUES;
use crate::queue::store::{HEARTBEAT, QueueError};
use crate::routines::Last;
use crate::store::dead_letters;
use crate::store::views::{changes, stats};
use crate::telemetry::metrics::Outcome;

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Topic {
    /// Queues, and who works on them.
    Queues,
    /// Dead letters.
    Letters,
    /// Repairs, and their outcomes.
    Repairs,
    /// Anomalies, and how often they come back.
    Anomalies,
    /// What is connected, and what came in.
    System,
}

/// Why a topic could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum TopicError {
    #[error(transparent)]
    Store(#[from] sea_orm::DbErr),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Topic {
    /// The query of `/events` that asks for it.
    pub(super) fn watch(self) -> String {
        let name = match self {
            Self::Queues => "queues",
            Self::Letters => "letters",
            Self::Repairs => "repairs",
            Self::Anomalies => "anomalies",
            Self::System => "system",
        };
        format!("of={name}")
    }

    /// How often is looked, at most.
    pub(super) const fn every(self) -> Duration {
        match self {
            Self::Queues | Self::Letters | Self::Repairs | Self::System => Duration::from_secs(2),
            Self::Anomalies => Duration::from_secs(5),
        }
    }

    /// What it looks like now.
    pub(super) async fn look(self, context: &Context) -> Result<u64, TopicError> {
        let db = context.db.view();
        match self {
            Self::Queues => queues(context).await,
            Self::Letters => Ok(changes::letters(db).await?),
            Self::Repairs => Ok(changes::repairs(db).await?),
            Self::Anomalies => Ok(changes::anomalies(db).await?),
            Self::System => Ok(system(context).await),
        }
    }
}

async fn queues(context: &Context) -> Result<u64, TopicError> {
    let (mut hasher, store) = (DefaultHasher::new(), context.queues.store());
    for queue in QUEUES {
        let depth = store.depth(queue).await?;
        (depth.ready, depth.delayed, depth.in_flight).hash(&mut hasher);
        (depth.workers, depth.paused).hash(&mut hasher);
        // Ages are shown in whole seconds.
        depth.oldest_age_ms.map(|age| age / 1000).hash(&mut hasher);
        for worker in store.consumers(queue).await? {
            (worker.name, worker.about.in_flight).hash(&mut hasher);
            let missed = worker.seen_ms_ago / (2 * HEARTBEAT).as_millis() as u64;
            missed.hash(&mut hasher);
        }
        let dead = dead_letters::count(context.db.view(), queue).await?;
        dead.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// A part that does not answer looks different from one that does.
async fn system(context: &Context) -> u64 {
    let mut hasher = DefaultHasher::new();
    let probed = context.probe.look(&context.stores()).await;
    (probed.store, probed.queue, probed.last.is_none()).hash(&mut hasher);
    for (routine, _) in probed.last.into_iter().flat_map(Last::overdue) {
        routine.hash(&mut hasher);
    }
    probed.standstill.is_some().hash(&mut hasher);
    for queue in QUEUES {
        let depth = context.queues.store().depth(queue).await;
        let jobs = depth.map(|depth| depth.ready + depth.delayed + depth.in_flight);
        jobs.ok().hash(&mut hasher);
    }
    let channels = stats::channels(context.db.view()).await;
    channels.is_ok().hash(&mut hasher);
    let mut channels: Vec<_> = channels.unwrap_or_default().into_iter().collect();
    channels.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    for (channel, health) in channels {
        (channel, health.sent_at, health.failed).hash(&mut hasher);
    }
    let alerts = &context.metrics.alerts;
    for outcome in Outcome::ALL {
        alerts.total(outcome).hash(&mut hasher);
    }
    hasher.finish()
}
