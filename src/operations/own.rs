//! Tocsin's own alerts, about its links and about what it expects: they go the way of all alerts, from the queue on, and
//! are incidents like any other. An alert that is pushed again is the same firing, so each pass pushes what holds.

use std::time::Duration;

use sea_orm::DbErr;

use super::OperationError;
use crate::context::Context;
use crate::domain::alert::{Alert, AlertStatus, Labels};
use crate::domain::canary::SOURCE;
use crate::domain::verdict::SilentSource;
use crate::ids::derived_id;
use crate::jobs::{Content, IngestAlert};
use crate::store::silent_sources;
use crate::store::watches::{self, Watch};
use crate::telemetry::metrics::BySource;
use crate::time::Timestamp;

/// What the store calls the watch of an expected alert.
#[must_use]
pub fn watch_name(expected: &str) -> String {
    format!("expected: {expected}")
}

/// An alert of Tocsin's own.
#[derive(Clone, Debug)]
pub struct OwnAlert {
    /// Its name.
    pub name: &'static str,
    /// What it is about: one anomaly each.
    pub reason: String,
    /// How bad it is.
    pub severity: &'static str,
    /// What a person reads first.
    pub summary: String,
    /// What is known, and what to look at.
    pub description: String,
    /// The source that is silent, if it says that.
    pub silent: Option<SilentSource>,
}

/// Has the alert fire: the watch is late since then, if it was not late before.
pub async fn fire(
    context: &Context,
    watch: &str,
    since: Timestamp,
    alert: &OwnAlert,
    now: Timestamp,
) -> Result<(), OperationError> {
    let tx = context.db.begin().await?;
    let since = watches::begin(&tx, watch, since).await?;
    if let Some(silent) = &alert.silent {
        silent_sources::begin(&tx, watch, silent, (longest_quiet(context), now)).await?;
    }
    tx.commit().await?;
    push(context, alert, (since, None), now).await
}

/// Ends the alert of a watch that was late. Its source was heard at `heard`, if that is why.
pub async fn resolve(
    context: &Context,
    watch: &Watch,
    alert: &OwnAlert,
    (heard, now): (Option<Timestamp>, Timestamp),
) -> Result<(), OperationError> {
    let Some(since) = watch.late_since else {
        return Ok(());
    };
    let tx = context.db.begin().await?;
    let ended = watches::end(&tx, watch, now).await?;
    if let Some(heard) = heard {
        silent_sources::end(&tx, &watch.name, heard, (longest_quiet(context), now)).await?;
    }
    tx.commit().await?;
    push(context, alert, (since, Some(ended.max(since))), now).await?;
    let settled: Result<(), DbErr> = watches::settle(context.db.write(), &watch.name, since).await;
    Ok(settled?)
}

/// Notes that the source of a watch was heard, whether or not its alert still fires.
pub async fn hear(
    context: &Context,
    watch: &str,
    (heard, now): (Timestamp, Timestamp),
) -> Result<(), DbErr> {
    let tx = context.db.begin().await?;
    silent_sources::end(&tx, watch, heard, (longest_quiet(context), now)).await?;
    tx.commit().await
}

fn longest_quiet(context: &Context) -> Duration {
    let (_, longest) = context.config.effectiveness.bounds();
    longest
}

async fn push(
    context: &Context,
    own: &OwnAlert,
    (since, ended): (Timestamp, Option<Timestamp>),
    now: Timestamp,
) -> Result<(), OperationError> {
    let text = |pairs: &[(&str, &str)]| -> Labels {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect()
    };
    let alert = Alert {
        status: match ended {
            None => AlertStatus::Firing,
            Some(_) => AlertStatus::Resolved,
        },
        labels: text(&[
            ("alertname", own.name),
            ("service", "tocsin"),
            ("namespace", "tocsin"),
            ("reason", &own.reason),
            ("severity", own.severity),
        ]),
        annotations: text(&[("summary", &own.summary), ("description", &own.description)]),
        fingerprint: derived_id(&[own.name, &own.reason]).simple().to_string(),
        starts_at: Some(since),
        ends_at: ended,
        lease_ms: None,
        generator_url: None,
        rule: None,
        identity: None,
    };
    let job = IngestAlert {
        source: SOURCE.to_owned(),
        received_at: now,
        content: Content::Alert(alert),
    };
    context.queues.push(&job).await?;
    let received = &context.metrics.received;
    received.get_or_create(&BySource { source: SOURCE }).inc();
    Ok(())
}
