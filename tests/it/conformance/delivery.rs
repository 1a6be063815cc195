//! From push to removal: what was pushed is what is handed out, once, in order.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tocsin::jobs::{About, Job, Policy, RecordRepair, Subject};
use tocsin::queue::store::{Answer, Capacity, LEASE, NewJob};
use tocsin::queue::{Push, Queues};

use super::{MAIL, ids, job, one, set};

const SECOND: Duration = Duration::from_secs(1);

/// A letter, pushed as the program pushes jobs.
#[derive(Clone, Serialize, Deserialize)]
struct Letter {
    number: usize,
}

impl About for Letter {
    fn subject(&self) -> Option<Subject> {
        None
    }
}

impl Job for Letter {
    const POLICY: Policy = Policy {
        queue: MAIL,
        ..RecordRepair::POLICY
    };
}

/// Jobs that a store that cannot weigh them hands out at once.
const UNWEIGHED: usize = 256;

conformance! {
    async fn jobs_are_handed_out_for_as_many_bytes_as_there_is_room_for(bench) {
        let heavy = |n| NewJob { payload: format!("\"{}\"", "x".repeat(998)), ..job(n) };
        bench.push(&(0..600).map(heavy).collect::<Vec<_>>()).await;
        let room = |bytes| Capacity { jobs: 600, bytes };
        let jobs = bench.store.fetch(MAIL, "a", room(10_000)).await.unwrap();
        assert!((10..=UNWEIGHED).contains(&jobs.len()), "{}", jobs.len());
        bench.advance(LEASE + SECOND);
        let again = bench.store.reclaim(MAIL, "b", room(5_000), false).await.unwrap().jobs;
        assert!((5..=UNWEIGHED).contains(&again.len()), "{}", again.len());
        // One job always, whatever it weighs.
        let one = bench.store.fetch(MAIL, "c", room(1)).await.unwrap();
        assert!((1..=UNWEIGHED).contains(&one.len()), "{}", one.len());
    }

    async fn a_job_is_handed_out_as_it_was_pushed(bench) {
        let pushed = NewJob {
            payload: "{\"text\":\"tschüss \u{1F525}\\u0000 'quoted' $1 {now}\"}".to_owned(),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            replay: 3,
            ..job(0)
        };
        let before = bench.clock.now();
        bench.push(&[pushed.clone(), job(1)]).await;
        let after = bench.clock.now();
        let jobs = bench.fetch("a", 10).await;
        assert_eq!(jobs.len(), 2);
        let job = &jobs[0];
        assert_eq!(job.lease.id, pushed.id);
        assert_eq!((job.lease.delivery, job.lease.replay), (1, 3));
        assert_eq!(String::from_utf8_lossy(&job.payload), pushed.payload);
        assert_eq!(job.trace_id, pushed.trace_id);
        assert_eq!(job.failed, []);
        let around = before.before(SECOND)..=after.after(SECOND);
        assert!(around.contains(&job.enqueued_at), "{around:?}: {}", job.enqueued_at);
        assert_eq!((jobs[1].lease.replay, &jobs[1].trace_id), (0, &None));
    }

    async fn a_payload_that_cannot_be_read_survives_beside_its_neighbours(bench) {
        let long = "x".repeat(1_000_000);
        let payloads = ["{\"n\":0}", "{\"broken", "", "null", "\\\"\\u", "[1,\n\t2]", &long];
        let jobs: Vec<NewJob> = payloads
            .iter()
            .map(|payload| NewJob { payload: (*payload).to_owned(), ..job(0) })
            .collect();
        bench.push(&jobs).await;
        let fetched = bench.fetch("a", 10).await;
        let got: Vec<&[u8]> = fetched.iter().map(|job| job.payload.as_slice()).collect();
        let expected: Vec<&[u8]> = payloads.iter().map(|payload| payload.as_bytes()).collect();
        assert!(got == expected);
    }

    async fn nothing_can_be_pushed_settled_and_extended(bench) {
        bench.push(&[]).await;
        bench.settle_all("a", &[]).await;
        assert!(bench.extend("a", &[]).await.is_empty());
        assert_eq!(bench.fetch("a", 10).await, []);
        assert!(bench.reclaim("a", 10, true).await.jobs.is_empty());
    }

    async fn an_id_that_is_queued_is_not_pushed_again(bench) {
        let first = NewJob { named: true, ..job(1) };
        let other = NewJob { payload: "\"another\"".to_owned(), ..first.clone() };
        bench.push(&[first.clone(), other.clone()]).await;
        bench.push(std::slice::from_ref(&other)).await;
        let held = one(bench.fetch("a", 10).await);
        assert_eq!(held.payload, first.payload.as_bytes());
        bench.push(std::slice::from_ref(&other)).await;
        assert_eq!(bench.fetch("a", 10).await, [], "it is held");
        bench.settle("a", held.lease, super::again(60 * SECOND)).await;
        bench.push(std::slice::from_ref(&other)).await;
        assert_eq!(bench.fetch("a", 10).await, [], "it is delayed");
        bench.advance(60 * SECOND);
        let held = bench.fetch_one("a").await;
        bench.settle("a", held.lease, Answer::Remove).await;
        bench.push(std::slice::from_ref(&other)).await;
        assert_eq!(bench.fetch_one("a").await.payload, other.payload.as_bytes());
    }

    async fn a_delayed_job_is_pushed_once_too(bench) {
        let later = NewJob { delay: 10 * SECOND, named: true, ..job(1) };
        let now = NewJob { delay: Duration::ZERO, ..later.clone() };
        bench.push(&[later]).await;
        bench.push(&[now]).await;
        assert_eq!(bench.fetch("a", 10).await, []);
        bench.advance(10 * SECOND);
        assert_eq!(bench.fetch("a", 10).await.len(), 1);
    }

    async fn the_same_jobs_pushed_by_many_at_once_are_queued_once(bench) {
        for _ in 0..4 {
            let jobs: Vec<NewJob> = (0..500).map(|n| NewJob { named: true, ..job(n) }).collect();
            let backwards: Vec<NewJob> = jobs.iter().rev().cloned().collect();
            let pushes = (0..6).map(|n| bench.push(if n % 2 == 0 { &jobs } else { &backwards }));
            futures::future::join_all(pushes).await;
            let fetched = bench.fetch("a", 1000).await;
            assert_eq!(fetched.len(), 500);
            assert_eq!(set(ids(&fetched)), set(jobs.iter().map(|job| job.id)));
        }
    }

    async fn who_waited_longest_is_handed_out_first(bench) {
        let mut pushed = Vec::new();
        for _ in 0..3 {
            pushed.extend(bench.push_some(40).await);
            bench.advance(SECOND);
        }
        let mut fetched = Vec::new();
        while fetched.len() < pushed.len() {
            let jobs = bench.fetch("a", 7).await;
            assert!(!jobs.is_empty());
            fetched.extend(ids(&jobs));
        }
        assert_eq!(fetched, pushed);
    }

    async fn the_order_of_one_push_is_kept(bench) {
        let letters: Vec<Letter> = (0..500).map(|number| Letter { number }).collect();
        let queues = Queues::new(Arc::clone(&bench.store));
        queues.push_all(letters.iter().map(Push::new)).await.unwrap();
        let fetched = bench.fetch("a", 1000).await;
        let numbers: Vec<usize> = fetched
            .iter()
            .map(|job| serde_json::from_slice::<Letter>(&job.payload).unwrap().number)
            .collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    }

    async fn a_delayed_job_is_handed_out_when_its_time_has_come(bench) {
        let late = NewJob { delay: 30 * SECOND, ..job(1) };
        let soon = NewJob { delay: 20 * SECOND, ..job(2) };
        bench.push(&[late.clone(), soon.clone()]).await;
        assert_eq!(bench.fetch("a", 10).await, []);
        bench.advance(15 * SECOND);
        assert_eq!(bench.fetch("a", 10).await, []);
        bench.advance(5 * SECOND);
        assert_eq!(ids(&bench.fetch("a", 10).await), [soon.id]);
        bench.advance(10 * SECOND);
        assert_eq!(ids(&bench.fetch("a", 10).await), [late.id]);
    }

    async fn a_delayed_job_waits_behind_those_that_were_due_before_it(bench) {
        let delayed = NewJob { delay: 10 * SECOND, ..job(1) };
        let at_once = job(2);
        bench.push(&[delayed.clone(), at_once.clone()]).await;
        bench.advance(20 * SECOND);
        // It takes its place in the line when promotion finds it due.
        bench.promote(MAIL).await;
        let newest = job(3);
        bench.push(std::slice::from_ref(&newest)).await;
        let order = ids(&bench.fetch("a", 10).await);
        assert_eq!(order, [at_once.id, delayed.id, newest.id]);
    }

    async fn what_is_handed_out_is_handed_out_to_nobody_else(bench) {
        let pushed = bench.push_some(10).await;
        let mut fetched = ids(&bench.fetch("a", 4).await);
        fetched.extend(ids(&bench.fetch("b", 4).await));
        fetched.extend(ids(&bench.fetch("a", 4).await));
        assert_eq!(fetched, pushed);
        assert_eq!(bench.fetch("b", 4).await, []);
    }

    async fn a_job_that_was_removed_never_comes_again(bench) {
        bench.push_some(2).await;
        let held = bench.fetch("a", 2).await;
        let answers: Vec<_> = held.iter().map(|job| (job.lease, Answer::Remove)).collect();
        bench.settle_all("a", &answers).await;
        bench.settle_all("a", &answers).await;
        bench.advance(3600 * SECOND);
        assert_eq!(bench.fetch("a", 10).await, []);
        assert!(bench.reclaim("a", 10, true).await.jobs.is_empty());
        assert_eq!(bench.depth().await, tocsin::queue::store::Depth::default());
    }

    async fn queues_do_not_see_each_others_jobs(bench) {
        let (mine, other) = (job(1), NewJob { queue: "parcels", ..job(2) });
        bench.push(&[mine.clone(), other.clone()]).await;
        assert_eq!(ids(&bench.fetch("a", 10).await), [mine.id]);
        assert_eq!(ids(&bench.fetch_from("parcels", "a", 10).await), [other.id]);
        assert_eq!(bench.fetch_from("letters", "a", 10).await, []);
        bench.advance(2 * tocsin::queue::store::LEASE);
        assert_eq!(ids(&bench.reclaim("a", 10, false).await.jobs), [mine.id]);
        let parcels = bench.store.reclaim("parcels", "a", Capacity::jobs(10), false).await.unwrap();
        assert_eq!(ids(&parcels.jobs), [other.id]);
        assert_eq!(bench.depth().await.in_flight, 1);
    }
}
