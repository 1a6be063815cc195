//! Batches that are committed at once, by several batchers and processes, some of them twice: what
//! is in the database afterwards is what a person with paper and pencil would write there.

mod deliveries;
mod rows;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::EntityTrait;
use tocsin::config::Config as Settings;
use tocsin::domain::aggregation::{Policy, Status, Unit};
use tocsin::domain::episode::AlertDelivery;
use tocsin::domain::names::Names;
use tocsin::domain::routing::Route;
use tocsin::domain::signature::OVERFLOW;
use tocsin::entity::{anomalies, incidents, occurrences};
use tocsin::store::Db;
use tocsin::store::db::migrate;
use tocsin::store::error::{Cause, cause};
use tocsin::store::ingest::{Committed, commit};
use tocsin::time::Clock;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::harness::{On, Scratch};
use crate::on_both;
use deliveries::{Delivery, Story, at, delivery, of_service, stories};
use rows::StoredRows;

/// One store, as many processes see it.
struct Scenario {
    processes: Vec<Db>,
    _scratch: Scratch,
}

impl Scenario {
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
        analyze: false,
        unit,
        ..Settings::default().aggregation_policy()
    }
}

on_both! {
    async fn alerts_beyond_the_anomaly_limit_count_in_the_overflow_anomaly(on) {
        let books = Scenario::open(on).await;
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

        // A job that is run again late repeats its firing; a new firing is one of its own.
        enter(vec![AlertDelivery { redelivered: true, ..firings[4].clone() }]).await;
        let (anomalies, shared, _) = standing().await;
        assert_eq!((anomalies, shared.total), (3, 4));
        assert_eq!(enter(vec![of_service(4, false, (7200, 0, 7200))]).await.overflowed, 0);
        let (anomalies, shared, _) = standing().await;
        assert_eq!((anomalies, shared.total), (4, 4));
    }

    async fn batches_that_are_committed_at_once_and_twice_come_to_the_same(on) {
        let books = Scenario::open(on).await;
        tokio::task::block_in_place(|| {
            let config = Config { cases: 16, failure_persistence: None, ..Config::default() };
            let now = tokio::runtime::Handle::current();
            let play = |story| now.block_on(books.play(story));
            TestRunner::new(config).run(&stories(), play).unwrap();
        });
    }

    async fn first_alerts_at_once_open_one_incident(on) {
        let books = Scenario::open(on).await;
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
        let books = Scenario::open(on).await;
        let mut one = delivery("A", 1, false, (0, 0, 1000));
        let first = books.commit(&policy(Unit::Episode), vec![vec![one.clone()]]).await;
        // Nobody heard the answer, and nothing followed.
        one.redelivered = true;
        let again = books.commit(&policy(Unit::Episode), vec![vec![one]]).await;
        assert_eq!(first[0].follow_up.tiers.len(), 1);
        assert_eq!(again[0].follow_up.tiers, first[0].follow_up.tiers);
        let touched: Vec<Uuid> = again[0].touched.keys().copied().collect();
        assert_eq!(touched, first[0].follow_up.tiers);
        assert_eq!(again[0].counted.len(), 1);
    }

    async fn a_delivery_that_two_workers_hold_counts_once(on) {
        let books = Scenario::open(on).await;
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
        let books = Scenario::open(on).await;
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

impl Scenario {
    async fn play(&self, story: Story) -> Result<(), TestCaseError> {
        let case = Uuid::now_v7().simple().to_string();
        let tell = |telling: &Delivery| {
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
        let found = StoredRows::read(self.processes[0].read(), &keys).await;
        let told: Vec<(&Delivery, &AlertDelivery)> =
            story.tellings.iter().zip(&deliveries).collect();
        found.episodes_are(&told)?;
        found.counted_are(story.unit, &told, &said)?;
        found.agrees_with_itself()
    }
}
