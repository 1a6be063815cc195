//! Many jobs, and many who want them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin::queue::store::{Answer, NewJob};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Bench, MAIL, again, failure, ids, job, set};

const MINUTE: Duration = Duration::from_secs(60);

/// Fetches and settles until nothing is left; returns what was handed out. Every tenth job fails
/// once.
async fn work(bench: Arc<Bench>, name: String) -> Vec<(Uuid, u32)> {
    let mut seen = Vec::new();
    loop {
        let jobs = bench.fetch(&name, 40).await;
        if jobs.is_empty() {
            let depth = bench.depth().await;
            if depth.ready + depth.in_flight + depth.delayed == 0 {
                return seen;
            }
            tokio::task::yield_now().await;
            continue;
        }
        let answers: Vec<_> = jobs
            .iter()
            .map(|job| {
                seen.push((job.lease.id, job.lease.delivery));
                // `{"n":120}` and the like.
                let fails = job.payload.ends_with(b"0}") && job.failed.is_empty();
                let failed = vec![failure(1_790_000_000_000, "once")];
                let delay = Duration::ZERO;
                let answer = match fails {
                    true => Answer::Again { delay, failed },
                    false => Answer::Remove,
                };
                (job.lease, answer)
            })
            .collect();
        bench.settle_all(&name, &answers).await;
    }
}

/// How long a fetch takes that finds nothing.
async fn idle_fetch(bench: &Bench, queue: &str) -> Duration {
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(bench.fetch_from(queue, "a", 2000).await, []);
        fastest = fastest.min(began.elapsed());
    }
    fastest
}

conformance! {
    async fn a_hundred_thousand_jobs_due_at_once_come_in_bounded_chunks(bench) {
        let mut pushed = Vec::new();
        for n in 0..10 {
            let jobs: Vec<NewJob> = (0..10_000)
                .map(|m| NewJob { delay: MINUTE, ..job(n * 10_000 + m) })
                .collect();
            bench.push(&jobs).await;
            pushed.extend(jobs.iter().map(|job| job.id));
        }
        assert_eq!(bench.depth().await.delayed, 100_000);
        // What is slow because of them is slow each time.
        let (mut many, mut none) = (Duration::MAX, Duration::MAX);
        for _ in 0..50 {
            many = many.min(idle_fetch(&bench, MAIL).await);
            none = none.min(idle_fetch(&bench, "empty").await);
            if many < 20 * none {
                break;
            }
        }
        assert!(many < 20 * none, "{many:?} past jobs that wait, {none:?} without any");
        bench.advance(MINUTE);
        let mut fetched = Vec::new();
        loop {
            let jobs = bench.fetch("a", 2000).await;
            if jobs.is_empty() {
                break;
            }
            let answers: Vec<_> = jobs.iter().map(|job| (job.lease, Answer::Remove)).collect();
            bench.settle_all("a", &answers).await;
            fetched.extend(ids(&jobs));
        }
        assert_eq!(fetched.len(), 100_000);
        assert_eq!(set(fetched), set(pushed));
        assert_eq!(bench.depth().await.in_flight, 0);
    }

    async fn many_workers_share_no_job_and_leave_none(bench) {
        const TOTAL: usize = 2000;
        let bench = Arc::new(bench);
        let mut pushes = JoinSet::new();
        for n in 0..4 {
            let bench = Arc::clone(&bench);
            pushes.spawn(async move {
                for m in 0..10 {
                    let first = n * 500 + m * 50;
                    let jobs: Vec<NewJob> = (first..first + 50).map(job).collect();
                    bench.push(&jobs).await;
                }
            });
        }
        // One job is held until all are pushed, so no worker ends before.
        pushes.join_next().await.unwrap().unwrap();
        let kept = bench.fetch_one("keeper").await.lease;
        let mut workers = JoinSet::new();
        for n in 0..6 {
            workers.spawn(work(Arc::clone(&bench), format!("w{n}")));
        }
        while let Some(pushed) = pushes.join_next().await {
            pushed.unwrap();
        }
        bench.settle("keeper", kept, Answer::GiveBack).await;
        let mut deliveries: HashMap<Uuid, u32> = HashMap::new();
        while let Some(seen) = workers.join_next().await {
            for (id, delivery) in seen.unwrap() {
                assert_eq!(delivery, 1, "nothing went unanswered");
                *deliveries.entry(id).or_default() += 1;
            }
        }
        assert_eq!(deliveries.len(), TOTAL);
        let twice = deliveries.values().filter(|n| **n == 2).count();
        assert_eq!(twice, TOTAL / 10, "each that was retried came once more");
        assert!(deliveries.values().all(|n| *n <= 2));
    }

    async fn giving_back_and_taking_again_by_many_loses_nothing(bench) {
        let pushed = bench.push_some(500).await;
        let names: Vec<String> = (0..5).map(|n| format!("w{n}")).collect();
        for round in 0..4 {
            let rounds = names.iter().map(|name| async {
                let jobs = bench.fetch(name, 60).await;
                let answers: Vec<_> = jobs
                    .iter()
                    .map(|job| match round % 2 {
                        0 => (job.lease, Answer::GiveBack),
                        _ => (job.lease, again(Duration::ZERO)),
                    })
                    .collect();
                bench.settle_all(name, &answers).await;
            });
            futures::future::join_all(rounds).await;
        }
        let fetched = bench.fetch("a", 1000).await;
        assert_eq!(set(ids(&fetched)), set(pushed));
        assert!(fetched.iter().all(|job| job.lease.delivery == 1));
    }
}
