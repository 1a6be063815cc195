//! Tier: works out anomalies' levels and incidents' tiers, and decides which messages are sent. Handlers
//! run concurrently and hand their incident to one batcher, which takes together what is waiting.

mod batcher;
mod execute;
mod failure;
mod flapping;
mod messages;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use apalis::prelude::Data;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use tocsin::context::Context;
use tocsin::domain::aggregation::Unit;
use tocsin::domain::effectiveness::RepairStats;
use tocsin::domain::escalation::{
    Assessment, Decay, Level, RuleInputs, assess, decay, most_incidents, raise,
};
use tocsin::domain::frequency::{Counts, FrequencyStats};
use tocsin::domain::reason::Lasting;
use tocsin::domain::repair_class::RepairClass;
use tocsin::domain::tier::{self, Tier};
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::jobs::{CalculateTier, JobError};
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::queue::consumer::JobHandle;
use tocsin::store::incidents::Finding;
use tocsin::store::repairs::History;
use tocsin::store::{anomalies, incidents, levels, notifications, outbox, repairs};
use tocsin::telemetry::trace_context::Trace;
use tocsin::time::Timestamp;
use uuid::Uuid;

use crate::canary;
pub use batcher::TierBatcher;
pub(crate) use failure::TierError;
pub(crate) use flapping::FlapChecks;

/// Works out one incident, if it is due.
///
/// # Errors
/// The store cannot be reached now.
pub async fn handle(
    job: CalculateTier,
    _held: Data<Arc<JobHandle>>,
    batcher: Data<TierBatcher>,
) -> Result<(), JobError> {
    if job.canary {
        // Boxed, as its state is much larger than a job's that only waits.
        return Box::pin(canary::tier(&batcher.context, job.incident)).await;
    }
    batcher.calculate(job.incident).await
}

/// The level of each of these anomalies, by the rules and by age.
pub(crate) async fn assessments(
    context: &Context,
    db: &impl ConnectionTrait,
    anomalies: &[(&Anomaly, Counts)],
    now: Timestamp,
) -> Result<HashMap<String, Assessment>, DbErr> {
    let (unit, escalation) = (context.config.counting.unit, &context.config.escalation);
    let most = most_incidents(&escalation.rules, unit);
    let incidents = levels::incidents_in_windows(db, anomalies, most, now).await?;
    let assess = |anomaly: &Anomaly, counts: Counts, lasting: Option<Lasting>| {
        let lie_in = incidents.get(&anomaly.key).copied().unwrap_or_default();
        let seen = RuleInputs {
            unit,
            counts,
            incidents: (most > 0).then_some(lie_in),
        };
        assess(&seen, lasting, &escalation.rules)
    };
    let by_count = anomalies.iter();
    let by_count = by_count.map(|(a, counts)| (a.key.clone(), assess(a, *counts, None)));
    let mut found: HashMap<String, Assessment> = by_count.collect();
    // An anomaly that escalates by count alone needs no check of how long its alert lasts.
    let is_rare = |found: &Assessment| found.level < Level::Escalate;
    let rare = found.iter().filter(|(_, found)| is_rare(found));
    let rare: Vec<String> = rare.map(|(key, _)| key.clone()).collect();
    let lasting = incidents::lasting(db, &rare, escalation, now).await?;
    for (anomaly, counts) in anomalies {
        if let Some(since) = lasting.get(&anomaly.key) {
            let lasts = Lasting {
                since: *since,
                open_for_s: escalation.open_for.0.as_secs(),
            };
            found.insert(anomaly.key.clone(), assess(anomaly, *counts, Some(lasts)));
        }
    }
    Ok(found)
}

/// Works out the due ones of these incidents, then pushes all their pending messages, including those of an earlier
/// pass that died before its push.
async fn pass(
    context: &Context,
    ids: &[Uuid],
    traces: &HashMap<Uuid, Trace>,
    checks: &mut FlapChecks,
) -> Result<(), TierError> {
    warm(context, ids).await?;
    let calculated = calculate(context, ids, checks).await;
    let mut follow_up = calculated.inspect_err(|_| checks.forget())?;
    let (db, clock) = (context.db.read(), &context.clock);
    let settle = context.config.messages().settle;
    follow_up.messages = notifications::pending(db, clock, ids, settle).await?;
    let traces = Traces::OfIncidents(traces);
    let pushed = follow_up.try_push(context, Cause::Burst, traces).await;
    pushed.map_err(|error| TierError::Store(error.to_string()))
}

/// Loads missing anomalies into the counter, before anything is locked.
async fn warm(context: &Context, ids: &[Uuid]) -> Result<(), TierError> {
    if context.counter.counts_rows() {
        return Ok(());
    }
    let keys = incidents::keys_due(context.db.read(), ids).await?;
    let warmed = context.counter.warm(&keys).await;
    warmed.map_err(|error| TierError::Store(error.to_string()))
}

/// The locked anomalies of a pass, and their due incidents.
struct LockedAnomalies {
    now: Timestamp,
    anomalies: HashMap<String, Anomaly>,
    counts: HashMap<String, Counts>,
    due: Vec<(Uuid, String)>,
}

/// Reads counts and history, and writes levels, tiers and pending messages, in one transaction under the anomalies'
/// locks.
async fn calculate(
    context: &Context,
    ids: &[Uuid],
    checks: &mut FlapChecks,
) -> Result<FollowUp, TierError> {
    let tx = context.db.begin().await?;
    let Some(follow_up) = calculate_within(context, &tx, ids, checks).await? else {
        return Ok(FollowUp::default());
    };
    tx.commit().await?;
    Ok(follow_up)
}

/// The same in a transaction of the caller's; `None` if none of these is due.
pub(crate) async fn calculate_within(
    context: &Context,
    tx: &DatabaseTransaction,
    ids: &[Uuid],
    checks: &mut FlapChecks,
) -> Result<Option<FollowUp>, TierError> {
    let Some(mut locked) = load_due(context, tx, ids).await? else {
        return Ok(None);
    };
    let mut changes = raise_levels(context, tx, &mut locked).await?;
    let flapping = flapping::begin(context, tx, &mut locked, checks).await?;
    changes.shown.extend(flapping);
    let suppressed = messages::write(context, tx, &locked, &changes.risen).await?;
    let mut others = mark_others(tx, &locked, &changes.shown, None).await?;

    let keys: Vec<String> = locked.counts.keys().cloned().collect();
    let histories = repairs::history(tx, &keys).await?;
    let classes = &context.config.repairs.actions;
    let is_restart = |action: &str| classes.of(action) == Some(RepairClass::Restart);
    let mut restarted = Vec::new();
    for (key, history) in &histories {
        let actions = history.totals.iter().map(|entry| &entry.action);
        let of_class = actions.filter(|action| is_restart(action));
        restarted.extend(of_class.map(|action| (key.clone(), action.clone())));
    }
    let restarts = match restarted.is_empty() {
        true => HashMap::new(),
        false => levels::restarts(tx, &restarted, locked.now).await?,
    };
    let mut findings = Vec::with_capacity(locked.due.len());
    for (id, key) in &locked.due {
        if let Some(anomaly) = locked.anomalies.get(key) {
            let counts = locked.counts.get(key).copied().unwrap_or_default();
            let history = histories.get(key).cloned().unwrap_or_default();
            let restarts = restarts.get(key).copied().unwrap_or_default();
            let found = find(tx, anomaly, &counts, history, restarts).await?;
            findings.push((*id, found));
        }
    }
    let failed = |(_, found): &&(Uuid, Finding)| found.tier == Tier::Architecture;
    let failed = findings.iter().filter(failed);
    let failed = failed.map(|(_, found)| found.frequency.anomaly_key.clone());
    let failed: HashSet<String> = failed.collect();
    others.extend(mark_others(tx, &locked, &failed, Some(Tier::Architecture)).await?);
    let policy = context.config.messages();
    let mut changed = incidents::set_tiers(tx, &findings, !policy.edits.is_empty()).await?;
    if !policy.edits.is_empty() {
        // More firings, or another reason, change the card but neither level nor tier.
        let of_unit = context.config.counting.unit == Unit::Incident;
        let is_shown = |key: &String| of_unit || changes.shown.contains(key);
        let shown = locked.due.iter().filter(|(_, key)| is_shown(key));
        changed.extend(shown.map(|(id, _)| *id));
    }
    let edits = outbox::mark_edits(tx, &policy, &changed, locked.now).await?;
    let executions = execute::decide(context, tx, &locked, &findings).await?;
    Ok(Some(FollowUp {
        tiers: others,
        edits,
        executions,
        suppressed,
        ..FollowUp::default()
    }))
}

/// Locks the anomalies and reads which incidents are due; `None` if none is.
async fn load_due(
    context: &Context,
    tx: &DatabaseTransaction,
    ids: &[Uuid],
) -> Result<Option<LockedAnomalies>, TierError> {
    let (anomalies, now) = anomalies::lock_of_incidents(tx, ids).await?;
    let due = incidents::due(tx, ids).await?;
    if due.is_empty() {
        return Ok(None);
    }
    let now = context.clock.of_store(now);
    let keys: BTreeSet<&String> = due.iter().map(|(_, key)| key).collect();
    let keys: Vec<String> = keys.into_iter().cloned().collect();
    let counts = context.counter.counts_within(tx, &keys, now).await;
    let counts = counts.map_err(|error| TierError::Store(error.to_string()))?;
    Ok(Some(LockedAnomalies {
        now,
        anomalies: anomalies.into_iter().map(|a| (a.key.clone(), a)).collect(),
        counts: keys.into_iter().zip(counts).collect(),
        due,
    }))
}

/// The anomalies of a pass whose level or its reason changed.
#[derive(Default)]
struct LevelChanges {
    /// Those whose level rose.
    risen: HashSet<String>,
    /// Those whose level rose or holds by another rule, so that their cards change.
    shown: HashSet<String>,
}

/// Raises levels that are too low, and updates the reason's figures of those that hold. Recount lowers levels that no
/// longer hold.
async fn raise_levels(
    context: &Context,
    tx: &DatabaseTransaction,
    locked: &mut LockedAnomalies,
) -> Result<LevelChanges, TierError> {
    let now = locked.now;
    let counted = locked.counts.iter();
    let counted = counted.filter_map(|(key, counts)| Some((locked.anomalies.get(key)?, *counts)));
    let found = assessments(context, tx, &counted.collect::<Vec<_>>(), now).await?;
    let (mut changes, mut written) = (LevelChanges::default(), HashSet::new());
    let hysteresis = context.config.escalation.hysteresis;
    for (key, found) in found {
        let Some(anomaly) = locked.anomalies.get_mut(&key) else {
            continue;
        };
        let (was, level) = (anomaly.level, found.level);
        let mut state = anomaly.level_state();
        if raise(&mut state, found, now) {
            anomaly.set_level(state);
            tracing::info!(
                anomaly.key,
                alert.name = anomaly.alert_name,
                service = anomaly.service,
                from = %was,
                to = %level,
                "an anomaly's level rose"
            );
            changes.risen.insert(key.clone());
            changes.shown.insert(key.clone());
            written.insert(key.clone());
            continue;
        }
        let decay = decay(&state, found, hysteresis, now);
        if matches!(decay, Decay::Holds(_) | Decay::Reason(_)) {
            let change = decay.apply(&mut state);
            anomaly.set_level(state);
            written.extend(change.is_written.then(|| key.clone()));
            changes.shown.extend(change.is_due.then(|| key.clone()));
        }
    }
    messages::break_mutes(tx, locked, &changes.risen).await?;
    let of_key = |a: &&Anomaly| written.contains(&a.key);
    let written: Vec<&Anomaly> = locked.anomalies.values().filter(of_key).collect();
    anomalies::set_levels(tx, &written).await?;
    Ok(changes)
}

/// Marks the anomalies' other incidents as due, whose tier or card depends on the same level or failed fix, `unless`
/// they have that tier already. Their own passes change no level, so they mark no others.
async fn mark_others(
    tx: &DatabaseTransaction,
    locked: &LockedAnomalies,
    keys: &HashSet<String>,
    unless: Option<Tier>,
) -> Result<Vec<Uuid>, TierError> {
    let here: HashSet<Uuid> = locked.due.iter().map(|(id, _)| *id).collect();
    let newest = |key: &String| locked.anomalies.get(key).and_then(|a| a.newest_incident);
    let anomalies: Vec<_> = keys.iter().map(|key| (key.clone(), newest(key))).collect();
    let mut others = levels::concerned(tx, &anomalies).await?;
    others.retain(|id| !here.contains(id));
    Ok(levels::mark_others_due(tx, &others, unless, locked.now).await?)
}

async fn find(
    tx: &DatabaseTransaction,
    anomaly: &Anomaly,
    counts: &Counts,
    history: History,
    restarts: i64,
) -> Result<Finding, TierError> {
    let History { totals, newest } = history;
    let fix_failed = match anomaly.permanent_fix_at {
        Some(fixed_at) => levels::began_after(tx, &anomaly.key, fixed_at).await?,
        None => false,
    };
    let (tier, reason) = tier::decide(anomaly.level, restarts, fix_failed);
    let seen = (anomaly.first_seen, anomaly.last_seen);
    Ok(Finding {
        tier,
        reason,
        frequency: FrequencyStats::new(&anomaly.key, counts, seen, anomaly.level),
        repairs: RepairStats::summarise(&totals, newest, tier),
    })
}
