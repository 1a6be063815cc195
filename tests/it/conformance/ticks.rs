//! Schedules: of any number of replicas one claims a tick, and what was missed is made up for once.

use std::time::Duration;

use tocsin::ids::derived_id;
use tocsin::queue::store::{Answer, Delivery, Schedule};

use super::{Bench, MAIL, one};

const HOUR: Duration = Duration::from_secs(3600);
const HOURLY: Schedule = Schedule {
    name: "hourly",
    every: HOUR,
};

/// No hour ends while a test runs: it is the middle of one.
fn mid_hour(bench: &Bench) {
    let into = bench.clock.now().0.rem_euclid(3_600_000).unsigned_abs();
    bench.advance(HOUR + HOUR / 2 - Duration::from_millis(into));
}

async fn claim(bench: &Bench, schedule: Schedule) -> bool {
    let payload = format!("{{\"of\":\"{}\"}}", schedule.name);
    bench
        .store
        .tick(MAIL, &[(schedule, payload)])
        .await
        .unwrap()
        == 1
}

async fn take(bench: &Bench) -> Delivery {
    let job = one(bench.fetch("a", 10).await);
    bench.settle("a", job.lease, Answer::Remove).await;
    job
}

conformance! {
    async fn a_tick_is_claimed_by_one_of_many(bench) {
        mid_hour(&bench);
        let claims = futures::future::join_all((0..20).map(|_| claim(&bench, HOURLY))).await;
        assert_eq!(claims.iter().filter(|claimed| **claimed).count(), 1);
        let job = take(&bench).await;
        assert_eq!(job.payload, b"{\"of\":\"hourly\"}");
        assert_eq!((job.lease.delivery, job.lease.replay), (1, 0));
    }

    async fn a_tick_that_was_claimed_is_not_claimed_again(bench) {
        mid_hour(&bench);
        assert!(claim(&bench, HOURLY).await);
        take(&bench).await;
        assert!(!claim(&bench, HOURLY).await);
        assert_eq!(bench.fetch("a", 10).await, []);
    }

    async fn a_tick_that_a_clock_claimed_which_was_ahead_keeps_none_from_being_claimed(bench) {
        mid_hour(&bench);
        bench.advance(8 * HOUR);
        assert!(claim(&bench, HOURLY).await);
        take(&bench).await;
        bench.clock.put_back(8 * HOUR);
        assert!(claim(&bench, HOURLY).await);
        take(&bench).await;
        assert!(!claim(&bench, HOURLY).await);
        bench.advance(HOUR);
        assert!(claim(&bench, HOURLY).await);
    }

    async fn every_tick_is_claimed_in_its_turn(bench) {
        let mut ids = Vec::new();
        for _ in 0..3 {
            assert!(claim(&bench, HOURLY).await);
            ids.push(take(&bench).await.lease.id);
            bench.advance(HOUR);
        }
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }

    async fn ticks_that_were_missed_are_made_up_for_once(bench) {
        mid_hour(&bench);
        assert!(claim(&bench, HOURLY).await);
        take(&bench).await;
        bench.advance(10 * HOUR);
        let claims = futures::future::join_all((0..10).map(|_| claim(&bench, HOURLY))).await;
        assert_eq!(claims.iter().filter(|claimed| **claimed).count(), 1);
        take(&bench).await;
        assert!(!claim(&bench, HOURLY).await);
    }

    async fn the_jobs_id_is_made_of_the_name_and_the_tick(bench) {
        mid_hour(&bench);
        assert!(claim(&bench, HOURLY).await);
        let job = take(&bench).await;
        let tick = job.enqueued_at.0 / 3_600_000;
        assert_eq!(job.lease.id, derived_id(&["hourly", &tick.to_string()]));
    }

    async fn of_many_ticks_those_are_claimed_that_nobody_has(bench) {
        mid_hour(&bench);
        assert!(claim(&bench, HOURLY).await);
        let of = |name| Schedule { name, ..HOURLY };
        let all: Vec<_> = ["a", "hourly", "b"].map(|name| (of(name), format!("\"{name}\""))).into();
        let claims = (0..10).map(|_| bench.store.tick(MAIL, &all));
        let claims = futures::future::join_all(claims).await;
        assert_eq!(claims.into_iter().map(Result::unwrap).sum::<usize>(), 2);
        let mut payloads: Vec<_> = bench.fetch("a", 10).await.into_iter().map(|job| job.payload).collect();
        payloads.sort_unstable();
        assert_eq!(payloads, [&b"\"a\""[..], b"\"b\"", b"{\"of\":\"hourly\"}"]);
    }

    async fn schedules_do_not_claim_for_each_other(bench) {
        let daily = Schedule { name: "daily", every: 24 * HOUR };
        assert!(claim(&bench, HOURLY).await);
        assert!(claim(&bench, daily).await);
        let jobs = bench.fetch("a", 10).await;
        assert_eq!(jobs.len(), 2);
        bench.advance(24 * HOUR);
        assert!(claim(&bench, daily).await);
        assert!(claim(&bench, HOURLY).await);
    }
}
