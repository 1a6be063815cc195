//! A queue in figures, and the signal that something was pushed.

use std::sync::Arc;
use std::time::Duration;

use tocsin::queue::store::{Answer, Depth, LEASE, NewJob};

use super::{MAIL, again, job};

const SECOND: Duration = Duration::from_secs(1);

conformance! {
    async fn an_empty_queue_has_no_figures(bench) {
        assert_eq!(bench.depth().await, Depth::default());
    }

    async fn a_job_is_ready_delayed_or_in_flight(bench) {
        bench.push_some(5).await;
        bench.push(&[NewJob { delay: 60 * SECOND, ..job(5) }]).await;
        bench.push(&[NewJob { queue: "parcels", ..job(6) }]).await;
        let held = bench.fetch("a", 3).await;
        bench.settle_all("a", &[
            (held[0].lease, Answer::Remove),
            (held[1].lease, again(30 * SECOND)),
        ]).await;
        let depth = bench.depth().await;
        assert_eq!((depth.ready, depth.delayed, depth.in_flight), (2, 2, 1));
        bench.advance(30 * SECOND);
        let depth = bench.depth().await;
        assert_eq!((depth.ready, depth.delayed, depth.in_flight), (3, 1, 1));
        bench.advance(30 * SECOND);
        let depth = bench.depth().await;
        assert_eq!((depth.ready, depth.delayed, depth.in_flight), (4, 0, 1));
    }

    async fn a_job_that_becomes_due_is_counted_all_the_while(bench) {
        let jobs: Vec<NewJob> = (0..500)
            .map(|n| NewJob { delay: Duration::from_millis(n.into()), ..job(n) })
            .collect();
        bench.push(&jobs).await;
        loop {
            let depth = bench.store.depth(MAIL).await.unwrap();
            assert_eq!(depth.ready + depth.delayed, 500);
            bench.promote(MAIL).await;
            if depth.delayed == 0 {
                break;
            }
        }
    }

    async fn the_oldest_age_is_that_of_the_ready_job_that_waited_longest(bench) {
        bench.push_some(1).await;
        bench.advance(20 * SECOND);
        bench.push_some(1).await;
        bench.push(&[NewJob { delay: 60 * SECOND, ..job(2) }]).await;
        bench.advance(10 * SECOND);
        let age = bench.depth().await.oldest_age_ms.unwrap();
        assert!((30_000..40_000).contains(&age), "{age}");
        bench.fetch("a", 1).await;
        let age = bench.depth().await.oldest_age_ms.unwrap();
        assert!((10_000..20_000).contains(&age), "{age}");
        bench.fetch("a", 1).await;
        assert_eq!(bench.depth().await.oldest_age_ms, None, "none is ready");
    }

    async fn a_lease_that_ran_out_is_in_flight_until_it_is_taken_over(bench) {
        bench.push_some(1).await;
        bench.fetch("a", 1).await;
        bench.advance(LEASE);
        let depth = bench.depth().await;
        assert_eq!((depth.ready, depth.in_flight), (0, 1));
    }

    async fn who_waits_is_told_of_a_push(bench) {
        // What happened before may be told once.
        let _ = tokio::time::timeout(Duration::from_millis(20), bench.store.pushed(MAIL)).await;
        let store = Arc::clone(&bench.store);
        let waiting = tokio::spawn(async move { store.pushed(MAIL).await });
        bench.push(&[job(1)]).await;
        tokio::time::timeout(10 * SECOND, waiting).await.unwrap().unwrap();
    }

    async fn a_push_to_another_queue_wakes_nobody(bench) {
        bench.push(&[NewJob { queue: "parcels", ..job(1) }]).await;
        let waiting = tokio::time::timeout(Duration::from_millis(50), bench.store.pushed("quiet"));
        assert!(waiting.await.is_err());
    }
}
