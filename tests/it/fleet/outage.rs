//! Servers go away under load and come back.

use std::time::{Duration, Instant};

use super::load::{Refusal, Storm};
use super::processes::Fleet;
use super::servers::Postgres;
use crate::process::alone;
use crate::redis_keys::RedisKeys;
use crate::redis_server::{Fsync, RedisServer};

const OUTAGE: Duration = Duration::from_secs(20);
/// From the moment that the server is back.
const SETTLED: Duration = Duration::from_secs(40);

const STORM: Storm = Storm {
    anomalies: 100,
    pods: 60,
    together: 20,
    pace: Duration::from_millis(100),
};

/// In the middle of an outage: no process ends, and each says what is missing.
async fn sit_out(fleet: &mut Fleet, url: &str, missing: &str) {
    tokio::time::sleep(OUTAGE / 2).await;
    let answer = fleet
        .http
        .get(format!("{url}/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains(missing), "{text}");
    tokio::time::sleep(OUTAGE / 2).await;
    fleet.assert_running();
}

/// What nobody could store was refused so that the sender tries again.
fn assert_clear(refused: &[Option<Refusal>]) {
    let unavailable = (503, "application/problem+json".to_owned(), true);
    for refusal in refused {
        assert_eq!(refusal.as_ref(), Some(&unavailable));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_for_a_while_costs_no_alert() {
    let turn = alone().await;
    let mut server = Postgres::start().await;
    let mut fleet = Fleet::on(server.url(), None, turn).await;
    let urls = fleet.start("ingress", 1).await;
    fleet.start("work", 2).await;
    let load = tokio::spawn(STORM.post(fleet.http.clone(), urls.clone()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.stop().await;
    sit_out(&mut fleet, &urls[0], "store").await;
    server.start_again().await;

    let back = Instant::now();
    let refused = load.await.unwrap();
    fleet.settled(STORM.alerts(), SETTLED).await;
    let took = back.elapsed();
    eprintln!(
        "settled {took:?} after the database was back; {} requests were refused",
        refused.len()
    );
    assert!(took < SETTLED, "{took:?}");
    assert!(!refused.is_empty());
    assert_clear(&refused);
    fleet.assert_all_counted_once(STORM).await;
    fleet.assert_running();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_and_then_a_database_that_go_away_for_a_while_cost_no_alert() {
    let storm = Storm { pods: 90, ..STORM };
    let turn = alone().await;
    let mut redis = RedisServer::start(Fsync::EverySecond).await;
    let mut postgres = Postgres::start().await;
    let keys = RedisKeys::at(redis.url());
    let mut fleet = Fleet::on(postgres.url(), Some(keys), turn).await;
    let urls = fleet.start("ingress", 1).await;
    fleet.start("work", 2).await;
    let load = tokio::spawn(storm.post(fleet.http.clone(), urls.clone()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    redis.stop().await;
    sit_out(&mut fleet, &urls[0], "queue").await;
    redis.start_again().await;

    // While the database is away, alerts are taken: they wait in Redis.
    tokio::time::sleep(Duration::from_secs(5)).await;
    postgres.stop().await;
    let accepted = fleet.accepted(&urls[0]).await;
    sit_out(&mut fleet, &urls[0], "store").await;
    assert!(
        fleet.accepted(&urls[0]).await > accepted,
        "alerts are taken meanwhile"
    );
    postgres.start_again().await;

    let back = Instant::now();
    let refused = load.await.unwrap();
    fleet.settled(storm.alerts(), SETTLED).await;
    let took = back.elapsed();
    eprintln!(
        "settled {took:?} after both were back; {} requests were refused",
        refused.len()
    );
    assert!(took < SETTLED, "{took:?}");
    assert!(!refused.is_empty());
    assert_clear(&refused);
    fleet.assert_all_counted_once(storm).await;
    fleet.assert_running();
}
