//! Verdicts on the repairs of an anomaly, given under its lock from rows alone: so they are the same whoever gives
//! them, in whatever order what they follow from arrived, once it is all there.
//!
//! | what | how |
//! |---|---|
//! | a verdict is given once | the anomaly is locked, and the row must have the verdict that was read |
//! | figures follow | added in the same transaction, with the difference to the verdict of before |
//! | it dies halfway | nothing of that anomaly is written; the repair is still to be judged |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::alertmanager;
use crate::config::QuietOf;
use crate::context::Context;
use crate::domain::effectiveness::{Counted, bucket};
use crate::domain::verdict::{
    Baseline, Blindness, Evidence, Judgement, TimeSpan, Tried, Verdict, VerdictReason, baseline,
    judge as decide,
};
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::repairs::Model as Repair;
use crate::jobs::lease::LEASE;
use crate::store::incidents;
use crate::store::outbox::FollowUp;
use crate::store::repairs::figures::{self, Delta, Subject};
use crate::store::repairs::verdicts::{self, Given};
use crate::store::repairs::{baselines, evidence};
use crate::store::views::lists;
use crate::store::{anomalies, levels, silent_sources};
use crate::time::{Timestamp, millis};

/// So long after the quiet time what was received in it is in the rows.
pub const GRACE: Duration = Duration::from_secs(60);
/// So long after that a verdict waits for Alertmanager to say what was silenced.
const SILENCES: Duration = Duration::from_secs(3600);
/// Firings that a verdict is given by, the newest that were received by the end of its quiet time.
const FIRINGS: u64 = 1000;
/// Firings that a baseline is made of.
const OF_BASELINE: u64 = 500;

/// What came of judging.
#[derive(Debug, Default)]
pub struct Judged {
    /// Verdicts that were given.
    pub given: Vec<Verdict>,
    /// What must follow the commit.
    pub follow_up: FollowUp,
}

/// When an anomaly's alert is, and was lately, silenced at its source; none if that has to be asked and is not answered.
pub async fn silences(context: &Context, key: &str) -> Result<Option<Vec<TimeSpan>>, DbErr> {
    let none = Ok(Some(Vec::new()));
    let Some(alertmanager) = &context.alertmanager else {
        return none;
    };
    let db = context.db.read();
    let anomaly = lists::anomaly(db, key).await?;
    let Some(newest) = anomaly.and_then(|anomaly| anomaly.newest_incident) else {
        return none;
    };
    let families = &context.config.counting.families;
    let incident = incidents::find(db, newest).await?;
    let is_theirs = |source: &str| families.are_one(source, alertmanager::SOURCE);
    let Some(incident) = incident.filter(|incident| is_theirs(&incident.source)) else {
        return none;
    };
    Ok(alertmanager.silenced(&incident.labels).await)
}

/// Judges those of these repairs of an anomaly whose quiet time was over at `heard`, and before that those after which
/// it fired again first: whatever follows, that is the verdict at its end, too. `silences` says when its alert is
/// silenced; while that is not known, what depends on it waits, for an hour at most.
///
/// # Errors
/// The database; nothing was written then.
pub async fn judge(
    context: &Context,
    key: &str,
    ids: &[Uuid],
    silences: Option<&[TimeSpan]>,
    heard: Timestamp,
) -> Result<Judged, DbErr> {
    let tx = context.db.begin().await?;
    let Some((anomaly, now)) = anomalies::lock(&tx, key).await? else {
        verdicts::give_up(&tx, ids, heard).await?;
        tx.commit().await?;
        return Ok(Judged::default());
    };
    let now = context.clock.of_store(now);
    let repairs = verdicts::finished(&tx, ids).await?;
    let mut judged = Judged::default();
    let (mut deltas, mut kept) = (Vec::new(), Vec::new());
    for repair in &repairs {
        let quiet = quiet_of(context, &anomaly, repair);
        let until = repair.repaired_at.after(quiet);
        let holds = |silence: &TimeSpan| silence.0 < until && silence.1 > repair.repaired_at;
        let mut known = silences.unwrap_or_default().iter();
        let silenced = repair.silenced || repair.verdict.is_none() && known.any(holds);
        let Some(judgement) = look(context, &tx, &anomaly, repair, quiet, silenced).await? else {
            kept.push(repair.id);
            continue;
        };
        let is_early = heard < until.after(GRACE)
            || silences.is_none() && heard < until.after(GRACE + SILENCES);
        if is_early && judgement.reason != VerdictReason::FiredAgain {
            continue;
        }
        if is_given(repair, &judgement) {
            kept.push(repair.id);
            continue;
        }
        let given = Given {
            judgement,
            quiet_ms: millis(quiet),
            silenced,
            at: now,
        };
        if verdicts::give(&tx, repair.id, repair.verdict, &given).await? {
            judged.given.push(judgement.verdict());
            deltas.push(delta(repair, &judgement));
        }
    }
    verdicts::keep(&tx, &kept, now).await?;
    if !judged.given.is_empty() {
        let subject = Subject::of(&anomaly);
        figures::add(&tx, &subject, deltas).await?;
        write_baseline(context, &tx, &anomaly, now).await?;
        let concerned = levels::concerned(&tx, &[(anomaly.key, anomaly.newest_incident)]).await?;
        let due = incidents::mark_due(&tx, &concerned, now).await?;
        judged.follow_up = FollowUp::of_tiers(due);
    }
    tx.commit().await?;
    Ok(judged)
}

/// What the rows say of a repair; none if it has a verdict and not all is kept any more that it was given by.
///
/// # Errors
/// The database.
pub async fn look(
    context: &Context,
    db: &impl ConnectionTrait,
    anomaly: &Anomaly,
    repair: &Repair,
    quiet: Duration,
    silenced: bool,
) -> Result<Option<Judgement>, DbErr> {
    let (done, until) = (repair.repaired_at, repair.repaired_at.after(quiet));
    let is_pruned = anomaly.pruned_before.is_some_and(|before| before > done);
    if is_pruned && repair.verdict.is_some() {
        return Ok(None);
    }
    let blind = Blindness {
        silenced,
        ..blindness(db, anomaly, Some(repair.incident_id), (done, until)).await?
    };
    let firings = evidence::firings(db, &anomaly.key, until, FIRINGS).await?;
    let repairs = evidence::tried(db, &anomaly.key, done).await?;
    let seen = Evidence {
        firings: &firings,
        repairs: &repairs,
        blind: &blind,
        limits: &context.config.counting.stale_limits(),
    };
    let this = Tried {
        id: repair.id,
        began_at: repair.began_at(),
        finished_at: done,
    };
    Ok(Some(decide(&this, quiet, &seen)))
}

/// When nothing of an anomaly could have been seen between these moments, but for what was silenced. Its source is that of
/// this incident; if that is not kept, or none is given, of its newest.
async fn blindness(
    db: &impl ConnectionTrait,
    anomaly: &Anomaly,
    incident: Option<Uuid>,
    span: (Timestamp, Timestamp),
) -> Result<Blindness, DbErr> {
    let ids = incident.into_iter().chain(anomaly.newest_incident);
    let source = evidence::source(db, ids.collect()).await?;
    let silent = match source {
        Some((source, labels)) => silent_sources::of(db, &source, &labels, span).await?,
        None => Vec::new(),
    };
    Ok(Blindness {
        outages: evidence::outages(db, span, LEASE).await?,
        silent,
        silenced: false,
        pruned_before: anomaly.pruned_before,
    })
}

/// For how long an anomaly must stay quiet after a repair: as when it was judged first.
#[must_use]
pub fn quiet_of(context: &Context, anomaly: &Anomaly, repair: &Repair) -> Duration {
    let judged = repair.quiet_ms.filter(|_| repair.verdict.is_some());
    if let Some(ms) = judged {
        return Duration::from_millis(ms.max(0).unsigned_abs());
    }
    let class = context.config.repairs.actions.of(&repair.action);
    context.config.effectiveness.quiet(names_of(anomaly), class)
}

fn names_of(anomaly: &Anomaly) -> QuietOf<'_> {
    QuietOf {
        alert_name: &anomaly.alert_name,
        service: &anomaly.service,
        namespace: &anomaly.namespace,
    }
}

/// Whether a repair has this verdict, and all that is kept of it.
#[must_use]
pub fn is_given(repair: &Repair, judgement: &Judgement) -> bool {
    repair.verdict == Some(judgement.verdict())
        && repair.verdict_reason == Some(judgement.reason)
        && repair.quiet_after_ms == judgement.quiet_after.map(millis)
}

/// What a verdict adds to the figures, and takes away of the verdict of before.
fn delta(repair: &Repair, judgement: &Judgement) -> Delta {
    let mut counted = Counted::default();
    let mut times = Vec::new();
    if let Some(before) = repair.verdict {
        counted.judged(before, -1);
        let was = repair.quiet_after_ms.map(|ms| ms.max(0).unsigned_abs());
        times.extend(was.map(|ms| (bucket(Duration::from_millis(ms)), -1)));
    }
    counted.judged(judgement.verdict(), 1);
    times.extend(judgement.quiet_after.map(|after| (bucket(after), 1)));
    Delta {
        action: repair.action.clone(),
        at: repair.repaired_at,
        counted,
        times,
    }
}

/// Works out an anomaly's baselines again.
///
/// # Errors
/// The database; nothing was written then.
pub async fn renew_baseline(context: &Context, key: &str) -> Result<(), DbErr> {
    let tx = context.db.begin().await?;
    if let Some((anomaly, now)) = anomalies::lock(&tx, key).await? {
        let now = context.clock.of_store(now);
        write_baseline(context, &tx, &anomaly, now).await?;
    }
    tx.commit().await
}

/// By the firings that are kept, for every quiet time that an action on it can have.
async fn write_baseline(
    context: &Context,
    tx: &DatabaseTransaction,
    anomaly: &Anomaly,
    now: Timestamp,
) -> Result<(), DbErr> {
    let quiets = context.config.effectiveness.quiets(names_of(anomaly));
    let found = baselines_at(context, tx, anomaly, now, &quiets).await?;
    baselines::set(tx, &Subject::of(anomaly), &found, now).await
}

async fn baselines_at(
    context: &Context,
    db: &impl ConnectionTrait,
    anomaly: &Anomaly,
    now: Timestamp,
    quiets: &BTreeSet<Duration>,
) -> Result<BTreeMap<Duration, Baseline>, DbErr> {
    let firings = evidence::firings(db, &anomaly.key, now, OF_BASELINE).await?;
    let begins = firings
        .iter()
        .map(|firing| firing.starts_at.min(firing.received_at));
    let first = begins.min().unwrap_or(now);
    let blind = blindness(db, anomaly, None, (first, now)).await?;
    let repairs = evidence::tried(db, &anomaly.key, first).await?;
    let seen = Evidence {
        firings: &firings,
        repairs: &repairs,
        blind: &blind,
        limits: &context.config.counting.stale_limits(),
    };
    // What came late has settled.
    let settled = now.before(GRACE);
    let found = quiets
        .iter()
        .map(|quiet| (*quiet, baseline(settled, *quiet, &seen)));
    Ok(found.collect())
}
