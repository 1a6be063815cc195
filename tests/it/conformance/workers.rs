//! Consumers of a queue: their heartbeats, listing and removal.

use std::time::Duration;

use tocsin::queue::about::{WorkerInfo, WorkerStatus};
use tocsin::queue::store::{CONSUMER_GONE, LEASE};
use tocsin::time::Timestamp;

use super::{Bench, MAIL, ids, one};

const SECOND: Duration = Duration::from_secs(1);

fn about(rate: f64) -> WorkerInfo {
    WorkerInfo {
        in_flight: 3,
        rate,
        ..WorkerInfo::this_process(16, Timestamp(1_795_382_909_102))
    }
}

impl Bench {
    async fn beat(&self, consumer: &str, rate: f64) {
        let about = about(rate);
        let beat = self.store.heartbeat(MAIL, consumer, &about);
        beat.await.unwrap();
    }

    async fn known(&self) -> Vec<WorkerStatus> {
        let known = self.store.consumers(MAIL).await.unwrap();
        assert_eq!(known.len() as u64, self.depth().await.workers);
        known
    }

    async fn names(&self) -> Vec<String> {
        let known = self.known().await;
        known.into_iter().map(|known| known.name).collect()
    }

    /// The consumers that Redis' group has, which are not forgotten with what they hold.
    fn group(&self) -> Option<Vec<String>> {
        let keys = self.pending.as_ref()?;
        let stream = format!("{}:{{{MAIL}}}:stream", keys.prefix);
        let names = "local names = {} \
                     for _, of in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], 'workers')) do \
                         names[#names + 1] = of[2] \
                     end \
                     table.sort(names) return names";
        let names = ::redis::Script::new(names);
        Some(names.key(stream).invoke(&mut keys.connect()).unwrap())
    }
}

conformance! {
    async fn a_worker_is_known_by_what_it_says_of_itself(bench) {
        assert_eq!(bench.known().await, []);
        bench.beat("b", 0.0).await;
        bench.beat("a", 0.5).await;
        bench.advance(SECOND);
        bench.beat("b", 1234.5).await;
        bench.store.heartbeat("parcels", "c", &about(1.0)).await.unwrap();
        let known = bench.known().await;
        let said = |n: usize| (known[n].name.as_str(), &known[n].about);
        assert_eq!([said(0), said(1)], [("a", &about(0.5)), ("b", &about(1234.5))]);
        let ages = [known[0].seen_ms_ago, known[1].seen_ms_ago];
        assert!(ages[0] >= 1000 && ages[0] - ages[1] >= 1000, "{ages:?}");
        assert_eq!(bench.store.consumers("parcels").await.unwrap().len(), 1);
    }

    async fn a_worker_is_forgotten_when_it_was_not_heard_of_for_long(bench) {
        bench.beat("a", 1.0).await;
        bench.beat("b", 1.0).await;
        bench.advance(CONSUMER_GONE - 10 * SECOND);
        bench.beat("b", 1.0).await;
        assert_eq!(bench.names().await, ["a", "b"]);
        bench.advance(15 * SECOND);
        assert_eq!(bench.names().await, ["b"]);
        bench.advance(CONSUMER_GONE);
        assert_eq!(bench.names().await, [""; 0]);
        bench.beat("b", 1.0).await;
        assert_eq!(bench.names().await, ["b"]);
    }

    async fn a_worker_that_has_stopped_is_forgotten_at_once(bench) {
        bench.beat("a", 1.0).await;
        bench.beat("b", 1.0).await;
        for _ in 0..2 {
            bench.store.leave(MAIL, "a").await.unwrap();
            assert_eq!(bench.names().await, ["b"]);
        }
    }

    async fn what_a_forgotten_worker_holds_is_taken_over_when_its_lease_has_run_out(bench) {
        let pushed = bench.push_some(2).await;
        let silent = bench.fetch_one("silent").await;
        let left = bench.fetch_one("left").await;
        bench.beat("left", 1.0).await;
        bench.beat("silent", 1.0).await;
        bench.store.leave(MAIL, "left").await.unwrap();
        assert!(bench.reclaim("b", 10, false).await.jobs.is_empty());
        bench.advance(CONSUMER_GONE + SECOND);
        bench.beat("b", 1.0).await;
        assert_eq!(bench.names().await, ["b"]);
        if let Some(group) = bench.group() {
            assert_eq!(group, ["left", "silent"], "they still hold something");
        }
        // Who was only forgotten holds its job for as long as it says so.
        assert_eq!(bench.extend("silent", &[silent.lease]).await, [pushed[0]]);
        assert_eq!(one(bench.reclaim("b", 10, false).await.jobs).lease.id, left.lease.id);
        bench.advance(LEASE);
        let mut found = ids(&bench.reclaim("c", 10, false).await.jobs);
        found.sort_unstable();
        assert_eq!(found, pushed);
        bench.beat("b", 1.0).await;
        if let Some(group) = bench.group() {
            assert_eq!(group, ["b", "c"], "they hold nothing any more");
        }
    }
}
