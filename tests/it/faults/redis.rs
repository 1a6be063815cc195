//! Faults of Redis under a fleet.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use redis::aio::MultiplexedConnection;
use tocsin::redis::Memory;

use super::health::Health;
use super::oracle::{RECOVERY, SENT_AT_ONCE, Scenario, refused_clearly, say_what_is_missing};
use super::storm::Storm;
use crate::fleet::processes::Fleet;
use crate::harness::{On, Scratch};
use crate::process::{PATIENCE, beside_few};
use crate::proxy::{Fate, Proxy, Way, port_of};
use crate::redis_keys::RedisKeys;
use crate::redis_server::{self, Fsync, RedisServer};

/// How long it stays away once.
const OUTAGE: Duration = Duration::from_secs(10);
/// Two leases.
const PAUSE: Duration = Duration::from_secs(30);
/// A lease passes before what was handed out to nobody is taken over, and then one more.
const AFTER_PAUSE: Duration = Duration::from_secs(60);
/// What is pending for a minute is pushed again, once a minute.
const PUSHED_AGAIN: Duration = Duration::from_secs(150);

const STORM: Storm = Storm {
    anomalies: 60,
    pods: 50,
    together: 30,
    pace: Duration::from_millis(80),
};

/// More than the server that is full can hold.
const FLOOD: Storm = Storm {
    anomalies: 20,
    pods: 600,
    together: 200,
    pace: Duration::from_millis(30),
};

/// Anomalies enough for their counts to fill what is left of a small server.
const WIDE: Storm = Storm {
    anomalies: 3600,
    pods: 1,
    together: 60,
    pace: Duration::from_millis(150),
};

/// Ingress and workers on a Redis of their own.
async fn with_redis(fsync: Fsync, more: &[&str]) -> (Scenario, RedisServer, Vec<String>) {
    let turn = beside_few().await;
    let redis = redis_server::start_with(fsync, more).await;
    let database = Scratch::in_turn(On::Postgres).await.url.clone();
    let keys = RedisKeys::at(redis.url());
    let mut scenario = Scenario::of(Fleet::on(database, Some(keys), turn).await);
    let (urls, _) = scenario.start(On::Fleet, 2).await;
    (scenario, redis, urls)
}

scenarios! {
    async fn killed_while_it_writes_before_it_answers(_on: fleet) {
        let (mut scenario, mut redis, urls) = with_redis(Fsync::Always, &[]).await;
        let load = scenario.post(STORM, &urls);
        for away in [Duration::ZERO, OUTAGE, Duration::ZERO] {
            let moment = scenario.random.random_range(0.1..0.3);
            tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
            redis.kill();
            if !away.is_zero() {
                say_what_is_missing(&scenario.fleet, &urls[0], "queue", away).await;
            }
            redis.start_again().await.unwrap();
        }
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        let expected = STORM.expected().doubled(SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    async fn paused_for_30_s(_on: fleet) {
        let (mut scenario, redis, urls) = with_redis(Fsync::EverySecond, &[]).await;
        let load = scenario.post(STORM, &urls);
        let moment = scenario.random.random_range(0.2..0.7);
        tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
        let mut pause = redis::cmd("CLIENT");
        pause.arg("PAUSE").arg(PAUSE.as_millis() as u64).arg("ALL");
        pause.exec_async(&mut redis.connect().await.unwrap()).await.unwrap();
        tokio::time::sleep(PAUSE).await;
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        let expected = STORM.expected().within(AFTER_PAUSE).doubled(2 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    async fn emptied_under_load(_on: fleet) {
        let (mut scenario, redis, urls) = with_redis(Fsync::EverySecond, &[]).await;
        let mut connection = redis.connect().await.unwrap();
        let (alerts, http) = (STORM.all().collect::<Vec<_>>(), scenario.fleet.http.clone());
        let post = |alerts: Vec<_>| STORM.post_these(alerts.into_iter(), http.clone(), urls.clone());
        let load = tokio::spawn(post(alerts.clone()));
        for _ in 0..2 {
            let moment = scenario.random.random_range(0.2..0.5);
            tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
            redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
        }
        let over = Instant::now();
        load.await.unwrap();
        let counted = scenario.fleet.idle(PUSHED_AGAIN).await;
        scenario.lost = lost(&scenario.fleet, STORM.alerts() - counted);
        let expected = STORM.expected().within(PUSHED_AGAIN).doubled(2 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;

        // The sender says again what still fires.
        let over = Instant::now();
        post(alerts).await;
        scenario.lost = 0;
        scenario.verdict(over, &expected.within(RECOVERY)).await;
    }

    async fn full(_on: fleet) {
        let limit = ["--maxmemory", "6mb", "--maxmemory-policy", "noeviction"];
        let (mut scenario, redis, urls) = with_redis(Fsync::EverySecond, &limit).await;
        scenario.fleet.do_to_queue(&urls[0], "ingest", "pause").await;
        let (mut connection, began) = (redis.connect().await.unwrap(), Instant::now());
        let load = scenario.post(FLOOD, &urls);
        while redis::cmd("SET").arg("probe").arg(1).exec_async(&mut connection).await.is_ok() {
            assert!(began.elapsed() < PATIENCE, "it is never full");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(RECOVERY / 10).await;
        scenario.fleet.do_to_queue(&urls[0], "ingest", "resume").await;
        let over = Instant::now();
        let refused = load.await.unwrap();
        assert!(!refused.is_empty(), "it is never full");
        refused_clearly(&refused);
        scenario.verdict(over, &FLOOD.expected().within(2 * RECOVERY)).await;
    }

    #[ignore = "soak"]
    async fn nearly_full_of_counts(_on: fleet) {
        let limit = ["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"];
        let (mut scenario, redis, urls) = with_redis(Fsync::EverySecond, &limit).await;
        let mut connection = redis.connect().await.unwrap();
        // Others have most of what counts may have.
        for n in 0.. {
            if memory(&mut connection).await.percent() >= 62 {
                break;
            }
            let filler = redis::cmd("SET").arg(format!("filler-{n}")).arg("x".repeat(32_000)).to_owned();
            filler.exec_async(&mut connection).await.unwrap();
        }
        let health = Health::watch(&urls[0]);
        let load = scenario.post(WIDE, &urls);
        let mut most = (0, 0);
        while !load.is_finished() {
            let now = (sets(&mut connection).await, memory(&mut connection).await.percent());
            most = (most.0.max(now.0), most.1.max(now.1));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(load.await.unwrap().is_empty(), "nothing is refused");
        scenario.verdict(Instant::now(), &WIDE.expected().within(2 * RECOVERY)).await;
        most.0 = most.0.max(sets(&mut connection).await);
        let (sets, used) = most;
        eprintln!("{sets} of {} anomalies had a set at most, {used} % were used", WIDE.anomalies);
        let wanted = u64::try_from(WIDE.anomalies).unwrap();
        assert!(sets > 0 && sets * 3 < wanted * 2, "{sets} sets of {wanted}");
        health.was_always_ready();
        let (is_right, said) = scenario.fleet.asks(&urls[0], &["recount", "--verify"]);
        assert!(is_right, "{said}");
    }

    #[ignore = "soak"]
    async fn slow(_on: fleet) {
        let turn = beside_few().await;
        let keys = RedisKeys::in_turn();
        let proxy = Proxy::start(port_of(&keys.url), |piece| match piece.way {
            Way::ToServer => Fate::Late(Duration::from_millis(100)),
            Way::FromServer => Fate::Pass,
        });
        let url = proxy.await;
        let slow = RedisKeys::at(url.instead(&keys.url));
        let database = Scratch::in_turn(On::Postgres).await.url.clone();
        let mut scenario = Scenario::of(Fleet::on(database, Some(slow), turn).await);
        let (urls, _) = scenario.start(On::Fleet, 2).await;
        let load = scenario.post(STORM, &urls);
        tokio::time::sleep(STORM.lasts()).await;
        let over = Instant::now();
        assert!(load.await.unwrap().is_empty(), "nothing is refused");
        scenario.verdict(over, &STORM.expected()).await;
    }
}

/// How many alerts only Redis had, for the test's report.
fn lost(_fleet: &Fleet, missing: usize) -> usize {
    missing
}

async fn memory(connection: &mut MultiplexedConnection) -> Memory {
    let mut info = redis::cmd("INFO");
    let said: String = info.arg("memory").query_async(connection).await.unwrap();
    Memory::of(&said).unwrap()
}

/// How many anomalies are counted in Redis.
async fn sets(connection: &mut MultiplexedConnection) -> u64 {
    let (mut cursor, mut sets) = (0_u64, 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg("*:count:*")
            .arg("COUNT")
            .arg(1000);
        let (next, found): (u64, Vec<String>) = scan.query_async(connection).await.unwrap();
        sets += found.len() as u64;
        cursor = next;
        if cursor == 0 {
            return sets;
        }
    }
}
