//! A Redis whose memory is full: senders are told to try again, and what waits is worked off.

use std::time::{Duration, Instant};

use serde_json::json;
use tocsin::config::Secret;

use crate::harness::{Harness, On, alert};
use crate::redis_server::{Fsync, RedisServer};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_alerts_and_lets_go_of_those_it_has() {
    let limit = ["--maxmemory", "12mb", "--maxmemory-policy", "noeviction"];
    let redis = RedisServer::start_with(Fsync::EverySecond, &limit).await;
    let h = Harness::start_with(On::Postgres, |config| {
        config.redis_url = Some(Secret::from(redis.url().as_str()));
    })
    .await;
    h.context
        .queues
        .store()
        .set_paused("ingest", true)
        .await
        .unwrap();
    let now = h.now();
    let (mut accepted, mut refused) = (0, 0);
    let began = Instant::now();
    while refused < 3 {
        assert!(
            began.elapsed() < PATIENCE,
            "{accepted} were accepted and none refused"
        );
        let pods: Vec<_> = (accepted..accepted + 200)
            .map(|n| alert(&format!("Full{}", n % 5), &format!("pod-{n}"), now))
            .collect();
        let (status, problem) = h
            .post("/api/v1/alertmanager", json!({"alerts": pods}))
            .await;
        match status {
            200 => accepted += 200,
            503 => refused += 1,
            other => panic!("{other}: {problem}"),
        }
    }
    h.context
        .queues
        .store()
        .set_paused("ingest", false)
        .await
        .unwrap();
    h.drain().await;
    // Of a request that was refused, some may have been queued before the memory was full.
    let committed = h.sql("SELECT count(*) FROM occurrences").await;
    assert!(committed >= accepted, "{committed} of {accepted}");
    h.send_and_drain(vec![alert("After", "a", h.now())]).await;
    h.finish().await;
}
