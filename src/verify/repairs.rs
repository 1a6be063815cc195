//! The consistency check of verdicts and of actions' figures. Verdicts come first: where one is given
//! again, its figures follow.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::ConnectionTrait;
use serde_json::json;
use uuid::Uuid;

use super::VerifyError;
use super::drift::Drift;
use crate::context::Context;
use crate::domain::effectiveness::first_period;
use crate::domain::figure::Figure;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::marks::{self, Mark};
use crate::store::repairs::differences::{self, Difference};
use crate::store::repairs::verdicts::settled;
use crate::store::verify as rows;
use crate::store::views::lists;
use crate::store::{maintenance, outages};
use crate::time::Timestamp;
use crate::verdicts;

/// Verdicts that are given again for one page of anomalies, the newest.
const VERDICTS: u64 = 2000;
/// Who sets the figures of all holds this mark.
const MARK: &str = "figures of repairs";

/// Compares what is kept of the repairs of these anomalies, and after the last page of all; sets what drifts right
/// if `repair` says who wants it.
pub(super) async fn page(
    context: &Context,
    keys: &[String],
    is_last: bool,
    repair: Option<&Actor>,
) -> Result<Vec<Drift>, VerifyError> {
    let now = context
        .clock
        .of_store(maintenance::now(context.db.read()).await?);
    let mut drifts = given(context, keys, now, repair).await?;
    drifts.extend(figures(context, keys, now, repair).await?);
    if is_last {
        drifts.extend(wider(context, now, repair).await?);
    }
    Ok(drifts)
}

/// Verdicts, as far as the firings that they follow from are kept.
async fn given(
    context: &Context,
    keys: &[String],
    now: Timestamp,
    repair: Option<&Actor>,
) -> Result<Vec<Drift>, VerifyError> {
    let tx = context.db.snapshot().await?;
    let since = now.before(context.config.retention.occurrences.0);
    let repairs = settled(&tx, keys, since, VERDICTS).await?;
    let mut drifts = Vec::new();
    let mut wrong: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    let of_repairs: BTreeSet<&String> = repairs.iter().map(|repair| &repair.anomaly_key).collect();
    let of_repairs = of_repairs.into_iter().cloned();
    let anomalies = lists::anomalies_of(&tx, of_repairs).await?;
    for repair in &repairs {
        let Some(anomaly) = anomalies.get(&repair.anomaly_key) else {
            continue;
        };
        let quiet = verdicts::quiet_of(context, anomaly, repair);
        let looked = verdicts::look(context, &tx, anomaly, repair, quiet, repair.silenced).await?;
        if let Some(judgement) = looked.filter(|found| !verdicts::is_given(repair, found)) {
            let (stored, expected) = (json!(repair.verdict), json!(judgement.verdict()));
            let drift = Drift::new(Figure::Verdict, &anomaly.key, stored, expected);
            drifts.push(drift.incident(repair.incident_id));
            wrong
                .entry(anomaly.key.clone())
                .or_default()
                .push(repair.id);
        }
    }
    tx.commit().await?;
    if let Some(actor) = repair {
        let heard = outages::heard_until(context.db.read())
            .await?
            .unwrap_or(now);
        for (key, ids) in wrong {
            note(context.db.write(), actor, Figure::Verdict, &key, now).await?;
            let judged = verdicts::judge(context, &key, &ids, Some(&[]), heard.min(now)).await?;
            judged.follow_up.push(context).await;
        }
    }
    Ok(drifts)
}

async fn figures(
    context: &Context,
    keys: &[String],
    now: Timestamp,
    repair: Option<&Actor>,
) -> Result<Vec<Drift>, VerifyError> {
    let first = first_period(now, context.config.retention.rest.0);
    let found = differences::of_anomalies(context.db.read(), keys, first).await?;
    if let Some(actor) = repair {
        let drifted: BTreeSet<&String> = found.iter().map(|found| &found.subject).collect();
        for key in drifted {
            let key = std::slice::from_ref(key);
            let tx = context.db.begin().await?;
            rows::lock(&tx, key).await?;
            let found = differences::of_anomalies(&tx, key, first).await?;
            if !found.is_empty() {
                note(&tx, actor, Figure::Effectiveness, &key[0], now).await?;
                differences::mend(&tx, &found).await?;
            }
            tx.commit().await?;
        }
    }
    Ok(found.iter().map(drift).collect())
}

async fn wider(
    context: &Context,
    now: Timestamp,
    repair: Option<&Actor>,
) -> Result<Vec<Drift>, VerifyError> {
    let found = differences::of_wider(context.db.read()).await?;
    if let Some(actor) = repair.filter(|_| !found.is_empty()) {
        let tx = context.db.begin().await?;
        // Another who does the same waits here, and finds nothing afterwards.
        let mark = Mark {
            at: now,
            ..Mark::default()
        };
        marks::set(&tx, MARK, &mark).await?;
        let found = differences::of_wider(&tx).await?;
        if !found.is_empty() {
            note(&tx, actor, Figure::Effectiveness, "", now).await?;
            differences::mend(&tx, &found).await?;
        }
        tx.commit().await?;
    }
    Ok(found.iter().map(drift).collect())
}

/// What is missing, as a drift: figures are many, so the difference is reported in place of both.
fn drift(found: &Difference) -> Drift {
    let (of, by) = (&found.delta, &found.delta.counted);
    let missing = json!({
        "scope": found.scope.name(), "action": of.action, "attempts": by.attempts,
        "claimed": by.claimed, "verified": by.verified, "disproved": by.disproved,
        "superseded": by.superseded, "unknown": by.unknown, "times": of.times,
    });
    Drift::new(Figure::Effectiveness, &found.subject, json!(null), missing)
}

async fn note(
    db: &impl ConnectionTrait,
    actor: &Actor,
    what: Figure,
    key: &str,
    now: Timestamp,
) -> Result<(), VerifyError> {
    let entry = AuditEntry {
        action: Action::RepairFigures,
        target: "figures",
        detail: json!({"drifted": {what.name(): 1}, "anomalies": [key]}),
    };
    Ok(audit::record(db, actor, entry, now).await?)
}
