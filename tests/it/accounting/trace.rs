//! Every alert can be traced, wherever it is.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::domain::aggregation::Unit;

use crate::harness::{Harness, alert, firing, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);

impl Harness {
    async fn trace(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/trace/{name}")).await
    }

    async fn is_unknown(&self, name: &str) {
        let response = self
            .http
            .get(format!("{}/api/v1/trace/{name}", self.url))
            .send()
            .await;
        assert_eq!(response.unwrap().status(), 404, "{name}");
    }
}

fn len(trace: &Value, list: &str) -> usize {
    trace[list].as_array().unwrap().len()
}

on_all! {
    async fn an_alert_is_traced_from_the_queue_to_the_message(on) {
        let h = Harness::start(on).await;
        let name = "CrashLooping-a";
        h.is_unknown(name).await;
        h.context.queues.store().set_paused("ingest", true).await.unwrap();
        let first = firing("a", h.now());
        h.send(vec![first.clone(), firing("aa", h.now()), alert("CrashLoopin", "a", h.now())]).await;
        let trace = h.trace(name).await;
        assert_eq!((len(&trace, "jobs"), len(&trace, "occurrences")), (1, 0), "{trace:#}");
        assert_eq!((&trace["jobs"][0]["state"], &trace["jobs"][0]["queue"]), (&json!("ready"), &json!("ingest")));
        let by_job = h.trace(trace["jobs"][0]["id"].as_str().unwrap()).await;
        assert_eq!((&by_job["fingerprint"], len(&by_job, "jobs")), (&json!(name), 1), "{by_job:#}");
        h.is_unknown(&format!("{name}?source=other")).await;
        h.context.queues.store().set_paused("ingest", false).await.unwrap();
        h.drain().await;
        h.send_and_drain(vec![first.clone()]).await;
        h.send_and_drain(vec![resolved(first, h.now())]).await;
        h.advance(20 * MINUTE);
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incidents = h.incidents().await;
        let id = incidents[0]["id"].as_str().unwrap();
        h.post(&format!("/api/v1/incidents/{id}/repairs"), json!({"action": "restart_pod", "success": true})).await;
        h.drain().await;

        let trace = h.trace(name).await;
        assert_eq!(trace["found_by"], "fingerprint");
        for (list, expected) in [("occurrences", 2), ("incidents", 2), ("messages", 2), ("repairs", 1), ("jobs", 0), ("dead_letters", 0)] {
            assert_eq!(len(&trace, list), expected, "{list}: {trace:#}");
        }
        let [newest, oldest] = [0, 1].map(|n| &trace["occurrences"][n]);
        assert_eq!((&newest["deliveries"], &newest["counted"]), (&json!(1), &json!(1)));
        assert_eq!((&oldest["deliveries"], &oldest["counted"]), (&json!(3), &json!(1)));
        assert_eq!(newest["incident_id"], id);
        assert_eq!((&trace["messages"][0]["kind"], &trace["messages"][0]["state"]), (&json!("opened"), &json!("sent")));
        assert!(trace["messages"][0]["sent_at"].is_string());
        assert_eq!(trace["repairs"][0]["action"], "restart_pod");

        let by_incident = h.trace(id).await;
        assert_eq!((&by_incident["found_by"], len(&by_incident, "occurrences")), (&json!("incident"), 1));
        let by_anomaly = h.trace(incidents[0]["anomaly_key"].as_str().unwrap()).await;
        assert_eq!((&by_anomaly["found_by"], len(&by_anomaly, "occurrences")), (&json!("anomaly"), 3));
        for name in ["CrashLooping", "b", "%00", "%27", "00000000-0000-7000-8000-000000000000"] {
            h.is_unknown(name).await;
        }
        h.finish().await;
    }

    async fn a_dead_alert_is_traced_to_its_dead_letter(on) {
        let mut h = Harness::start(on).await;
        h.refuse(on, "CrashLooping-unwanted").await;
        let nameless = json!({"labels": {"job": "x"}, "fingerprint": "nameless\"1"});
        h.post("/api/v1/alertmanager", json!({"alerts": [firing("unwanted", h.now()), nameless]})).await;
        h.drain().await;
        for (name, reason) in [
            ("CrashLooping-unwanted", "rejected by the database"),
            ("nameless%221", "the alert has no alertname"),
        ] {
            let trace = h.trace(name).await;
            assert_eq!(len(&trace, "dead_letters"), 1, "{trace:#}");
            let letter = &trace["dead_letters"][0];
            assert!(letter["reason"].as_str().unwrap().starts_with(reason), "{letter}");
        }
        let letter = h.trace("CrashLooping-unwanted").await["dead_letters"][0]["id"].clone();
        let letter = h.get(&format!("/api/v1/dead-letters/{}", letter.as_str().unwrap())).await;
        for of in ["id", "trace_id"] {
            let by_letter = h.trace(letter[of].as_str().unwrap()).await;
            assert_eq!(by_letter["fingerprint"], "CrashLooping-unwanted", "{of}: {by_letter:#}");
            assert_eq!(len(&by_letter, "dead_letters"), 1, "{of}: {by_letter:#}");
        }
        h.finish_with_dead_letters().await;
    }

    async fn a_message_that_failed_and_was_replayed_is_traced_with_both(on) {
        let mut h = Harness::start(on).await;
        h.telegram.answer_next(403, json!({"ok": false, "error_code": 403, "description": "Forbidden"}));
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let key = h.incident().await["anomaly_key"].as_str().unwrap().to_owned();
        let letter = h.trace(&id).await["dead_letters"][0]["id"].clone();
        let by_letter = h.trace(letter.as_str().unwrap()).await;
        assert_eq!((&by_letter["found_by"], &by_letter["fingerprint"]), (&json!("incident"), &json!(id)));
        let replay = format!("/api/v1/dead-letters/{}/replay", letter.as_str().unwrap());
        assert_eq!(h.post(&replay, json!({"operator": "ann"})).await.0, 200);
        h.drain().await;
        for name in [&*id, &*key, "CrashLooping-a"] {
            let trace = h.trace(name).await;
            assert_eq!((len(&trace, "dead_letters"), &trace["messages"][0]["state"]), (1, &json!("sent")), "{trace:#}");
            let letter = &trace["dead_letters"][0];
            assert_eq!((&letter["queue"], &letter["decided_by"]), (&json!("notify"), &json!("ann")));
            assert!(letter["decided_at"].is_string() && letter["reason"].as_str().unwrap().contains("Forbidden"));
        }
        h.finish_with_dead_letters().await;
    }

    async fn a_trace_says_what_counted_whatever_is_counted(on) {
        for (unit, expected) in [(Unit::Delivery, 3), (Unit::Incident, 0)] {
            let h = Harness::start_with(on, |config| config.counting.unit = unit).await;
            let again = firing("a", h.now());
            for _ in 0..3 {
                h.send_and_drain(vec![again.clone(), firing("b", h.now())]).await;
            }
            let trace = h.trace("CrashLooping-a").await;
            assert_eq!(len(&trace, "occurrences"), 1);
            assert_eq!(trace["occurrences"][0]["counted"], expected, "{unit:?}");
            assert_eq!(trace["occurrences"][0]["deliveries"], 3);
            h.finish().await;
        }
    }
}
