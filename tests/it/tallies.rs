//! Tallies: what windows hold without counting their rows is what counting them says, whatever happened
//! in which order.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tocsin::domain::aggregation::Unit;
use tocsin::domain::frequency::Counts;
use tocsin::queue::store::Capacity;
use tocsin::store::{maintenance, occurrences, tallies, verify};
use tocsin_workers::recount;

use crate::harness::{Harness, alert, resolved};
use crate::on_both;

const STEPS: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Harness {
    async fn keys(&self) -> Vec<String> {
        verify::keys_after(self.context.db.read(), "", 1000)
            .await
            .unwrap()
    }

    /// What tallies say, and what the rows do.
    async fn tallied_and_counted(&self) -> (Vec<Counts>, Vec<Counts>) {
        let (db, unit) = (self.context.db.read(), self.context.config.counting.unit);
        let now = self
            .context
            .clock
            .of_store(maintenance::now(db).await.unwrap());
        let keys = self.keys().await;
        let tallied = tallies::counts(db, unit, &keys, now).await.unwrap();
        (
            tallied,
            occurrences::count(db, unit, &keys, now).await.unwrap(),
        )
    }

    /// Who tells a tally of something it holds: all of them, under a lock.
    async fn tally(&self) {
        let tx = self.context.db.begin().await.unwrap();
        let keys = self.keys().await;
        verify::lock(&tx, &keys).await.unwrap();
        let now = self
            .context
            .clock
            .of_store(maintenance::now(&tx).await.unwrap());
        tallies::count(&tx, self.context.config.counting.unit, &keys, now)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

on_both! {
    async fn a_tally_is_what_its_rows_say_after_any_history(on) {
        let seed = std::env::var("TOCSIN_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(rand::random::<u64>);
        eprintln!("TOCSIN_TEST_SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for unit in [Unit::Episode, Unit::Delivery, Unit::Incident] {
            let h = Harness::start_with(on, |config| config.counting.unit = unit).await;
            let mut sent: Vec<Value> = Vec::new();
            for step in 0..STEPS {
                match random.random_range(0..12) {
                    0..=3 => {
                        let name = ["A", "B", "C"][random.random_range(0..3)];
                        let pod = format!("pod-{}", random.random_range(0..4));
                        sent.push(alert(name, &pod, h.now()));
                        h.send_and_drain(vec![sent[sent.len() - 1].clone()]).await;
                    }
                    4 => {
                        let some: Vec<Value> =
                            (0..5).map(|n| alert("A", &format!("{step}-{n}"), h.now())).collect();
                        sent.extend(some.clone());
                        h.send_and_drain(some).await;
                    }
                    5 if !sent.is_empty() => {
                        let again = sent[random.random_range(0..sent.len())].clone();
                        h.send_and_drain(vec![again]).await;
                    }
                    6 if !sent.is_empty() => {
                        let over = sent.swap_remove(random.random_range(0..sent.len()));
                        h.send_and_drain(vec![resolved(over, h.now())]).await;
                    }
                    7 => h.tally().await,
                    8 => drop(recount::decay(&h.context).await.unwrap()),
                    9 => recount::prune(&h.context).await.unwrap(),
                    10 => h.advance(random.random_range(1..90) * MINUTE),
                    _ => h.advance(random.random_range(1..240) * HOUR),
                }
                h.drain().await;
                let (tallied, counted) = h.tallied_and_counted().await;
                assert_eq!(tallied, counted, "{unit:?}, step {step}, seed {seed}");
            }
            h.finish().await;
        }
    }

    async fn a_tally_that_somebody_wrote_past_is_void(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![alert("A", "1", h.now()), alert("A", "2", h.now())]).await;
        h.tally().await;
        h.execute("UPDATE anomalies SET count_1h = 7, count_24h = 7, count_7d = 7, count_30d = 7").await;
        let (tallied, counted) = h.tallied_and_counted().await;
        assert_eq!((tallied[0].hour, counted[0].hour), (7, 2), "it is the tally that is asked");
        // As a version before tallies counts.
        h.execute("UPDATE anomalies SET total = total + 1").await;
        let (tallied, counted) = h.tallied_and_counted().await;
        assert_eq!(tallied, counted);
        h.execute("UPDATE anomalies SET total = total - 1").await;
        h.finish().await;
    }

    async fn alerts_processed_out_of_order_count_where_they_belong(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        let first = alert("A", "1", h.now());
        h.send(vec![first.clone()]).await;
        h.advance(90 * MINUTE);
        h.send(vec![first]).await;
        // The second is worked on first: it seems to have occurred when that was received.
        let ingest = tocsin::jobs::QUEUES[0];
        let jobs = h.context.queues.store().fetch(ingest, "me", Capacity::jobs(10)).await.unwrap();
        assert_eq!(jobs.len(), 2);
        let again = |delay| tocsin::queue::store::Answer::Again { delay, failed: Vec::new() };
        let answers = [
            (jobs[0].lease, again(MINUTE)),
            (jobs[1].lease, again(Duration::ZERO)),
        ];
        h.context.queues.store().settle(ingest, "me", &answers).await.unwrap();
        h.work(tocsin_workers::workers(&h.context));
        h.until("SELECT count(*) FROM incidents WHERE frequency_stats IS NOT NULL AND tier_due_since IS NULL", 1).await;
        let keys = h.keys().await;
        let counts = h.context.counter.counts(&keys, h.now()).await.unwrap();
        assert_eq!(counts[0].hour, 1);
        h.advance(MINUTE);
        h.drain().await;
        let counts = h.context.counter.counts(&keys, h.now()).await.unwrap();
        assert_eq!((counts[0].hour, counts[0].day), (0, 1));
        h.recount().await;
        h.finish().await;
    }
}
