//! Recount: once a minute, what time alone changes. Each part is a pass of its own, and each pass
//! may run twice or be cut short without harm.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Data;
use tocsin::context::Context;
use tocsin::domain::escalation::assess;
use tocsin::domain::frequency::{FrequencyStats, Window};
use tocsin::jobs::{CalculateTier, JobError, Recount};
use tocsin::queue::Push;
use tocsin::queue::consumer::Held;
use tocsin::store::maintenance::{self, OCCURRENCES, Prune, REST};
use tocsin::store::{anomalies, incidents, notifications};
use tocsin::time::Timestamp;
use uuid::Uuid;

use crate::tier::{lasts, push_owed};

/// Anomalies that are locked together while their figures are refreshed.
const TOGETHER: i64 = 100;
/// What is owed for longer is pushed again.
const OVERDUE: Duration = Duration::from_secs(60);
/// At most so many at once.
const PUSH_AT_MOST: u64 = 10_000;
/// Rows that are pruned in one statement, and statements in one pass.
const PRUNE: (i64, u32) = (1000, 200);

/// One tick.
///
/// # Errors
/// The store cannot be reached now.
pub async fn handle(
    _job: Recount,
    _held: Data<Arc<Held>>,
    context: Data<Context>,
) -> Result<(), JobError> {
    decay(&context).await?;
    push_overdue(&context).await?;
    prune(&context).await
}

/// Lowers levels that do not hold any more and refreshes figures that have slid out of a window.
///
/// # Errors
/// The store cannot be reached now.
pub async fn decay(context: &Context) -> Result<(), JobError> {
    let mut after = String::new();
    while let Some(last) = decay_some(context, &after).await? {
        after = last;
    }
    Ok(())
}

/// One transaction's worth of anomalies after `key`; returns the last key if there may be more.
async fn decay_some(context: &Context, key: &str) -> Result<Option<String>, JobError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    // A little more than the longest window: figures that fall to zero are refreshed, too.
    let since = now.before(Window::Month.length() + Duration::from_secs(86_400));
    let mut fallen = HashSet::new();
    let mut locked = maintenance::lock_decaying(&tx, key, since, TOGETHER).await?;
    let Some(last) = locked.last().map(|anomaly| anomaly.key.clone()) else {
        return Ok(None);
    };
    let keys: Vec<String> = locked.iter().map(|anomaly| anomaly.key.clone()).collect();
    let counts = context.counter.counts(&keys, now).await?;
    let escalation = &context.config.escalation;
    let lasting = incidents::lasting(&tx, &keys, escalation, now).await?;

    let (mut stats, mut due) = (Vec::new(), Vec::new());
    for (anomaly, counts) in locked.iter_mut().zip(&counts) {
        let why = lasting
            .get(&anomaly.key)
            .map(|since| lasts(*since, escalation.open_for.0));
        let found = assess(counts, why.as_deref(), &escalation.rules);
        if found.level < anomaly.level {
            tracing::info!(anomaly.key, from = %anomaly.level, to = %found.level, "an anomaly's level fell");
            anomaly.level = found.level;
            anomaly.reason = found.reason;
            fallen.insert(anomaly.key.clone());
            due.extend(anomaly.newest_incident);
        }
        let seen = (anomaly.first_seen, anomaly.last_seen);
        stats.push(FrequencyStats::new(
            &anomaly.key,
            counts,
            seen,
            anomaly.level,
        ));
    }
    let changed: Vec<_> = locked.iter().filter(|a| fallen.contains(&a.key)).collect();
    anomalies::set_levels(&tx, &changed).await?;
    maintenance::refresh_stats(&tx, &stats).await?;
    let due = incidents::mark_due(&tx, &due, now).await?;
    tx.commit().await?;
    push_tiers(context, due).await?;
    let more = locked.len() as i64 == TOGETHER;
    Ok(more.then_some(last))
}

/// Pushes again what has been owed for longer than a minute: whoever should have done it died, or
/// the queue lost it.
///
/// # Errors
/// The store cannot be reached now.
pub async fn push_overdue(context: &Context) -> Result<(), JobError> {
    let db = context.db.read();
    let since = context
        .clock
        .of_store(maintenance::now(db).await?)
        .before(OVERDUE);
    let tiers = maintenance::overdue_tiers(db, since, PUSH_AT_MOST as i64).await?;
    let messages = notifications::overdue(db, since, PUSH_AT_MOST).await?;
    if !tiers.is_empty() || !messages.is_empty() {
        let (incidents, messages) = (tiers.len(), messages.len());
        tracing::warn!(
            incidents,
            messages,
            "pushing again what is owed for more than a minute"
        );
    }
    // One job at a time for each incident, so that one that keeps failing is one dead letter.
    let jobs: Vec<_> = tiers
        .into_iter()
        .map(|incident| CalculateTier { incident })
        .collect();
    let pushes = jobs.iter().map(|job| Push::new(job).id(job.incident));
    context.queues.push_all(pushes).await?;
    push_owed(context, messages.into_iter().map(|message| (message, None))).await
}

async fn push_tiers(context: &Context, due: Vec<Uuid>) -> Result<(), JobError> {
    let jobs: Vec<_> = due
        .into_iter()
        .map(|incident| CalculateTier { incident })
        .collect();
    Ok(context.queues.push_all(jobs.iter().map(Push::new)).await?)
}

/// Deletes rows that are older than the settings say, in bounded steps.
///
/// # Errors
/// The store cannot be reached now.
pub async fn prune(context: &Context) -> Result<(), JobError> {
    let retention = &context.config.retention;
    let now = context
        .clock
        .of_store(maintenance::now(context.db.read()).await?);
    prune_one(context, OCCURRENCES, now.before(retention.occurrences.0)).await?;
    for what in REST {
        prune_one(context, what, now.before(retention.rest.0)).await?;
    }
    Ok(())
}

async fn prune_one(context: &Context, what: Prune, before: Timestamp) -> Result<(), JobError> {
    let mut pruned = 0;
    for _ in 0..PRUNE.1 {
        let rows = maintenance::prune(context.db.write(), what, before, PRUNE.0).await?;
        pruned += rows;
        if rows < PRUNE.0.unsigned_abs() {
            break;
        }
    }
    if pruned > 0 {
        tracing::info!(pruned, "pruned {}", what.what);
    }
    Ok(())
}
