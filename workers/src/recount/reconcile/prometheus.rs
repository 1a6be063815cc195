//! The same with Prometheus: what its rules have fire, whether Alertmanager is there or not.
//!
//! In doubt an alert is neither taken in nor closed: both are wrong at a cost, and the sender tells of it by and by.
//!
//! Prometheus lists since when an expression holds, and sends since when the alert fires, which is later by the rule's
//! `for`. A firing that is taken in is received twice, as of the first and now: a delivery with the second start overlaps
//! it, and is the same firing. It has no lease: nobody repeats it.

mod beside;
mod said;

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};
use tocsin::context::Context;
use tocsin::domain::alert::Alert;
use tocsin::domain::episode::AlertDelivery;
use tocsin::domain::stale::SourceAnswer;
use tocsin::jobs::JobError;
use tocsin::prometheus::{FiringAlert, Labels};
use tocsin::sources::cluster::with_cluster;
use tocsin::sources::prometheus as direct;
use tocsin::store::maintenance;
use tocsin::store::reconcile::{self, Leased, OpenFiring};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::{TOGETHER, as_of, close_those, delivery, push, together, unknown, usable};
use beside::Beside;
use said::{ByName, labels_of, name_of, translated};
pub(in crate::recount) use said::{Said, ask};

/// Compares with every Prometheus that the settings name.
///
/// # Errors
/// The store or the queue cannot be reached now.
pub(super) async fn compare(context: &Context) -> Result<u64, JobError> {
    if context.prometheus.is_empty() {
        return Ok(0);
    }
    let now = context
        .clock
        .of_store(maintenance::now(context.db.read()).await?);
    let before = now.before(context.config.reconcile.after.0);
    let mut done = 0;
    for said in ask(context, (before, now)).await {
        let beside = Beside::of(context, said.cluster.as_deref(), (before, now)).await?;
        done += take_in(context, &said, &beside, now).await?;
        done += close(context, &said, &beside, (before, now)).await?;
    }
    Ok(done)
}

/// Pushes what fires now and fired `reconcile.after` ago, and was never received.
async fn take_in(
    context: &Context,
    said: &Said,
    beside: &Beside,
    now: Timestamp,
) -> Result<u64, JobError> {
    let mut missed = BTreeMap::new();
    for answer in &said.answers {
        let then: HashSet<&Labels> = answer.fired_then.iter().collect();
        let firing = answer.firing.iter();
        for alert in firing.filter(|alert| then.contains(&alert.labels)) {
            // Two servers may evaluate the same rule.
            missed.insert(&alert.labels, alert);
        }
    }
    let missed = missed.into_values();
    let missed: Vec<Value> = missed
        .filter(|alert| beside.takes(alert, said, now))
        .map(posted)
        .collect();
    let mut never_received = Vec::new();
    for alerts in missed.chunks(together(context)) {
        let contents = translated(context, alerts).unwrap_or_default();
        let found = usable(context, contents).filter(|alert| !beside.has(&alert.fingerprint));
        let found = found.map(|alert| received(context, said, alert, now));
        never_received.extend(unknown(context, found.collect()).await?);
    }
    if never_received.is_empty() {
        return Ok(0);
    }
    let open = open_otherwise(context, said, &never_received).await?;
    never_received.retain(|delivery| !open.has_differing(&delivery.alert.labels, &said.changed));
    push(
        context,
        direct::SOURCE.name,
        "Prometheus",
        never_received,
        Some(now),
    )
    .await
}

/// As Prometheus posts it.
fn posted(alert: &FiringAlert) -> Value {
    json!({"labels": alert.labels, "annotations": alert.annotations, "startsAt": alert.active_at})
}

fn received(context: &Context, said: &Said, alert: Alert, now: Timestamp) -> AlertDelivery {
    let source = with_cluster(direct::SOURCE.name, said.cluster.as_deref());
    let alert = Alert {
        lease_ms: None,
        ..alert
    };
    delivery(context, &source, as_of(context, &alert, now), alert)
}

/// The open firings of the names of these that the servers do not have with the same labels. One of these that is such
/// a firing but for labels came after all, and the settings do not say how its labels change on the way.
async fn open_otherwise(
    context: &Context,
    said: &Said,
    missed: &[AlertDelivery],
) -> Result<ByName, JobError> {
    let names: HashSet<&str> = missed
        .iter()
        .map(|delivery| name_of(&delivery.alert.labels))
        .collect();
    let (mut after, end) = ((Uuid::nil(), Uuid::nil()), Timestamp(i64::MAX));
    let mut found = Vec::new();
    loop {
        let db = context.db.read();
        let open = reconcile::open_before(db, after, end, Leased::Too, TOGETHER as u64).await?;
        let firings = open.iter().map(|open| &open.firing);
        let others = firings
            .filter(|firing| said.may_send(&firing.source) && !said.has(&firing.fingerprint));
        found.extend(
            others
                .map(labels_of)
                .filter(|labels| names.contains(name_of(labels))),
        );
        let Some(last) = open.last().filter(|_| open.len() == TOGETHER) else {
            break;
        };
        after = (last.firing.incident_id, last.firing.id);
    }
    let open = ByName::of(found.into_iter());
    let is_doubtful = |one: &&AlertDelivery| open.has_differing(&one.alert.labels, &said.changed);
    if let Some(one) = missed.iter().find(is_doubtful) {
        let alert = name_of(&one.alert.labels);
        tracing::warn!(
            alert,
            "Prometheus has alerts that came with other labels and that are not compared; set \
             reconcile.prometheus.labels to its external_labels, and drop to what alert_relabel_configs drop"
        );
    }
    Ok(open)
}

/// Closes what no server has and none had since `before`, and that was not received since.
async fn close(
    context: &Context,
    said: &Said,
    beside: &Beside,
    (before, now): (Timestamp, Timestamp),
) -> Result<u64, JobError> {
    let (mut after, mut closed) = ((Uuid::nil(), Uuid::nil()), 0);
    loop {
        let db = context.db.read();
        let open = reconcile::open_before(db, after, before, Leased::Too, TOGETHER as u64).await?;
        let more = open.len() == TOGETHER;
        if let Some(OpenFiring { firing, .. }) = open.last() {
            after = (firing.incident_id, firing.id);
        }
        let gone = open.into_iter().filter(|OpenFiring { firing, .. }| {
            said.may_send(&firing.source)
                && !beside.has(&firing.fingerprint)
                && said.about(firing) == SourceAnswer::Gone
        });
        let gone = gone.map(|mut open| {
            // It was said to fire until some time before that, and not since.
            open.firing.lasted = open.firing.lasted.max(before);
            open
        });
        let gone: Vec<OpenFiring> = gone.collect();
        if !gone.is_empty() {
            closed += close_those(context, "Prometheus", &gone, now).await?;
        }
        if !more {
            return Ok(closed);
        }
    }
}
