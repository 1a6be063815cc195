//! Labels: what an alert is called, and which alerts are one series.

use serde_json::{Value, json};

use super::WEBHOOK;
use crate::harness::{Harness, firing, resolved};
use crate::on_all;

on_all! {
    async fn the_alert_name_does_not_depend_on_truncation(on) {
        let h = Harness::start(on).await;
        let alert = |namespace: &str| {
            let mut alert = json!({"labels": {"alertname": "Broker", "namespace": namespace,
                "service": "kafka", "severity": "critical"}, "startsAt": h.now().to_rfc3339()});
            for n in 0..70 {
                alert["labels"][format!("app_label_{n:02}")] = json!("x");
            }
            alert
        };
        h.send_and_drain(vec![alert("pay"), alert("shop")]).await;
        let mut found: Vec<_> = h.incidents().await;
        found.sort_by_key(|incident| incident["namespace"].to_string());
        assert_eq!(found.len(), 2);
        for (incident, namespace) in found.iter().zip(["pay", "shop"]) {
            assert_eq!(incident["namespace"], namespace);
            assert_eq!(incident["service"], "kafka");
            assert_eq!(incident["severity"], "critical");
            assert_eq!(incident["labels"]["tocsin_left_out"], "10");
        }
        h.finish().await;
    }

    async fn an_empty_label_and_none_are_one_series(on) {
        let h = Harness::start(on).await;
        let start = h.now().to_rfc3339();
        let firing = json!({"status": "firing", "startsAt": start,
            "labels": {"alertname": "Disk", "job": "storage", "instance": ""}});
        let over = json!({"status": "resolved", "startsAt": start, "endsAt": h.now().to_rfc3339(),
            "labels": {"alertname": "Disk", "job": "storage"}});
        h.send_and_drain(vec![firing]).await;
        h.send_and_drain(vec![over]).await;
        assert_eq!(h.incident().await["status"], "RESOLVED");
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        h.finish().await;
    }

    async fn equal_alerts_of_two_clusters_are_distinct_and_those_of_a_pair_are_not(on) {
        let h = Harness::start(on).await;
        let start = h.now();
        let post = async |path: &str, url: &str, alert: Value| {
            let body = json!({"externalURL": url, "alerts": [alert]});
            let (status, taken) = h.post(&format!("{WEBHOOK}{path}"), body).await;
            assert_eq!((status, &taken["enqueued"]), (200, &json!(1)), "{taken}");
            h.drain().await;
        };
        let series = "SELECT count(*) FROM occurrences WHERE series IS NOT NULL";
        // The two of a pair, by the addresses that they make up.
        post("", "http://alertmanager-main-0:9093", firing("a", start)).await;
        post("?x=1", "http://alertmanager-main-1:9093", firing("a", start)).await;
        assert_eq!(h.sql(series).await, 1);
        let eu = "https://am-1.eu.example.com";
        post("", "https://am-0.eu.example.com", firing("a", start)).await;
        post("", eu, firing("a", start)).await;
        post("?cluster=us", eu, firing("a", start)).await;
        assert_eq!(h.sql(series).await, 3);
        post("?cluster=us", eu, resolved(firing("a", start), h.now())).await;
        let open = "SELECT count(*) FROM occurrences WHERE ended_at IS NULL AND series IS NOT NULL";
        assert_eq!(h.sql(open).await, 2);
        assert_eq!(h.incident().await["status"], "OPEN");

        let traced = async |asked: &str| {
            let trace = h.get(&format!("/api/v1/trace/CrashLooping-a{asked}")).await;
            let found = trace["occurrences"].as_array().unwrap().iter();
            let mut sources: Vec<String> =
                found.map(|row| row["source"].as_str().unwrap().to_owned()).collect();
            sources.sort();
            sources
        };
        let (eu, us) = ("alertmanager@am.eu.example.com", "alertmanager@us");
        assert_eq!(traced("?source=alertmanager@us").await, [us]);
        assert_eq!(traced("?source=alertmanager@am.eu.example.com").await, [eu]);
        assert_eq!(h.incident().await["source"], "alertmanager");
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_total{source=\"alertmanager\",outcome=\"counted\"} 3"));
        assert!(!metrics.contains("source=\"other\",outcome=\"counted\"} 1"));

        // With an incident of its own, a cluster is found without being named.
        h.advance(std::time::Duration::from_secs(3600));
        post("?cluster=us", "", firing("a", h.now())).await;
        assert_eq!(traced("").await, ["alertmanager", us, us]);
        h.finish().await;
    }

    async fn a_fingerprint_is_queried_by_the_name_that_was_sent(on) {
        let mut h = Harness::start(on).await;
        let long = "web-01.rack7.dc2.example:".repeat(8);
        let alert = |fingerprint: &str| json!({"labels": {"alertname": "Long", "job": fingerprint},
            "fingerprint": fingerprint, "startsAt": h.now().to_rfc3339()});
        let rejected = json!({"labels": {}, "fingerprint": long});
        h.pause("ingest", true).await;
        h.post(WEBHOOK, json!({"alerts": [alert(&long), alert("f\u{0}"), rejected]})).await;
        let trace = h.get(&format!("/api/v1/trace/{long}")).await;
        assert_eq!(trace["jobs"].as_array().unwrap().len(), 2, "{trace:#}");
        h.pause("ingest", false).await;
        h.drain().await;
        for (name, dead) in [(&*long, 1), ("f%00", 0), ("f%EF%BF%BD", 0)] {
            let trace = h.get(&format!("/api/v1/trace/{name}")).await;
            assert_eq!(trace["occurrences"].as_array().unwrap().len(), 1, "{name}: {trace:#}");
            assert_eq!(trace["dead_letters"].as_array().unwrap().len(), dead, "{name}");
        }
        h.finish_with_dead_letters().await;
    }

    async fn invisible_characters_are_removed_and_long_addresses_are_no_links(on) {
        let h = Harness::start(on).await;
        let mut hostile = firing("a", h.now());
        hostile["annotations"]["summary"] = json!("before\u{202e}evil\u{2066} after\u{2028}more");
        hostile["generatorURL"] = json!(format!("https://example.com/{}", "x".repeat(3_000)));
        h.send_and_drain(vec![hostile]).await;
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let page = h.http.get(format!("{}/incidents/{id}", h.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains("beforeevil after"), "{page}");
        assert!(!page.contains("https://example.com/x"), "it is no link");
        let (_, listed) = h.tocsin(&["incidents"]);
        let told = h.telegram.taken().join("\n");
        for shown in [&page, &listed, &told] {
            assert!(!shown.contains(['\u{202e}', '\u{2066}']), "{shown}");
        }
        assert!(!listed.contains('\u{2028}'), "{listed}");
        h.finish().await;
    }

    async fn an_anomaly_says_which_labels_it_was_called_by(on) {
        let h = Harness::start(on).await;
        let alert = json!({"labels": {"alertname": "KubePodCrashLooping", "container": "api",
            "job": "kube-state-metrics", "namespace": "prod", "pod": "api-6c9f7d8b5c-x2x7z"}});
        h.send_and_drain(vec![alert]).await;
        let key = h.incident().await["anomaly_key"].as_str().unwrap().to_owned();
        let anomaly = h.get(&format!("/api/v1/anomalies/{key}")).await;
        assert_eq!(anomaly["service"], "api");
        let made_of = json!({"alert_name": "alertname", "service": "container",
            "namespace": "namespace", "error_type": ""});
        assert_eq!(anomaly["made_of"], made_of);
        let page = h.http.get(format!("{}/anomalies/{key}", h.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains("api</a> <small>from label container</small>"), "{page}");
        // The same four fields of another label: the anomaly is the same, and says so.
        let alert = json!({"labels": {"alertname": "KubePodCrashLooping", "job": "api",
            "namespace": "prod"}});
        h.send_and_drain(vec![alert]).await;
        let anomaly = h.get(&format!("/api/v1/anomalies/{key}")).await;
        assert_eq!(anomaly["made_of"]["service"], "job");
        assert_eq!(anomaly["total"], 2);
        h.finish().await;
    }
}
