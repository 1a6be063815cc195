//! Anomalies that begin to flap.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::DatabaseTransaction;
use tocsin::context::Context;
use tocsin::domain::aggregation::Unit;
use tocsin::domain::frequency::Window;
use tocsin::store::flapping;
use tocsin::time::Timestamp;

use super::{LockedAnomalies, TierError};

/// The minimum time between two checks of an anomaly by one process, however many firings it has. The message that an
/// anomaly flaps may be late by this, and by `escalation.figures`.
const SELDOM: Duration = Duration::from_secs(30);
/// The most anomalies whose last check is remembered; more are checked again sooner.
const REMEMBERED: usize = 10_000;

/// When anomalies were checked last.
#[derive(Default)]
pub(crate) struct FlapChecks(HashMap<String, Timestamp>);

impl FlapChecks {
    /// Whether the anomaly is to be checked now, which is remembered.
    fn is_due(&mut self, key: &str, now: Timestamp) -> bool {
        let is_recent = |at: &Timestamp| (at.0..at.after(SELDOM).0).contains(&now.0);
        if self.0.get(key).is_some_and(is_recent) {
            return false;
        }
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, at| is_recent(at));
        }
        if self.0.len() < REMEMBERED {
            self.0.insert(key.to_owned(), now);
        }
        true
    }

    /// Forgets all checks: what they found was not committed.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Has those of the anomalies of a pass flap that begin to; returns their keys. Firings are read only of what was counted
/// often enough to flap, and was not checked just now; where incidents are counted, of all.
pub(super) async fn begin(
    context: &Context,
    tx: &DatabaseTransaction,
    locked: &mut LockedAnomalies,
    checks: &mut FlapChecks,
) -> Result<Vec<String>, TierError> {
    let (limits, now) = (context.config.flapping.limits(), locked.now);
    if limits.start == 0 {
        return Ok(Vec::new());
    }
    let window = match limits.window <= Window::Hour.length() {
        true => Window::Hour,
        false => Window::Day,
    };
    let counts_firings = context.config.counting.unit != Unit::Incident;
    let may_flap = locked.counts.iter().filter(|(key, counts)| {
        let anomaly = locked.anomalies.get(*key);
        let is_steady = anomaly.is_some_and(|anomaly| anomaly.flapping_since.is_none());
        let is_often = counts.of(window) >= i64::from(limits.start);
        is_steady && (is_often || !counts_firings) && checks.is_due(key, now)
    });
    let keys: Vec<String> = may_flap.map(|(key, _)| key.clone()).collect();
    let firings = flapping::firings(tx, &keys, limits.since(now)).await?;
    let flapping = firings.iter().filter(|(_, f)| limits.begins(f, now));
    let flapping: Vec<String> = flapping.map(|(key, _)| key.clone()).collect();
    flapping::begin(tx, &flapping, now).await?;
    for key in &flapping {
        if let Some(anomaly) = locked.anomalies.get_mut(key) {
            anomaly.flapping_since = Some(now);
            tracing::info!(
                anomaly.key,
                alert.name = anomaly.alert_name,
                service = anomaly.service,
                "an anomaly flaps"
            );
        }
    }
    Ok(flapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anomaly_is_checked_once_in_a_while_whatever_the_clock_does() {
        let mut checks = FlapChecks::default();
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let table = [
            (100, true),
            (100, false),
            (129, false),
            (130, true),
            (90, true),
        ];
        for (seconds, expected) in table {
            assert_eq!(checks.is_due("a", at(seconds)), expected, "{seconds}");
        }
        assert!(checks.is_due("b", at(90)));
        checks.forget();
        assert!(checks.is_due("a", at(90)));
    }
}
