//! Answers of consumers that were stopped, lost their lease to another, and woke up.

use std::time::Duration;

use tocsin::queue::store::{Answer, LEASE, Lease, NewJob, StorePosition};

use super::{Bench, again, failure, job, one};

const SECOND: Duration = Duration::from_secs(1);

/// Asserts that the job is held by `holder` under `lease`, and by nobody else.
async fn is_held(bench: &Bench, holder: &str, lease: Lease) {
    assert_eq!(bench.fetch("anybody", 10).await, []);
    assert_eq!(bench.depth().await.in_flight, 1);
    assert_eq!(bench.extend(holder, &[lease]).await, [lease.id]);
}

conformance! {
    async fn who_lost_a_job_to_another_can_neither_retry_nor_give_back_nor_extend_it(bench) {
        bench.push_some(1).await;
        let lost = bench.fetch_one("a").await.lease;
        bench.advance(LEASE);
        let lease = one(bench.reclaim("b", 1, false).await.jobs).lease;
        let failed = vec![failure(1_790_000_000_000, "stale")];
        bench.settle("a", lost, Answer::Again { delay: Duration::ZERO, failed }).await;
        is_held(&bench, "b", lease).await;
        bench.settle("a", lost, Answer::GiveBack).await;
        is_held(&bench, "b", lease).await;
        // Not even if it knew the present number.
        bench.settle("a", lease, Answer::GiveBack).await;
        bench.settle("a", lease, again(SECOND)).await;
        assert!(bench.extend("a", &[lost]).await.is_empty());
        assert!(bench.extend("a", &[lease]).await.is_empty());
        is_held(&bench, "b", lease).await;
        bench.advance(LEASE);
        let next = one(bench.reclaim("c", 1, false).await.jobs);
        assert_eq!((next.lease.delivery, next.failed), (3, Vec::new()));
    }

    async fn extending_a_lost_job_does_not_hold_it(bench) {
        bench.push_some(1).await;
        let lost = bench.fetch_one("a").await.lease;
        bench.advance(LEASE);
        one(bench.reclaim("b", 1, false).await.jobs);
        bench.advance(LEASE - 5 * SECOND);
        bench.extend("a", &[lost]).await;
        bench.advance(5 * SECOND);
        assert_eq!(one(bench.reclaim("c", 1, false).await.jobs).lease.delivery, 3);
    }

    async fn who_did_a_job_removes_it_though_another_has_it_now(bench) {
        bench.push_some(1).await;
        let lost = bench.fetch_one("a").await.lease;
        bench.advance(LEASE);
        let lease = one(bench.reclaim("b", 1, false).await.jobs).lease;
        bench.settle("a", lost, Answer::Remove).await;
        assert_eq!(bench.depth().await.in_flight, 0);
        assert!(bench.extend("b", &[lease]).await.is_empty());
        bench.settle("b", lease, again(Duration::ZERO)).await;
        assert_eq!(bench.fetch("c", 1).await, [], "it is done");
    }

    async fn a_consumer_that_took_a_job_over_from_itself_answers_for_the_newer_delivery(bench) {
        bench.push_some(1).await;
        let old = bench.fetch_one("a").await.lease;
        bench.advance(LEASE);
        let new = one(bench.reclaim("a", 1, false).await.jobs).lease;
        bench.settle("a", old, again(SECOND)).await;
        bench.settle("a", old, Answer::GiveBack).await;
        assert!(bench.extend("a", &[old]).await.is_empty());
        is_held(&bench, "a", new).await;
        bench.settle("a", new, again(SECOND)).await;
        bench.advance(SECOND);
        assert_eq!(bench.fetch_one("b").await.lease.delivery, 1);
    }

    async fn an_answer_that_comes_twice_counts_once(bench) {
        bench.push_some(1).await;
        let lease = bench.fetch_one("a").await.lease;
        bench.settle("a", lease, again(10 * SECOND)).await;
        bench.settle("a", lease, again(Duration::ZERO)).await;
        bench.settle("a", lease, Answer::GiveBack).await;
        assert_eq!(bench.fetch("b", 1).await, [], "the delay holds");
        bench.advance(10 * SECOND);
        assert_eq!(bench.fetch_one("b").await.lease.delivery, 1);
    }

    async fn giving_back_twice_takes_one_delivery_back(bench) {
        bench.push_some(1).await;
        bench.leave_unanswered(1).await;
        let lease = one(bench.reclaim("a", 1, false).await.jobs).lease;
        bench.settle("a", lease, Answer::GiveBack).await;
        bench.settle("a", lease, Answer::GiveBack).await;
        assert_eq!(bench.fetch_one("b").await.lease.delivery, 2);
    }

    async fn an_answer_to_an_older_replay_leaves_the_replayed_job_alone(bench) {
        let first = job(1);
        bench.push(std::slice::from_ref(&first)).await;
        let old = bench.fetch_one("a").await.lease;
        bench.settle("a", old, Answer::Remove).await;
        bench.push(&[NewJob { replay: 1, ..first }]).await;
        bench.settle("a", old, Answer::Remove).await;
        let new = bench.fetch_one("a").await.lease;
        assert_eq!((new.id, new.delivery, new.replay), (old.id, 1, 1));
        bench.settle("a", old, Answer::Remove).await;
        bench.settle("a", old, again(SECOND)).await;
        bench.settle("a", old, Answer::GiveBack).await;
        assert!(bench.extend("a", &[old]).await.is_empty());
        is_held(&bench, "a", new).await;
        bench.settle("a", new, Answer::Remove).await;
        assert_eq!(bench.depth().await.in_flight, 0);
    }

    async fn a_replay_is_queued_beside_what_was_left_over_and_pushed_once(bench) {
        for named in [true, false] {
            let first = NewJob { named, ..job(1) };
            let replay = |n: u32| NewJob {
                replay: n,
                named: true,
                payload: format!("{{\"replay\":{n}}}"),
                ..first.clone()
            };
            bench.push(std::slice::from_ref(&first)).await;
            let left_over = bench.fetch_one("a").await.lease;
            bench.push(&[replay(1), replay(1)]).await;
            bench.push(&[replay(1)]).await;
            let held = bench.fetch_one("b").await;
            assert_eq!((held.lease.id, held.lease.replay, held.lease.delivery), (first.id, 1, 1));
            assert_eq!(held.payload, b"{\"replay\":1}");
            bench.settle("a", left_over, Answer::Remove).await;
            bench.push(&[NewJob { named: true, ..first.clone() }, replay(1)]).await;
            assert_eq!(bench.fetch("c", 10).await, [], "the replay is held");
            bench.settle("b", held.lease, again(60 * SECOND)).await;
            bench.push(&[NewJob { named: true, ..first.clone() }, replay(1)]).await;
            assert_eq!(bench.fetch("c", 10).await, [], "the replay is delayed");
            bench.advance(60 * SECOND);
            let held = bench.fetch_one("c").await.lease;
            assert_eq!(held.replay, 1);
            bench.push(&[replay(2)]).await;
            bench.settle("c", held, Answer::Remove).await;
            let second = bench.fetch_one("d").await.lease;
            assert_eq!((second.replay, second.delivery), (2, 1));
            bench.settle("d", second, Answer::Remove).await;
            bench.push(&[NewJob { named: true, ..first }]).await;
            let new = bench.fetch_one("e").await.lease;
            assert_eq!(new.replay, 0, "nothing is queued under its id any more");
            bench.settle("e", new, Answer::Remove).await;
            assert_eq!(bench.depth().await, tocsin::queue::store::Depth::default());
        }
    }

    async fn an_answer_to_an_unknown_job_is_dropped(bench) {
        let pushed = bench.push_some(1).await;
        let id = uuid::Uuid::now_v7();
        let lease = Lease { id, delivery: 1, replay: 0, place: StorePosition::default() };
        let mine = bench.fetch_one("a").await.lease;
        bench.settle_all("a", &[
            (lease, Answer::Remove),
            (Lease { id: uuid::Uuid::nil(), ..lease }, Answer::GiveBack),
            (lease, again(SECOND)),
            (mine, Answer::GiveBack),
        ]).await;
        assert!(bench.extend("a", &[lease]).await.is_empty());
        assert_eq!(super::ids(&bench.fetch("b", 10).await), pushed);
    }
}
