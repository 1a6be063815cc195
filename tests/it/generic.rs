//! Any sender of JSON: the shipped mappings with what their senders send, and mappings of one's own, through the
//! webhook; and what each source delivered, as people see it.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tocsin::config::{Config, Mapping, Secret, Tokens};
use tocsin::store::source_tallies;
use tocsin_workers::recount;

use crate::harness::{Harness, On, answer};
use crate::{on_all, payload};

const SECRET: &str = "planted-secret-0123456789";

/// Sets a mapping up.
pub fn map(config: &mut Config, name: &str, toml: &str) {
    let mapping: Mapping = toml::from_str(toml).unwrap();
    config.sources.generic.0.insert(name.to_owned(), mapping);
}

/// A mapping of a list of checks.
pub const CHECKS: &str = r#"
    alerts = "/checks"
    alert_name = "/check"
    service = "/host"
    namespace = "^/site"
    status = "/state"
    firing = ["bad"]
    resolved = ["good"]
    starts_at = "/since"
    severity = "/level"
    labels = { x = "/x" }
"#;

fn signed(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Harness {
    /// One source, as the API has it.
    async fn source(&self, name: &str) -> Value {
        let sources = self.get("/api/v1/sources").await;
        let sources = sources["items"].as_array().unwrap().iter();
        let mut sources = sources.filter(|source| source["name"] == name);
        sources.next().unwrap().clone()
    }
}

on_all! {
    async fn what_the_shipped_mappings_senders_send_opens_an_incident_once_and_closes_it(on) {
        let h = Harness::start_with(on, |config| {
            for preset in ["uptime-kuma", "zabbix", "cloudwatch"] {
                map(config, preset, &format!("preset = \"{preset}\""));
            }
        })
        .await;
        for (preset, fires, over, name, service) in [
            ("uptime-kuma", payload!("uptime_kuma_down"), payload!("uptime_kuma_up"), "Shop is down", "Shop"),
            ("zabbix", payload!("zabbix_problem"), payload!("zabbix_resolved"), "High CPU utilization (over 90% for 5m)", "db-1"),
            ("cloudwatch", payload!("cloudwatch_alarm"), payload!("cloudwatch_ok"), "checkout-5xx", "app/checkout/50dc6c495c0c9188"),
        ] {
            let source = format!("generic/{preset}");
            let found = async || {
                let incidents = h.incidents().await.into_iter();
                let mut found: Vec<Value> = incidents.filter(|incident| incident["source"] == *source).collect();
                assert_eq!(found.len(), 1, "{preset}");
                found.remove(0)
            };
            for _ in 0..2 {
                // Amazon SNS says that it is a text.
                let sent = h.webhook(&source, fires).header("content-type", "text/plain; charset=UTF-8");
                let (status, taken) = answer(sent.send().await.unwrap()).await;
                assert_eq!((status, &taken["enqueued"]), (200, &json!(1)), "{preset}: {taken}");
                h.drain().await;
            }
            let incident = found().await;
            assert_eq!((&incident["alert_name"], &incident["service"]), (&json!(name), &json!(service)));
            assert_eq!((&incident["status"], &incident["frequency_stats"]["count_30d"]), (&json!("OPEN"), &json!(1)));
            h.deliver(&source, over).await;
            let incident = found().await;
            assert_eq!((&incident["status"], &incident["resolved_by"]), (&json!("RESOLVED"), &json!("itself")), "{preset}");
        }
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 3);
        for test in ["uptime_kuma_test", "zabbix_test"] {
            let (preset, body) = match test {
                "zabbix_test" => ("zabbix", payload!("zabbix_test")),
                _ => ("uptime-kuma", payload!("uptime_kuma_test")),
            };
            let taken = h.deliver(&format!("generic/{preset}"), body).await;
            assert_eq!((&taken["tests"], &taken["enqueued"]), (&json!(1), &json!(0)), "{test}");
        }
        // A reminder of what still is down says a later time each time.
        let down = payload!("uptime_kuma_down");
        for minute in ["50", "51", "52"] {
            h.deliver("generic/uptime-kuma", down.replace("21:28:29.102", &format!("21:{minute}:29.102"))).await;
        }
        assert_eq!(h.sql("SELECT count(*) FROM occurrences WHERE ended_at IS NULL").await, 1);
        // However many names there are, these are one source to the metrics.
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_received_total{source=\"generic\"} 14\n"), "{metrics}");
        assert!(!metrics.contains("source=\"generic/"), "{metrics}");
        h.finish().await;
    }

    async fn a_sender_signs_or_has_a_token_and_a_name_without_a_mapping_is_not_set_up(on) {
        let h = Harness::start_with(on, |config| {
            config.webhook_token = Tokens::from("hook");
            map(config, "token", "alert_name = \"/check\"");
            map(config, "off", "alert_name = \"/check\"\nenabled = false");
            map(config, "signed", "alert_name = \"/check\"\nheader = \"X-Hub-Signature-256\"");
            let mapping = config.sources.generic.0.get_mut("signed").unwrap();
            mapping.secret = Some(Secret::from(SECRET));
        })
        .await;
        let body = r#"{"check":"Backup"}"#;
        let post = async |name: &str, token: &str, signature: &str| {
            let mut sent = h.webhook(&format!("generic/{name}"), body);
            if !token.is_empty() {
                sent = sent.bearer_auth(token);
            }
            if !signature.is_empty() {
                sent = sent.header("X-Hub-Signature-256", signature);
            }
            let (status, told) = answer(sent.send().await.unwrap()).await;
            (status, told["code"].as_str().unwrap_or_default().to_owned(), told["parameter"].clone())
        };
        let good = signed(body);
        for (name, token, signature, status, code) in [
            ("signed", "hook", "", 401, "invalid_signature"),
            ("signed", "hook", &*signed("{}"), 401, "invalid_signature"),
            ("signed", "", &format!("sha1={good}"), 401, "invalid_signature"),
            ("signed", "", &format!("sha256={good}"), 200, ""),
            ("token", "", &good, 401, "missing_token"),
            ("token", "wrong", "", 401, "unknown_token"),
            ("token", "hook", "", 200, ""),
            ("off", "hook", "", 404, "source_not_set_up"),
            ("nobody", "", "", 401, "missing_token"),
            ("nobody", "hook", "", 404, "source_not_set_up"),
        ] {
            let found = post(name, token, signature).await;
            assert_eq!((found.0, &*found.1), (status, code), "{name} {token} {signature}");
        }
        assert_eq!(post("off", "hook", "").await.2, "sources.generic.off.enabled");
        assert_eq!(post("nobody", "hook", "").await.2, "sources.generic.nobody");
        h.drain().await;
        let refused = async |name: &str| h.source(name).await["refused"].clone();
        assert_eq!(refused("generic/signed").await, 3);
        assert_eq!(refused("generic/token").await, 2);
        assert_eq!(refused("generic/off").await, 2);
        // No request makes up a source.
        assert_eq!(refused("generic").await, 3);
        assert_eq!(h.sql("SELECT count(*) FROM anomalies").await, 1);
        assert_eq!(h.incidents().await.len(), 1);
        h.finish().await;
    }

    async fn whatever_is_odd_in_a_mapped_body_harms_nothing(on) {
        let mut h = Harness::start_with(on, |config| {
            map(config, "checks", CHECKS);
            map(config, "cloudwatch", "preset = \"cloudwatch\"");
        })
        .await;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let check = |name: &str, more: &str| {
            format!(r#"{{"check":"{name}","host":"h","state":"bad","since":"soon","x":{more}}}"#)
        };
        let checks = [
            check("Nul\\u0000", "\"\\u0000\""),
            check("Half\\ud800", "\"\\udc00\""),
            check("Deep", &deep),
            deep.clone(),
            r#"{"state":"bad"}"#.to_owned(),
            "7".to_owned(),
        ];
        let body = format!(r#"{{"site":"vie","new":{deep},"checks":[{}]}}"#, checks.join(","));
        let taken = h.deliver("generic/checks", body).await;
        assert_eq!((&taken["processed"], &taken["enqueued"], &taken["rejected"]), (&json!(6), &json!(3), &json!(3)));
        for body in ["", "[]", "7", "{}", &deep, r#"{"checks":["#, r#"{"checks":7}"#] {
            assert_eq!(h.post_to("generic/checks", body.to_owned()).await.0, 400, "{body:.40}");
        }
        let large = json!({"checks": [], "padding": "x".repeat(5 << 20)}).to_string();
        assert_eq!(h.post_to("generic/checks", large).await.0, 413);
        let many = json!({"checks": vec![json!({}); 10_001]}).to_string();
        assert_eq!(h.post_to("generic/checks", many).await.0, 413);
        // The inner text is JSON of its own, with the same oddities.
        let inner = format!(r#"{{"AlarmName":"Inner\u0000\ud800","NewStateValue":"ALARM","AlarmArn":"a","x":{deep}}}"#);
        let inner = json!({"Type": "Notification", "Message": inner}).to_string();
        h.deliver("generic/cloudwatch", inner).await;
        let hello = json!({"Type": "Notification", "Message": "hello"}).to_string();
        let taken = h.deliver("generic/cloudwatch", hello).await;
        assert_eq!(taken["rejected"], 1);
        let mut names: Vec<String> = h.incidents().await.iter()
            .map(|incident| incident["alert_name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["Deep", "Half\u{fffd}", "Inner\u{fffd}\u{fffd}", "Nul\u{fffd}"]);
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters").await, 2);
        let source = h.source("generic/checks").await;
        assert_eq!((&source["alerts"], &source["rejected"], &source["refused"]), (&json!(3), &json!(3), &json!(9)));
        assert_eq!(h.source("generic/cloudwatch").await["error"], "the inner text is not JSON");
        h.finish_with_dead_letters().await;
    }

    async fn each_source_says_what_it_delivered_and_who_posts_to_the_wrong_address(on) {
        let mut h = Harness::start_with(on, |config| {
            map(config, "checks", CHECKS);
            map(config, "any", "alert_name = \"/check\"");
            config.sources.signoz.enabled = false;
            config.public_url = Some("https://ops.example.org/tocsin/".to_owned());
        })
        .await;
        let names = |sources: &Value| -> Vec<String> {
            let items = sources["items"].as_array().unwrap().iter();
            items.map(|source| source["name"].as_str().unwrap().to_owned()).collect()
        };
        let get = async |path: &str| {
            let url = format!("{}/tocsin/api/v1/sources{path}", h.url);
            let (status, told) = answer(h.http.get(url).send().await.unwrap()).await;
            assert_eq!(status, 200, "{told}");
            told
        };
        let all = names(&get("").await);
        assert!(all.contains(&"generic/checks".to_owned()) && !all.contains(&"generic".to_owned()), "{all:?}");
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(&format!("?limit=2{cursor}")).await;
            paged.extend(names(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", next.replace('/', "%2F")),
                None => break,
            }
        }
        assert_eq!(paged, all);
        let source = async |name: &str| {
            let items = get("").await["items"].as_array().unwrap().clone();
            items.into_iter().find(|source| source["name"] == name).unwrap()
        };
        let fresh = source("generic/checks").await;
        assert_eq!(fresh["addresses"], json!(["https://ops.example.org/tocsin/api/v1/generic/checks"]));
        assert_eq!((&fresh["enabled"], &fresh["delivered_at"], &fresh["error"]), (&json!(true), &Value::Null, &Value::Null));
        assert_eq!(source("signoz").await["enabled"], false);
        let post = async |source: &str, body: &str| {
            let url = format!("{}/tocsin/api/v1/{source}", h.url);
            answer(h.http.post(url).body(body.to_owned()).send().await.unwrap()).await
        };
        let at = h.now();
        let body = r#"{"checks":[{"check":"A","host":"h","state":"bad"},{"state":"bad"}]}"#;
        assert_eq!(post("generic/checks", body).await.0, 200);
        h.drain().await;
        let found = source("generic/checks").await;
        assert_eq!((&found["alerts"], &found["rejected"]), (&json!(1), &json!(1)));
        assert_eq!(found["error"], "the alert has no alertname");
        assert!(found["delivered_at"].as_str().unwrap() >= &*at.to_rfc3339());
        // One of another source, although the mapping takes whatever it gets for an alert.
        let grafana = payload!("grafana_legacy");
        for name in ["generic/checks", "generic/any"] {
            let (status, told) = post(name, grafana).await;
            assert_eq!((status, &told["code"], &told["value"]), (400, &json!("wrong_source"), &json!("/api/v1/grafana")));
        }
        let found = source("generic/checks").await;
        assert_eq!((&found["refused"], &found["error"]), (&json!(1), &json!("this is what Grafana sends: its webhook is /api/v1/grafana")));

        // What this process did not write yet is added to what all wrote.
        let db = h.context.db.clone();
        let other = source_tallies::Tally {
            source: "generic/checks".to_owned(),
            hour: source_tallies::hour(h.now()),
            alerts: 10,
            tests: 2,
            ..source_tallies::Tally::default()
        };
        source_tallies::add(db.write(), std::slice::from_ref(&other)).await.unwrap();
        source_tallies::add(db.write(), &[other]).await.unwrap();
        let found = source("generic/checks").await;
        assert_eq!((&found["alerts"], &found["tests"]), (&json!(21), &json!(4)));
        let page = h.http.get(format!("{}/tocsin/system", h.url)).send().await.unwrap().text().await.unwrap();
        for shown in ["generic/checks", "https://ops.example.org/tocsin/api/v1/generic/checks", "this is what Grafana sends",
                      "<td class=\"n\">21</td>"] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        h.until("SELECT CAST(sum(alerts) AS bigint) FROM source_tallies", 21).await;
        // After a day none of it is counted, the last delivery is known for a week, and reports need it for longer.
        h.advance(Duration::from_secs(25 * 3600));
        let found = source("generic/checks").await;
        assert_eq!((&found["alerts"], &found["refused"]), (&json!(0), &json!(0)));
        assert!(found["delivered_at"].is_string() && found["error"].is_string());
        h.advance(Duration::from_secs(7 * 24 * 3600));
        let found = source("generic/checks").await;
        assert_eq!((&found["delivered_at"], &found["error"]), (&Value::Null, &Value::Null));
        recount::prune(&h.context).await.unwrap();
        assert_ne!(h.sql("SELECT count(*) FROM source_tallies").await, 0);
        h.advance(Duration::from_secs(28 * 24 * 3600));
        recount::prune(&h.context).await.unwrap();
        assert_eq!(h.sql("SELECT count(*) FROM source_tallies").await, 0);
        h.finish_with_dead_letters().await;
    }

    async fn several_ingresses_that_write_at_once_add_up_and_none_waits_for_another(on) {
        let h = Harness::start(on).await;
        let tally = |source: &str, at: i64, error: &str| source_tallies::Tally {
            source: source.to_owned(),
            hour: source_tallies::hour(h.now()),
            alerts: 1,
            delivered_at: Some(tocsin::time::Timestamp(at)),
            error: Some((tocsin::time::Timestamp(at), error.to_owned())),
            ..source_tallies::Tally::default()
        };
        let db = &h.context.db;
        let writes = (0..20).map(|n| async move {
            let tallies = match n % 2 {
                0 => [tally("a", n, &n.to_string()), tally("b", n, "b")],
                _ => [tally("b", n, "b"), tally("a", n, &n.to_string())],
            };
            source_tallies::add(db.write(), &tallies).await.unwrap();
        });
        futures::future::join_all(writes).await;
        let found = source_tallies::lately(db.read(), h.now()).await.unwrap();
        let figures: Vec<(&str, i64, Option<i64>)> = found.iter()
            .map(|tally| (&*tally.source, tally.alerts, tally.delivered_at.map(|at| at.0)))
            .collect();
        assert_eq!(figures, [("a", 20, Some(19)), ("b", 20, Some(19))]);
        assert_eq!(found[0].error.as_ref().unwrap().1, "19");
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_shown_until_the_sender_delivers() {
    let h = Harness::start_with(On::Sqlite, |config| {
        map(config, "aws", "preset = \"cloudwatch\"");
    })
    .await;
    let taken = h
        .deliver("generic/aws", payload!("cloudwatch_subscription"))
        .await;
    assert_eq!(
        (&taken["unused"], &taken["enqueued"]),
        (&json!(1), &json!(0))
    );
    let source = h.source("generic/aws").await;
    let url = source["confirm_url"].as_str().unwrap();
    assert!(url.starts_with("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"));
    let page = async || {
        let page = h.http.get(format!("{}/system", h.url)).send().await;
        page.unwrap().text().await.unwrap()
    };
    assert!(page().await.contains(">confirm the subscription</a>"));
    let elsewhere = payload!("cloudwatch_subscription").replace(
        "\"SubscribeURL\": \"https://sns.eu-west-1.amazonaws.com",
        "\"SubscribeURL\": \"https://10.0.0.1",
    );
    assert_eq!(h.post_to("generic/aws", elsewhere).await.0, 400);
    h.advance(Duration::from_secs(1));
    h.deliver("generic/aws", payload!("cloudwatch_alarm")).await;
    assert_eq!(h.source("generic/aws").await["confirm_url"], Value::Null);
    assert!(!page().await.contains(">confirm the subscription</a>"));
    h.finish().await;
}
