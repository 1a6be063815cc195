//! Bodies as senders send them, and as nobody does, through the real route of a source.

mod elsewhere;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tocsin::config::Tokens;
use tocsin::sources::SOURCES;

use crate::generic::map;
use crate::harness::{Harness, On, answer};
use crate::on_all;

/// A recorded body of this name.
#[macro_export]
macro_rules! payload {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/payloads/",
            $name,
            ".json"
        ))
    };
}

impl Harness {
    /// A request to a source's webhook.
    pub fn webhook(&self, source: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let url = format!("{}/api/v1/{source}", self.url);
        self.http.post(url).body(body)
    }

    /// Posts a body to a source's webhook.
    pub async fn post_to(&self, source: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        answer(self.webhook(source, body).send().await.unwrap()).await
    }

    /// Posts a body that is taken, and waits until all that follows is done.
    pub async fn deliver(&self, source: &str, body: impl Into<reqwest::Body>) -> Value {
        let (status, taken) = self.post_to(source, body).await;
        assert_eq!(status, 200, "{taken}");
        self.drain().await;
        taken
    }
}

/// Every recorded body: its source, what Sentry's header calls it, and how many firings nobody knew before it, if
/// they come in this order.
const RECORDED: [(&str, &str, &str, i64); 34] = [
    ("alertmanager", "", payload!("alertmanager_firing"), 2),
    (
        "alertmanager",
        "",
        payload!("alertmanager_firing_and_resolved"),
        0,
    ),
    ("prometheus", "", payload!("prometheus_v2_firing"), 1),
    ("prometheus", "", payload!("prometheus_v2_resolved"), 0),
    ("grafana", "", payload!("grafana_firing"), 1),
    ("grafana", "", payload!("grafana_no_data"), 1),
    ("grafana", "", payload!("grafana_legacy"), 1),
    ("signoz", "", payload!("signoz_webhook"), 1),
    ("signoz", "", payload!("signoz_firing"), 1),
    ("signoz", "", payload!("signoz_two_thresholds"), 0),
    ("signoz", "", payload!("signoz_resolved"), 0),
    ("signoz", "", payload!("signoz_no_data"), 1),
    ("signoz", "", payload!("signoz_test_rule"), 0),
    ("signoz", "", payload!("signoz_test_channel"), 0),
    ("sentry", "issue", payload!("sentry_issue_created"), 1),
    ("sentry", "issue", payload!("sentry_issue_unresolved"), 0),
    ("sentry", "issue", payload!("sentry_issue_resolved"), 0),
    ("sentry", "issue", payload!("sentry_issue_ignored"), 0),
    (
        "sentry",
        "activity_alert",
        payload!("sentry_activity_alert_resolved"),
        0,
    ),
    ("sentry", "event_alert", payload!("sentry_event_alert"), 1),
    (
        "sentry",
        "metric_alert",
        payload!("sentry_metric_alert_warning"),
        1,
    ),
    (
        "sentry",
        "metric_alert",
        payload!("sentry_metric_alert_critical"),
        0,
    ),
    (
        "sentry",
        "metric_alert",
        payload!("sentry_metric_alert_resolved"),
        0,
    ),
    ("sentry", "comment", payload!("sentry_comment_created"), 0),
    ("generic/uptime-kuma", "", payload!("uptime_kuma_down"), 1),
    ("generic/uptime-kuma", "", payload!("uptime_kuma_up"), 0),
    (
        "generic/uptime-kuma",
        "",
        payload!("uptime_kuma_certificate"),
        1,
    ),
    ("generic/uptime-kuma", "", payload!("uptime_kuma_test"), 0),
    ("generic/zabbix", "", payload!("zabbix_problem"), 1),
    ("generic/zabbix", "", payload!("zabbix_resolved"), 0),
    ("generic/zabbix", "", payload!("zabbix_test"), 0),
    (
        "generic/cloudwatch",
        "",
        payload!("cloudwatch_subscription"),
        0,
    ),
    ("generic/cloudwatch", "", payload!("cloudwatch_alarm"), 1),
    ("generic/cloudwatch", "", payload!("cloudwatch_ok"), 0),
];

/// The path of a source that is one and not many.
fn path_of(source: &str) -> Option<&'static str> {
    let known = SOURCES.iter().find(|known| known.name == source);
    known
        .filter(|known| known.senders.is_none())
        .map(|known| known.paths[0])
}

impl Harness {
    /// A request to where a source posts.
    fn recorded(&self, source: &str, body: &str) -> RequestBuilder {
        match path_of(source) {
            Some(path) => self
                .http
                .post(format!("{}{path}", self.url))
                .body(body.to_owned()),
            None => self.webhook(source, body.to_owned()),
        }
    }

    /// Posts a body to where its source posts; returns the status and what was said.
    async fn post_recorded(&self, source: &str, body: &str) -> (u16, Value) {
        let answer = self.recorded(source, body).send().await.unwrap();
        let (status, said) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&said).unwrap_or_default())
    }
}

/// Sources that take Alertmanager's form, with what they add to it.
const OF_ALERTMANAGER: [&str; 3] = ["alertmanager", "grafana", "signoz"];

on_all! {
    async fn whatever_is_odd_in_alertmanager_s_form_harms_nothing_at_any_of_its_sources(on) {
        let mut h = Harness::start(on).await;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let alert = |name: &str, more: &str| {
            format!(r#"{{"labels":{{"alertname":"{name}","ruleId":"r","x":{more}}},"startsAt":"soon"}}"#)
        };
        for source in OF_ALERTMANAGER {
            let nul = format!("{source} Nul\\u0000");
            let half = format!("{source} Half\\ud800");
            let alerts = [
                alert(&nul, "\"\\u0000\""),
                alert(&half, "\"\\udc00\""),
                alert(&format!("{source} Deep"), &deep),
                deep.clone(),
                r#"{"labels":{"ruleId":"r"}}"#.to_owned(),
                "7".to_owned(),
            ];
            let body = format!(r#"{{"alerts":[{}],"new":{deep}}}"#, alerts.join(","));
            let taken = h.deliver(source, body).await;
            assert_eq!((&taken["processed"], &taken["enqueued"], &taken["rejected"]),
                       (&json!(6), &json!(3), &json!(3)), "{source}");
            for body in ["", "[]", "7", "{}", &deep, r#"{"alerts":["#, r#"{"alerts":{}}"#, r#"{"ruleName":"A"}"#] {
                assert_eq!(h.post_to(source, body.to_owned()).await.0, 400, "{source}: {body:.40}");
            }
            let large = json!({"alerts": [], "padding": "x".repeat(5 << 20)}).to_string();
            assert_eq!(h.post_to(source, large).await.0, 413, "{source}");
            let many = json!({"alerts": vec![json!({}); 10_001]}).to_string();
            assert_eq!(h.post_to(source, many).await.0, 413, "{source}");
        }
        let mut names: Vec<String> = h.incidents().await.iter()
            .map(|incident| incident["alert_name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        let expected: Vec<String> = OF_ALERTMANAGER.iter()
            .flat_map(|source| ["Deep", "Half\u{fffd}", "Nul\u{fffd}"].map(|name| format!("{source} {name}")))
            .collect();
        assert_eq!(names, expected);
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters").await, 3);
        h.finish_with_dead_letters().await;
    }

    async fn whatever_is_odd_in_a_list_of_prometheus_harms_nothing(on) {
        let mut h = Harness::start(on).await;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let alert = |name: &str, more: &str| {
            format!(r#"{{"labels":{{"alertname":"{name}","x":{more}}},"startsAt":"soon","endsAt":{more}}}"#)
        };
        let alerts = [
            alert("Nul\\u0000", "\"\\u0000\""),
            alert("Half\\ud800", "\"\\udc00\""),
            alert("Deep", &deep),
            deep.clone(),
            r#"{"labels":{"job":"x"}}"#.to_owned(),
            "7".to_owned(),
        ];
        let (status, said) = h.post_recorded("prometheus", &format!("[{}]", alerts.join(","))).await;
        assert_eq!(status, 400);
        assert!(said.as_str().unwrap().starts_with("3 of 6 alerts cannot be used"), "{said}");
        h.drain().await;
        for body in ["", "7", "{}", r#"[{"labels":"#, r#"{"alerts":[]}"#, &deep] {
            assert_eq!(h.post_recorded("prometheus", body).await.0, 400, "{body:.40}");
        }
        let large = json!([{"labels": {"alertname": "A"}, "padding": "x".repeat(5 << 20)}]).to_string();
        let many = json!(vec![json!({}); 10_001]).to_string();
        for body in [large, many] {
            assert_eq!(h.post_recorded("prometheus", &body).await.0, 413);
        }
        h.drain().await;
        let mut names: Vec<String> = h.incidents().await.iter()
            .map(|incident| incident["alert_name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["Deep", "Half\u{fffd}", "Nul\u{fffd}"]);
        // What was odd in the first list, and the list of nothing but depth.
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters").await, 2);
        h.finish_with_dead_letters().await;
    }

    async fn every_recorded_body_is_taken_and_its_replay_counts_nothing(on) {
        let h = Harness::start_with(on, |config| {
            for preset in ["uptime-kuma", "zabbix", "cloudwatch"] {
                map(config, preset, &format!("preset = \"{preset}\""));
            }
        })
        .await;
        let firings = async || h.sql("SELECT count(*) FROM occurrences").await;
        for (source, resource, body, new) in RECORDED {
            let before = firings().await;
            for replay in [false, true] {
                if source == "sentry" {
                    h.sentry(resource, body).await;
                } else {
                    let (status, said) = h.post_recorded(source, body).await;
                    assert_eq!(status, 200, "{source}: {said}");
                    h.drain().await;
                }
                assert_eq!(firings().await - before, new, "{source}, replay: {replay}: {body:.200}");
            }
        }
        assert_eq!(h.sql("SELECT CAST(sum(total) AS BIGINT) FROM anomalies").await, firings().await);
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sends_without_a_token_or_with_a_wrong_one() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.webhook_token = Tokens::from("hook");
        map(config, "zabbix", "preset = \"zabbix\"");
    })
    .await;
    for (source, _, body, _) in RECORDED {
        if source.starts_with("generic/") && source != "generic/zabbix" {
            continue;
        }
        assert_eq!(h.post_recorded(source, body).await.0, 401, "{source}");
        let wrong = h.recorded(source, body).bearer_auth("wrong").send();
        let wrong = wrong.await.unwrap();
        assert_eq!(wrong.status(), 401, "{source}");
    }
    h.drain().await;
    assert_eq!(h.sql("SELECT count(*) FROM anomalies").await, 0);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_example_of_a_source_is_known_there_and_named_elsewhere() {
    let h = Harness::start(On::Sqlite).await;
    // What one of many sends is in the settings.
    for source in SOURCES
        .into_iter()
        .filter(|source| source.senders.is_none())
    {
        let known: Vec<&str> = SOURCES
            .iter()
            .filter(|other| (other.looks_like)(&tocsin::sources::Delivery::of(source.example)))
            .map(|other| other.name)
            .collect();
        assert!(known.contains(&source.name), "{}: {known:?}", source.name);
    }
    let (status, told) = h.post_to("signoz", SOURCES[0].example).await;
    assert_eq!((status, &told["code"]), (400, &json!("wrong_source")));
    assert_eq!(told["value"], "/api/v1/alertmanager");
    let (status, told) = h.post_to("alertmanager", payload!("grafana_legacy")).await;
    assert_eq!((status, &told["value"]), (400, &json!("/api/v1/grafana")));
    h.finish().await;
}
