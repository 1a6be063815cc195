//! Verdicts: judges repairs whose quiet time is over or after which it fired again, and again those whose anomaly
//! changed since. Each anomaly is a transaction of its own under the anomaly's lock, so each verdict is given once, even
//! if two passes run at the same time or one is interrupted. The next tick continues.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tocsin::context::Context;
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, Traces};
use tocsin::store::repairs::baselines;
use tocsin::store::repairs::verdicts::{self, DueRepair};
use tocsin::store::{maintenance, outages};
use tocsin::telemetry::metrics::ByVerdict;
use tocsin::time::Timestamp;
use tocsin::verdicts as judging;
use tocsin::verify;
use uuid::Uuid;

use super::Progress;

/// How long one pass judges; the next goes on.
const AT_MOST: Duration = Duration::from_secs(20);
/// Repairs in one query.
const TOGETHER: u64 = 500;
/// A firing that is received within this time after the quiet time changes the verdict at the next tick; a later one
/// does at the next consistency check.
const AGAIN: Duration = Duration::from_secs(86_400);
/// How often the baseline of an anomaly that changed is computed again.
const BASELINES: Duration = Duration::from_secs(3600);
/// The most baselines in one tick.
const BASELINES_AT_ONCE: u64 = 200;

/// Judges the repairs that are due, the items; none while alerts have waited in the queue for long, because
/// their firings are not in the rows yet.
///
/// # Errors
/// The store cannot be reached now.
pub async fn judge(context: &Context) -> Result<Progress, JobError> {
    if verify::is_late(context).await {
        tracing::debug!("no repair is judged while alerts wait in the queue");
        return Ok(Progress::default());
    }
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    // After an outage it is not known yet which firings were missed.
    let heard = outages::heard_until(db).await?.unwrap_or(now).min(now);
    let (shortest, longest) = context.config.effectiveness.bounds();
    let upto = heard.before(shortest + judging::GRACE);
    let (began, mut looked_at) = (Instant::now(), 0);
    let left = |items| Progress {
        items,
        has_more: true,
    };
    let mut place = (Timestamp(i64::MIN), Uuid::nil());
    loop {
        let due = verdicts::due(db, upto, place, TOGETHER).await?;
        let Some(last) = due.last() else { break };
        place = (last.repaired_at, last.id);
        looked_at += due.len() as u64;
        judge_all(context, due, heard).await?;
        if began.elapsed() > AT_MOST {
            return Ok(left(looked_at));
        }
    }
    let since = now.before(longest + AGAIN);
    let mut place = (Timestamp(i64::MIN), Uuid::nil());
    loop {
        let again = verdicts::disturbed(db, since, place, TOGETHER).await?;
        let Some(last) = again.last() else { break };
        place = (last.repaired_at, last.id);
        looked_at += again.len() as u64;
        judge_all(context, again, heard).await?;
        if began.elapsed() > AT_MOST {
            return Ok(left(looked_at));
        }
    }
    let old = now.before(BASELINES);
    for key in baselines::outdated(db, old, longest, BASELINES_AT_ONCE).await? {
        judging::renew_baseline(context, &key).await?;
    }
    Ok(looked_at.into())
}

async fn judge_all(
    context: &Context,
    due: Vec<DueRepair>,
    heard: Timestamp,
) -> Result<(), JobError> {
    let mut by_anomaly: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for due in due {
        by_anomaly.entry(due.anomaly_key).or_default().push(due.id);
    }
    for (key, ids) in by_anomaly {
        let silences = judging::silences(context, &key).await?;
        let judged = judging::judge(context, &key, &ids, silences.as_deref(), heard).await?;
        for verdict in &judged.given {
            let verdict = verdict.name();
            let verdicts = &context.metrics.verdicts;
            verdicts.get_or_create(&ByVerdict { verdict }).inc();
        }
        let pushed = judged
            .follow_up
            .try_push(context, Cause::Single, Traces::None);
        pushed.await?;
    }
    Ok(())
}
