//! The episode: one uninterrupted firing of one series. What counts as one occurrence.

use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::alert::{Alert, AlertStatus};
use super::signature::{Signature, SignatureLabels};
use crate::time::Timestamp;

/// One delivered alert on its way into the books: the alert, and what was worked out about it.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The id of the job that carries it.
    pub job: Uuid,
    /// Whether that job may have been run before.
    pub redelivered: bool,
    /// Which source it came from.
    pub source: String,
    /// When the ingress received it: the one clock for windows and aggregation.
    pub received_at: Timestamp,
    /// The alert.
    pub alert: Alert,
    /// Which anomaly it belongs to.
    pub signature: Signature,
    /// That anomaly's key.
    pub key: String,
    /// Which series it belongs to.
    pub series: i64,
}

impl Sighting {
    /// Works out the signature and the series.
    #[must_use]
    pub fn new(
        (job, redelivered): (Uuid, bool),
        source: String,
        received_at: Timestamp,
        alert: Alert,
        labels: &SignatureLabels,
    ) -> Self {
        let signature = Signature::of(&alert, labels);
        let key = signature.key();
        let series = series(&source, &alert.fingerprint, &key);
        Self {
            job,
            redelivered,
            source,
            received_at,
            alert,
            signature,
            key,
            series,
        }
    }

    pub(super) fn is_firing(&self) -> bool {
        self.alert.status == AlertStatus::Firing
    }

    /// When its episode starts if it is a new one.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.alert.starts_at.unwrap_or(self.received_at)
    }
}

/// A series' number: source and fingerprint, and the anomaly, so that a sender that gives
/// different alerts one fingerprint does not have them swallowed as one.
#[must_use]
pub fn series(source: &str, fingerprint: &str, anomaly_key: &str) -> i64 {
    let mut hash = Sha256::new();
    for field in [source, fingerprint, anomaly_key] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// An episode's id: the milliseconds of its start, so that rows arrive in the order of the index,
/// then a hash of series and start.
#[must_use]
pub fn episode_id(series: i64, starts_at: Timestamp) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(series.to_be_bytes());
    hash.update(starts_at.0.to_be_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&starts_at.0.max(0).to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&digest[..10]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// How it is known that an episode ended.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumIter,
    DeriveActiveEnum,
    utoipa::ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// Its sender said that it is over, and since when.
    #[sea_orm(string_value = "sender")]
    Sender,
    /// Its sender said that it is over and not since when: it was over when that was received.
    #[sea_orm(string_value = "receipt")]
    Receipt,
    /// A newer episode of its series began.
    #[sea_orm(string_value = "newer")]
    Newer,
    /// Its sender told of it no more: it is not known to be over.
    #[sea_orm(string_value = "unseen")]
    Unseen,
}

/// One episode as the books have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Its id.
    pub id: Uuid,
    /// The anomaly it belongs to.
    pub anomaly_key: String,
    /// The incident it joined or opened; none if it was over when it was first heard of.
    pub incident: Option<Uuid>,
    /// Its series.
    pub series: i64,
    /// When it began, by the sender's clock.
    pub starts_at: Timestamp,
    /// When it ended, by the sender's clock. `None` while it is open.
    pub ended_at: Option<Timestamp>,
    /// When it was first seen, by the ingress' clock.
    pub occurred_at: Timestamp,
    /// When it was last seen, by the ingress' clock.
    pub last_seen_at: Timestamp,
    /// How many deliveries told of it.
    pub deliveries: i64,
}

/// Finds the episode among `episodes` (one series) that `sighting` tells of.
///
/// With a start: the nearest whose start lies within `skew`, if that start is not later than its
/// end. Without: the one that was going on at the time of receipt, else the open one; a
/// `resolved` does not tell of what began after it, but of the newest that was over by then, once
/// more. Last, what was received a little before the others of its episode.
#[must_use]
pub fn find(episodes: &[Episode], sighting: &Sighting, skew: Duration) -> Option<usize> {
    let within = |a: Timestamp, b: Timestamp| (a.0 - b.0).abs() <= crate::time::millis(skew);
    if let Some(start) = sighting.alert.starts_at {
        return (0..episodes.len())
            .filter(|&i| within(start, episodes[i].starts_at))
            .filter(|&i| episodes[i].ended_at.is_none_or(|end| start <= end))
            .min_by_key(|&i| (start.0 - episodes[i].starts_at.0).abs());
    }
    let at = sighting.received_at;
    let spans = |e: &Episode| e.occurred_at <= at && at <= e.last_seen_at;
    let open = |e: &Episode| e.ended_at.is_none() && (sighting.is_firing() || e.occurred_at <= at);
    let over = |e: &Episode| !sighting.is_firing() && e.last_seen_at <= at;
    let overtaken = |e: &Episode| at < e.occurred_at && within(at, e.occurred_at);
    episodes
        .iter()
        .position(spans)
        .or_else(|| episodes.iter().position(open))
        .or_else(|| episodes.iter().rposition(over))
        .or_else(|| episodes.iter().position(overtaken))
}

#[cfg(test)]
pub(in crate::domain) mod tests;
