//! A queue of a million: what is at its head costs no more than in a short one.

use std::time::{Duration, Instant};

use tocsin::queue::store::Capacity;
use tocsin::queue::store::{Answer, QueueStore};

use super::{QUEUE, jobs, queue_at};
use crate::process::alone;
use crate::redis_server::{self, Fsync};

const MILLION: u32 = 1_000_000;
const AT_ONCE: u32 = 10_000;
const ADD: &str = "for n = 1, ARGV[1] do
    redis.call('XADD', KEYS[1], '*', 'j', string.format('%032x\\n{\"n\":%d}', n, n))
end";

/// How long it takes to fetch and settle so many jobs, a thousand at a time, and to look around.
async fn work(store: &dyn QueueStore, n: usize) -> Duration {
    let began = Instant::now();
    let mut done = 0;
    while done < n {
        let jobs = store.fetch(QUEUE, "a", Capacity::jobs(1000)).await.unwrap();
        assert_eq!(jobs.len(), 1000);
        let answers: Vec<_> = jobs.iter().map(|job| (job.lease, Answer::Remove)).collect();
        store.settle(QUEUE, "a", &answers).await.unwrap();
        store
            .reclaim(QUEUE, "a", Capacity::jobs(1000), false)
            .await
            .unwrap();
        store.depth(QUEUE).await.unwrap();
        done += jobs.len();
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_jobs_wait_without_slowing_down_those_before_them() {
    let _turn = alone().await;
    let server = redis_server::start(Fsync::EverySecond).await;
    let store = queue_at(&server.url()).await;
    store.push(&jobs(AT_ONCE)).await.unwrap();
    let short = work(&*store, AT_ONCE as usize).await;
    let mut connection = server.connect().await.unwrap();
    let add = redis::Script::new(ADD);
    for _ in 0..MILLION / AT_ONCE {
        let mut add = add.key("tocsin:{errands}:stream");
        add.arg(AT_ONCE)
            .invoke_async::<()>(&mut connection)
            .await
            .unwrap();
    }
    assert_eq!(store.depth(QUEUE).await.unwrap().ready, u64::from(MILLION));
    // What is slow because of them is slow each time.
    let mut long = Duration::MAX;
    for _ in 0..20 {
        long = long.min(work(&*store, AT_ONCE as usize).await);
        if long < 2 * short {
            break;
        }
    }
    assert!(
        long < 2 * short,
        "{long:?} before a million, {short:?} before none"
    );
}
