//! Prometheus directly: what it repeats by the minute, how long that holds, and Alertmanager beside it.

mod reconcile;
mod server;
mod stand_in;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::time::Timestamp;
use tocsin_workers::workers;

use crate::alertmanager::eventually;
use crate::alertmanager::server::{Alertmanager, Settings, posted};
use crate::harness::{Harness, On};
use crate::on_all;
use server::Prometheus;

const MINUTE: Duration = Duration::from_secs(60);
/// What Prometheus gives by default.
const LEASE: Duration = Duration::from_secs(240);
const OPEN: &str = "SELECT count(*) FROM occurrences WHERE ended_at IS NULL";

impl Harness {
    /// Posts as Prometheus does; returns how it was answered.
    async fn post_direct(&self, path: &str, alerts: &Value) -> (u16, String) {
        let request = self.http.post(format!("{}{path}", self.url)).json(alerts);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn report(&self, alerts: &[Value]) {
        let answer = self.post_direct("/api/v2/alerts", &json!(alerts)).await;
        assert_eq!(answer, (200, String::new()));
        self.drain().await;
    }

    /// These pods fire since `start`, and for a lease from now.
    async fn report_firing(&self, pods: &[&str], start: Timestamp) {
        let until = self.now().after(LEASE);
        let alerts = pods
            .iter()
            .map(|pod| posted("CrashLooping", pod, start, until));
        self.report(&alerts.collect::<Vec<_>>()).await;
    }

    async fn report_over(&self, pod: &str, start: Timestamp, end: Timestamp) {
        self.report(&[posted("CrashLooping", pod, start, end)])
            .await;
    }
}

/// Where an incident stands, who resolved it, whether it is unheard.
fn standing(incident: &Value) -> (&str, Option<&str>, bool) {
    (
        incident["status"].as_str().unwrap(),
        incident["resolved_by"].as_str(),
        !incident["unheard_since"].is_null(),
    )
}

on_all! {
    async fn what_is_repeated_for_a_day_is_one_firing_and_is_written_every_other_minute(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        let written: Arc<Mutex<Vec<String>>> = Arc::default();
        let hear = Arc::clone(&written);
        h.context.db.observe(move |statement| {
            let tables = ["INTO anomalies", "anomalies SET", "incidents SET", "occurrences SET"];
            if tables.iter().any(|table| statement.sql.contains(table)) {
                hear.lock().unwrap().push(statement.sql.clone());
            }
        });
        h.work(workers(&h.context));
        let start = h.now();
        h.report_firing(&["a", "b"], start).await;
        let mut of_minutes = Vec::new();
        for _ in 1..=6 {
            h.advance(MINUTE);
            written.lock().unwrap().clear();
            h.report_firing(&["a", "b"], start).await;
            of_minutes.push(written.lock().unwrap().len());
        }
        let (still, moving): (Vec<_>, Vec<_>) = of_minutes.iter().enumerate().partition(|(n, _)| n % 2 == 0);
        assert!(still.iter().all(|(_, n)| **n == 0), "{of_minutes:?}");
        // The firings, the incident; of both firings at once, or of one after the other. The lock writes nothing.
        assert!(moving.iter().all(|(_, n)| (2..=4).contains(*n)), "{of_minutes:?}");
        let lag = format!("SELECT count(*) FROM occurrences WHERE last_seen_at >= {}", h.now().0 - 1000);
        assert_eq!(h.sql(&lag).await, 2);
        assert_eq!((h.sql("SELECT total FROM anomalies").await, h.sql(OPEN).await), (2, 2));

        h.report_over("a", start, h.now()).await;
        h.report_over("b", start, h.now()).await;
        let end = h.now();
        assert_eq!(standing(&h.incident().await), ("RESOLVED", Some("itself"), false));
        written.lock().unwrap().clear();
        for _ in 1..=4 {
            h.advance(MINUTE);
            h.report_over("a", start, end).await;
        }
        assert_eq!(written.lock().unwrap().as_slice(), [""; 0]);
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_total{source=\"prometheus\",outcome=\"counted\"} 2"), "{metrics}");
        assert!(metrics.contains("tocsin_alerts_total{source=\"prometheus\",outcome=\"resent\"} 18"), "{metrics}");
        assert_eq!(h.telegram.taken().len(), 1);
        assert_eq!(h.verify(false).await, BTreeSet::new());
        h.finish().await;
    }

    async fn a_lease_that_runs_out_makes_it_stale_then_unseen_and_never_resolved_at_once(on) {
        let h = Harness::start(on).await;
        let start = h.now();
        h.report_firing(&["a"], start).await;
        h.advance(MINUTE * 11);
        h.recount().await;
        assert_eq!(standing(&h.incident().await), ("OPEN", None, false));
        h.advance(MINUTE * 2);
        h.recount().await;
        let incident = h.incident().await;
        assert_eq!(standing(&incident), ("OPEN", None, true));
        let id = incident["id"].as_str().unwrap();
        let firings = h.get(&format!("/api/v1/incidents/{id}/occurrences")).await;
        assert_eq!(firings["items"][0]["unheard"], true);
        assert_eq!(firings["items"][0]["lease_until"], start.after(LEASE).to_rfc3339());
        // It is back: as if nothing had been.
        h.report_firing(&["a"], start).await;
        assert_eq!(standing(&h.incident().await), ("OPEN", None, false));
        h.advance(MINUTE * 39);
        h.recount().await;
        assert_eq!(standing(&h.incident().await), ("OPEN", None, true));
        h.advance(MINUTE * 2);
        h.recount().await;
        assert_eq!(standing(&h.incident().await), ("RESOLVED", Some("unseen"), false));
        assert_eq!(h.telegram.taken().len(), 1);
        assert_eq!(h.verify(false).await, BTreeSet::new());
        h.finish().await;
    }

    async fn what_arrives_by_two_ways_is_one_firing_in_each_cluster(on) {
        let h = Harness::start(on).await;
        let start = h.now();
        let direct = |end: Timestamp| json!([posted("CrashLooping", "a", start, end)]);
        let by_way = |status: &str, end: Timestamp| {
            let mut alert = posted("CrashLooping", "a", start, end);
            alert["status"] = json!(status);
            alert
        };
        let lasts = h.now().after(LEASE);
        h.send_and_drain(vec![by_way("firing", lasts)]).await;
        h.report(direct(lasts).as_array().unwrap()).await;
        let eu = "/api/v1/prometheus/eu/api/v2/alerts";
        assert_eq!(h.post_direct(eu, &direct(lasts)).await.0, 200);
        h.drain().await;
        assert_eq!((h.sql("SELECT total FROM anomalies").await, h.sql(OPEN).await), (2, 2));
        // The word of Alertmanager holds for hours.
        h.advance(MINUTE * 15);
        h.recount().await;
        let unheard = h.get("/api/v1/incidents?unheard=true").await;
        assert_eq!(unheard["items"], json!([]), "one of them was told of by Alertmanager");

        h.report_over("a", start, h.now()).await;
        h.send_and_drain(vec![by_way("resolved", h.now())]).await;
        assert_eq!(h.sql(OPEN).await, 1);
        assert_eq!(h.post_direct(eu, &direct(h.now())).await.0, 200);
        h.drain().await;
        assert_eq!(standing(&h.incident().await), ("RESOLVED", Some("itself"), false));
        let fingerprint = h.sql_text("SELECT fingerprint FROM occurrences LIMIT 1").await;
        // It is found by the name of either way; that of the other cluster, by its own.
        for (asked, expected) in [
            ("", "alertmanager"),
            ("?source=prometheus", "alertmanager"),
            ("?source=alertmanager", "alertmanager"),
            ("?source=prometheus@eu", "prometheus@eu"),
        ] {
            let trace = h.get(&format!("/api/v1/trace/{fingerprint}{asked}")).await;
            let found = trace["occurrences"].as_array().unwrap();
            assert_eq!((found.len(), &found[0]["source"]), (1, &json!(expected)), "{asked}");
        }
        assert_eq!(h.verify(false).await, BTreeSet::new());
        h.finish().await;
    }

    async fn it_is_answered_as_alertmanager_answers(on) {
        let mut h = Harness::start(on).await;
        let good = posted("CrashLooping", "a", h.now(), h.now().after(LEASE));
        let path = "/api/v2/alerts";
        assert_eq!(h.post_direct(path, &json!([])).await, (200, String::new()));
        assert_eq!(h.post_direct(path, &json!({})).await.0, 400);
        let (status, gone) = h.post_direct("/api/v1/alerts", &json!([good])).await;
        assert_eq!(status, 410);
        assert!(gone.contains("api_version") && gone.contains("/api/v2/alerts"), "{gone}");
        let (status, said) = h.post_direct(path, &json!([7, good])).await;
        assert_eq!(status, 400);
        let said: String = serde_json::from_str(&said).unwrap();
        assert!(said.starts_with("1 of 2 alerts cannot be used"), "{said}");
        let (status, said) = h.post_direct("/api/v1/alertmanager", &json!([good])).await;
        assert_eq!(status, 400);
        assert!(said.contains(path), "{said}");
        h.drain().await;
        assert_eq!(h.sql(OPEN).await, 1);
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters").await, 1);
        h.finish_with_dead_letters().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_and_an_alertmanager_side_by_side_tell_of_one_incident() {
    const BY_BOTH: &str = "SELECT count(*) FROM occurrences WHERE ended_at IS NULL \
                           AND lease_until IS NOT NULL AND unleased_at IS NOT NULL";
    let h = Harness::start(On::Sqlite).await;
    let settings = Settings::default();
    let alertmanager = Alertmanager::start(&h, &settings).await;
    let mut prometheus = Prometheus::start(&h, &settings.url()).await;
    for firings in 1..=2 {
        prometheus.fire(true).await;
        eventually(&h, BY_BOTH, 1).await;
        assert_eq!(h.sql("SELECT total FROM anomalies").await, firings);
        if firings == 2 {
            break;
        }
        prometheus.fire(false).await;
        eventually(&h, OPEN, 0).await;
        // What the other way says of it later changes nothing.
        while !alertmanager.alerts().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    prometheus.stop();
    // Alertmanager says that it is over, because the lease ran out.
    eventually(&h, BY_BOTH, 0).await;
    drop((prometheus, alertmanager));
    h.drain().await;
    assert_eq!(standing(&h.incident().await), ("OPEN", None, false));
    h.advance(Duration::from_secs(13));
    h.recount().await;
    assert_eq!(standing(&h.incident().await), ("OPEN", None, true));
    h.advance(Duration::from_secs(30));
    h.recount().await;
    let incident = h.incident().await;
    assert_eq!(standing(&incident), ("RESOLVED", Some("unseen"), false));
    assert_eq!(incident["aggregated_count"], 2);
    assert_eq!(h.sql("SELECT total FROM anomalies").await, 2);
    assert_eq!(h.telegram.taken().len(), 1);
    h.finish().await;
}
