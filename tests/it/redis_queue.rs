//! What Redis does to a queue, and what must hold all the same: connections that break, a server
//! that hangs, loses everything, or asks for a password and TLS.

mod access;
mod cuts;
mod hang;
mod million;

use std::sync::Arc;

use tocsin::config::Secret;
use tocsin::queue::redis::RedisQueue;
use tocsin::queue::store::{Delivery, NewJob, QueueStore, RECLAIM_EVERY};
use tocsin::redis::Redis;
use tocsin::time::Clock;
use uuid::Uuid;

use crate::redis_keys::RedisKeys;

const QUEUE: &str = "errands";

/// A queue at this address.
async fn queue_at(url: &str) -> Arc<dyn QueueStore> {
    let redis = Redis::open(&Secret::from(url), None, "tocsin")
        .await
        .unwrap();
    Arc::new(RedisQueue::new(&redis, Clock::default()).unwrap())
}

fn jobs(n: u32) -> Vec<NewJob> {
    let job = |n| NewJob {
        queue: QUEUE,
        id: Uuid::now_v7(),
        payload: format!("{{\"n\":{n}}}"),
        ..NewJob::default()
    };
    (0..n).map(job).collect()
}

fn ids(jobs: &[Delivery]) -> Vec<Uuid> {
    jobs.iter().map(|job| job.lease.id).collect()
}

#[tokio::test]
async fn one_of_many_processes_reclaims_expired_leases_each_second() {
    let keys = RedisKeys::in_turn();
    let redis = keys.open().await;
    let queue = || RedisQueue::new(&redis, Clock::default()).unwrap();
    let queues: Vec<RedisQueue> = (0..20).map(|_| queue()).collect();
    for _ in 0..2 {
        let asked = queues.iter().map(|queue| queue.is_turn_to_reclaim(QUEUE));
        let turns = futures::future::try_join_all(asked).await.unwrap();
        assert_eq!(turns.iter().filter(|turn| **turn).count(), 1);
        assert!(queues[0].is_turn_to_reclaim("parcels").await.unwrap());
        tokio::time::sleep(RECLAIM_EVERY + RECLAIM_EVERY / 10).await;
    }
}
