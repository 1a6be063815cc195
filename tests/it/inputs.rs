//! Bad input: a clear answer, no harm to what is good in the same request, and nothing lost.

mod labels;
mod requests;

use serde_json::{Value, json};
use tocsin::jobs::IngestAlert;
use tocsin::sources::Delivery;
use tocsin::sources::alertmanager::SOURCE;
use tocsin::time::Timestamp;

use crate::harness::{Harness, body, firing, number};
use crate::on_all;

const WEBHOOK: &str = "/api/v1/alertmanager";

impl Harness {
    async fn post_raw(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.http.post(format!("{}{WEBHOOK}", self.url)).body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if status != 200 {
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
        }
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        if status != 200 {
            assert_eq!(body["status"], status);
            assert!(!body["detail"].as_str().unwrap().is_empty());
        }
        (status, body)
    }

    /// Pushes alerts as an ingress did that received them at that moment, and lets everything run.
    pub async fn push_received(&self, alerts: Vec<Value>, received_at: Timestamp) {
        let translated = (SOURCE.translate)(
            &Delivery::of(body(&alerts).to_string()),
            &self.context.config,
        );
        for content in translated.unwrap().alerts {
            let job = IngestAlert {
                source: SOURCE.name.to_owned(),
                received_at,
                content,
            };
            self.context.queues.push(&job).await.unwrap();
        }
        self.drain().await;
    }
}

on_all! {
    async fn bad_alerts_are_dead_letters_and_good_ones_beside_them_are_incidents(on) {
        let mut h = Harness::start(on).await;
        let deep = "[".repeat(100_000) + "]".repeat(100_000).as_str();
        let good = firing("good", h.now()).to_string();
        let nul = r#"{"labels":{"alertname":"Nul\u0000","job":"x"},"startsAt":"0001-01-01T00:00:00Z"}"#;
        let long = format!(
            r#"{{"startsAt":"soon","labels":{{"alertname":"Long","x":"{}"}}}}"#,
            "x".repeat(1 << 20)
        );
        let offset = r#"{"labels":{"alertname":"Offset"},"startsAt":"2026-01-01T00:00:00+05:45","new":{"a":[1]}}"#;
        let alerts = [
            good.as_str(),
            nul,
            &long,
            offset,
            "7",
            r#"{"labels":{}}"#,
            r#"{"labels":{"job":"nameless"}}"#,
            r#"{"labels":{"alertname":["Half"],"x":"\ud800"},"annotations":{"hosts":["a"],"values":{"B":22}}}"#,
            &deep,
        ];
        let body = format!(
            r#"{{"version":"3","groupKey":12,"truncatedAlerts":4,"alerts":[{}]}}"#,
            alerts.join(",")
        );
        let (status, taken) = h.post_raw(body).await;
        assert_eq!(status, 200, "{taken}");
        let expected = json!({"status": "ok", "processed": 9, "enqueued": 5, "rejected": 4});
        assert_eq!(taken, expected);
        h.drain().await;

        let mut names: Vec<String> = h
            .incidents()
            .await
            .iter()
            .map(|incident| incident["alert_name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["CrashLooping", "Long", "Nul\u{fffd}", "Offset", "[\"Half\"]"]);
        let together = "SELECT count(*) FROM dead_letters WHERE queue = 'ingest' \
                        AND reason LIKE '4 unusable alerts in one request: %'";
        assert_eq!(h.sql(together).await, 1);
        assert_eq!(h.telegram.taken().len(), 5);
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_truncated_total{source=\"alertmanager\"} 4"));
        assert!(metrics.contains("tocsin_alerts_misdated_total{source=\"alertmanager\"} 1"));
        assert!(metrics.contains("tocsin_alerts_received_total{source=\"alertmanager\"} 9"));
        assert!(metrics.contains("tocsin_alerts_total{source=\"alertmanager\",outcome=\"rejected\"} 4"));
        h.finish_with_dead_letters().await;
    }

    async fn a_dead_letter_keeps_what_was_sent(on) {
        let mut h = Harness::start(on).await;
        let (_, taken) = h.post_raw(r#"{"alerts":[{"labels":{"job":"näme\u0000less"}}]}"#).await;
        assert_eq!(taken["rejected"], 1);
        h.drain().await;
        let query = "SELECT count(*) FROM dead_letters WHERE reason = 'the alert has no alertname'";
        assert_eq!(number(&h.context, query).await, 1);
        use sea_orm::EntityTrait;
        let letters = tocsin::entity::dead_letters::Entity::find();
        let letter = letters.one(h.context.db.read()).await.unwrap().unwrap();
        let payload: Value = serde_json::from_slice(&letter.payload).unwrap();
        assert_eq!(payload["content"]["rejected"]["raw"], r#"{"labels":{"job":"näme\u0000less"}}"#);
        h.finish_with_dead_letters().await;
    }

    async fn a_start_in_the_future_is_counted_as_a_wrong_time(on) {
        let h = Harness::start(on).await;
        let soon = h.now().after(std::time::Duration::from_secs(30));
        let later = h.now().after(std::time::Duration::from_secs(8 * 3600));
        h.send_and_drain(vec![firing("soon", soon)]).await;
        let metrics = h.metrics().await;
        assert!(!metrics.contains("tocsin_alerts_misdated_total{source=\"alertmanager\"} 1"));
        h.send_and_drain(vec![firing("later", later)]).await;
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_misdated_total{source=\"alertmanager\"} 1"));
        h.finish().await;
    }

    async fn what_an_ingress_whose_clock_is_ahead_received_was_received_now(on) {
        let h = Harness::start(on).await;
        let ahead = h.now().after(std::time::Duration::from_secs(8 * 3600));
        h.push_received(vec![firing("a", h.now())], ahead).await;
        let now = h.now().0;
        for column in ["opened_at", "aggregation_window_start", "last_firing_at"] {
            let found = h.sql(&format!("SELECT {column} FROM incidents")).await;
            assert!(found <= now, "{column} is {} s ahead", (found - now) / 1000);
        }
        assert!(h.sql("SELECT occurred_at FROM occurrences").await <= now);
        assert!(h.sql("SELECT last_seen FROM anomalies").await <= now);
        // Its incident cannot be joined for as long as that clock is ahead.
        h.advance(std::time::Duration::from_secs(11 * 60));
        h.send_and_drain(vec![firing("b", h.now())]).await;
        assert_eq!(h.sql("SELECT newest_number FROM anomalies").await, 2);
        h.finish().await;
    }
}
