//! Counts at a rule's edge: the level stays for a while, and no message is repeated.

use std::time::Duration;

use serde_json::json;
use tocsin::domain::escalation::Level;

use super::{HOUR, MINUTE, in_an_hour};
use crate::harness::{Harness, firing};
use crate::on_all;

const RISES: &str = "SELECT level_seq FROM anomalies";

on_all! {
    async fn a_level_at_the_edge_of_its_rule_notifies_once(on) {
        let h = Harness::start_with(on, |config| {
            config.escalation.rules = in_an_hour(Level::Escalate, 3);
            config.aggregation.until = tocsin::domain::aggregation::Until::Resolved;
        })
        .await;
        h.send_and_drain(vec![firing("stays", h.now())]).await;
        for _ in 0..2 {
            h.advance(MINUTE);
            h.flap().await;
        }
        assert_eq!(h.level().await, "ESCALATE");
        assert_eq!(h.telegram.taken().len(), 2);
        // One leaves the window, and a few minutes later there is another one: again and again.
        h.advance(HOUR - 4 * MINUTE);
        for _ in 0..3 {
            h.advance(2 * MINUTE);
            h.recount().await;
            assert_eq!(h.level().await, "ESCALATE");
            h.flap().await;
            h.flap().await;
        }
        assert_eq!((h.sql(RISES).await, h.telegram.taken().len()), (1, 2));
        // In the end it falls.
        h.advance(2 * HOUR);
        h.recount().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE falling_since IS NOT NULL").await, 1);
        h.advance(5 * MINUTE - Duration::from_secs(5));
        h.recount().await;
        assert_eq!(h.level().await, "ESCALATE");
        h.advance(Duration::from_secs(5));
        h.recount().await;
        assert_eq!(h.level().await, "NONE");
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE falling_since IS NOT NULL").await, 0);
        h.finish().await;
    }

    async fn a_mute_is_broken_once(on) {
        let h = Harness::start_with(on, |config| {
            config.escalation.rules = in_an_hour(Level::PermanentFix, 3);
        })
        .await;
        h.flap().await;
        let key = h.sql_text("SELECT key FROM anomalies").await;
        let mute = format!("/api/v1/anomalies/{key}/mute");
        h.post(&mute, json!({"for": "24h"})).await;
        for round in 1..=3 {
            h.flap().await;
            h.flap().await;
            h.flap().await;
            assert_eq!((h.level().await.as_str(), h.sql(RISES).await), ("PERMANENT_FIX", round));
            let told = h.telegram.headlines();
            assert_eq!(told.len(), 2, "round {round}: {told:#?}");
            assert!(told[1].contains("Escalated") && told[1].contains("NEEDS PERMANENT FIX"), "{}", told[1]);
            h.advance(HOUR);
            h.recount().await;
            h.advance(5 * MINUTE);
            h.recount().await;
            assert_eq!(h.level().await, "NONE");
        }
        // Nor does a longer mute of the same time make it news; another one does.
        h.post(&mute, json!({"for": "48h"})).await;
        for _ in 0..3 {
            h.flap().await;
        }
        assert_eq!(h.telegram.taken().len(), 2);
        h.advance(HOUR);
        h.recount().await;
        h.advance(49 * HOUR);
        h.recount().await;
        assert_eq!(h.level().await, "NONE");
        h.post(&mute, json!({"for": "24h"})).await;
        for _ in 0..3 {
            h.flap().await;
        }
        assert_eq!(h.telegram.taken().len(), 3);
        h.finish().await;
    }

    async fn recount_requests_a_raise_of_levels_that_are_too_low(on) {
        let h = Harness::start(on).await;
        let pods = (0..5).map(|pod| firing(&format!("pod-{pod}"), h.now()));
        h.send_and_drain(pods.collect()).await;
        h.execute("UPDATE anomalies SET level = 'NONE', reason = NULL").await;
        h.recount().await;
        assert_eq!((h.level().await.as_str(), h.sql(RISES).await), ("ESCALATE", 2));
        h.recount().await;
        assert_eq!(h.sql(RISES).await, 2);
        h.finish().await;
    }
}
