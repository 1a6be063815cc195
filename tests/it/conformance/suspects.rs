//! Jobs that went unanswered again and again: they may be what kills their workers.

use std::time::Duration;

use tocsin::queue::store::{Answer, DEAD_AFTER, LEASE, SUSPECT_AFTER};

use super::{again, ids, job, one};

conformance! {
    async fn after_three_unanswered_deliveries_a_job_is_handed_out_only_alone(bench) {
        let suspect = bench.push_some(1).await;
        bench.leave_unanswered(SUSPECT_AFTER).await;
        let healthy = bench.push_some(2).await;
        bench.fetch("victim", 1).await;
        bench.advance(LEASE);

        let beside = bench.reclaim("a", 10, false).await;
        assert_eq!(ids(&beside.jobs), [healthy[0]], "healthy ones are taken over meanwhile");
        assert!(beside.suspects_wait);
        assert_eq!(ids(&bench.fetch("a", 10).await), [healthy[1]], "and new ones flow");
        let beside = bench.reclaim("a", 10, false).await;
        assert!(beside.jobs.is_empty() && beside.suspects_wait);

        let alone = bench.reclaim("b", 10, true).await;
        assert_eq!(ids(&alone.jobs), suspect);
        let lease = alone.jobs[0].lease;
        assert_eq!(lease.delivery, SUSPECT_AFTER + 1);
        assert!(lease.is_suspect() && !lease.is_poison());
        assert!(!bench.reclaim("a", 10, false).await.suspects_wait, "it is held");
    }

    async fn a_job_is_no_suspect_after_two_unanswered_deliveries(bench) {
        bench.push_some(1).await;
        bench.leave_unanswered(SUSPECT_AFTER - 1).await;
        let found = bench.reclaim("a", 10, false).await;
        assert!(!found.suspects_wait);
        assert!(!one(found.jobs).lease.is_suspect());
    }

    async fn a_suspect_comes_alone_even_to_who_asks_for_more(bench) {
        bench.push_some(3).await;
        bench.leave_unanswered(SUSPECT_AFTER).await;
        bench.push_some(1).await;
        bench.fetch("victim", 1).await;
        bench.advance(LEASE);
        let mut seen = super::set([]);
        for consumer in ["a", "b", "c"] {
            let suspect = one(bench.reclaim(consumer, 10, true).await.jobs);
            assert!(suspect.lease.is_suspect());
            seen.insert(suspect.lease.id);
        }
        assert_eq!(seen.len(), 3);
        assert!(!one(bench.reclaim("d", 10, true).await.jobs).lease.is_suspect());
    }

    async fn who_is_not_alone_is_not_told_of_suspects_that_are_none_yet(bench) {
        bench.push_some(1).await;
        bench.leave_unanswered(SUSPECT_AFTER - 1).await;
        one(bench.reclaim("a", 1, false).await.jobs);
        assert!(!bench.reclaim("b", 1, false).await.suspects_wait, "it is held, for the third time");
        bench.advance(LEASE);
        assert!(bench.reclaim("b", 1, false).await.suspects_wait);
    }

    async fn a_suspect_that_goes_unanswered_twice_more_is_poison(bench) {
        bench.push_some(1).await;
        for delivery in 1..=DEAD_AFTER {
            let lease = match delivery {
                1 => bench.fetch_one("a").await.lease,
                _ => one(bench.reclaim("a", 1, true).await.jobs).lease,
            };
            assert_eq!(lease.delivery, delivery);
            assert_eq!(lease.is_suspect(), delivery > SUSPECT_AFTER);
            assert!(!lease.is_poison());
            bench.advance(LEASE);
        }
        assert!(bench.reclaim("b", 1, false).await.jobs.is_empty(), "never beside others");
        let lease = one(bench.reclaim("b", 1, true).await.jobs).lease;
        assert_eq!(lease.delivery, 6);
        assert!(lease.is_poison());
        bench.settle("b", lease, Answer::Remove).await;
        assert_eq!(bench.depth().await.in_flight, 0);
    }

    async fn a_suspect_that_is_answered_is_none_any_more(bench) {
        bench.push_some(1).await;
        bench.leave_unanswered(SUSPECT_AFTER).await;
        let lease = one(bench.reclaim("a", 1, true).await.jobs).lease;
        bench.settle("a", lease, again(Duration::ZERO)).await;
        assert_eq!(bench.fetch_one("b").await.lease.delivery, 1);
        bench.advance(LEASE);
        let found = bench.reclaim("c", 1, false).await;
        assert_eq!(one(found.jobs).lease.delivery, 2);
    }

    async fn a_suspect_that_was_given_back_is_still_handed_out_only_alone(bench) {
        let suspect = bench.push_some(1).await;
        bench.leave_unanswered(SUSPECT_AFTER).await;
        let lease = one(bench.reclaim("a", 1, true).await.jobs).lease;
        bench.settle("a", lease, Answer::GiveBack).await;
        bench.push(&[job(1)]).await;
        let fetched = bench.fetch("b", 10).await;
        assert!(fetched.iter().all(|job| !job.lease.is_suspect()), "{fetched:?}");
        let beside = bench.reclaim("b", 10, false).await;
        assert!(beside.jobs.is_empty() && beside.suspects_wait);
        let alone = bench.reclaim("c", 10, true).await;
        assert_eq!(ids(&alone.jobs), suspect);
        assert_eq!(alone.jobs[0].lease.delivery, SUSPECT_AFTER + 1, "as if not delivered");
    }

    async fn a_suspect_is_handed_out_to_one_of_many_who_are_alone(bench) {
        bench.push_some(1).await;
        bench.leave_unanswered(SUSPECT_AFTER).await;
        let names: Vec<String> = (0..8).map(|n| format!("b{n}")).collect();
        let reclaims = names.iter().map(|name| bench.reclaim(name, 1, true));
        let found = futures::future::join_all(reclaims).await;
        assert_eq!(found.iter().map(|found| found.jobs.len()).sum::<usize>(), 1);
    }
}
