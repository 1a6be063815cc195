//! Many who wait for work at one Redis.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;

use super::health::Health;
use super::oracle::{SENT_AT_ONCE, Scenario};
use super::storm::Storm;
use crate::fleet::processes::Fleet;
use crate::harness::{On, Scratch};
use crate::process::{alone, free_port};
use crate::redis_keys::RedisKeys;
use crate::redis_server::{self, Fsync};

/// Each works on five queues.
const PROCESSES: usize = 20;
/// How long it is looked at, and how much of one core may be busy meanwhile, in percent.
const IDLE: (Duration, f64) = (Duration::from_secs(15), 5.0);

const STORM: Storm = Storm {
    anomalies: 60,
    pods: 50,
    together: 30,
    pace: Duration::from_millis(80),
};

scenarios! {
    #[ignore = "soak"]
    async fn a_hundred_consumers_on_one_redis(_on: fleet) {
        let turn = alone().await;
        let redis = redis_server::start(Fsync::EverySecond).await;
        let database = Scratch::in_turn(On::Postgres).await.url.clone();
        let keys = RedisKeys::at(redis.url());
        let mut scenario = Scenario::of(Fleet::on(database, Some(keys), turn).await);
        scenario.fleet.settings = vec![("TOCSIN_DATABASE_CONNECTIONS", "4".to_owned())];
        let urls = scenario.fleet.start("ingress", 1).await;
        for _ in 0..PROCESSES {
            let port = free_port();
            let number = scenario.fleet.run(&["work"], port);
            let url = format!("http://127.0.0.1:{port}");
            scenario.fleet.ready(number, &url).await;
        }
        let health = Health::watch(&urls[0]);
        let (_, queues) = scenario.fleet.asks(&urls[0], &["queues", "--json"]);
        let consumers: u64 = consumers(&queues);
        assert_eq!(consumers, 5 * PROCESSES as u64, "{queues}");
        let mut connection = redis.connect().await.unwrap();
        let idle = busy(&mut connection, tokio::time::sleep(IDLE.0)).await;
        let load = scenario.post(STORM, &urls);
        let loaded = busy(&mut connection, async { load.await.unwrap() }).await;
        eprintln!("of one core, Redis had {idle:.1} % idle, and {loaded:.1} % under load");
        assert!(idle < IDLE.1, "{idle:.1} % of a core");
        scenario.verdict(Instant::now(), &STORM.expected().doubled(SENT_AT_ONCE)).await;
        health.was_always_ready();
    }
}

/// How many consumers the queues say that they have.
fn consumers(queues: &str) -> u64 {
    let queues: serde_json::Value = serde_json::from_str(queues).unwrap();
    let list = queues.as_array().or(queues["items"].as_array()).unwrap();
    list.iter()
        .map(|queue| queue["workers"].as_u64().unwrap())
        .sum()
}

/// How much of one core the server had while this was done, in percent.
async fn busy<T>(
    connection: &mut MultiplexedConnection,
    meanwhile: impl Future<Output = T>,
) -> f64 {
    let (began, before) = (Instant::now(), used(connection).await);
    meanwhile.await;
    let used = used(connection).await - before;
    100.0 * used / began.elapsed().as_secs_f64()
}

/// Seconds of a processor that the server has had.
async fn used(connection: &mut MultiplexedConnection) -> f64 {
    let said: String = redis::cmd("INFO")
        .arg("cpu")
        .query_async(connection)
        .await
        .unwrap();
    let of = |name: &str| -> f64 {
        let value = said.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().trim().parse().unwrap()
    };
    of("used_cpu_sys:") + of("used_cpu_user:")
}
