//! What Alertmanager has, all at once; and what it said last, for when it does not answer any more.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use serde_json::Value;

use super::silence::KnownSilence;
use super::{Alertmanager, ApiError, api};
use crate::domain::labels::Labels;
use crate::time::Timestamp;

/// What it has.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Since when it runs.
    pub started_at: Timestamp,
    /// The labels of all alerts by their fingerprints, silenced and inhibited ones included.
    pub alerts: BTreeMap<String, Labels>,
    /// What is silenced there. `None` if one of them cannot be read.
    pub silences: Option<Arc<Silences>>,
}

/// The silences that hold, or will.
#[derive(Debug)]
pub struct Silences(Vec<KnownSilence>);

impl Silences {
    fn of(silences: Vec<api::Silence>) -> Option<Self> {
        let lasting = silences
            .into_iter()
            .filter(|silence| silence.status.state != "expired");
        let known = lasting.map(|mut silence| {
            // When it holds is read from its times.
            "active".clone_into(&mut silence.status.state);
            KnownSilence::of(silence)
        });
        known.collect::<Option<_>>().map(Self)
    }

    /// Whether one of them silences such an alert at that time.
    #[must_use]
    pub fn silence(&self, labels: &Value, at: Timestamp) -> bool {
        self.0.iter().any(|silence| {
            let (from, to) = silence.span();
            from <= at && at < to && silence.silences(labels)
        })
    }
}

/// How it was when it was asked last.
#[derive(Debug, Default)]
pub(super) struct Heard {
    answered: Option<(Timestamp, Arc<Silences>)>,
    failing_since: Option<Timestamp>,
}

/// It does not answer.
#[derive(Clone, Debug)]
pub struct Outage {
    /// Since when: then the first request failed.
    pub since: Timestamp,
    /// When it answered last.
    pub answered_at: Timestamp,
    /// What was silenced then.
    pub silences: Arc<Silences>,
}

impl Alertmanager {
    /// What it has. The alerts are asked for last, so that nothing is missing from them that came meanwhile.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn survey(&self) -> Result<Survey, ApiError> {
        let started_at = self.started_at().await?;
        let silences = api::ask(&self.http, &self.url, "silences", &[]).await?;
        let alerts = self.alerts().await?.into_iter();
        Ok(Survey {
            started_at,
            alerts: alerts
                .map(|alert| (alert.fingerprint, alert.labels))
                .collect(),
            silences: Silences::of(silences).map(Arc::new),
        })
    }

    /// Remembers that it answered by then, and what was silenced.
    pub fn answered(&self, at: Timestamp, silences: Option<Arc<Silences>>) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Heard {
            answered: silences.map(|silences| (at, silences)),
            failing_since: None,
        };
    }

    /// Remembers that it did not answer then. `None` if this process never had an answer.
    #[must_use]
    pub fn failed(&self, at: Timestamp) -> Option<Outage> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *heard.failing_since.get_or_insert(at);
        let (answered_at, silences) = heard.answered.clone()?;
        Some(Outage {
            since,
            answered_at,
            silences,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Secret;

    fn silences(states: &[&str]) -> Option<Silences> {
        let of = |state: &&str| {
            json!({
                "id": "s", "status": {"state": state}, "matchers": [{"name": "pod", "value": "a"}],
                "startsAt": "1970-01-01T00:10:00Z", "endsAt": "1970-01-01T00:20:00Z",
            })
        };
        let all = states.iter().map(of).collect::<Value>();
        Silences::of(serde_json::from_value(all).unwrap())
    }

    #[test]
    fn a_silence_holds_from_its_start_to_its_end_also_while_nobody_says_so() {
        for (state, minute, pod, expected) in [
            ("active", 10, "a", true),
            ("active", 19, "a", true),
            ("active", 20, "a", false),
            ("active", 10, "b", false),
            ("pending", 9, "a", false),
            ("pending", 10, "a", true),
            ("expired", 10, "a", false),
        ] {
            let silences = silences(&[state]).unwrap();
            let found = silences.silence(&json!({"pod": pod}), Timestamp(minute * 60_000));
            assert_eq!(found, expected, "{state} {minute} {pod}");
        }
    }

    #[test]
    fn a_silence_that_cannot_be_read_is_not_passed_over() {
        let bad = json!([{"id": "s", "status": {"state": "active"},
            "matchers": [{"name": "pod", "value": "(", "isRegex": true}]}]);
        assert!(Silences::of(serde_json::from_value(bad).unwrap()).is_none());
    }

    #[test]
    fn an_outage_lasts_since_the_first_failure_after_the_last_answer() {
        let alertmanager = Alertmanager::new(&Secret::from("http://am:9093")).unwrap();
        let silences = silences(&[]).map(Arc::new);
        assert!(alertmanager.failed(Timestamp(1)).is_none());
        alertmanager.answered(Timestamp(2), silences.clone());
        let outage = alertmanager.failed(Timestamp(3)).unwrap();
        assert_eq!(
            (outage.since, outage.answered_at),
            (Timestamp(3), Timestamp(2))
        );
        assert_eq!(
            alertmanager.failed(Timestamp(9)).unwrap().since,
            Timestamp(3)
        );
        alertmanager.answered(Timestamp(10), silences);
        let outage = alertmanager.failed(Timestamp(11)).unwrap();
        assert_eq!(
            (outage.since, outage.answered_at),
            (Timestamp(11), Timestamp(10))
        );
        alertmanager.answered(Timestamp(12), None);
        assert!(alertmanager.failed(Timestamp(13)).is_none());
    }
}
