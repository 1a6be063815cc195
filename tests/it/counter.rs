//! The contract of every counter: the same counts, to the millisecond, from the same rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{ConnectionTrait, TransactionTrait as _};
use tocsin::counter::Counter;
use tocsin::counter::redis::RedisCounter;
use tocsin::counter::sql::SqlCounter;
use tocsin::domain::aggregation::Unit;
use tocsin::domain::frequency::{Counted, Counts, Window};
use tocsin::store::Db;
use tocsin::store::db::migrate;
use tocsin::store::rows::Rows;
use tocsin::time::Timestamp;
use uuid::Uuid;

use crate::harness::{On, Scratch};
use crate::on_both;

mod redis;
use crate::redis_keys::RedisKeys;

/// Later than any server's clock: Redis forgets what is older than the longest window by its own.
const NOW: Timestamp = Timestamp(4_000_000_000_000);
const MS: Duration = Duration::from_millis(1);

/// Every counter that there is: ADD A COUNTER HERE.
async fn counters(db: &Db, unit: Unit, keys: &RedisKeys) -> Vec<(&'static str, Arc<dyn Counter>)> {
    let redis = RedisCounter::new(&keys.open().await, db.clone(), unit).unwrap();
    vec![
        ("rows", Arc::new(SqlCounter::new(db.clone(), unit))),
        ("redis", Arc::new(redis)),
    ]
}

/// A store, and the counters over it.
struct Desk {
    db: Db,
    unit: Unit,
    counters: Vec<(&'static str, Arc<dyn Counter>)>,
    keys: RedisKeys,
    _scratch: Scratch,
}

impl Desk {
    async fn open(on: On, unit: Unit) -> Self {
        let scratch = Scratch::new(on).await;
        let db = Db::open(&scratch.url, 4, Duration::from_secs(10))
            .await
            .unwrap();
        migrate(&db, &scratch.url).await.unwrap();
        let keys = RedisKeys::in_turn();
        Self {
            counters: counters(&db, unit, &keys).await,
            keys,
            db,
            unit,
            _scratch: scratch,
        }
    }

    /// Commits rows that count, then adds them to the counters, as ingest does.
    async fn count(&self, counted: &[Counted]) {
        match self.unit {
            Unit::Episode | Unit::Delivery => self.occurrences(counted, true).await,
            Unit::Incident => self.incidents(counted).await,
        }
        self.add_all(counted).await;
    }

    async fn add_all(&self, counted: &[Counted]) {
        for (_, counter) in &self.counters {
            counter.add(counted).await.unwrap();
        }
    }

    async fn occurrences(&self, rows: &[Counted], count: bool) {
        let rows = Rows::new()
            .uuid("id", rows.iter().map(|row| row.id))
            .uuid_or_null("counted_id", rows.iter().map(|row| count.then_some(row.id)))
            .text("key", rows.iter().map(|row| row.anomaly_key.clone()))
            .time("at", rows.iter().map(|row| row.occurred_at));
        let sql = "INSERT INTO occurrences (id, counted_id, episode, anomaly_key, source, \
                       fingerprint, series, starts_at, occurred_at, last_seen_at, deliveries, labels) \
                   SELECT r.id, r.counted_id, r.id, r.key, 's', 'f', 1, r.at, r.at, r.at, 1, \
                       '{}'{json} \
                   FROM {rows} WHERE true ON CONFLICT (id) DO NOTHING";
        self.write(rows, sql).await;
    }

    async fn incidents(&self, rows: &[Counted]) {
        let rows = Rows::new()
            .uuid("id", rows.iter().map(|row| row.id))
            .text("key", rows.iter().map(|row| row.anomaly_key.clone()))
            .int("number", rows.iter().map(|row| row.id.as_u128() as i64))
            .time("at", rows.iter().map(|row| row.occurred_at));
        let sql = "INSERT INTO incidents (id, anomaly_key, number, title, severity, status, labels, \
                       annotations, source, aggregated_count, aggregation_window_start, \
                       open_episodes, last_firing_at, opened_at, updated_at) \
                   SELECT r.id, r.key, r.number, 't', '', 'OPEN', '{}'{json}, '{}'{json}, 's', 9, \
                       r.at, 9, r.at, r.at, r.at \
                   FROM {rows} WHERE true ON CONFLICT (id) DO NOTHING";
        self.write(rows, sql).await;
    }

    async fn write(&self, rows: Rows, sql: &str) {
        let sql = rows.statement(self.db.backend(), sql, []);
        self.db.write().execute_raw(sql).await.unwrap();
    }

    /// What the counters say, which is the same.
    async fn counts(&self, keys: &[&str], now: Timestamp) -> Vec<[i64; 4]> {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let mut answers = Vec::new();
        for (name, counter) in &self.counters {
            let counts = counter.counts(&keys, now).await.unwrap();
            let counts: Vec<_> = counts.iter().map(in_each).collect();
            assert_eq!(counts.len(), keys.len(), "{name}");
            answers.push((*name, counts));
        }
        let (first, expected) = answers.remove(0);
        for (name, counts) in answers {
            assert_eq!(counts, expected, "{name} and {first} disagree");
        }
        expected
    }
}

fn in_each(counts: &Counts) -> [i64; 4] {
    Window::ALL.map(|window| counts.of(window))
}

/// One more id of this anomaly.
fn one(key: &str, occurred_at: Timestamp) -> Counted {
    Counted {
        anomaly_key: key.to_owned(),
        id: Uuid::now_v7(),
        occurred_at,
    }
}

on_both! {
    async fn a_transaction_with_locks_waits_for_no_read_connection(on) {
        let desk = Desk::open(on, Unit::Episode).await;
        desk.occurrences(&[one("a", NOW)], true).await;
        let mut held = Vec::new();
        while let Ok(reader) = tokio::time::timeout(200 * MS, desk.db.read().begin()).await {
            held.push(reader.unwrap());
        }
        assert!(!held.is_empty());
        let keys = ["a".to_owned()];
        for (name, counter) in &desk.counters {
            let tx = desk.db.begin().await.unwrap();
            let counted = tokio::time::timeout(2000 * MS, counter.counts_within(&tx, &keys, NOW)).await;
            let counts = counted.unwrap_or_else(|_| panic!("{name} waits for a connection")).unwrap();
            assert_eq!(in_each(&counts[0]), [1; 4], "{name}");
            tx.commit().await.unwrap();
        }
    }

    async fn a_firing_exactly_one_window_old_is_outside_the_window(on) {
        let desk = Desk::open(on, Unit::Episode).await;
        for (n, window) in Window::ALL.into_iter().enumerate() {
            let edge = NOW.before(window.length());
            let mut longer = [1; 4];
            longer[..n].fill(0);
            let mut out = longer;
            out[n] = 0;
            for (moment, expected) in [(edge.before(MS), out), (edge, out), (edge.after(MS), longer)] {
                let key = format!("{}-{moment}", window.name());
                desk.count(&[one(&key, moment)]).await;
                assert_eq!(desk.counts(&[&key], NOW).await, [expected], "{key}");
                // It is the clock that moves it out.
                assert_eq!(desk.counts(&[&key], moment).await, [[1; 4]], "{key}");
            }
        }
    }

    async fn windows_have_no_upper_edge(on) {
        let desk = Desk::open(on, Unit::Episode).await;
        let year = Duration::from_secs(365 * 24 * 3600);
        let future = [NOW, NOW.after(MS), NOW.after(Duration::from_secs(5)), NOW.after(year)];
        desk.count(&future.map(|moment| one("key", moment))).await;
        assert_eq!(desk.counts(&["key"], NOW).await, [[4; 4]]);
    }

    async fn an_anomaly_that_nothing_is_known_of_has_zeros(on) {
        let desk = Desk::open(on, Unit::Episode).await;
        desk.count(&[one("known", NOW)]).await;
        let counts = desk.counts(&["before", "known", "unknown", ""], NOW).await;
        assert_eq!(counts, [[0; 4], [1; 4], [0; 4], [0; 4]]);
        assert!(desk.counts(&[], NOW).await.is_empty());
    }

    async fn an_id_counts_once_however_often_it_is_added(on) {
        let desk = Desk::open(on, Unit::Episode).await;
        let counted = [one("key", NOW), one("key", NOW)];
        desk.count(&counted).await;
        desk.count(&counted).await;
        desk.add_all(&[counted[0].clone(), counted[0].clone()]).await;
        assert_eq!(desk.counts(&["key"], NOW).await, [[2; 4]]);
    }

    async fn firings_in_the_same_millisecond_count_each(on) {
        let desk = Desk::open(on, Unit::Delivery).await;
        let storm: Vec<Counted> = (0..1000).map(|_| one("key", NOW)).collect();
        desk.count(&storm).await;
        assert_eq!(desk.counts(&["key"], NOW).await, [[1000; 4]]);
    }

    async fn many_anomalies_are_answered_at_once_in_the_order_of_the_question(on) {
        let desk = Desk::open(on, Unit::Episode).await;
        let keys: Vec<String> = (0..400).map(|n| format!("key-{}", n * 7919 % 400)).collect();
        let age = |n: usize| Duration::from_secs(n as u64 * 600);
        let rows: Vec<Counted> = keys.iter().enumerate()
            .flat_map(|(n, key)| (0..n % 4).map(move |_| one(key, NOW.before(age(n)))))
            .collect();
        desk.count(&rows).await;
        let expected: Vec<[i64; 4]> = (0..keys.len())
            .map(|n| Window::ALL.map(|w| if age(n) < w.length() { n as i64 % 4 } else { 0 }))
            .collect();
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        assert_eq!(desk.counts(&asked, NOW).await, expected);
        let twice = [asked[3], asked[2], asked[3]];
        assert_eq!(desk.counts(&twice, NOW).await, [expected[3], expected[2], expected[3]]);
    }

    async fn rows_that_do_not_count_are_not_counted(on) {
        let desk = Desk::open(on, Unit::Delivery).await;
        let episodes: Vec<Counted> = (0..5).map(|_| one("key", NOW)).collect();
        desk.occurrences(&episodes, false).await;
        desk.count(&[one("key", NOW)]).await;
        assert_eq!(desk.counts(&["key"], NOW).await, [[1; 4]]);
    }

    async fn occurrences_do_not_count_where_incidents_are_counted(on) {
        let desk = Desk::open(on, Unit::Incident).await;
        let day = Window::Day.length();
        let episodes: Vec<Counted> = (0..5).map(|_| one("key", NOW)).collect();
        desk.occurrences(&episodes, false).await;
        desk.count(&[one("key", NOW), one("key", NOW.before(day)), one("key", NOW.after(MS))]).await;
        assert_eq!(desk.counts(&["key"], NOW).await, [[2, 2, 3, 3]]);
    }

    async fn every_unit_counts_what_a_person_would(on) {
        for unit in [Unit::Episode, Unit::Delivery, Unit::Incident] {
            let desk = Desk::open(on, unit).await;
            tokio::task::block_in_place(|| {
                let config = Config { cases: 25, failure_persistence: None, ..Config::default() };
                let now = tokio::runtime::Handle::current();
                let play = |story| now.block_on(desk.play(story));
                TestRunner::new(config).run(&stories(), play).unwrap();
            });
        }
    }
}

/// What is counted of three anomalies, in what order and how often it is added, and when it is
/// asked for; in milliseconds before `NOW`.
#[derive(Clone, Debug)]
struct Story {
    counted: Vec<(usize, i64)>,
    told_again: Vec<Index>,
    asked: Vec<i64>,
}

fn stories() -> impl Strategy<Value = Story> {
    let lengths = Window::ALL.map(|window| window.length().as_millis() as i64);
    let day = lengths[1];
    let moment = prop_oneof![
        0..2 * lengths[0],
        -day..40 * day,
        (select(lengths.to_vec()), -2..=2i64).prop_map(|(length, off)| length + off),
    ];
    let asked = prop_oneof![Just(0), -2..=2i64, -40 * day..40 * day];
    let counted = vec((0..3usize, moment), 0..40);
    let told_again = vec(any::<Index>(), 0..10);
    (counted, told_again, vec(asked, 1..4)).prop_map(|(counted, told_again, asked)| Story {
        counted,
        told_again,
        asked,
    })
}

impl Desk {
    async fn play(&self, story: Story) -> Result<(), TestCaseError> {
        let keys = [(); 3].map(|()| Uuid::now_v7().simple().to_string());
        let before = |ms: i64| Timestamp(NOW.0 - ms);
        let of = |&(key, ms): &(usize, i64)| one(&keys[key], before(ms));
        let counted: Vec<Counted> = story.counted.iter().map(of).collect();
        let (first, second) = counted.split_at(counted.len() / 2);
        self.count(first).await;
        self.count(second).await;
        let again = story.told_again.iter().filter(|_| !counted.is_empty());
        let again: Vec<Counted> = again.map(|index| index.get(&counted).clone()).collect();
        self.add_all(&again).await;
        for asked in story.asked {
            let now = before(asked);
            let asked = keys.each_ref().map(String::as_str);
            prop_assert_eq!(self.counts(&asked, now).await, naive(&counted, &keys, now));
        }
        Ok(())
    }
}

/// Counted with fingers.
fn naive(counted: &[Counted], keys: &[String], now: Timestamp) -> Vec<[i64; 4]> {
    let mut ids: BTreeMap<&str, BTreeSet<(Timestamp, Uuid)>> = BTreeMap::new();
    for row in counted {
        let of_key = ids.entry(&row.anomaly_key).or_default();
        of_key.insert((row.occurred_at, row.id));
    }
    let in_window = |key: &String, length: Duration| {
        let ids = ids.get(key.as_str()).into_iter().flatten();
        let age = |moment: Timestamp| now.0 - moment.0;
        ids.filter(|(moment, _)| age(*moment) < length.as_millis() as i64)
            .count() as i64
    };
    keys.iter()
        .map(|key| Window::ALL.map(|window| in_window(key, window.length())))
        .collect()
}
