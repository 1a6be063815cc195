//! Lists, filters and pages; units of counting; what is accounted for and not counted.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::domain::aggregation::{Unit, Until};

use crate::harness::{Harness, alert, firing, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["alert_name"].as_str().unwrap())
        .collect()
}

on_all! {
    async fn lists_come_in_pages_newest_first(on) {
        let h = Harness::start(on).await;
        for n in 0..7 {
            h.send_and_drain(vec![alert(&format!("A{n}"), "p", h.now())]).await;
            h.advance(Duration::from_millis(10));
        }
        for list in ["incidents", "anomalies"] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = h.get(&format!("/api/v1/{list}?limit=3&cursor={cursor}")).await;
                seen.extend(names(&page).into_iter().map(str::to_owned));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(seen, ["A6", "A5", "A4", "A3", "A2", "A1", "A0"], "{list}");
        }
        h.finish().await;
    }

    async fn lists_can_be_filtered(on) {
        let h = Harness::start(on).await;
        let mut other = alert("Disk_Full%", "p", h.now());
        other["labels"]["job"] = json!("storage");
        other["labels"]["namespace"] = json!("data");
        h.send_and_drain(vec![alert("Crash", "p", h.now()), other]).await;
        let table = [
            ("service=storage", vec!["Disk_Full%"]),
            ("namespace=prod", vec!["Crash"]),
            ("status=OPEN&namespace=data", vec!["Disk_Full%"]),
            ("q=FULL%25", vec!["Disk_Full%"]),
            ("q=_", vec!["Disk_Full%"]),
            ("q=checkout", vec!["Crash"]),
            ("level=ESCALATE", vec![]),
            ("q=nothing", vec![]),
        ];
        for (query, expected) in table {
            assert_eq!(names(&h.get(&format!("/api/v1/incidents?{query}")).await), expected, "{query}");
        }
        assert_eq!(names(&h.get("/api/v1/anomalies?service=storage").await), ["Disk_Full%"]);
        h.finish().await;
    }

    async fn an_incidents_occurrences_are_its_own(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now()), firing("b", h.now()), alert("Other", "c", h.now())]).await;
        let list = h.get("/api/v1/incidents?q=CrashLooping").await;
        let id = list["items"][0]["id"].as_str().unwrap();
        let occurrences = h.get(&format!("/api/v1/incidents/{id}/occurrences")).await;
        let pods: HashSet<&str> = occurrences["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|occurrence| occurrence["labels"]["pod"].as_str().unwrap())
            .collect();
        assert_eq!(pods, HashSet::from(["a", "b"]));
        h.finish().await;
    }

    async fn under_delivery_every_delivery_counts(on) {
        let h = Harness::start_with(on, |config| config.counting.unit = Unit::Delivery).await;
        let alert = firing("a", h.now());
        for _ in 0..4 {
            h.send_and_drain(vec![alert.clone()]).await;
            h.advance(MINUTE);
        }
        let incident = h.incident().await;
        assert_eq!(incident["frequency_stats"]["count_1h"], 4);
        assert_eq!(incident["aggregated_count"], 1);
        assert_eq!(incident["escalation_level"], "REPEAT");
        h.finish().await;
    }

    async fn with_unit_incident_firings_of_one_incident_count_once(on) {
        let h = Harness::start_with(on, |config| config.counting.unit = Unit::Incident).await;
        let pods = (0..50).map(|n| firing(&n.to_string(), h.now())).collect();
        h.send_and_drain(pods).await;
        let incident = h.incident().await;
        assert_eq!(incident["frequency_stats"]["count_1h"], 1);
        assert_eq!(incident["aggregated_count"], 50);
        h.finish().await;
    }

    async fn until_resolved_an_open_incident_is_joined_after_its_window(on) {
        let h = Harness::start_with(on, |config| config.aggregation.until = Until::Resolved).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.advance(60 * MINUTE);
        h.send_and_drain(vec![firing("b", h.now())]).await;
        assert_eq!(h.incident().await["aggregated_count"], 2);
        h.finish().await;
    }

    async fn ignored_names_and_test_alerts_are_not_counted(on) {
        let h = Harness::start(on).await;
        let mut test = firing("a", h.now());
        test["labels"]["testalert"] = json!("true");
        h.send_and_drain(vec![alert("Watchdog", "p", h.now()), alert("InfoInhibitor", "p", h.now()), test]).await;
        assert!(h.incidents().await.is_empty());
        let ignored = "tocsin_alerts_total{source=\"alertmanager\",outcome=\"ignored\"} 3";
        assert!(h.metrics().await.contains(ignored));
        h.finish().await;
    }

    async fn a_resolve_before_any_firing_counts_and_does_not_notify(on) {
        let h = Harness::start(on).await;
        let alert = firing("a", h.now());
        // In one delivery both were received at once: it is over.
        h.send_and_drain(vec![resolved(alert.clone(), h.now()), alert.clone()]).await;
        assert!(h.incidents().await.is_empty());
        assert_eq!(h.sql("SELECT total FROM anomalies").await, 1);
        assert!(h.telegram.taken().is_empty());
        h.advance(Duration::from_secs(1));
        h.send_and_drain(vec![alert]).await;
        assert_eq!(h.incident().await["status"], "OPEN");
        assert_eq!(h.sql("SELECT total FROM anomalies").await, 1);
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }
}
