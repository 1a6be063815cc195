//! Paused queues hand out nothing; everything else goes on.

use std::time::Duration;

use tocsin::queue::store::{Answer, LEASE, NewJob};

use super::{MAIL, again, ids, job, one};

conformance! {
    async fn a_paused_queue_hands_out_nothing_until_it_goes_on(bench) {
        let first = bench.push_some(1).await;
        bench.fetch("victim", 1).await;
        bench.advance(LEASE);
        bench.store.set_paused(MAIL, true).await.unwrap();
        bench.store.set_paused(MAIL, true).await.unwrap();
        let second = bench.push_some(1).await;
        assert_eq!(bench.fetch("a", 10).await, []);
        assert!(bench.reclaim("a", 10, true).await.jobs.is_empty());
        assert!(bench.reclaim("a", 10, false).await.jobs.is_empty());
        let depth = bench.depth().await;
        assert!(depth.paused);
        assert_eq!((depth.ready, depth.in_flight), (1, 1));
        let paused = bench.store.paused(&["other", MAIL]).await.unwrap();
        assert_eq!(paused, [(MAIL, depth.paused_since.unwrap())]);

        bench.store.set_paused(MAIL, false).await.unwrap();
        assert!(!bench.depth().await.paused);
        assert_eq!(bench.store.paused(&["other", MAIL]).await.unwrap(), []);
        assert_eq!(ids(&bench.reclaim("a", 10, true).await.jobs), first);
        assert_eq!(ids(&bench.fetch("a", 10).await), second);
    }

    async fn a_suspect_of_a_paused_queue_waits_too(bench) {
        bench.push_some(1).await;
        bench.leave_unanswered(3).await;
        bench.store.set_paused(MAIL, true).await.unwrap();
        assert!(bench.reclaim("a", 10, true).await.jobs.is_empty());
        bench.store.set_paused(MAIL, false).await.unwrap();
        assert!(one(bench.reclaim("a", 10, true).await.jobs).lease.is_suspect());
    }

    async fn what_runs_in_a_paused_queue_is_held_and_settled(bench) {
        let pushed = bench.push_some(3).await;
        let held = bench.fetch("a", 3).await;
        bench.store.set_paused(MAIL, true).await.unwrap();
        assert_eq!(bench.extend("a", &[held[0].lease]).await, [pushed[0]]);
        bench.settle_all("a", &[
            (held[0].lease, Answer::Remove),
            (held[1].lease, again(Duration::ZERO)),
            (held[2].lease, Answer::GiveBack),
        ]).await;
        let depth = bench.depth().await;
        assert_eq!((depth.ready, depth.in_flight), (2, 0));
        assert_eq!(bench.fetch("a", 10).await, []);
    }

    async fn other_queues_go_on(bench) {
        bench.store.set_paused(MAIL, true).await.unwrap();
        let parcel = NewJob { queue: "parcels", ..job(1) };
        bench.push(std::slice::from_ref(&parcel)).await;
        assert_eq!(ids(&bench.fetch_from("parcels", "a", 10).await), [parcel.id]);
        assert!(!bench.store.depth("parcels").await.unwrap().paused);
    }

    async fn a_paused_queues_schedule_is_claimed_and_waits(bench) {
        bench.store.set_paused(MAIL, true).await.unwrap();
        let hourly = tocsin::queue::store::Schedule {
            name: "hourly",
            every: Duration::from_secs(3600),
        };
        assert!(bench.store.tick(MAIL, &[(hourly, "{}".to_owned())]).await.unwrap() == 1);
        assert_eq!(bench.fetch("a", 1).await, []);
        bench.store.set_paused(MAIL, false).await.unwrap();
        assert_eq!(bench.fetch("a", 1).await.len(), 1);
    }
}
