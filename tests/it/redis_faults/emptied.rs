//! A Redis that is emptied under load: what only it had is lost, and sent again by whoever sent it;
//! what was decided is done, and counts are what the rows say.

use std::time::Duration;

use serde_json::Value;
use tocsin::config::Secret;

use crate::harness::{Harness, On, alert};
use crate::redis_server::{Fsync, RedisServer};

const ANOMALIES: usize = 20;
const PODS: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_done_and_what_is_sent_again_is_counted_once() {
    let redis = RedisServer::start(Fsync::EverySecond).await;
    let h = Harness::start_with(On::Postgres, |config| {
        config.redis_url = Some(Secret::from(redis.url().as_str()));
    })
    .await;
    let mut connection = redis.connect().await;
    let now = h.now();
    let name = |n: usize| format!("Emptied{n:02}");
    let alerts: Vec<Value> = (0..ANOMALIES * PODS)
        .map(|n| alert(&name(n % ANOMALIES), &format!("pod-{}", n / ANOMALIES), now))
        .collect();
    for (n, together) in alerts.chunks(10).enumerate() {
        h.send(together.to_vec()).await;
        if n % 25 == 24 {
            let flush = redis::cmd("FLUSHALL");
            flush.exec_async(&mut connection).await.unwrap();
        }
    }
    h.drain().await;
    let committed = h.sql("SELECT count(*) FROM occurrences").await;
    let all = (ANOMALIES * PODS) as i64;
    eprintln!("{} of {all} alerts were lost with Redis", all - committed);
    assert!(
        committed > 0,
        "the group is made again and the queue goes on"
    );
    h.advance(2 * MINUTE);
    h.recount().await;
    let due = "SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL";
    assert_eq!(h.sql(due).await, 0, "what was due is pushed again");
    let untold = "SELECT count(*) FROM incidents i WHERE NOT EXISTS (SELECT 1 FROM notifications n \
                  WHERE n.incident_id = i.id AND n.kind = 'opened' AND n.state = 'sent')";
    assert_eq!(h.sql(untold).await, 0, "every incident was told");

    // Alertmanager sends again what still fires.
    for together in alerts.chunks(100) {
        h.send(together.to_vec()).await;
    }
    h.drain().await;
    assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, all);
    h.recount().await;
    let counted = "SELECT count(*) FROM incidents WHERE frequency_stats->>'count_1h' = '50' \
                   AND aggregated_count = 50";
    assert_eq!(h.sql(counted).await, ANOMALIES as i64);
    h.finish().await;
}
