//! Reads the stored rows of a history.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryResult, Statement};
use tocsin::domain::frequency::Counts;
use tocsin::entity::{
    anomalies, dead_letters, effectiveness, incidents, notifications, occurrences,
};
use tocsin::jobs::{Content, IngestAlert};
use uuid::Uuid;

use super::StoredHistory;
use crate::history::generator::Story;
use crate::history::machines::Machines;
use crate::history::oracle::{Anomaly, Windows};

fn fields(row: &anomalies::Model) -> Anomaly {
    let row = row.clone();
    [row.alert_name, row.service, row.namespace, row.error_type]
}

pub(super) const fn windows(counts: Counts) -> Windows {
    [counts.hour, counts.day, counts.week, counts.month]
}

/// How many alerts without a name a dead letter stands for: those of one request have one letter.
pub(super) fn nameless(letter: &dead_letters::Model) -> u64 {
    let job: IngestAlert = serde_json::from_slice(&letter.payload).unwrap();
    let Content::Rejected { reason, alerts, .. } = job.content else {
        panic!("{letter:#?}");
    };
    let expected = "the alert has no alertname";
    let expected = match alerts {
        1 => expected.to_owned(),
        _ => {
            format!("{alerts} unusable alerts in one request: {alerts} × {expected}")
        }
    };
    assert_eq!((&reason, &letter.reason), (&expected, &expected));
    alerts
}

/// The id of an anomaly's incident of this number, and the anomaly's key.
pub async fn incident(machines: &Machines, anomaly: &Anomaly, number: i64) -> (Uuid, String) {
    let db = machines.context().db.read();
    let all = anomalies::Entity::find().all(db).await.unwrap();
    let key = all
        .into_iter()
        .find(|row| fields(row) == *anomaly)
        .unwrap()
        .key;
    let of = incidents::Entity::find()
        .filter(incidents::Column::AnomalyKey.eq(&key))
        .filter(incidents::Column::Number.eq(number));
    (of.one(db).await.unwrap().unwrap().id, key)
}

/// The newest incident of each anomaly that has one.
pub async fn newest_incidents(machines: &Machines) -> Vec<(Anomaly, Uuid)> {
    let all = anomalies::Entity::find().all(machines.context().db.read());
    let newest = |row: &anomalies::Model| Some((fields(row), row.newest_incident?));
    all.await.unwrap().iter().filter_map(newest).collect()
}

pub(super) async fn joined(machines: &Machines) -> HashMap<Uuid, Option<i64>> {
    let sql = "SELECT id, joined_at FROM incidents";
    let db = machines.context().db.read();
    let sql = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(sql).await.unwrap();
    let one = |row: &QueryResult| {
        let id = row.try_get("", "id").unwrap();
        (id, row.try_get("", "joined_at").unwrap())
    };
    rows.iter().map(one).collect()
}

impl<'a> StoredHistory<'a> {
    pub async fn read(machines: &Machines, story: &'a Story) -> Self {
        let context = machines.context();
        let db = context.db.read();
        let rows = anomalies::Entity::find().all(db).await.unwrap();
        let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
        let now = context.clock.now();
        let counts = context.counter.counts(&keys, now).await.unwrap();
        let counts = rows.iter().map(fields).zip(counts.into_iter().map(windows));
        let occurrences = occurrences::Entity::find().all(db).await.unwrap();
        let (episodes, deliveries) = occurrences
            .into_iter()
            .partition(|row| row.series.is_some());
        let mut taken = HashMap::new();
        for text in machines.telegram.taken() {
            *taken.entry(text).or_default() += 1;
        }
        Self {
            story,
            counts: counts.collect(),
            anomalies: rows.iter().map(|row| (fields(row), row.clone())).collect(),
            incidents: incidents::Entity::find().all(db).await.unwrap(),
            episodes,
            deliveries,
            effectiveness: effectiveness::Entity::find().all(db).await.unwrap(),
            notifications: notifications::Entity::find().all(db).await.unwrap(),
            dead: dead_letters::Entity::find().all(db).await.unwrap(),
            taken,
            joined: joined(machines).await,
        }
    }
}
