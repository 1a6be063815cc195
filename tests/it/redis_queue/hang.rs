//! A server that hangs for longer than a lease: nobody could say that they still hold what they
//! hold, so nobody takes over before one lease has passed since it is back.

use std::time::{Duration, Instant};

use tocsin::queue::store::Capacity;
use tocsin::queue::store::{Answer, LEASE, Lease};

use super::{QUEUE, ids, jobs, queue_at};
use crate::process::beside_others;
use crate::redis_server::{self, Fsync};

const SECOND: Duration = Duration::from_secs(1);
const HANG: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn no_reclaim_for_one_lease_after_redis_returns() {
    let _turn = beside_others().await;
    let server = redis_server::start(Fsync::EverySecond).await;
    let store = queue_at(&server.url()).await;
    store.push(&jobs(3)).await.unwrap();
    let held = store
        .fetch(QUEUE, "holder", Capacity::jobs(2))
        .await
        .unwrap();
    let lost = store.fetch(QUEUE, "dead", Capacity::jobs(1)).await.unwrap();
    let leases: Vec<Lease> = held.iter().map(|job| job.lease).collect();

    server.freeze().unwrap();
    let began = Instant::now();
    while began.elapsed() < HANG {
        let answer = store.extend(QUEUE, "holder", &leases).await;
        assert!(answer.is_err(), "it hangs");
    }
    server.thaw().unwrap();
    let back = Instant::now();

    // Every second each of them asks, and the holder says that it is there.
    loop {
        let found = store
            .reclaim(QUEUE, "other", Capacity::jobs(10), false)
            .await
            .unwrap();
        if !found.jobs.is_empty() {
            assert_eq!(ids(&found.jobs), ids(&lost), "only what nobody holds");
            break;
        }
        assert!(back.elapsed() < 2 * LEASE, "and that in time");
        let still = store.extend(QUEUE, "holder", &leases).await.unwrap();
        assert_eq!(still, ids(&held));
        tokio::time::sleep(SECOND).await;
    }
    assert!(back.elapsed() >= LEASE - SECOND, "{:?}", back.elapsed());
    let answers: Vec<_> = leases
        .iter()
        .map(|lease| (*lease, Answer::Remove))
        .collect();
    store.settle(QUEUE, "holder", &answers).await.unwrap();
    assert_eq!(store.depth(QUEUE).await.unwrap().in_flight, 1);
}
