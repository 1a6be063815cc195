//! Connections that break between any two commands: whatever was lost, the request or its answer,
//! every job is done and none is left.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tocsin::queue::about::WorkerInfo;
use tocsin::queue::redis::RedisQueue;
use tocsin::queue::store::Capacity;
use tocsin::queue::store::{Answer, FailedAttempt, NewJob, QueueStore};
use tocsin::time::{Clock, Timestamp};
use uuid::Uuid;

use super::{QUEUE, jobs};
use crate::process::beside_others;
use crate::proxy::{Fate, Proxy, port_of};
use crate::redis_keys::RedisKeys;

const HOUR: Duration = Duration::from_secs(3600);
const JOBS: u32 = 6;

/// Tries until it works, as every user of a store does.
async fn try_until_done<T, E: std::fmt::Debug>(mut work: impl AsyncFnMut() -> Result<T, E>) -> T {
    for _ in 0..20 {
        if let Ok(done) = work().await {
            return done;
        }
    }
    panic!("it never works again")
}

/// Pushes, fails once, and does all jobs, while connections may break; returns how often each was
/// done.
async fn live(store: &dyn QueueStore, keys: &RedisKeys, pushed: &[NewJob]) -> HashMap<Uuid, u32> {
    try_until_done(async || store.push(&pushed[..3]).await).await;
    try_until_done(async || store.push(&pushed[3..]).await).await;
    let mut done: HashMap<Uuid, u32> = HashMap::new();
    loop {
        let mut held =
            try_until_done(async || store.fetch(QUEUE, "a", Capacity::jobs(4)).await).await;
        let found =
            try_until_done(async || store.reclaim(QUEUE, "a", Capacity::jobs(4), true).await).await;
        held.extend(found.jobs);
        let leases: Vec<_> = held.iter().map(|job| job.lease).collect();
        try_until_done(async || store.extend(QUEUE, "a", &leases).await).await;
        let answers: Vec<_> = held
            .iter()
            .map(
                |job| match (job.failed.len(), job.payload.ends_with(b"0}")) {
                    (0, true) => {
                        let (at, error) = (Timestamp(0), "once".to_owned());
                        let failed = vec![FailedAttempt { at, error }];
                        let delay = Duration::ZERO;
                        (job.lease, Answer::Again { delay, failed })
                    }
                    _ => {
                        *done.entry(job.lease.id).or_default() += 1;
                        (job.lease, Answer::Remove)
                    }
                },
            )
            .collect();
        try_until_done(async || store.settle(QUEUE, "a", &answers).await).await;
        let about = WorkerInfo::this_process(4, Timestamp(0));
        try_until_done(async || store.heartbeat(QUEUE, "a", &about).await).await;
        let depth = try_until_done(async || store.depth(QUEUE).await).await;
        if depth.ready + depth.delayed + depth.in_flight == 0 {
            return done;
        }
        // What an answer was lost for is pending; its lease runs out.
        keys.age(HOUR);
    }
}

/// Lives through a cut; returns how many chunks went by.
async fn live_through(cut: usize) -> usize {
    let keys = RedisKeys::in_turn();
    let passed = Arc::new(AtomicUsize::default());
    let counter = Arc::clone(&passed);
    let proxy = Proxy::start(port_of(&keys.url), move |_| {
        match counter.fetch_add(1, Ordering::SeqCst) + 1 == cut {
            true => Fate::CutAll,
            false => Fate::Pass,
        }
    });
    let proxy = proxy.await;
    let mut through = RedisKeys::at(proxy.instead(&keys.url));
    through.prefix.clone_from(&keys.prefix);
    let redis = try_until_done(async || through.try_open().await).await;
    let store = RedisQueue::new(&redis, Clock::default()).unwrap();
    // Every second one has a name, which takes another way.
    let name = |(n, job): (usize, NewJob)| NewJob {
        named: n % 2 == 0,
        ..job
    };
    let pushed: Vec<NewJob> = jobs(JOBS).into_iter().enumerate().map(name).collect();
    let done = live(&store, &keys, &pushed).await;
    assert_eq!(done.len(), pushed.len(), "cut {cut}: {done:?}");
    let names = format!("{}:{{{QUEUE}}}:ids", keys.prefix);
    let kept = redis::cmd("SCARD").arg(names).query(&mut keys.connect());
    assert_eq!(kept, Ok(0), "cut {cut}: ids stay behind");
    passed.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_anywhere_loses_no_job_and_leaves_none() {
    let _turn = beside_others().await;
    let whole = live_through(0).await;
    assert!(whole > 20, "{whole} chunks went by");
    futures::future::join_all((1..=whole).map(live_through)).await;
}
