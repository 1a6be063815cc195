//! The counter in Redis alone: sets that are built from rows, marks, trimming, a bound.

use std::time::Duration;

use redis::Commands as _;
use tocsin::counter::Counter;
use tocsin::counter::redis::RedisCounter;
use tocsin::domain::aggregation::Unit;
use tocsin::domain::frequency::{COUNTED_AT_MOST, Counted, Window};
use tocsin::time::Timestamp;

use super::{Desk, in_each, one};
use crate::harness::On;
use crate::redis_keys::RedisKeys;
use crate::redis_server::{self, Fsync, RedisServer};

impl Desk {
    fn set(&self, key: &str) -> String {
        format!("{}:count:episode:{key}", self.keys.prefix)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_that_are_lost_while_many_count_and_ask_are_what_the_rows_say() {
    let desk = Desk::open(On::Postgres, Unit::Episode).await;
    let now = Timestamp::now();
    let (counting, asking) = (
        async {
            for _ in 0..100 {
                let rows: Vec<Counted> = (0..5).map(|_| one("key", now)).collect();
                desk.count(&rows).await;
            }
        },
        async {
            let counter = &desk.counters[1].1;
            let keys = vec!["key".to_owned()];
            for n in 0..60 {
                if n % 3 == 0 {
                    let tx = desk.db.begin().await.unwrap();
                    counter.forget_within(&tx, &keys).await.unwrap();
                    tx.rollback().await.unwrap();
                }
                let asked = (0..4).map(|_| counter.counts(&keys, now));
                for counts in futures::future::join_all(asked).await {
                    assert!(counts.unwrap()[0].month <= 500);
                }
            }
        },
    );
    tokio::join!(counting, asking);
    assert_eq!(desk.counts(&["key"], now).await, [[500; 4]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_rebuilds_of_a_set_keep_each_others_members() {
    let desk = Desk::open(On::Postgres, Unit::Episode).await;
    let now = Timestamp::now();
    let rows: Vec<Counted> = (0..5000).map(|_| one("key", now)).collect();
    for some in rows.chunks(1000) {
        desk.occurrences(some, true).await;
    }
    let keys = vec!["key".to_owned()];
    let asked = (0..12).map(|_| desk.counters[1].1.counts(&keys, now));
    for counts in futures::future::join_all(asked).await {
        assert_eq!(in_each(&counts.unwrap()[0]), [5000; 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_again_is_not_trusted_with_what_it_had() {
    let desk = Desk::open(On::Postgres, Unit::Episode).await;
    let mut server = redis_server::start(Fsync::Always).await;
    let keys = RedisKeys::at(server.url());
    let counter = RedisCounter::new(&keys.open().await, desk.db.clone(), Unit::Episode).unwrap();
    let now = Timestamp::now();
    let rows = [one("key", now), one("key", now)];
    desk.count(&rows).await;
    counter.add(&rows).await.unwrap();
    let asked = vec!["key".to_owned()];
    let count = async || loop {
        // The first command after a restart meets a broken connection.
        if let Ok(counts) = counter.counts(&asked, now).await {
            break in_each(&counts[0]);
        }
    };
    assert_eq!(count().await, [2; 4]);
    // As if its last second had not reached the disk.
    let set = format!("{}:count:episode:key", keys.prefix);
    let _: i64 = keys.connect().zrem(&set, rows[0].id.as_bytes()).unwrap();
    assert_eq!(count().await, [1; 4], "while it runs it is trusted");
    server.kill();
    server.start_again().await.unwrap();
    assert_eq!(count().await, [2; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_older_than_the_longest_window_are_removed() {
    let desk = Desk::open(On::Postgres, Unit::Episode).await;
    let now = Timestamp::now();
    let old = now.before(Window::Month.length() + Duration::from_secs(7200));
    desk.count(&[one("key", old), one("key", now)]).await;
    assert_eq!(desk.counts(&["key"], now).await, [[1; 4]]);
    let members: i64 = desk.keys.connect().zcard(desk.set("key")).unwrap();
    assert_eq!(members, 2, "the young one and the mark");
    let lives: i64 = desk.keys.connect().ttl(desk.set("key")).unwrap();
    assert!(lives > 30 * 86_400, "and all of it some day: {lives} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_set_keeps_the_newest_members_and_stays_trusted() {
    let desk = Desk::open(On::Postgres, Unit::Episode).await;
    let counter = &desk.counters[1].1;
    let now = Timestamp::now();
    let keys = vec!["key".to_owned()];
    counter.counts(&keys, now).await.unwrap();
    let moment = |n: i64| Timestamp(now.0 - Window::Day.length().as_millis() as i64 - n);
    let old: Vec<Counted> = (0..COUNTED_AT_MOST)
        .map(|n| one("key", moment(n)))
        .collect();
    let young: Vec<Counted> = (0..50).map(|_| one("key", now)).collect();
    counter.add(&young).await.unwrap();
    counter.add(&old).await.unwrap();
    let counts = counter.counts(&keys, now).await.unwrap();
    assert_eq!(
        in_each(&counts[0]),
        [50, 50, COUNTED_AT_MOST, COUNTED_AT_MOST]
    );
}

/// A counter of a server that has little memory, and so many anomalies with a row each.
async fn in_little_memory(anomalies: usize) -> (Desk, RedisServer, RedisKeys, Vec<String>) {
    let desk = Desk::open(On::Postgres, Unit::Episode).await;
    let bound = ["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"];
    let server = redis_server::start_with(Fsync::EverySecond, &bound).await;
    let keys = RedisKeys::at(server.url());
    let names: Vec<String> = (0..anomalies).map(|n| format!("key-{n}")).collect();
    let rows: Vec<Counted> = names
        .iter()
        .map(|name| one(name, Timestamp::now()))
        .collect();
    for some in rows.chunks(5000) {
        desk.occurrences(some, true).await;
    }
    (desk, server, keys, names)
}

async fn used(keys: &RedisKeys) -> u64 {
    let info = keys.open().await.asking().unwrap().info().await;
    info.unwrap().memory.unwrap().percent()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counter_leaves_memory_to_the_queue_and_still_counts() {
    let (desk, _server, keys, names) = in_little_memory(40_000).await;
    let counter = RedisCounter::new(&keys.open().await, desk.db.clone(), Unit::Episode).unwrap();
    let counter = counter.within(70);
    let now = Timestamp::now();
    for some in names.chunks(200) {
        for counts in counter.counts(some, now).await.unwrap() {
            assert_eq!(in_each(&counts), [1; 4]);
        }
    }
    let filled = used(&keys).await;
    assert!((70..80).contains(&filled), "{filled} %");
    // What is counted where there is no set is not missed when there is one.
    counter.add(&[one("key-39999", now)]).await.unwrap();
    let quiet = counter.make_room().await.unwrap();
    assert!(quiet.sets > 1000, "{quiet:?}");
    let left = used(&keys).await;
    assert!(left < 66, "{left} %");
    assert_eq!(counter.make_room().await.unwrap().sets, 0);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let sample: Vec<String> = names.iter().step_by(97).cloned().collect();
    for counts in counter.counts(&sample, now).await.unwrap() {
        assert_eq!(in_each(&counts), [1; 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_full_redis_memory_counts_come_from_the_database() {
    let (desk, _server, keys, names) = in_little_memory(20).await;
    let counter = RedisCounter::new(&keys.open().await, desk.db.clone(), Unit::Episode).unwrap();
    let now = Timestamp::now();
    counter.counts(&names[..10], now).await.unwrap();
    let mut redis = keys.connect();
    for n in 0.. {
        let filled = redis.set::<_, _, ()>(format!("filler-{n}"), "x".repeat(100_000));
        if filled.is_err() {
            break;
        }
    }
    let more: Vec<Counted> = names.iter().map(|name| one(name, now)).collect();
    desk.occurrences(&more, true).await;
    counter.add(&more).await.unwrap();
    for counts in counter.counts(&names, now).await.unwrap() {
        assert_eq!(in_each(&counts), [2; 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counter_of_a_quiet_anomaly_takes_few_bytes() {
    let desk = Desk::open(On::Postgres, Unit::Episode).await;
    let now = Timestamp::now();
    desk.count(&[one("key", now)]).await;
    assert_eq!(desk.counts(&["key"], now).await, [[1; 4]]);
    let (mut redis, set) = (desk.keys.connect(), desk.set("key"));
    let encoding = redis::cmd("OBJECT")
        .arg("ENCODING")
        .arg(&set)
        .query::<String>(&mut redis);
    assert_eq!(encoding.unwrap(), "listpack");
    let bytes = redis::cmd("MEMORY")
        .arg("USAGE")
        .arg(&set)
        .query::<u64>(&mut redis)
        .unwrap();
    assert!(bytes <= 250, "{bytes} bytes");
}
