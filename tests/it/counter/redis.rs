//! What only the counter in Redis has: sets that are built from rows, marks, trimming, a bound.

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
use crate::redis_server::{Fsync, RedisServer};

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
async fn whoever_builds_beside_another_does_not_undo_its_work() {
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
    let mut server = RedisServer::start(Fsync::Always).await;
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
    server.start_again().await;
    assert_eq!(count().await, [2; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_longest_window_is_forgotten() {
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
async fn of_too_many_the_newest_are_kept_and_the_set_stays_trusted() {
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
