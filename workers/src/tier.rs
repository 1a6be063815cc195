//! Tier: works out an anomaly's level and an incident's tier, and decides who must be told.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Data;
use sea_orm::DatabaseTransaction;
use tocsin::context::Context;
use tocsin::domain::effectiveness::RepairStats;
use tocsin::domain::escalation::{Assessment, Level, assess};
use tocsin::domain::frequency::FrequencyStats;
use tocsin::domain::tier;
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::entity::notifications::{Kind, State};
use tocsin::jobs::{CalculateTier, JobError, Notify};
use tocsin::queue::Push;
use tocsin::queue::consumer::Held;
use tocsin::store::incidents::Finding;
use tocsin::store::{anomalies, incidents, notifications, occurrences, repairs};
use tocsin::time::Timestamp;
use uuid::Uuid;

/// How long an incident is left to settle after it was marked: a storm on one incident costs a few
/// tier jobs a second.
pub const SETTLE: Duration = Duration::from_millis(250);

/// One incident that may be due.
///
/// # Errors
/// The store cannot be reached now.
pub async fn handle(
    job: CalculateTier,
    _held: Data<Arc<Held>>,
    context: Data<Context>,
) -> Result<(), JobError> {
    calculate(&context, job.incident).await?;
    let owed = notifications::owed(context.db.read(), job.incident).await?;
    push_owed(&context, &owed).await?;
    Ok(())
}

/// Pushes a job for each message; a message has one job at a time.
///
/// # Errors
/// The queue did not take them.
pub async fn push_owed(context: &Context, owed: &[Uuid]) -> Result<(), JobError> {
    let jobs: Vec<_> = owed.iter().map(|id| Notify { notification: *id }).collect();
    let pushes = jobs.iter().map(|job| Push::new(job).id(job.notification));
    Ok(context.queues.push_all(pushes).await?)
}

/// If the incident is due: reads counts and history, and writes level, tier and the messages owed,
/// in one transaction under the anomaly's lock.
async fn calculate(context: &Context, id: Uuid) -> Result<(), JobError> {
    let Some(incident) = incidents::find(context.db.read(), id).await? else {
        return Ok(());
    };
    let tx = context.db.begin().await?;
    let key = incident.anomaly_key;
    let Some((mut anomaly, now)) = anomalies::lock(&tx, &key).await? else {
        return Ok(());
    };
    let now = context.clock.of_store(now);
    let due = incidents::find(&tx, id).await?;
    if due.is_none_or(|incident| incident.tier_due_since.is_none()) {
        return Ok(());
    }

    let keys = [key];
    let counts = context.counter.counts(&keys, now).await?[0];
    let found = reassess(context, &tx, &keys, &counts, now).await?;
    if found.level > anomaly.level {
        rise(context, &tx, &mut anomaly, id, found, now).await?;
    }
    tell_opened(context, &tx, id, now).await?;

    let (totals, newest) = repairs::history(&tx, &anomaly.key).await?;
    let fix_failed = match anomaly.permanent_fix_at {
        Some(fixed_at) => occurrences::happened_after(&tx, &anomaly.key, fixed_at).await?,
        None => false,
    };
    let (tier, reason) = tier::decide(anomaly.level, &totals, fix_failed);
    let seen = (anomaly.first_seen, anomaly.last_seen);
    let finding = Finding {
        tier,
        reason,
        frequency: FrequencyStats::new(&anomaly.key, &counts, seen, anomaly.level),
        repairs: RepairStats::summarise(&totals, newest, tier),
    };
    incidents::set_tier(&tx, id, finding).await?;
    tx.commit().await?;
    Ok(())
}

async fn reassess(
    context: &Context,
    tx: &DatabaseTransaction,
    keys: &[String; 1],
    counts: &tocsin::domain::frequency::Counts,
    now: Timestamp,
) -> Result<Assessment, JobError> {
    let escalation = &context.config.escalation;
    let lasting = incidents::lasting(tx, keys, escalation, now).await?;
    let why = lasting
        .get(&keys[0])
        .map(|since| lasts(*since, escalation.open_for.0));
    Ok(assess(counts, why.as_deref(), &escalation.rules))
}

/// Why an incident that lasts escalates, in words.
pub(crate) fn lasts(since: Timestamp, open_for: Duration) -> String {
    let hours = open_for.as_secs() as f64 / 3600.0;
    format!("fires since {since} (≥ {hours} h)")
}

/// Raises the level. People are told by the message that the incident opened if that is still
/// owed, by one of its own if the incident was told already.
async fn rise(
    context: &Context,
    tx: &DatabaseTransaction,
    anomaly: &mut Anomaly,
    incident: Uuid,
    found: Assessment,
    now: Timestamp,
) -> Result<(), JobError> {
    let Assessment { level, reason } = found;
    let sequence = anomalies::set_level(tx, anomaly, level, reason.clone()).await?;
    tracing::info!(anomaly.key, from = %anomaly.level, to = %level, "an anomaly's level rose");
    (anomaly.level, anomaly.level_seq, anomaly.reason) = (level, sequence, reason);
    let opened = notifications::opened(tx, incident).await?;
    let was_told = opened.is_some_and(|state| state != State::Owed);
    if level >= Level::Escalate && was_told {
        let channels = context.config.channels();
        notifications::owe(tx, incident, Kind::Escalated, sequence, &channels, now).await?;
    }
    Ok(())
}

async fn tell_opened(
    context: &Context,
    tx: &DatabaseTransaction,
    incident: Uuid,
    now: Timestamp,
) -> Result<(), JobError> {
    let channels = context.config.channels();
    Ok(notifications::owe(tx, incident, Kind::Opened, 0, &channels, now).await?)
}
