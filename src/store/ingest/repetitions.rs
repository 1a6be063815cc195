//! Repetitions that change nothing. A Prometheus with 5,000 alerts that fire repeats each of them by the minute, so
//! these cost three reads for a batch, and neither a lock nor a transaction.
//!
//! Such a delivery is one that may be taken as entered at the moment of the reads: it would have left nothing to
//! write there, and whatever is written later comes after it. So it does not matter who writes meanwhile. All
//! deliveries of an anomaly are checked in their order, and where one of them changes something, all of them go
//! the usual way.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::DbErr;
use uuid::Uuid;

use super::{load_known, not_after};
use crate::domain::aggregation::{Batch, Policy};
use crate::domain::episode::AlertDelivery;
use crate::store::{Db, anomalies};
use crate::time::{Clock, Timestamp};

/// Those deliveries of a batch that change nothing.
#[derive(Debug, Default)]
pub(super) struct Repetitions {
    /// The incident of each, by its place in the batch.
    pub(super) incidents: HashMap<usize, Option<Uuid>>,
    /// When they were checked, by the store's clock.
    pub(super) at: Timestamp,
}

/// Finds them. Where none of a batch can be one, it asks nothing.
pub(super) async fn find(
    db: &Db,
    clock: &Clock,
    policy: &Policy,
    deliveries: &[&AlertDelivery],
) -> Result<Repetitions, DbErr> {
    let mut keys: BTreeSet<&str> = deliveries
        .iter()
        .filter(|delivery| delivery.may_be_repetition(policy))
        .map(|delivery| delivery.key.as_str())
        .collect();
    if keys.is_empty() {
        return Ok(Repetitions::default());
    }
    for delivery in deliveries.iter().filter(|d| !d.may_be_repetition(policy)) {
        keys.remove(delivery.key.as_str());
    }
    if keys.is_empty() {
        return Ok(Repetitions::default());
    }
    let db = db.read();
    let (anomalies, now) = anomalies::known(db, keys.into_iter().map(str::to_owned)).await?;
    let now = clock.of_store(now);
    let places: Vec<usize> = (0..deliveries.len())
        .filter(|place| anomalies.contains_key(&deliveries[*place].key))
        .collect();
    let known: Vec<&AlertDelivery> = places.iter().map(|place| deliveries[*place]).collect();
    if known.is_empty() {
        return Ok(Repetitions::default());
    }
    let mut batch = load_known(db, policy, anomalies, &known).await?;
    let mut incidents = HashMap::with_capacity(places.len());
    for (place, delivery) in places.into_iter().zip(known) {
        let (_, incident) = batch.enter(&not_after(delivery, now), policy);
        incidents.insert(place, incident);
    }
    let changed = changed_anomalies(&batch);
    incidents.retain(|place, _| !changed.contains(deliveries[*place].key.as_str()));
    Ok(Repetitions { incidents, at: now })
}

/// The anomalies of a batch of which anything is to be written.
fn changed_anomalies(batch: &Batch) -> HashSet<&str> {
    let new = batch.new.iter().map(|row| row.episode.anomaly_key.as_str());
    let episodes = batch.changed.iter();
    let episodes = episodes.filter_map(|(id, series)| batch.episode(*id, *series));
    let episodes = episodes.map(|episode| episode.anomaly_key.as_str());
    let incidents = batch.incidents.values();
    let incidents = incidents.filter(|i| i.changed || i.tier_due || i.opening.is_some());
    let incidents = incidents.map(|incident| incident.anomaly_key.as_str());
    let anomalies = batch.anomalies.iter().filter(|(_, a)| a.changed);
    let anomalies = anomalies.map(|(key, _)| key.as_str());
    let unsure = batch.last_unsure.iter().map(String::as_str);
    new.chain(episodes)
        .chain(incidents)
        .chain(anomalies)
        .chain(unsure)
        .collect()
}
