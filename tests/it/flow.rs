//! One alert's way, and the results of the rules of counting, levels, tiers and messages.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Harness, firing, levels_by_counts, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

on_all! {
    async fn a_firing_alert_becomes_one_incident_and_one_message(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incident = h.incident().await;
        assert_eq!(incident["status"], "OPEN");
        assert_eq!(incident["title"], "CrashLooping in prod");
        assert_eq!(incident["tier"], 1);
        assert_eq!(incident["frequency_stats"]["count_1h"], 1);
        assert_eq!(incident["aggregated_count"], 1);
        assert_eq!(incident["is_aggregated"], false);
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }

    async fn a_re_send_neither_counts_nor_notifies(on) {
        let h = Harness::start(on).await;
        let alert = firing("a", h.now());
        for _ in 0..6 {
            h.send_and_drain(vec![alert.clone()]).await;
            h.advance(HOUR / 2);
        }
        let incident = h.incident().await;
        assert_eq!(incident["frequency_stats"]["count_24h"], 1);
        assert_eq!(h.sql("SELECT deliveries FROM occurrences").await, 6);
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }

    async fn each_rise_notifies_once_and_repeat_does_not(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        for n in 1..=12 {
            let start = h.now();
            h.send_and_drain(vec![firing("a", start)]).await;
            h.advance(MINUTE / 2);
            h.send_and_drain(vec![resolved(firing("a", start), h.now())]).await;
            h.advance(MINUTE);
            let level = h.incidents().await[0]["escalation_level"].clone();
            let expected = match n {
                ..3 => "NONE",
                3..5 => "REPEAT",
                5..10 => "ESCALATE",
                _ => "PERMANENT_FIX",
            };
            assert_eq!(level, expected, "after {n}");
        }
        // The window is ten minutes from the first alert: seven of them joined it.
        let incidents = h.incidents().await;
        let counts: Vec<_> = incidents.iter().map(|i| i["aggregated_count"].clone()).collect();
        assert_eq!(counts, [json!(5), json!(7)]);
        assert_eq!(incidents[0]["tier"], 3);
        // Two incidents opened; the first got ESCALATE, the second of PERMANENT_FIX.
        let told: Vec<String> = h.telegram.headlines();
        assert_eq!(told.len(), 4, "{told:#?}");
        h.finish().await;
    }
}
