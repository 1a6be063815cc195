//! Requests to mute, by the API and the command line: refusals, and the audit.

use serde_json::{Value, json};

use super::{HOUR, MINUTE};
use crate::harness::{Harness, firing};
use crate::on_all;

impl Harness {
    async fn mute_deeds(&self, action: &str) -> Vec<Value> {
        let key = self.key().await;
        let operations = self
            .get(&format!("/api/v1/audit?target={key}&action={action}"))
            .await;
        operations["items"].as_array().unwrap().clone()
    }
}

on_all! {
    async fn a_mute_is_shown_until_it_is_over_and_audited(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let until = h.now().after(2 * HOUR);
        let asked = json!({"until": until, "why": "the fix is on its way", "operator": "ann"});
        // Said twice it is as said once.
        for _ in 0..2 {
            let (status, anomaly) = h.mute(asked.clone()).await;
            assert_eq!(status, 200, "{anomaly}");
            assert_eq!(anomaly["muted_until"], json!(until));
        }
        let anomaly = h.get(&format!("/api/v1/anomalies/{}", h.key().await)).await;
        for shown in [&anomaly, &h.incident().await] {
            assert_eq!(shown["muted_until"], json!(until));
            assert_eq!(shown["muted_by"], "ann");
            assert_eq!(shown["muted_why"], "the fix is on its way");
        }
        let count = async |list: &str| h.get(list).await["items"].as_array().unwrap().len();
        assert_eq!(count("/api/v1/anomalies?muted=true").await, 1);
        assert_eq!(count("/api/v1/anomalies?muted=false").await, 0);
        assert_eq!(count("/api/v1/incidents?muted=true").await, 1);
        let operations = h.mute_deeds("anomaly.mute").await;
        assert_eq!((operations.len(), &operations[0]["operator"]), (2, &json!("ann")));
        assert_eq!(operations[0]["detail"], json!({"until": until, "why": "the fix is on its way"}));

        h.advance(2 * HOUR + MINUTE);
        let anomaly = h.get(&format!("/api/v1/anomalies/{}", h.key().await)).await;
        for shown in [&anomaly, &h.incident().await] {
            for field in ["muted_until", "muted_by", "muted_why"] {
                assert_eq!(shown[field], json!(null), "{field}");
            }
        }
        assert_eq!(count("/api/v1/anomalies?muted=true").await, 0);
        assert_eq!(count("/api/v1/anomalies?muted=false").await, 1);
        h.unmute().await;
        assert_eq!(h.mute_deeds("anomaly.unmute").await[0]["detail"], json!({"was_muted": false}));
        h.finish().await;
    }

    async fn an_invalid_mute_is_refused_with_a_reason(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let past = h.now().before(MINUTE);
        let far = h.now().after(31 * 24 * HOUR);
        for (body, reason, expected, code) in [
            (json!({}), "give a duration", 409, "mute_end_missing"),
            (json!({"for": "1h", "until": far}), "either", 409, "mute_end_ambiguous"),
            (json!({"for": "soon"}), "not a duration", 400, "invalid_duration"),
            (json!({"for": "0s"}), "in the future", 409, "mute_end_passed"),
            (json!({"for": "31d"}), "30 days at most", 409, "mute_too_long"),
            (json!({"for": 60}), "expected a string", 400, "invalid_body"),
            (json!({"until": past}), "in the future", 409, "mute_end_passed"),
            (json!({"until": far}), "30 days at most", 409, "mute_too_long"),
            (json!({"until": "tomorrow"}), "not an RFC 3339 time", 400, "invalid_body"),
            (json!({"for": "1h", "why": "x".repeat(5000)}), "4096 characters", 400, "text_too_long"),
            (json!({"for": "1h", "reason": "x"}), "unknown field", 400, "invalid_body"),
        ] {
            let (status, problem) = h.mute(body.clone()).await;
            let detail = problem["detail"].as_str().unwrap_or_default();
            assert!(status == expected && detail.contains(reason), "{body}: {status} {problem}");
            assert_eq!(problem["code"], code, "{body}");
        }
        let (_, problem) = h.mute(json!({"for": "soon"})).await;
        assert_eq!((&problem["parameter"], &problem["value"]), (&json!("for"), &json!("soon")));
        let (_, problem) = h.mute(json!({"for": "1h", "why": "x".repeat(5000)})).await;
        assert_eq!((&problem["parameter"], &problem["limit"]), (&json!("why"), &json!(4096)));
        assert_eq!(h.post("/api/v1/anomalies/unknown/mute", json!({"for": "1h"})).await.0, 404);
        assert_eq!(h.mute_deeds("anomaly.mute").await.len(), 0);
        assert_eq!(h.incident().await["muted_until"], json!(null));
        h.finish().await;
    }

    async fn one_of_two_concurrent_mutes_wins(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let asked = |name: &str, hours: u32| {
            let until = h.now().after(hours * HOUR);
            (json!({"until": until, "why": format!("{name}'s"), "operator": name}), until)
        };
        for _ in 0..5 {
            let (ann, bob) = (asked("ann", 1), asked("bob", 2));
            let (one, other) = tokio::join!(h.mute(ann.0), h.mute(bob.0));
            assert_eq!((one.0, other.0), (200, 200));
            // End, reason and name are those of one operator.
            let incident = h.incident().await;
            let (name, until) = match incident["muted_by"].as_str().unwrap() {
                "ann" => ("ann", ann.1),
                other => (other, bob.1),
            };
            assert_eq!(incident["muted_until"], json!(until));
            assert_eq!(incident["muted_why"], format!("{name}'s"));
        }
        assert_eq!(h.mute_deeds("anomaly.mute").await.len(), 10);
        let (muted, unmuted) = tokio::join!(h.mute(asked("ann", 1).0), h.unmute());
        assert_eq!((muted.0, unmuted.0), (200, 200));
        let incident = h.incident().await;
        assert_eq!(incident["muted_until"].is_null(), incident["muted_by"].is_null());
        h.finish().await;
    }

    async fn the_program_mutes_lists_and_ends_it(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incident = h.incident().await;
        let (id, key) = (incident["id"].as_str().unwrap(), h.key().await);
        let (done, said) = h.tocsin(&["mutes"]);
        assert!(done && said.contains("No muted anomalies."), "{said}");
        let (done, said) = h.tocsin(&["mute", id, "--for", "2h", "--why", "a deploy"]);
        assert!(done && said.contains("is muted until"), "{said}");
        let (done, said) = h.tocsin(&["mutes"]);
        assert!(done && [key.as_str(), "kim", "a deploy"].iter().all(|word| said.contains(word)), "{said}");
        let (_, said) = h.tocsin(&["mutes", "--json"]);
        let listed: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(listed[0]["muted_by"], "kim");
        let (_, said) = h.tocsin(&["incidents", "show", id]);
        assert!(said.contains("by kim: a deploy"), "{said}");
        let (done, said) = h.tocsin(&["mute", &key, "--for", "40d"]);
        assert!(!done && said.contains("30 days at most"), "{said}");
        let (done, said) = h.tocsin(&["unmute", &key]);
        assert!(done && said.contains("is no longer muted"), "{said}");
        assert_eq!(h.incident().await["muted_until"], json!(null));
        assert_eq!(h.mute_deeds("anomaly.unmute").await[0]["operator"], "kim");
        let (done, said) = h.tocsin(&["unmute", "nothing"]);
        assert!(!done && said.contains("no anomaly has this key"), "{said}");
        h.finish().await;
    }
}
