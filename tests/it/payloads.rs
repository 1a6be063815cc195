//! Bodies as senders send them, and as nobody does, through the real route of a source.

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tocsin::sources::SOURCES;

use crate::harness::{Harness, answer};
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
}

#[tokio::test(flavor = "multi_thread")]
async fn an_example_of_a_source_is_known_there_and_named_elsewhere() {
    let h = Harness::start(crate::harness::On::Sqlite).await;
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
