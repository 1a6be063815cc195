//! The same with Prometheus: what its rules have fire, whether Alertmanager is there or not.
//!
//! What Alertmanager has is left to it: it delivers that, or has a reason not to, such as a silence or another receiver.
//! Prometheus lists since when an expression holds, and sends since when the alert fires, which is later by the rule's
//! `for`. A firing that is taken in begins at the first, and is leased until after now: a delivery with the second start
//! overlaps it, and is the same firing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::alertmanager;
use tocsin::context::Context;
use tocsin::domain::alert::Alert;
use tocsin::domain::lease;
use tocsin::jobs::JobError;
use tocsin::prometheus::{Answer, FiringAlert, Labels, Prometheus};
use tocsin::sources::cluster::with_cluster;
use tocsin::sources::{Delivery, prometheus as direct};
use tocsin::store::maintenance;
use tocsin::store::reconcile::{self, Leased, OpenFiring};
use tocsin::time::{Timestamp, millis};
use uuid::Uuid;

use super::{TOGETHER, as_of, close_those, delivery, push_missed, usable};

/// The sources by which alerts of a Prometheus come.
pub(in crate::recount) const WAYS: [&str; 2] = [direct::SOURCE.name, alertmanager::SOURCE];

/// What the servers of one cluster say.
struct Said {
    cluster: Option<String>,
    answers: Vec<Answer>,
    /// Whether all of them answered.
    is_complete: bool,
}

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
    let clusters: BTreeSet<Option<&str>> =
        context.prometheus.iter().map(Prometheus::cluster).collect();
    let mut done = 0;
    for cluster in clusters {
        let said = ask(context, cluster, (before, now)).await;
        let known_there = left_to_alertmanager(context, cluster).await;
        done += take_in(context, &said, &known_there, now).await?;
        let is_believed = |answer: &Answer| answer.started_at <= before;
        if said.is_complete && said.answers.iter().all(is_believed) {
            done += close(context, &said, &known_there, (before, now)).await?;
        }
    }
    Ok(done)
}

/// Which alerts fire or fired lately at the servers of a cluster, by their fingerprints. `None` if none is to be asked.
pub(in crate::recount) async fn fires(
    context: &Context,
    cluster: Option<&str>,
    now: Timestamp,
) -> Option<Result<HashSet<String>, Silent>> {
    let is_asked = context
        .prometheus
        .iter()
        .any(|server| server.cluster() == cluster);
    if !is_asked {
        return None;
    }
    let before = now.before(context.config.reconcile.after.0);
    let said = ask(context, cluster, (before, now)).await;
    Some(match said.is_complete {
        true => Ok(said.fingerprints(context)),
        false => Err(Silent),
    })
}

/// One of the servers did not answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::recount) struct Silent;

async fn ask(
    context: &Context,
    cluster: Option<&str>,
    (before, now): (Timestamp, Timestamp),
) -> Said {
    let mut said = Said {
        cluster: cluster.map(str::to_owned),
        answers: Vec::new(),
        is_complete: true,
    };
    let of_cluster = |server: &&Prometheus| server.cluster() == cluster;
    for server in context.prometheus.iter().filter(of_cluster) {
        match server.ask(before, now).await {
            Ok(answer) => said.answers.push(answer),
            Err(error) => {
                said.is_complete = false;
                context.metrics.prometheus_errors.inc();
                tracing::warn!("cannot compare with what Prometheus has: {error}");
            }
        }
    }
    said
}

/// The fingerprints that Alertmanager has, silenced and inhibited ones included; none if it is not asked or does not
/// answer.
async fn left_to_alertmanager(context: &Context, cluster: Option<&str>) -> HashSet<String> {
    let settings = &context.config.reconcile;
    match &context.alertmanager {
        Some(alertmanager) if settings.cluster.as_deref() == cluster => {
            alertmanager.fingerprints().await.unwrap_or_else(|error| {
                context.metrics.alertmanager_errors.inc();
                tracing::warn!("compares with Prometheus alone: {error}");
                HashSet::new()
            })
        }
        _ => HashSet::new(),
    }
}

/// Pushes what fires now and fired `reconcile.after` ago, and was never received.
async fn take_in(
    context: &Context,
    said: &Said,
    known_there: &HashSet<String>,
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
    let missed: Vec<&FiringAlert> = missed.into_values().collect();
    let differ = Differing::of(context, said).await?;
    let source = with_cluster(direct::SOURCE.name, said.cluster.as_deref());
    let mut done = 0;
    for alerts in missed.chunks(TOGETHER) {
        let alerts = alerts.iter().filter(|alert| !differ.has(&alert.labels));
        let found = alerts_of(context, alerts.copied()).into_iter();
        let found = found.filter(|alert| !known_there.contains(&alert.fingerprint));
        let found = found.map(|mut alert| {
            let received_at = as_of(context, &alert, now);
            alert.lease_ms = Some(lease_of(context, received_at, now));
            delivery(context, &source, received_at, alert)
        });
        done += push_missed(context, direct::SOURCE.name, "Prometheus", found.collect()).await?;
    }
    Ok(done)
}

/// From its receipt until it is stale if nobody tells of it.
fn lease_of(context: &Context, received_at: Timestamp, now: Timestamp) -> i64 {
    let counting = &context.config.counting;
    let leases = counting.stale_limits().unheard_leases.max(1);
    let holds: Duration = now.since(received_at) + counting.unheard.0 / leases;
    millis(holds.min(lease::LONGEST))
}

/// These alerts as Prometheus posts them.
fn alerts_of<'a>(context: &Context, alerts: impl Iterator<Item = &'a FiringAlert>) -> Vec<Alert> {
    let posted = alerts.map(|alert| {
        json!({"labels": alert.labels, "annotations": alert.annotations, "startsAt": alert.active_at})
    });
    translated(context, posted.collect())
}

fn translated(context: &Context, posted: Vec<Value>) -> Vec<Alert> {
    let body = Value::from(posted).to_string();
    match (direct::SOURCE.translate)(&Delivery::of(body), &context.config) {
        Ok(translated) => usable(context, translated.alerts).collect(),
        Err(_) => Vec::new(),
    }
}

/// Closes what no server has and none had since `before`, and that was not received since.
async fn close(
    context: &Context,
    said: &Said,
    known_there: &HashSet<String>,
    (before, now): (Timestamp, Timestamp),
) -> Result<u64, JobError> {
    let has = said.fingerprints(context);
    let by_name = ByName::of(said);
    let (mut after, mut closed) = ((Uuid::nil(), Uuid::nil()), 0);
    loop {
        let db = context.db.read();
        let open = reconcile::open_before(db, after, before, Leased::Too, TOGETHER as u64).await?;
        let more = open.len() == TOGETHER;
        if let Some(OpenFiring { firing, .. }) = open.last() {
            after = (firing.incident_id, firing.id);
        }
        let gone = open.into_iter().filter(|open| {
            let fingerprint = &open.firing.fingerprint;
            said.may_send(open)
                && !known_there.contains(fingerprint)
                && !has.contains(fingerprint)
                && by_name.differing(&labels_of(open)).next().is_none()
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

impl Said {
    /// What fires or fired lately, by its labels.
    fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.answers.iter().flat_map(|answer| {
            let firing = answer.firing.iter().map(|alert| &alert.labels);
            firing.chain(&answer.fired_since)
        })
    }

    fn fingerprints(&self, context: &Context) -> HashSet<String> {
        let labels: Vec<&Labels> = self.labels().collect();
        let alerts = labels.chunks(TOGETHER).flat_map(|labels| {
            let posted = labels.iter().map(|labels| json!({"labels": labels}));
            translated(context, posted.collect())
        });
        alerts.map(|alert| alert.fingerprint).collect()
    }

    /// Whether a firing may be of these servers: it came from them, or by their Alertmanager.
    fn may_send(&self, open: &OpenFiring) -> bool {
        WAYS.iter()
            .any(|way| open.firing.source == with_cluster(way, self.cluster.as_deref()))
    }
}

/// What servers have, by the name of the alert.
struct ByName<'a>(HashMap<&'a str, Vec<&'a Labels>>);

impl<'a> ByName<'a> {
    fn of(said: &'a Said) -> Self {
        let mut by_name: HashMap<&str, Vec<&Labels>> = HashMap::new();
        for labels in said.labels() {
            by_name.entry(name_of(labels)).or_default().push(labels);
        }
        Self(by_name)
    }

    /// Those that are this alert but for labels.
    fn differing(&self, labels: &Labels) -> impl Iterator<Item = &'a Labels> {
        let of_name = self.0.get(name_of(labels)).into_iter().flatten().copied();
        of_name.filter(|other| differ(other, labels))
    }
}

fn name_of(labels: &Labels) -> &str {
    labels.get("alertname").map_or("", String::as_str)
}

/// What servers have and open firings are but for labels: the settings do not name what is added or dropped.
struct Differing(BTreeSet<Labels>);

impl Differing {
    async fn of(context: &Context, said: &Said) -> Result<Self, JobError> {
        let (by_name, mut found) = (ByName::of(said), BTreeSet::new());
        let (mut after, end) = ((Uuid::nil(), Uuid::nil()), Timestamp(i64::MAX));
        loop {
            let db = context.db.read();
            let open = reconcile::open_before(db, after, end, Leased::Too, TOGETHER as u64).await?;
            for labels in open
                .iter()
                .filter(|open| said.may_send(open))
                .map(labels_of)
            {
                found.extend(by_name.differing(&labels).cloned());
            }
            let Some(last) = open.last().filter(|_| open.len() == TOGETHER) else {
                break;
            };
            after = (last.firing.incident_id, last.firing.id);
        }
        if let Some(labels) = found.first() {
            let alert = name_of(labels);
            tracing::warn!(
                alert,
                "Prometheus has alerts that came with other labels and that are not compared; set \
                 reconcile.prometheus.labels to its external_labels, and drop to what alert_relabel_configs drop"
            );
        }
        Ok(Self(found))
    }

    fn has(&self, labels: &Labels) -> bool {
        self.0.contains(labels)
    }
}

fn labels_of(open: &OpenFiring) -> Labels {
    let labels = open.labels.as_object().into_iter().flatten();
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    labels.filter_map(text).collect()
}

/// Whether both are the same alert, and one has labels that the other lacks.
fn differ(one: &Labels, other: &Labels) -> bool {
    let (fewer, more) = match one.len() < other.len() {
        true => (one, other),
        false => (other, one),
    };
    fewer.len() < more.len()
        && fewer
            .iter()
            .all(|(name, value)| more.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_differ_if_one_has_all_labels_of_the_other_and_more() {
        let labels = |names: &[&str]| -> Labels {
            let label = |name: &&str| ((*name).to_owned(), "x".to_owned());
            names.iter().map(label).collect()
        };
        for (one, other, expected) in [
            (&["alertname", "a"][..], &["alertname", "a"][..], false),
            (&["alertname", "a"], &["alertname", "a", "b"], true),
            (&["alertname", "a", "b"], &["alertname", "a"], true),
            (&["alertname", "a"], &["alertname", "b"], false),
            (&["alertname", "a"], &["alertname", "b", "c"], false),
        ] {
            let found = differ(&labels(one), &labels(other));
            assert_eq!(found, expected, "{one:?} {other:?}");
        }
    }
}
