//! A change of an anomaly changes all its unresolved incidents, not just the newest.

use serde_json::{Value, json};

use super::{DAY, MINUTE};
use crate::harness::{Harness, On, firing};
use crate::on_all;

impl Harness {
    /// With three open incidents of one anomaly.
    async fn with_three(on: On) -> Self {
        let h = Self::start(on).await;
        for incident in 1..=3 {
            h.advance(11 * MINUTE);
            h.send_and_drain(vec![firing(&format!("pod-{incident}"), h.now())])
                .await;
        }
        assert_eq!(h.incidents().await.len(), 3);
        h
    }

    async fn are(&self, field: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        assert_eq!(self.each(field).await, vec![expected; 3], "{field}");
    }
}

on_all! {
    async fn a_rise_and_a_fall_reach_every_unresolved_incident(on) {
        let h = Harness::with_three(on).await;
        h.are("tier", 1).await;
        h.send_and_drain(vec![firing("a", h.now()), firing("b", h.now())]).await;
        h.are("escalation_level", "ESCALATE").await;
        h.are("tier", 2).await;
        h.are("tier_reason", "level is ESCALATE").await;
        for card in h.telegram.messages().iter().take(3) {
            assert!(card.shown.contains("ESCALATE"), "{}", card.shown);
        }
        h.advance(DAY);
        h.execute("UPDATE anomalies SET falling_since = 0").await;
        h.recount().await;
        h.are("escalation_level", "NONE").await;
        h.are("tier", 1).await;
        for card in h.telegram.messages().iter().take(3) {
            assert!(!card.shown.contains("ESCALATE"), "{}", card.shown);
        }
        h.finish().await;
    }

    async fn a_repair_and_a_fix_reach_every_unresolved_incident(on) {
        let h = Harness::with_three(on).await;
        let oldest = h.incidents().await[2]["id"].as_str().unwrap().to_owned();
        for _ in 0..2 {
            let repair = json!({"action": "restart_pod", "success": false});
            h.post(&format!("/api/v1/incidents/{oldest}/repairs"), repair).await;
        }
        h.drain().await;
        h.are("tier", 2).await;
        for incident in h.incidents().await {
            assert_eq!(incident["repair_stats"]["total_attempts"], 2, "{incident}");
        }
        let key = h.sql_text("SELECT key FROM anomalies").await;
        let path = format!("/api/v1/anomalies/{key}/permanent-fix");
        h.post(&path, json!({})).await;
        h.drain().await;
        h.advance(MINUTE);
        // It joins the newest.
        h.send_and_drain(vec![firing("again", h.now())]).await;
        h.are("tier", 4).await;
        h.post(&path, json!({})).await;
        h.drain().await;
        h.are("tier", 2).await;
        h.finish().await;
    }
}
