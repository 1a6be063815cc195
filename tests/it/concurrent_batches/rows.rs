//! The rows after a story, compared with the story and with each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tocsin::domain::aggregation::{Status, Unit};
use tocsin::domain::episode::AlertDelivery;
use tocsin::domain::frequency::Counted;
use tocsin::entity::{anomalies, incidents, occurrences};
use tocsin::store::ingest::Committed;
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::deliveries::Delivery;

/// What is in the database about some anomalies.
pub(super) struct StoredRows {
    pub(super) anomalies: Vec<anomalies::Model>,
    pub(super) incidents: Vec<incidents::Model>,
    episodes: Vec<occurrences::Model>,
    pub(super) counted: BTreeMap<Uuid, (String, Timestamp)>,
}

impl StoredRows {
    pub(super) async fn read(db: &sea_orm::DatabaseConnection, keys: &BTreeSet<String>) -> Self {
        let anomalies = anomalies::Entity::find()
            .filter(anomalies::Column::Key.is_in(keys))
            .all(db);
        let incidents = incidents::Entity::find()
            .filter(incidents::Column::AnomalyKey.is_in(keys))
            .all(db);
        let rows = occurrences::Entity::find()
            .filter(occurrences::Column::AnomalyKey.is_in(keys))
            .all(db);
        let rows = rows.await.unwrap();
        let counted = rows.iter().filter_map(|row| {
            let counted = (row.anomaly_key.clone(), row.occurred_at);
            Some((row.counted_id?, counted))
        });
        Self {
            counted: counted.collect(),
            anomalies: anomalies.await.unwrap(),
            incidents: incidents.await.unwrap(),
            episodes: rows
                .into_iter()
                .filter(|row| row.series.is_some())
                .collect(),
        }
    }

    /// One episode for each firing, first seen then, and over if something ended it.
    pub(super) fn episodes_are(
        &self,
        told: &[(&Delivery, &AlertDelivery)],
    ) -> Result<(), TestCaseError> {
        let mut expected: HashMap<usize, (usize, Timestamp, bool)> = HashMap::new();
        for (telling, delivery) in told {
            let first = (telling.series, delivery.received_at, false);
            let firing = expected.entry(telling.firing).or_insert(first);
            firing.1 = firing.1.min(delivery.received_at);
            firing.2 |= telling.resolved;
        }
        let newest: HashMap<usize, usize> = expected
            .iter()
            .map(|(number, (series, ..))| (*series, *number))
            .fold(HashMap::new(), |mut newest, (series, number)| {
                let known = newest.entry(series).or_insert(number);
                *known = number.max(*known);
                newest
            });
        let mut found = HashMap::new();
        for row in &self.episodes {
            let same = |(_, s): &&(&Delivery, &AlertDelivery)| {
                Some(s.series) == row.series && s.alert.starts_at == Some(row.starts_at)
            };
            let (telling, _) = told.iter().find(same).unwrap();
            let known = found.insert(telling.firing, row);
            prop_assert!(known.is_none(), "two episodes of one firing");
        }
        prop_assert_eq!(found.len(), expected.len());
        for (number, (series, first, resolved)) in expected {
            let row = found[&number];
            prop_assert_eq!(row.occurred_at, first);
            prop_assert_eq!(row.ended_at.is_some(), resolved || newest[&series] > number);
        }
        Ok(())
    }

    /// What is counted, in the rows, in the totals, and in a counter.
    pub(super) fn counted_are(
        &self,
        unit: Unit,
        told: &[(&Delivery, &AlertDelivery)],
        said: &[Committed],
    ) -> Result<(), TestCaseError> {
        let expected: BTreeMap<Uuid, (String, Timestamp)> = match unit {
            Unit::Delivery => told
                .iter()
                .map(|(_, s)| (s.job, (s.key.clone(), s.received_at)))
                .collect(),
            _ => self
                .episodes
                .iter()
                .map(|row| (row.id, (row.anomaly_key.clone(), row.occurred_at)))
                .collect(),
        };
        prop_assert_eq!(&self.counted, &expected);
        for anomaly in &self.anomalies {
            let of = |(key, _): &&(String, Timestamp)| *key == anomaly.key;
            let total = expected.values().filter(of).count();
            prop_assert_eq!(anomaly.total, total as i64);
            let of = |(_, s): &&(&Delivery, &AlertDelivery)| s.key == anomaly.key;
            let first = told.iter().filter(of).map(|(_, s)| s.received_at).min();
            prop_assert_eq!(anomaly.first_seen, first);
        }
        // The earliest time that a counter gets for an id is the time of its row.
        let mut counter: BTreeMap<Uuid, (String, Timestamp)> = BTreeMap::new();
        for Counted {
            anomaly_key,
            id,
            occurred_at,
        } in said.iter().flat_map(|committed| &committed.counted)
        {
            let entry = counter.entry(*id);
            let known = entry.or_insert_with(|| (anomaly_key.clone(), *occurred_at));
            known.1 = known.1.min(*occurred_at);
        }
        prop_assert_eq!(counter, expected);
        Ok(())
    }

    /// Incidents hold the episodes that point at them, and are numbered without a gap.
    pub(super) fn agrees_with_itself(&self) -> Result<(), TestCaseError> {
        for incident in &self.incidents {
            let of = |row: &&occurrences::Model| row.incident_id == Some(incident.id);
            let all = self.episodes.iter().filter(of).count() as i64;
            let open = |row: &&occurrences::Model| of(row) && row.ended_at.is_none();
            let open = self.episodes.iter().filter(open).count() as i64;
            prop_assert_eq!(incident.aggregated_count, all);
            prop_assert_eq!(incident.is_aggregated, all > 1);
            prop_assert_eq!(incident.open_episodes, open);
            prop_assert_eq!(incident.status == Status::Resolved, open == 0);
            prop_assert!(incident.tier_due_since.is_some());
        }
        for anomaly in &self.anomalies {
            let of = |incident: &&incidents::Model| incident.anomaly_key == anomaly.key;
            let mut numbers: Vec<(i64, Uuid)> = self
                .incidents
                .iter()
                .filter(of)
                .map(|i| (i.number, i.id))
                .collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers.len() as i64, anomaly.newest_number);
            let newest = numbers.last().copied();
            prop_assert_eq!(
                newest.map(|(number, _)| number).unwrap_or(0),
                anomaly.newest_number
            );
            prop_assert_eq!(newest.map(|(_, id)| id), anomaly.newest_incident);
        }
        Ok(())
    }
}
