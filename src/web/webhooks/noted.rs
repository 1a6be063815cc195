//! Deliveries that are accepted with a defect: they are logged and counted.

use crate::domain::alert::AlertStatus;
use crate::jobs::Content;
use crate::sources::Translated;
use crate::telemetry::metrics::BySource;
use crate::time::Timestamp;
use crate::web::Ingress;
use crate::web::refusals::{DETAIL, beginning};
use crate::web::tallies::Said;

/// What is taken and is not as it should be.
pub(super) struct Noted {
    truncated: u64,
    misdated: u64,
    unknown_status: u64,
    /// Alerts that begin later than now.
    ahead: u64,
}

/// What a delivery says, for its source's figures.
pub(super) fn said(translated: &Translated) -> Said {
    let alerts = &translated.alerts;
    let is_over = |alert: &&Content| match alert {
        Content::Alert(alert) => alert.status == AlertStatus::Resolved,
        Content::Rejected { .. } => false,
    };
    Said {
        wrong: alerts.iter().rev().find_map(|alert| match alert {
            Content::Rejected { reason, .. } => Some(beginning(reason.as_bytes(), DETAIL)),
            Content::Alert(_) => None,
        }),
        truncated: translated.truncated,
        resolved: alerts.iter().filter(is_over).count() as u64,
    }
}

/// Whether an alert says that it began later than that.
fn starts_after(content: &Content, latest: Timestamp) -> bool {
    match content {
        Content::Alert(alert) => alert.starts_at.is_some_and(|at| at > latest),
        Content::Rejected { .. } => false,
    }
}

impl Noted {
    pub(super) fn of(translated: &Translated, latest: Timestamp) -> Self {
        let alerts = translated.alerts.iter();
        Self {
            truncated: translated.truncated,
            misdated: translated.misdated,
            unknown_status: translated.unknown_status,
            ahead: alerts.filter(|alert| starts_after(alert, latest)).count() as u64,
        }
    }

    /// Logs it, and adds it to the metrics.
    pub(super) fn report(&self, ingress: &Ingress, source: &'static str) {
        let (metrics, by) = (&ingress.context.metrics, &BySource { source });
        if self.truncated > 0 {
            let alerts = self.truncated;
            tracing::warn!(
                source,
                alerts,
                "the sender omitted alerts: raise max_alerts in its webhook_configs"
            );
            metrics.truncated.get_or_create(by).inc_by(alerts);
        }
        if self.misdated > 0 {
            let alerts = self.misdated;
            tracing::warn!(
                source,
                alerts,
                "the start or the end of an alert cannot be read as a time: treated as missing"
            );
            metrics.misdated.get_or_create(by).inc_by(alerts);
        }
        if self.ahead > 0 {
            let alerts = self.ahead;
            tracing::warn!(
                source,
                alerts,
                "startsAt is in the future: check the clocks of the sender and of this computer"
            );
            metrics.misdated.get_or_create(by).inc_by(alerts);
        }
        if self.unknown_status > 0
            && let Some(more) = ingress.unknown_statuses.says(source)
        {
            tracing::warn!(
                source,
                alerts = self.unknown_status,
                more,
                "an alert's status is neither firing nor resolved: treated as firing"
            );
        }
    }
}
