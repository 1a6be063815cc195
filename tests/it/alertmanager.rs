//! A real Alertmanager in front: what it sends again is no firing, what fires again is.

mod scenes;
pub mod server;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::time::Timestamp;

use crate::harness::{Harness, levels_by_counts};
use crate::on_all;
use crate::process::PATIENCE;
use server::{Alertmanager, Settings, posted};

const MINUTE: Duration = Duration::from_secs(60);
/// What it takes to reach `PERMANENT_FIX`.
const FIRINGS: u32 = 10;

on_all! {
    async fn alerts_through_alertmanager_are_counted_escalated_and_notified_once(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        let alertmanager = Alertmanager::start(&h, &Settings::default()).await;
        let first = h.now().before(MINUTE * 40);
        let starts: Vec<Timestamp> = (0..FIRINGS).map(|n| first.after(MINUTE * 2 * n)).collect();
        for (n, start) in (1..).zip(&starts) {
            let end = start.after(MINUTE);
            let lasts = h.now().after(MINUTE * 60);
            alertmanager.post(&[posted("CrashLooping", "a", *start, lasts)]).await;
            eventually(&h, "SELECT count(*) FROM occurrences WHERE ended_at IS NULL", 1).await;
            if n == 1 {
                // It is sent again and again while it fires.
                eventually(&h, "SELECT count(*) FROM occurrences WHERE deliveries > 2", 1).await;
            }
            let tiered = format!("SELECT count(*) FROM incidents WHERE tier_due_since IS NULL \
                                  AND aggregated_count = {n}");
            eventually(&h, &tiered, 1).await;
            let incident = h.incident().await;
            let (level, tier) = match n {
                ..3 => ("NONE", 1),
                3..5 => ("REPEAT", 1),
                5..10 => ("ESCALATE", 2),
                _ => ("PERMANENT_FIX", 3),
            };
            assert_eq!((&incident["escalation_level"], &incident["tier"]), (&json!(level), &json!(tier)));
            assert_eq!((&incident["status"], &incident["resolved_by"]), (&json!("OPEN"), &Value::Null));

            alertmanager.post(&[posted("CrashLooping", "a", *start, end)]).await;
            eventually(&h, "SELECT count(*) FROM occurrences WHERE ended_at IS NULL", 0).await;
            let incident = h.incident().await;
            assert_eq!((&incident["status"], &incident["resolved_by"]), (&json!("RESOLVED"), &json!("itself")));
        }
        drop(alertmanager);
        h.drain().await;

        let incident = h.incident().await;
        assert_eq!(incident["aggregated_count"], FIRINGS);
        for window in ["count_1h", "count_24h", "count_7d", "count_30d"] {
            assert_eq!(incident["frequency_stats"][window], FIRINGS, "{window}");
        }
        let id = incident["id"].as_str().unwrap();
        let episodes = h.get(&format!("/api/v1/incidents/{id}/occurrences?limit=200")).await;
        let mut seen: Vec<(String, String)> = episodes["items"].as_array().unwrap().iter()
            .map(|episode| (text(&episode["starts_at"]), text(&episode["ended_at"])))
            .collect();
        seen.sort();
        let sent: Vec<(String, String)> = starts.iter()
            .map(|start| (start.to_rfc3339(), start.after(MINUTE).to_rfc3339()))
            .collect();
        assert_eq!(seen, sent);

        let told = h.telegram.headlines();
        assert_eq!(told, [
            "🚨 <b>Opened · critical: It crashes</b>",
            "🔺 <b>Escalated · critical: It crashes</b>",
            "🔺 <b>Escalated · critical · NEEDS PERMANENT FIX: It crashes</b>",
        ]);
        h.finish().await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Waits until a query finds this number.
pub async fn eventually(h: &Harness, query: &str, number: i64) {
    let began = Instant::now();
    loop {
        let found = h.sql(query).await;
        if found == number {
            return;
        }
        let waited = began.elapsed();
        assert!(waited < PATIENCE, "{query}: {found} instead of {number}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
