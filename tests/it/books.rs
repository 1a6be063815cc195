//! Batches that are committed at once, by several batchers and processes, some of them twice: what
//! is in the books afterwards is what a person with paper and pencil would write there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tocsin::config::Config as Settings;
use tocsin::domain::aggregation::{Policy, Status, Unit};
use tocsin::domain::alert::{Alert, AlertStatus};
use tocsin::domain::episode::AlertDelivery;
use tocsin::domain::frequency::Counted;
use tocsin::domain::names::Names;
use tocsin::domain::routing::Route;
use tocsin::domain::signature::{OVERFLOW, SignatureLabels};
use tocsin::entity::{anomalies, incidents, occurrences};
use tocsin::store::Db;
use tocsin::store::db::migrate;
use tocsin::store::error::{Cause, cause};
use tocsin::store::ingest::{Committed, commit};
use tocsin::time::{Clock, Timestamp};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::harness::{On, Scratch};
use crate::on_both;

const SKEW_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// One store, as many processes see it.
struct Books {
    processes: Vec<Db>,
    _scratch: Scratch,
}

impl Books {
    async fn open(on: On) -> Self {
        let scratch = Scratch::new(on).await;
        // A SQLite file serves one process.
        let n = if on == On::Sqlite { 1 } else { 2 };
        let mut processes = Vec::new();
        for _ in 0..n {
            processes.push(
                Db::open(&scratch.url, 6, Duration::from_secs(10))
                    .await
                    .unwrap(),
            );
        }
        migrate(&processes[0], &scratch.url).await.unwrap();
        Self {
            processes,
            _scratch: scratch,
        }
    }

    /// Commits the batches, four at a time. Returns what was said about them.
    async fn commit(&self, policy: &Policy, batches: Vec<Vec<AlertDelivery>>) -> Vec<Committed> {
        let mut shares: [Vec<Vec<AlertDelivery>>; 4] = Default::default();
        for (n, batch) in batches.into_iter().enumerate() {
            shares[n % 4].push(batch);
        }
        let mut tasks = JoinSet::new();
        for (n, share) in shares.into_iter().enumerate() {
            let db = self.processes[n % self.processes.len()].clone();
            let policy = policy.clone();
            tasks.spawn(async move {
                let mut said = Vec::new();
                for batch in share {
                    said.push(commit_one(&db, &policy, &batch).await);
                }
                said
            });
        }
        tasks.join_all().await.into_iter().flatten().collect()
    }
}

/// One batch in the order of receipt, until the store has time for it.
async fn commit_one(db: &Db, policy: &Policy, batch: &[AlertDelivery]) -> Committed {
    commit_with(db, policy, &Names::unbounded(), batch).await
}

async fn commit_with(
    db: &Db,
    policy: &Policy,
    names: &Names,
    batch: &[AlertDelivery],
) -> Committed {
    // A route that leads nowhere.
    let nobody = tocsin::config::Config {
        routes: vec![Route::default()],
        ..tocsin::config::Config::default()
    };
    let mut batch: Vec<&AlertDelivery> = batch.iter().collect();
    batch.sort_by_key(|delivery| (delivery.received_at, delivery.job));
    for _ in 0..10 {
        match commit(db, &Clock::default(), policy, &nobody, names, &batch).await {
            Ok(committed) => return committed,
            Err(error) => assert_eq!(cause(&error), Cause::Store, "{error}"),
        }
    }
    panic!("the store is never free")
}

fn policy(unit: Unit) -> Policy {
    Policy {
        unit,
        ..Settings::default().aggregation_policy()
    }
}

/// One telling of one firing; times in milliseconds.
#[derive(Clone, Debug)]
struct Telling {
    /// Which of all firings.
    firing: usize,
    series: usize,
    resolved: bool,
    starts_at: i64,
    ends_at: i64,
    received_at: i64,
}

#[derive(Clone, Debug)]
struct Story {
    unit: Unit,
    tellings: Vec<Telling>,
    sizes: Vec<usize>,
    twice: Vec<Index>,
}

/// Six series of two anomalies. The starts of one firing lie within the skew, those of two do not.
fn stories() -> impl Strategy<Value = Story> {
    let telling = (0..=SKEW_MS, prop::bool::weighted(0.3), 0..2 * HOUR_MS);
    let firing = (vec(telling, 1..5), 0..HOUR_MS, 1..HOUR_MS);
    let series = vec(vec(firing, 0..5), 6);
    let tellings = series
        .prop_map(|all| {
            let (mut tellings, mut number) = (Vec::new(), 0);
            for (series, firings) in all.into_iter().enumerate() {
                let mut began = 0;
                for (told, length, pause) in firings {
                    let ends_at = began + SKEW_MS + length;
                    for (offset, resolved, delay) in told {
                        // It is said to fire while it does, and to be over after that.
                        let received_at = match resolved {
                            true => ends_at + delay,
                            false => began + SKEW_MS + delay % (length + 1),
                        };
                        tellings.push(Telling {
                            firing: number,
                            series,
                            resolved,
                            starts_at: began + offset,
                            ends_at,
                            received_at,
                        });
                    }
                    began = ends_at + pause.max(SKEW_MS);
                    number += 1;
                }
            }
            tellings
        })
        .prop_shuffle();
    let unit = select(vec![Unit::Episode, Unit::Episode, Unit::Delivery]);
    let sizes = vec(select(vec![1, 2, 5, 20]), 120);
    (unit, tellings, sizes, vec(any::<Index>(), 0..6)).prop_map(|(unit, tellings, sizes, twice)| {
        Story {
            unit,
            tellings,
            sizes,
            twice,
        }
    })
}

fn at(ms: i64) -> Timestamp {
    // In the past: nothing was received later than now.
    Timestamp(1_600_000_000_000 + ms)
}

fn delivery(name: &str, series: usize, resolved: bool, times: (i64, i64, i64)) -> AlertDelivery {
    let labels = [("alertname", name.to_owned()), ("pod", series.to_string())];
    let alert = Alert {
        status: if resolved {
            AlertStatus::Resolved
        } else {
            AlertStatus::Firing
        },
        labels: labels.map(|(k, v)| (k.to_owned(), v)).into(),
        annotations: [].into(),
        fingerprint: series.to_string(),
        starts_at: Some(at(times.0)),
        ends_at: resolved.then_some(at(times.1)),
        generator_url: None,
        identity: None,
    };
    let origin = (Uuid::now_v7(), false);
    let labels = SignatureLabels::default();
    AlertDelivery::new(origin, "test".to_owned(), at(times.2), alert, &labels)
}

/// An alert of one name about one of many services; times in seconds.
fn of_service(n: usize, resolved: bool, times: (i64, i64, i64)) -> AlertDelivery {
    let times = (times.0 * 1000, times.1 * 1000, times.2 * 1000);
    let told = delivery("A", n, resolved, times);
    let mut alert = told.alert;
    alert
        .labels
        .insert("service".to_owned(), format!("service-{n}"));
    alert
        .annotations
        .insert("summary".to_owned(), format!("service-{n} is down"));
    let labels = SignatureLabels::default();
    AlertDelivery::new(
        (told.job, false),
        told.source,
        told.received_at,
        alert,
        &labels,
    )
}

on_both! {
    async fn what_there_is_no_room_for_is_counted_by_its_name_until_it_is_over(on) {
        let books = Books::open(on).await;
        let (db, policy) = (&books.processes[0], policy(Unit::Episode));
        let names = Names::new(u32::MAX, 2);
        let enter = async |batch: Vec<AlertDelivery>| commit_with(db, &policy, &names, &batch).await;
        let standing = async || {
            let found = anomalies::Entity::find().all(db.read()).await.unwrap();
            let shared = found.iter().find(|a| a.error_type == OVERFLOW).unwrap().clone();
            let id = shared.newest_incident.unwrap();
            let incident = incidents::Entity::find_by_id(id).one(db.read()).await.unwrap().unwrap();
            (found.len(), shared, incident)
        };

        let firings: Vec<AlertDelivery> = (0..5).map(|n| of_service(n, false, (0, 0, n as i64))).collect();
        assert_eq!(enter(firings.clone()).await.overflowed, 3);
        let (anomalies, shared, incident) = standing().await;
        assert_eq!((anomalies, shared.total), (3, 3));
        assert_eq!((shared.alert_name.as_str(), shared.service.as_str()), ("A", ""));
        assert_eq!((incident.title.as_str(), incident.aggregated_count), ("A", 3));

        // There is room again; what is in it stays in it, and what is new joins it while it is open.
        names.counted(0);
        let again = firings.iter().cloned().map(|s| AlertDelivery { redelivered: true, ..s }).collect();
        assert_eq!(enter(again).await.overflowed, 0, "none of it is new");
        assert_eq!(enter(vec![of_service(5, false, (10, 0, 10))]).await.overflowed, 1);
        let (anomalies, shared, _) = standing().await;
        assert_eq!((anomalies, shared.total), (3, 4));

        enter((0..6).map(|n| of_service(n, true, (0, 60, 60))).collect()).await;
        let (anomalies, _, incident) = standing().await;
        assert_eq!((anomalies, incident.open_episodes), (3, 0));
        assert_eq!(incident.status, Status::Resolved);

        // A job that is run again late tells of what it told of; a firing anew is one of its own.
        enter(vec![AlertDelivery { redelivered: true, ..firings[4].clone() }]).await;
        let (anomalies, shared, _) = standing().await;
        assert_eq!((anomalies, shared.total), (3, 4));
        assert_eq!(enter(vec![of_service(4, false, (7200, 0, 7200))]).await.overflowed, 0);
        let (anomalies, shared, _) = standing().await;
        assert_eq!((anomalies, shared.total), (4, 4));
    }

    async fn batches_that_are_committed_at_once_and_twice_come_to_the_same(on) {
        let books = Books::open(on).await;
        tokio::task::block_in_place(|| {
            let config = Config { cases: 16, failure_persistence: None, ..Config::default() };
            let now = tokio::runtime::Handle::current();
            let play = |story| now.block_on(books.play(story));
            TestRunner::new(config).run(&stories(), play).unwrap();
        });
    }

    async fn first_alerts_at_once_open_one_incident(on) {
        let books = Books::open(on).await;
        let batches = (0..40)
            .map(|pod| {
                let names = if pod % 2 == 0 { ["A", "B"] } else { ["B", "A"] };
                names.map(|name| delivery(name, pod, false, (0, 0, 1000 + pod as i64))).into()
            })
            .collect();
        let said = books.commit(&policy(Unit::Episode), batches).await;
        let due: Vec<Uuid> = said.iter().flat_map(|c| c.follow_up.tiers.clone()).collect();
        let found = incidents::Entity::find().all(books.processes[0].read()).await.unwrap();
        let mut opened: Vec<Uuid> = found.iter().map(|incident| incident.id).collect();
        assert_eq!(found.len(), 2);
        for incident in &found {
            assert_eq!((incident.number, incident.aggregated_count), (1, 40));
            assert!(incident.is_aggregated);
        }
        // Of all batches that marked them, one did so first.
        opened.sort();
        let mut due = due;
        due.sort();
        assert_eq!(due, opened);
    }

    async fn a_batch_whose_commit_was_lost_is_due_when_it_comes_again(on) {
        let books = Books::open(on).await;
        let mut one = delivery("A", 1, false, (0, 0, 1000));
        let first = books.commit(&policy(Unit::Episode), vec![vec![one.clone()]]).await;
        // Nobody heard the answer, and nothing followed.
        one.redelivered = true;
        let again = books.commit(&policy(Unit::Episode), vec![vec![one]]).await;
        assert_eq!(first[0].follow_up.tiers.len(), 1);
        assert_eq!(again[0].follow_up.tiers, first[0].follow_up.tiers);
        assert_eq!(again[0].touched, first[0].follow_up.tiers);
        assert_eq!(again[0].counted.len(), 1);
    }

    async fn a_delivery_that_two_workers_hold_counts_once(on) {
        let books = Books::open(on).await;
        for unit in [Unit::Episode, Unit::Delivery, Unit::Incident] {
            let one = delivery(&format!("{unit:?}"), 1, false, (0, 0, 1000));
            let key = one.key.clone();
            books.commit(&policy(unit), vec![vec![one]; 8]).await;
            let found = anomalies::Entity::find_by_id(key);
            let anomaly = found.one(books.processes[0].read()).await.unwrap().unwrap();
            assert_eq!((anomaly.total, anomaly.newest_number), (1, 1), "{unit:?}");
        }
    }

    async fn an_episode_counts_at_its_first_receipt_though_it_was_overtaken(on) {
        let books = Books::open(on).await;
        for received in [9000, 1000, 5000] {
            let delivery = delivery("A", 1, false, (0, 0, received));
            books.commit(&policy(Unit::Episode), vec![vec![delivery]]).await;
        }
        let db = books.processes[0].read();
        let rows = occurrences::Entity::find().all(db).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].occurred_at, rows[0].last_seen_at), (at(1000), at(9000)));
        assert_eq!(rows[0].deliveries, 3);
        let anomaly = anomalies::Entity::find().one(db).await.unwrap().unwrap();
        assert_eq!((anomaly.first_seen, anomaly.last_seen), (Some(at(1000)), Some(at(1000))));
    }
}

impl Books {
    async fn play(&self, story: Story) -> Result<(), TestCaseError> {
        let case = Uuid::now_v7().simple().to_string();
        let tell = |telling: &Telling| {
            let name = format!("{case}-{}", telling.series % 2);
            let times = (telling.starts_at, telling.ends_at, telling.received_at);
            delivery(&name, telling.series, telling.resolved, times)
        };
        let deliveries: Vec<AlertDelivery> = story.tellings.iter().map(tell).collect();
        let mut rest = deliveries.as_slice();
        let mut batches = Vec::new();
        for size in &story.sizes {
            let (batch, later) = rest.split_at((*size).min(rest.len()));
            rest = later;
            if !batch.is_empty() {
                batches.push(batch.to_vec());
            }
        }
        for index in story.twice.iter().filter(|_| !deliveries.is_empty()) {
            let again = index.get(&batches).clone();
            let before = index.index(batches.len() + 1);
            batches.insert(before, again);
        }
        let said = self.commit(&policy(story.unit), batches).await;

        let keys: BTreeSet<String> = deliveries.iter().map(|s| s.key.clone()).collect();
        let found = Found::read(self.processes[0].read(), &keys).await;
        let told: Vec<(&Telling, &AlertDelivery)> =
            story.tellings.iter().zip(&deliveries).collect();
        found.episodes_are(&told)?;
        found.counted_are(story.unit, &told, &said)?;
        found.agrees_with_itself()
    }
}

/// What is in the books about some anomalies.
struct Found {
    anomalies: Vec<anomalies::Model>,
    incidents: Vec<incidents::Model>,
    episodes: Vec<occurrences::Model>,
    counted: BTreeMap<Uuid, (String, Timestamp)>,
}

impl Found {
    async fn read(db: &sea_orm::DatabaseConnection, keys: &BTreeSet<String>) -> Self {
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
    fn episodes_are(&self, told: &[(&Telling, &AlertDelivery)]) -> Result<(), TestCaseError> {
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
            let same = |(_, s): &&(&Telling, &AlertDelivery)| {
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

    /// What is counted, in the rows, in the totals, and as a counter is told.
    fn counted_are(
        &self,
        unit: Unit,
        told: &[(&Telling, &AlertDelivery)],
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
            let of = |(_, s): &&(&Telling, &AlertDelivery)| s.key == anomaly.key;
            let first = told.iter().filter(of).map(|(_, s)| s.received_at).min();
            prop_assert_eq!(anomaly.first_seen, first);
        }
        // The earliest that a counter is told of an id is the time of its row.
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
    fn agrees_with_itself(&self) -> Result<(), TestCaseError> {
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
