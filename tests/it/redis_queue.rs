//! What Redis does to a queue, and what must hold all the same: connections that break, a server
//! that hangs, loses everything, or asks for a password and TLS.

mod access;
mod cuts;
mod hang;
mod million;

use std::sync::Arc;

use tocsin::config::Secret;
use tocsin::queue::redis::RedisQueue;
use tocsin::queue::store::{Delivery, NewJob, QueueStore};
use tocsin::redis::Redis;
use tocsin::time::Clock;
use uuid::Uuid;

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
