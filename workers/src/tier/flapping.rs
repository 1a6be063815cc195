//! Anomalies that begin to flap.

use sea_orm::DatabaseTransaction;
use tocsin::context::Context;
use tocsin::domain::aggregation::Unit;
use tocsin::domain::frequency::Window;
use tocsin::store::flapping;

use super::{LockedAnomalies, TierError};

/// Has those of the anomalies of a pass flap that begin to; returns their keys. Firings are read only of what was counted
/// often enough to flap; where incidents are counted, of all.
pub(super) async fn begin(
    context: &Context,
    tx: &DatabaseTransaction,
    locked: &mut LockedAnomalies,
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
        is_steady && (is_often || !counts_firings)
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
