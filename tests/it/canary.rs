//! Canaries: synthetic alerts that go the way of an alert, are counted by nothing, and hide nothing.

use serde_json::{Value, json};
use tocsin::config::Mapping;
use tocsin::domain::canary::{LIFE, mark};
use tocsin_workers::workers;
use uuid::Uuid;

use crate::harness::{Harness, On, alert, resolved};
use crate::on_all;

/// Rows that a canary must leave none of.
const ROWS: [&str; 6] = [
    "anomalies",
    "incidents",
    "occurrences",
    "notifications",
    "dead_letters",
    "source_tallies",
];

impl Harness {
    /// Makes a canary for a source.
    async fn make_canary(&self, body: Value) -> Value {
        let (status, made) = self.post("/api/v1/canaries", body).await;
        assert_eq!(status, 200, "{made}");
        made
    }

    /// Posts one of a canary's requests, as it was given out.
    async fn send_canary(&self, request: &Value) {
        self.post_canary(request).await;
        self.drain().await;
    }

    async fn post_canary(&self, request: &Value) {
        let path = request["path"].as_str().unwrap();
        let mut post = self.http.post(format!("{}{path}", self.url));
        for (name, value) in request["headers"].as_object().unwrap() {
            post = post.header(name, value.as_str().unwrap());
        }
        let body = request["body"].as_str().unwrap().to_owned();
        let sent = post.body(body).send().await.unwrap();
        assert_eq!(sent.status(), 200, "{path}");
    }

    async fn canary(&self, made: &Value) -> Value {
        let id = made["id"].as_str().unwrap();
        self.get(&format!("/api/v1/canaries/{id}")).await
    }

    async fn assert_no_trace_of_canaries(&self) {
        for table in ROWS {
            let left = self.sql(&format!("SELECT count(*) FROM {table}")).await;
            assert_eq!(left, 0, "{table}");
        }
        assert_eq!(self.telegram.messages().len(), 0);
    }
}

/// The links that are done.
fn done(canary: &Value) -> Vec<&str> {
    let links = canary["links"].as_array().unwrap().iter();
    let done = links.filter(|link| !link["at"].is_null() && !link["ms"].is_null());
    done.map(|link| link["link"].as_str().unwrap()).collect()
}

const ALL: [&str; 6] = ["ingress", "queue", "incident", "tier", "message", "resolve"];

on_all! {
    async fn a_canary_of_each_source_goes_all_the_way_and_leaves_nothing(on) {
        let h = Harness::start_with(on, |config| {
            let mapping = r#"
                alert_name = "/check"
                status = "/state"
                firing = ["failed"]
                resolved = ["ok"]
            "#;
            let mapping: Mapping = toml::from_str(mapping).unwrap();
            config.sources.generic.0.insert("backups".to_owned(), mapping);
            config.sources.sentry.secret = Some("planted-secret-0123456789".into());
            config.analysis.enabled = true;
        }).await;
        for source in ["alertmanager", "prometheus", "grafana", "signoz", "sentry", "generic/backups"] {
            let made = h.make_canary(json!({"source": source})).await;
            assert_eq!(done(&made), [""; 0], "{source}");
            h.send_canary(&made["firing"]).await;
            let seen = h.canary(&made).await;
            assert_eq!(done(&seen), ALL[..5], "{source}: {seen}");
            assert_eq!((&seen["level"], &seen["tier"]), (&json!("NONE"), &json!(1)), "{source}");
            assert_eq!(seen["channels"], json!(["telegram:-100"]), "{source}");
            h.send_canary(&made["resolved"]).await;
            let seen = h.canary(&made).await;
            assert_eq!(done(&seen), ALL, "{source}: {seen}");
            assert_eq!((&seen["error"], &seen["sent"]), (&json!(null), &json!(null)), "{source}");
        }
        h.assert_no_trace_of_canaries().await;
        let metrics = h.metrics().await;
        for line in [
            "tocsin_alerts_received_total{source=\"tocsin\"} 12\n",
            "tocsin_alerts_total{source=\"tocsin\",outcome=\"ignored\"} 12\n",
            "tocsin_alerts_received_total{source=\"alertmanager\"} 0\n",
        ] {
            assert!(metrics.contains(line), "{line}{metrics}");
        }
        h.finish().await;
    }

    async fn a_canary_whose_workers_die_between_two_links_goes_on(on) {
        let mut h = Harness::start(on).await;
        let made = h.make_canary(json!({"source": "alertmanager"})).await;
        // The incident's link is done; the worker dies before the job of the next one is pushed.
        h.pause("tier", true).await;
        h.post_canary(&made["firing"]).await;
        h.until("SELECT count(entered_at) FROM canaries", 1).await;
        assert_eq!(done(&h.canary(&made).await), ALL[..3]);
        h.stop_working().await;
        h.lose("tier").await;
        let entered = h.canary(&made).await["links"][2]["at"].clone();
        // Its job comes again.
        h.pause("tier", false).await;
        h.work(workers(&h.context));
        h.send_canary(&made["firing"]).await;
        let seen = h.canary(&made).await;
        assert_eq!(done(&seen), ALL[..5]);
        assert_eq!(seen["links"][2]["at"], entered, "what was written first stays");
        h.assert_no_trace_of_canaries().await;
        h.finish().await;
    }
}

#[tokio::test]
async fn a_mark_that_nobody_made_hides_no_alert() {
    let h = Harness::start(On::Sqlite).await;
    let now = h.now();
    let marked = |id| alert(&mark(id), "1", now);
    // Made up; of another source; too late.
    let other = h.make_canary(json!({"source": "grafana"})).await;
    let old = h.make_canary(json!({"source": "alertmanager"})).await;
    let id = |made: &Value| -> Uuid { made["id"].as_str().unwrap().parse().unwrap() };
    h.send_and_drain(vec![marked(Uuid::from_u128(7)), marked(id(&other))])
        .await;
    assert_eq!(h.incidents().await.len(), 2);
    h.advance(LIFE + std::time::Duration::from_secs(1));
    h.send_and_drain(vec![marked(id(&old))]).await;
    assert_eq!(h.incidents().await.len(), 3);
    assert_eq!(done(&h.canary(&old).await), [""; 0]);
    let entries = h.get("/api/v1/audit?action=canary.send").await;
    assert_eq!(entries["items"].as_array().unwrap().len(), 2);
    h.finish().await;
}

#[tokio::test]
async fn a_canary_says_which_link_fails_and_why() {
    let h = Harness::start(On::Sqlite).await;
    for (body, why) in [
        (json!({"source": "nagios"}), "unknown source"),
        (json!({"source": "generic/none"}), "unknown source"),
        (
            json!({"source": "grafana", "channel": "webhook:none"}),
            "unknown channel",
        ),
        (json!({"source": "grafana", "chanel": "log"}), "chanel"),
    ] {
        let (status, refused) = h.post("/api/v1/canaries", body).await;
        assert_eq!(status, 400, "{refused}");
        assert!(
            refused["detail"].as_str().unwrap().contains(why),
            "{refused}"
        );
    }
    // The end comes first.
    let made = h.make_canary(json!({"source": "alertmanager"})).await;
    h.send_canary(&made["resolved"]).await;
    let seen = h.canary(&made).await;
    assert_eq!(seen["failed_link"], "resolve", "{seen}");
    assert!(
        seen["error"].as_str().unwrap().contains("before the alert"),
        "{seen}"
    );
    h.assert_no_trace_of_canaries().await;
    // Beside it, alerts are what they always are.
    let fires = alert("Real", "1", h.now());
    h.send_and_drain(vec![fires.clone()]).await;
    h.send_and_drain(vec![resolved(fires, h.now())]).await;
    assert_eq!(h.incident().await["status"], "RESOLVED");
    h.finish().await;
}

#[tokio::test]
async fn a_message_goes_out_only_where_a_channel_is_named() {
    let h = Harness::start(On::Sqlite).await;
    let made = h
        .make_canary(json!({"source": "alertmanager", "channel": "telegram:-100"}))
        .await;
    h.send_canary(&made["firing"]).await;
    let seen = h.canary(&made).await;
    assert_eq!(done(&seen), ALL[..5], "{seen}");
    assert!(seen["sent"].is_string(), "{seen}");
    let sent = h.telegram.messages();
    assert_eq!(sent.len(), 1);
    assert!(
        sent[0].text.contains("Smoke test of Tocsin"),
        "{:?}",
        sent[0]
    );
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_follows_a_canary_of_each_source() {
    let h = Harness::start(On::Sqlite).await;
    let folder = std::env::temp_dir().join(format!("tocsin-smoke-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let junit = folder.join("smoke.xml");
    let file = junit.to_str().unwrap();
    let (ok, said) = h.tocsin(&["smoke", "--junit", file]);
    assert!(ok, "{said}");
    for source in ["alertmanager", "prometheus", "grafana", "signoz", "sentry"] {
        assert!(said.contains(&format!("{source}\n")), "{said}");
    }
    assert!(said.contains("every link works, by 5 sources"), "{said}");
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"30\" failures=\"0\""), "{xml}");
    std::fs::remove_dir_all(&folder).unwrap();
    // A link that is cut is named.
    h.pause("tier", true).await;
    let cut = [
        "smoke", "--source", "grafana", "--within", "300ms", "--json",
    ];
    let (ok, said) = h.tocsin(&cut);
    assert!(!ok, "{said}");
    let (json, _) = said.rsplit_once('}').unwrap();
    let report: Value = serde_json::from_str(&format!("{json}}}")).unwrap();
    assert_eq!(
        report["sources"][0]["links"][3]["outcome"], "failed",
        "{report}"
    );
    assert_eq!(report["sources"][0]["links"][5]["outcome"], "skipped");
    assert!(said.contains("failed: grafana: tier"), "{said}");
    h.pause("tier", false).await;
    h.finish().await;
}
