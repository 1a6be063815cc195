//! Leases: a job is held for as long as its consumer says so, and no longer.

use std::time::Duration;

use tocsin::queue::store::{Answer, LEASE};

use super::{again, failure, ids, one, set};

const SECOND: Duration = Duration::from_secs(1);

conformance! {
    async fn a_lease_that_ran_out_is_taken_over_with_a_raised_delivery_number(bench) {
        bench.push_some(1).await;
        let held = bench.fetch_one("a").await;
        bench.advance(LEASE - 5 * SECOND);
        assert!(bench.reclaim("b", 10, true).await.jobs.is_empty(), "it is held");
        bench.advance(5 * SECOND);
        assert_eq!(bench.fetch("b", 10).await, [], "a fetch takes nothing over");
        let taken = one(bench.reclaim("b", 10, true).await.jobs);
        assert_eq!((taken.lease.id, taken.lease.delivery), (held.lease.id, 2));
        assert_eq!(taken.payload, held.payload);
        assert_eq!(taken.enqueued_at, held.enqueued_at);
        assert!(bench.reclaim("c", 10, true).await.jobs.is_empty(), "it is held again");
        bench.settle("b", taken.lease, Answer::Remove).await;
        bench.advance(LEASE);
        assert!(bench.reclaim("c", 10, true).await.jobs.is_empty());
    }

    async fn what_is_taken_over_keeps_its_failed_attempts(bench) {
        bench.push_some(1).await;
        let held = bench.fetch_one("a").await;
        let failed = vec![failure(1_790_000_000_000, "once")];
        let answer = Answer::Again { delay: Duration::ZERO, failed: failed.clone() };
        bench.settle("a", held.lease, answer).await;
        bench.fetch_one("a").await;
        bench.advance(LEASE);
        assert_eq!(one(bench.reclaim("b", 1, false).await.jobs).failed, failed);
    }

    async fn extending_holds_a_job_for_another_lease(bench) {
        bench.push_some(2).await;
        let held = bench.fetch("a", 2).await;
        let (kept, dropped) = (held[0].lease, held[1].lease);
        for _ in 0..3 {
            bench.advance(LEASE - 5 * SECOND);
            assert_eq!(bench.extend("a", &[kept]).await, [kept.id]);
        }
        assert_eq!(ids(&bench.reclaim("b", 10, false).await.jobs), [dropped.id]);
        bench.advance(LEASE);
        let taken = bench.reclaim("b", 10, false).await.jobs;
        assert_eq!(set(ids(&taken)), set([kept.id, dropped.id]));
    }

    async fn extending_tells_which_jobs_are_still_held(bench) {
        bench.push_some(5).await;
        let held = bench.fetch("a", 5).await;
        let leases: Vec<_> = held.iter().map(|job| job.lease).collect();
        bench.settle_all("a", &[
            (leases[0], Answer::Remove),
            (leases[1], again(SECOND)),
            (leases[2], Answer::GiveBack),
        ]).await;
        let still = bench.extend("a", &leases).await;
        assert_eq!(set(still), set([leases[3].id, leases[4].id]));
    }

    async fn the_oldest_leases_are_taken_over_first_and_no_more_than_asked_for(bench) {
        let mut oldest_first = Vec::new();
        for _ in 0..5 {
            bench.push_some(2).await;
            oldest_first.extend(ids(&bench.fetch("a", 2).await));
            bench.advance(SECOND);
        }
        bench.advance(LEASE);
        let mut taken = Vec::new();
        for _ in 0..5 {
            let jobs = bench.reclaim("b", 2, false).await.jobs;
            assert_eq!(jobs.len(), 2);
            taken.extend(ids(&jobs));
        }
        assert_eq!(taken, oldest_first);
        assert!(bench.reclaim("b", 2, false).await.jobs.is_empty());
    }

    async fn what_many_take_over_at_once_goes_to_one_of_them_each(bench) {
        let pushed = bench.push_some(400).await;
        bench.fetch("a", 400).await;
        bench.advance(LEASE);
        let consumers: Vec<String> = (0..8).map(|n| format!("b{n}")).collect();
        let mut taken = Vec::new();
        while taken.len() < pushed.len() {
            let reclaims = consumers.iter().map(|name| bench.reclaim(name, 20, false));
            let found = futures::future::join_all(reclaims).await;
            let before = taken.len();
            taken.extend(found.iter().flat_map(|found| ids(&found.jobs)));
            assert!(taken.len() > before);
        }
        assert_eq!(taken.len(), pushed.len());
        assert_eq!(set(taken), set(pushed));
    }
}
