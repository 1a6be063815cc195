//! An alert as it was delivered: its series, its start, its end.

use std::borrow::Cow;
use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::EndedBy;
use crate::domain::alert::{Alert, AlertStatus};
use crate::domain::counting::{Policy, Unit};
use crate::domain::family::Families;
use crate::domain::lease;
use crate::domain::signature::{OVERFLOW, Signature, SignatureLabels};
use crate::time::Timestamp;

/// One delivered alert that is to be counted, with its anomaly and its series.
#[derive(Clone, Debug)]
pub struct AlertDelivery {
    /// The id of the job that carries it.
    pub job: Uuid,
    /// Whether that job may have been run before.
    pub redelivered: bool,
    /// Which source it came from.
    pub source: String,
    /// That source as its family is called where that is another name, see [`Families::name_of`].
    pub family: Option<String>,
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

impl AlertDelivery {
    /// Works out the signature and the series.
    #[must_use]
    pub fn new(
        (job, redelivered): (Uuid, bool),
        source: String,
        received_at: Timestamp,
        alert: Alert,
        labels: &SignatureLabels,
        families: &Families,
    ) -> Self {
        let signature = Signature::of(&alert, labels);
        let key = signature.key();
        let family = families.name_of(&source);
        let series = series(&family, &alert.fingerprint, &key);
        let family = match family {
            Cow::Owned(name) => Some(name),
            Cow::Borrowed(_) => None,
        };
        Self {
            job,
            redelivered,
            source,
            family,
            received_at,
            alert,
            signature,
            key,
            series,
        }
    }

    /// The same, counted with others of its alert's name, because there is no room for an anomaly of its own.
    #[must_use]
    pub fn in_overflow(&self) -> Self {
        let name = &self.signature.alert_name;
        let key = Signature::overflow_key(name);
        let mut alert = self.alert.clone();
        // Its texts are about one of many; how the kind is repaired is the same for all.
        alert.annotations.retain(|name, _| name == "runbook_url");
        Self {
            signature: Signature::overflow(name),
            series: series(
                self.family.as_ref().unwrap_or(&self.source),
                &self.alert.fingerprint,
                &key,
            ),
            key,
            alert,
            ..self.clone()
        }
    }

    /// Whether it is counted with others of its alert's name.
    #[must_use]
    pub fn is_in_overflow(&self) -> bool {
        // A sender may call its own alert so, which has another key.
        self.signature.error_type == OVERFLOW
            && self.key == Signature::overflow_key(&self.signature.alert_name)
    }

    pub(in crate::domain) fn is_firing(&self) -> bool {
        self.alert.status == AlertStatus::Firing
    }

    /// Whether its sender says of what fires until when that holds.
    pub(in crate::domain) const fn is_leased(&self) -> bool {
        self.alert.lease_ms.is_some()
    }

    /// Whether it may repeat what is known and change nothing, judged by itself. What began a moment ago
    /// is not repeated yet; a job that is run again, and a delivery that counts, go all the way.
    pub(crate) fn may_be_repetition(&self, policy: &Policy) -> bool {
        let is_known = match (self.lease(), self.reported_start(policy.skew)) {
            (Some(length), Some(start)) => start.after(length / 8) <= self.received_at,
            _ => !self.is_firing(),
        };
        self.is_leased() && is_known && !self.redelivered && policy.unit != Unit::Delivery
    }

    /// For how long it holds, from its receipt, if it fires and its sender says so.
    pub(in crate::domain) fn lease(&self) -> Option<Duration> {
        let ms = self.alert.lease_ms.filter(|_| self.is_firing())?;
        let length = Duration::from_millis(ms.max(0).unsigned_abs());
        Some(length.min(lease::LONGEST))
    }

    /// Whether it is about the open episode of its series whatever start it gives.
    pub(super) fn shares_series(&self) -> bool {
        let rule = self.alert.rule.as_ref();
        rule.is_some_and(|rule| rule.shares_series)
    }

    /// When the sender says that its firing began. `None` if its clock was never set, or is ahead of the
    /// store's by more than `skew`.
    #[must_use]
    pub fn reported_start(&self, skew: Duration) -> Option<Timestamp> {
        let given = self.alert.starts_at?;
        (given >= EARLIEST && given <= self.received_at.after(skew)).then_some(given)
    }

    /// When its episode starts if it is a new one.
    #[must_use]
    pub fn start(&self, skew: Duration) -> Timestamp {
        self.reported_start(skew).unwrap_or(self.received_at)
    }

    /// When its firing ended, if it is over, and how that is known. An end that is still to come
    /// is none: it was over when that was received.
    pub(in crate::domain) fn end(&self) -> Option<(Timestamp, EndedBy)> {
        let given = self.alert.ends_at.filter(|at| *at >= EARLIEST);
        match (self.alert.status, given) {
            (AlertStatus::Firing, _) => None,
            (AlertStatus::Resolved, Some(end)) if end <= self.received_at => {
                Some((end, EndedBy::Sender))
            }
            (AlertStatus::Resolved, _) => Some((self.received_at, EndedBy::Receipt)),
        }
    }
}

/// What senders say of earlier times (the year 2000) is some clock's zero.
pub const EARLIEST: Timestamp = Timestamp(946_684_800_000);

/// A series' number: the source, as its family is called, and fingerprint, and the anomaly, so that a sender that gives
/// different alerts one fingerprint does not have them swallowed as one.
#[must_use]
pub fn series(family: &str, fingerprint: &str, anomaly_key: &str) -> i64 {
    let mut hash = Sha256::new();
    for field in [family, fingerprint, anomaly_key] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}
