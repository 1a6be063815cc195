//! Alerts, on their way into incidents.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{About, Job as _, Policy, Subject};
use crate::domain::alert::Alert;
use crate::domain::refusal::{Code, Refusal};
use crate::time::Timestamp;

/// One delivered alert, on its way from the ingress into incidents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestAlert {
    /// Which source it came from, and which cluster of it: `alertmanager`, or `alertmanager@eu`.
    pub source: String,
    /// When the ingress received it.
    pub received_at: Timestamp,
    /// The alert, or why there is none.
    pub content: Content,
}

/// An alert, or what was sent in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are alerts, and there is one in each job"
)]
pub enum Content {
    /// An alert.
    Alert(Alert),
    /// Something that cannot be used; kept as it came, for a person to look at.
    Rejected {
        /// What is wrong with it.
        reason: String,
        /// What was sent; a list of what was sent where it is several.
        raw: String,
        /// How many alerts it counts as.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        alerts: u64,
    },
}

impl About for IngestAlert {
    /// Many at once, because the handler writes them in batches.
    const RUN: Policy = Policy {
        concurrency: 4000,
        ..Policy::USUAL
    };

    fn subject(&self) -> Option<Subject> {
        let Content::Alert(alert) = &self.content else {
            return None;
        };
        Some(Subject::Alert {
            source: self.source.clone(),
            fingerprint: alert.fingerprint.clone(),
        })
    }

    fn check(&self) -> Result<(), Refusal> {
        match &self.content {
            Content::Alert(alert) if alert.first_label(&["alertname".to_owned()]).is_empty() => {
                let detail = "content.alert.labels.alertname is missing";
                Err(Refusal::new(Code::AlertnameMissing, detail))
            }
            Content::Alert(_) => Ok(()),
            Content::Rejected { .. } => Err(Refusal::new(
                Code::PayloadRejected,
                "content is still the rejected data: it must be {\"alert\": {\"status\": \"firing\", \
                 \"labels\": {\"alertname\": …}}}",
            )),
        }
    }
}

impl Content {
    /// One that cannot be used, as it was sent.
    #[must_use]
    pub fn rejected(reason: &str, raw: &str) -> Self {
        Self::Rejected {
            reason: reason.to_owned(),
            raw: raw.to_owned(),
            alerts: 1,
        }
    }
}

/// How many alerts rejected data counts as, unless the payload says otherwise.
const fn one() -> u64 {
    1
}

/// The part of an ingest job that identifies the alert.
#[derive(Deserialize)]
pub(crate) struct Brief<'a> {
    /// Its source.
    #[serde(borrow)]
    pub(crate) source: Cow<'a, str>,
    /// What is in the place of an alert.
    pub(crate) content: BriefContent,
}

/// See [`Content`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BriefContent {
    /// An alert.
    Alert(IgnoredAny),
    /// Something that cannot be used, and how many alerts it counts as.
    Rejected {
        #[serde(default = "one")]
        alerts: u64,
    },
}

/// How many alerts a job counts as that carries only rejected data; none if it carries an alert. A job with rejected
/// data fails at every attempt.
#[must_use]
pub fn rejected(queue: &str, payload: &[u8]) -> Option<u64> {
    if queue != IngestAlert::POLICY.queue {
        return None;
    }
    match serde_json::from_slice::<Brief<'_>>(payload).ok()?.content {
        BriefContent::Alert(_) => None,
        BriefContent::Rejected { alerts } => Some(alerts),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_one(n: &u64) -> bool {
    *n == 1
}
