//! Every received alert has one outcome.

use serde_json::json;
use tocsin::domain::aggregation::Unit;
use tocsin::queue::store::NewJob;
use uuid::Uuid;

use crate::harness::{Harness, alert, firing, resolved};
use crate::on_all;

const OUTCOMES: [&str; 5] = ["counted", "resent", "ignored", "rejected", "dead"];

impl Harness {
    async fn outcomes(&self, source: &str) -> [u64; 5] {
        let source = format!("source=\"{source}\"");
        let mut outcomes = [0; 5];
        for (n, outcome) in outcomes.iter_mut().zip(OUTCOMES) {
            let outcome = format!("outcome=\"{outcome}\"");
            *n = self
                .metric("tocsin_alerts_total", &[&source, &outcome])
                .await;
        }
        outcomes
    }
}

on_all! {
    async fn every_received_alert_has_one_outcome(on) {
        let mut h = Harness::start(on).await;
        assert_eq!(h.outcomes("alertmanager").await, [0; 5]);
        h.refuse(on, "CrashLooping-unwanted").await;
        let mut test = firing("test", h.now());
        test["labels"]["testalert"] = json!("true");
        let mixed = json!({"alerts": [
            firing("a", h.now()),
            firing("b", h.now()),
            firing("a", h.now()),
            resolved(firing("b", h.now()), h.now()),
            alert("Watchdog", "w", h.now()),
            test,
            json!({"labels": {"job": "nameless"}}),
            json!(7),
            firing("unwanted", h.now()),
            firing("c", h.now()),
        ]});
        for _ in 0..2 {
            let (status, taken) = h.post("/api/v1/alertmanager", mixed.clone()).await;
            assert_eq!((status, &taken["processed"]), (200, &json!(10)), "{taken}");
            h.drain().await;
        }
        assert_eq!(h.outcomes("alertmanager").await, [3, 7, 4, 4, 2]);
        let received = h.metric("tocsin_alerts_received_total", &[]).await;
        assert_eq!(received, 20);
        assert_eq!(h.outcomes("alertmanager").await.iter().sum::<u64>(), received);
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 3);
        // What a request held that cannot be used is one.
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters").await, 4);

        // What nobody can read is accounted for, too.
        let bytes = NewJob { queue: "ingest", id: Uuid::now_v7(), payload: "?".to_owned(), ..NewJob::default() };
        h.context.queues.store().push(&[bytes]).await.unwrap();
        h.drain().await;
        assert_eq!(h.outcomes("other").await, [0, 0, 0, 0, 1]);
        h.finish_with_dead_letters().await;
    }

    async fn each_delivery_counts_where_deliveries_are_counted(on) {
        let h = Harness::start_with(on, |config| config.counting.unit = Unit::Delivery).await;
        let again = firing("a", h.now());
        for _ in 0..3 {
            h.send_and_drain(vec![again.clone()]).await;
        }
        assert_eq!(h.outcomes("alertmanager").await, [3, 0, 0, 0, 0]);
        h.finish().await;
    }
}
