//! Reconcile: compares the alerts of Alertmanager and Prometheus with those received. What fires there and never came is
//! taken in, and what is no more there and never ended is closed. Both may run twice without harm: a firing that is taken in is found by
//! its series and start when it comes after all, and one that is closed is checked again under the lock of its anomaly.

pub(in crate::recount) mod prometheus;

use std::collections::HashSet;

use serde_json::json;
use tocsin::alertmanager::{Alertmanager, ApiError, FiringAlert, SOURCE};
use tocsin::config::Reconcile;
use tocsin::context::Context;
use tocsin::domain::alert::Alert;
use tocsin::domain::episode::AlertDelivery;
use tocsin::jobs::{Content, IngestAlert, JobError};
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::sources::cluster::with_cluster;
use tocsin::sources::{Delivery, alertmanager as webhook};
use tocsin::store::reconcile::{self, Leased, OpenFiring};
use tocsin::store::stale::{self, Limits};
use tocsin::store::{incidents, maintenance, outbox};
use tocsin::telemetry::metrics::BySource;
use tocsin::time::Timestamp;
use uuid::Uuid;

/// Alerts that are looked up or closed together.
const TOGETHER: usize = 500;

/// Compares with whom the settings say. Returns how many firings were taken in or closed. Who does not answer is asked
/// again in the next pass.
///
/// # Errors
/// The store or the queue cannot be reached now.
pub async fn reconcile(context: &Context) -> Result<u64, JobError> {
    Ok(with_alertmanager(context).await? + prometheus::compare(context).await?)
}

async fn with_alertmanager(context: &Context) -> Result<u64, JobError> {
    let settings = &context.config.reconcile;
    let (Some(alertmanager), Some(receiver)) = (&context.alertmanager, &settings.receiver) else {
        return Ok(0);
    };
    let now = context
        .clock
        .of_store(maintenance::now(context.db.read()).await?);
    let before = now.before(settings.after.0);
    let answer = ask(alertmanager, receiver).await;
    let (started_at, firing, all) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            context.metrics.alertmanager_errors.inc();
            tracing::warn!("cannot compare with what Alertmanager has: {error}");
            return Ok(0);
        }
    };
    let mut done = 0;
    let old: Vec<FiringAlert> = firing
        .into_iter()
        .filter(|alert| began(alert, before))
        .collect();
    for alerts in old.chunks(TOGETHER) {
        done += take_in(context, settings, alerts, now).await?;
    }
    if started_at <= before {
        done += close(context, settings, &all, (before, now)).await?;
    }
    Ok(done)
}

/// Since when it runs, what fires for the receiver, and the fingerprints of all that it has: asked for last, so that
/// nothing is missing from it that began since.
async fn ask(
    alertmanager: &Alertmanager,
    receiver: &str,
) -> Result<(Timestamp, Vec<FiringAlert>, HashSet<String>), ApiError> {
    let started_at = alertmanager.started_at().await?;
    let firing = alertmanager.firing(receiver).await?;
    Ok((started_at, firing, alertmanager.fingerprints().await?))
}

/// Whether it began at that moment or earlier.
fn began(alert: &FiringAlert, at: Timestamp) -> bool {
    Timestamp::parse(&alert.starts_at).is_some_and(|began| began <= at)
}

/// Pushes those that were never received, each as of its start: then it was to come. At most as of half of
/// `counting.unheard` ago, so that it is not stale at once.
async fn take_in(
    context: &Context,
    settings: &Reconcile,
    alerts: &[FiringAlert],
    now: Timestamp,
) -> Result<u64, JobError> {
    let config = &context.config;
    let Ok(translated) = (webhook::SOURCE.translate)(&Delivery::of(body(alerts)), config) else {
        return Ok(0);
    };
    let source = with_cluster(SOURCE, settings.cluster.as_deref());
    let alerts = usable(context, translated.alerts);
    let found = alerts.map(|alert| {
        let received_at = as_of(context, &alert, now);
        delivery(context, &source, received_at, alert)
    });
    push_missed(context, SOURCE, "Alertmanager", found.collect()).await
}

/// The alerts that count: what would be rejected if it came, or ignored, is neither taken in nor missed.
fn usable(context: &Context, alerts: Vec<Content>) -> impl Iterator<Item = Alert> {
    let ignore = &context.config.ingest.ignore;
    alerts.into_iter().filter_map(|content| match content {
        Content::Alert(alert) if !alert.is_ignored(ignore) => Some(alert),
        _ => None,
    })
}

/// When an alert that is taken in is said to have been received.
fn as_of(context: &Context, alert: &Alert, now: Timestamp) -> Timestamp {
    let earliest = now.before(context.config.counting.unheard.0 / 2);
    alert.starts_at.map_or(now, |at| at.max(earliest).min(now))
}

fn delivery(
    context: &Context,
    source: &str,
    received_at: Timestamp,
    alert: Alert,
) -> AlertDelivery {
    let config = &context.config;
    let (job, families) = ((Uuid::nil(), false), &config.counting.families);
    AlertDelivery::new(
        job,
        source.to_owned(),
        received_at,
        alert,
        &config.signature,
        families,
    )
}

/// Pushes those of these that are not known, which are of this kind of source and were found at this sender.
async fn push_missed(
    context: &Context,
    source: &'static str,
    sender: &str,
    found: Vec<AlertDelivery>,
) -> Result<u64, JobError> {
    let keys = found.iter().map(|delivery| {
        let start = delivery.alert.starts_at;
        (delivery.series, start.unwrap_or(delivery.received_at))
    });
    let known = reconcile::known(context.db.read(), keys).await?;
    let known: HashSet<usize> = known.into_iter().collect();
    let missed = found.into_iter().enumerate();
    let missed: Vec<IngestAlert> = missed
        .filter(|(place, _)| !known.contains(place))
        .map(|(_, delivery)| IngestAlert {
            source: delivery.source,
            received_at: delivery.received_at,
            content: Content::Alert(delivery.alert),
        })
        .collect();
    let many = missed.len() as u64;
    if many == 0 {
        return Ok(0);
    }
    let jobs = missed.iter().map(Into::into);
    context.queues.push_all(jobs).await?;
    let received = &context.metrics.received;
    received.get_or_create(&BySource { source }).inc_by(many);
    context.metrics.reconciled_missed.inc_by(many);
    tracing::warn!(
        many,
        "took in alerts that {sender} has and that were never received"
    );
    Ok(many)
}

/// The alerts as Alertmanager would post them.
fn body(alerts: &[FiringAlert]) -> String {
    let alerts = alerts.iter().map(|alert| {
        json!({
            "status": "firing",
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": alert.starts_at,
            "generatorURL": alert.generator_url,
            "fingerprint": alert.fingerprint,
        })
    });
    json!({"version": "4", "alerts": alerts.collect::<Vec<_>>()}).to_string()
}

/// Closes what Alertmanager has no more, and that was not received since `before`.
async fn close(
    context: &Context,
    settings: &Reconcile,
    has: &HashSet<String>,
    (before, now): (Timestamp, Timestamp),
) -> Result<u64, JobError> {
    let source = with_cluster(SOURCE, settings.cluster.as_deref());
    let (mut after, mut closed) = ((Uuid::nil(), Uuid::nil()), 0);
    loop {
        let db = context.db.read();
        let open = reconcile::open_before(db, after, before, Leased::Not, TOGETHER as u64).await?;
        let more = open.len() == TOGETHER;
        if let Some(OpenFiring { firing, .. }) = open.last() {
            after = (firing.incident_id, firing.id);
        }
        let gone = open.into_iter().filter(|open| {
            let firing = &open.firing;
            firing.source == source && !has.contains(&firing.fingerprint)
        });
        let gone: Vec<OpenFiring> = gone.collect();
        if !gone.is_empty() {
            closed += close_those(context, "Alertmanager", &gone, now).await?;
        }
        if !more {
            return Ok(closed);
        }
    }
}

async fn close_those(
    context: &Context,
    sender: &str,
    gone: &[OpenFiring],
    now: Timestamp,
) -> Result<u64, JobError> {
    let config = &context.config;
    let limits = Limits {
        patience: config.counting.stale_limits(),
        now,
    };
    let firings: Vec<_> = gone.iter().map(|open| open.firing.clone()).collect();
    let tx = context.db.begin().await?;
    stale::lock(&tx, gone.iter().map(|open| &open.anomaly_key)).await?;
    let resolves = config.aggregation.auto_resolve;
    let written = stale::close(&tx, &[], &firings, &limits, resolves).await?;
    let follow_up = FollowUp {
        edits: outbox::mark_edits(&tx, &config.messages(), &written.changed, now).await?,
        tiers: incidents::mark_due(&tx, &written.resolved, now).await?,
        ..FollowUp::default()
    };
    tx.commit().await?;
    let (closed, incidents) = (written.closed, written.resolved.len());
    if closed > 0 {
        context.metrics.reconciled_gone.inc_by(closed);
        tracing::warn!(
            closed,
            incidents,
            "closed firings that {sender} has no more and whose end was never received"
        );
    }
    follow_up
        .try_push(context, Cause::Single, Traces::None)
        .await?;
    Ok(closed)
}
