//! Jobs that are run again, and jobs that are given back.

use std::time::Duration;

use tocsin::queue::store::{Answer, LEASE, NewJob};

use super::{again, failure, ids, job, one};

const SECOND: Duration = Duration::from_secs(1);

conformance! {
    async fn a_failed_job_comes_again_after_its_delay_with_its_errors(bench) {
        let pushed = NewJob { trace_id: Some("trace".to_owned()), replay: 2, ..job(7) };
        bench.push(std::slice::from_ref(&pushed)).await;
        let first = bench.fetch_one("a").await;
        let mut failed = Vec::new();
        for (n, error) in ["first", "zwei \u{1F525} \"quoted\" \\ \n", ""].into_iter().enumerate() {
            failed.push(failure(1_790_000_000_123 + n as i64, error));
            let held = if n == 0 { first.clone() } else { bench.fetch_one("b").await };
            let holder = if n == 0 { "a" } else { "b" };
            let delay = 60 * SECOND;
            bench.settle(holder, held.lease, Answer::Again { delay, failed: failed.clone() }).await;
            bench.advance(delay - 10 * SECOND);
            assert_eq!(bench.fetch("b", 10).await, [], "too early after failure {n}");
            bench.advance(10 * SECOND);
        }
        let last = bench.fetch_one("c").await;
        assert_eq!(last.failed, failed);
        assert_eq!((last.lease.id, last.lease.replay), (first.lease.id, 2));
        assert_eq!(last.lease.delivery, 1, "answered, so this is its first delivery");
        assert_eq!((&last.payload, &last.trace_id), (&first.payload, &pushed.trace_id));
        assert_eq!(last.enqueued_at, first.enqueued_at);
    }

    async fn a_job_that_is_put_off_has_no_failed_attempt(bench) {
        bench.push_some(1).await;
        let held = bench.fetch_one("a").await;
        bench.settle("a", held.lease, again(SECOND)).await;
        bench.advance(SECOND);
        let held = bench.fetch_one("a").await;
        assert_eq!((held.lease.delivery, held.failed), (1, Vec::new()));
        assert!(held.put_off, "it was worked on");
    }

    async fn a_retried_job_that_went_unanswered_before_starts_at_delivery_one(bench) {
        bench.push_some(1).await;
        bench.leave_unanswered(2).await;
        let held = one(bench.reclaim("a", 1, false).await.jobs);
        assert_eq!(held.lease.delivery, 3);
        bench.settle("a", held.lease, again(Duration::ZERO)).await;
        assert_eq!(bench.fetch_one("b").await.lease.delivery, 1);
    }

    async fn a_job_that_is_given_back_is_as_if_it_had_not_been_delivered(bench) {
        let pushed = bench.push_some(3).await;
        let held = bench.fetch("a", 2).await;
        bench.advance(SECOND);
        let last = bench.push_some(1).await;
        let back: Vec<_> = held.iter().map(|job| (job.lease, Answer::GiveBack)).collect();
        bench.settle_all("a", &back).await;
        let fetched = bench.fetch("b", 10).await;
        assert_eq!(ids(&fetched), [pushed, last].concat(), "at its old place");
        assert!(fetched.iter().all(|job| job.lease.delivery == 1 && !job.put_off));
    }

    async fn giving_back_restores_the_number_of_unanswered_deliveries(bench) {
        bench.push_some(1).await;
        bench.leave_unanswered(1).await;
        let held = one(bench.reclaim("a", 1, false).await.jobs);
        assert_eq!(held.lease.delivery, 2);
        bench.settle("a", held.lease, Answer::GiveBack).await;
        assert_eq!(bench.fetch_one("b").await.lease.delivery, 2);
    }

    async fn a_job_that_is_given_back_keeps_its_failed_attempts(bench) {
        bench.push_some(1).await;
        let held = bench.fetch_one("a").await;
        let failed = vec![failure(1_790_000_000_000, "once")];
        let answer = Answer::Again { delay: Duration::ZERO, failed: failed.clone() };
        bench.settle("a", held.lease, answer).await;
        let held = bench.fetch_one("a").await;
        bench.settle("a", held.lease, Answer::GiveBack).await;
        assert_eq!(bench.fetch_one("a").await.failed, failed);
    }

    async fn answers_of_all_kinds_are_settled_together(bench) {
        let pushed = bench.push_some(4).await;
        let held = bench.fetch("a", 4).await;
        bench.settle_all("a", &[
            (held[0].lease, Answer::Remove),
            (held[1].lease, again(2 * LEASE)),
            (held[2].lease, Answer::GiveBack),
        ]).await;
        assert_eq!(ids(&bench.fetch("b", 10).await), [pushed[2]]);
        bench.advance(LEASE);
        assert_eq!(ids(&bench.reclaim("c", 10, false).await.jobs), [pushed[2], pushed[3]]);
        bench.advance(LEASE);
        assert_eq!(ids(&bench.fetch("b", 10).await), [pushed[1]]);
    }
}
