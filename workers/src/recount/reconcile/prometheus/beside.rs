//! Alertmanager beside Prometheus: what it has is left to it, and what it silences is not taken in.
//!
//! It may have a reason not to deliver an alert. So while it does not say what it has, nothing is taken in; unless it is
//! down for long. Then what began after its last answer is, which it cannot have had, but for what was silenced then.
//! Only the process that had the last answer knows that.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tocsin::alertmanager::{Outage, Silences, Survey};
use tocsin::context::Context;
use tocsin::jobs::JobError;
use tocsin::prometheus::{FiringAlert, Labels};
use tocsin::store::maintenance;
use tocsin::store::marks::{self, Mark};
use tocsin::time::Timestamp;

use super::said::{ByName, Said};

/// When Alertmanager answered last, whichever process asked.
const MARK: &str = "alertmanager answered";

/// What Alertmanager has, and what may be taken in beside it.
pub(super) struct Beside {
    has: BTreeMap<String, Labels>,
    by_name: ByName,
    takes: Takes,
}

enum Takes {
    /// In doubt: nothing.
    Nothing,
    /// It is not asked: everything.
    All,
    /// What it does not have and would not silence.
    Unsilenced(Arc<Silences>),
    /// The same, if it began after that.
    Later(Timestamp, Arc<Silences>),
}

impl Beside {
    fn new(has: BTreeMap<String, Labels>, takes: Takes) -> Self {
        Self {
            by_name: ByName::of(has.values().cloned()),
            has,
            takes,
        }
    }

    /// Asks the Alertmanager of this cluster.
    pub(super) async fn of(
        context: &Context,
        cluster: Option<&str>,
        (before, now): (Timestamp, Timestamp),
    ) -> Result<Self, JobError> {
        let settings = &context.config.reconcile;
        let alertmanager = match &context.alertmanager {
            Some(alertmanager) if settings.cluster.as_deref() == cluster => alertmanager,
            _ => return Ok(Self::new(BTreeMap::new(), Takes::All)),
        };
        match alertmanager.survey().await {
            Ok(survey) => {
                let at = maintenance::now(context.db.read()).await?;
                let mark = Mark {
                    at: context.clock.of_store(at),
                    ..Mark::default()
                };
                marks::set(context.db.write(), MARK, &mark).await?;
                alertmanager.answered(mark.at, survey.silences.clone());
                Ok(Self::with(survey, before))
            }
            Err(error) => {
                context.metrics.alertmanager_errors.inc();
                tracing::warn!("cannot ask Alertmanager what it has: {error}");
                let outage = alertmanager.failed(now);
                let last = marks::find(context.db.read(), MARK).await?;
                let last = last.map(|mark| mark.at);
                Ok(Self::without(outage, last, before))
            }
        }
    }

    fn with(survey: Survey, before: Timestamp) -> Self {
        let takes = match survey.silences {
            // One that just started knows only what was sent to it since.
            Some(silences) if survey.started_at <= before => Takes::Unsilenced(silences),
            _ => Takes::Nothing,
        };
        Self::new(survey.alerts, takes)
    }

    fn without(outage: Option<Outage>, last: Option<Timestamp>, before: Timestamp) -> Self {
        let is_long = |outage: &Outage| outage.since <= before && last == Some(outage.answered_at);
        let takes = match outage.filter(is_long) {
            Some(outage) => Takes::Later(outage.answered_at, outage.silences),
            None => Takes::Nothing,
        };
        Self::new(BTreeMap::new(), takes)
    }

    pub(super) fn has(&self, fingerprint: &str) -> bool {
        self.has.contains_key(fingerprint)
    }

    /// Whether an alert may be taken in, if Alertmanager does not have it.
    pub(super) fn takes(&self, alert: &FiringAlert, said: &Said, now: Timestamp) -> bool {
        let is_silenced = |silences: &Silences| silences.silence(&json!(alert.labels), now);
        let is_allowed = match &self.takes {
            Takes::Nothing => false,
            Takes::All => true,
            Takes::Unsilenced(silences) => !is_silenced(silences),
            Takes::Later(than, silences) => {
                let began = Timestamp::parse(&alert.active_at);
                began.is_some_and(|began| began > *than) && !is_silenced(silences)
            }
        };
        is_allowed && !self.by_name.has_differing(&alert.labels, &said.changed)
    }
}
