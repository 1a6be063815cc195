//! Grafana: what it sends, signed and not, through its webhook.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tocsin::config::{Secret, Tokens};

use crate::harness::{Harness, answer};
use crate::{on_all, payload};

const SECRET: &str = "planted-secret-0123456789";
const FIRING: &str = payload!("grafana_firing");

/// What Grafana puts into its header.
fn signed(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn changed(body: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    change(&mut body);
    body.to_string()
}

on_all! {
    async fn what_grafana_shows_is_on_the_page_and_the_card_and_is_counted_once(on) {
        let h = Harness::start(on).await;
        for method in ["POST", "PUT"] {
            let url = format!("{}/api/v1/grafana", h.url);
            let sent = h.http.request(method.parse().unwrap(), url).body(FIRING);
            let (status, taken) = answer(sent.send().await.unwrap()).await;
            assert_eq!((status, &taken["enqueued"]), (200, &json!(1)), "{method}");
            h.drain().await;
        }
        let incident = h.incident().await;
        assert_eq!((&incident["source"], &incident["alert_name"]), (&json!("grafana"), &json!("TestAlert")));
        assert_eq!(incident["generator_url"], "https://grafana.example.com/?orgId=1");
        assert_eq!(incident["frequency_stats"]["count_1h"], 1);
        let id = incident["id"].as_str().unwrap();
        let page = h.http.get(format!("{}/incidents/{id}", h.url)).send().await.unwrap().text().await.unwrap();
        for shown in [
            "href=\"https://grafana.example.com/d/shop?viewPanel=1\"",
            "href=\"https://grafana.example.com/render/1.png\"",
            "href=\"https://grafana.example.com/alerting/silence/new\"",
            "B = 22, C = 1",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
        let told = h.telegram.taken();
        assert_eq!(told.len(), 1);
        let card = format!("{told:?}");
        assert!(card.contains("Values: B = 22, C = 1") && card.contains("render/1.png"), "{card}");

        let over = changed(FIRING, |body| {
            let alert = &mut body["alerts"][0];
            (alert["status"], alert["endsAt"]) = (json!("resolved"), json!("2026-05-05T13:10:00Z"));
        });
        h.deliver("grafana", over).await;
        assert_eq!(h.incident().await["resolved_by"], "itself");
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        h.finish().await;
    }

    async fn a_rule_without_data_is_an_anomaly_of_the_rule_with_the_service_that_its_alerts_told(on) {
        let h = Harness::start(on).await;
        let bare = changed(payload!("grafana_no_data"), |body| {
            drop(body["alerts"][0]["labels"].as_object_mut().unwrap().remove("service"));
        });
        let alert = changed(FIRING, |body| {
            body["alerts"][0]["labels"] = json!({"alertname": "QueueGrows", "grafana_folder": "Shop", "service": "checkout"});
        });
        h.deliver("grafana", alert).await;
        h.deliver("grafana", bare.clone()).await;
        let found = "SELECT count(*) FROM anomalies WHERE alert_name = 'QueueGrows' AND service = 'checkout'";
        assert_eq!(h.sql(found).await, 2);
        assert_eq!(h.sql(&format!("{found} AND error_type = 'no_data'")).await, 1);
        h.deliver("grafana", bare.replace("\"firing\"", "\"resolved\"")).await;
        let over = "SELECT count(*) FROM occurrences WHERE ended_at IS NOT NULL";
        assert_eq!(h.sql(over).await, 1);
        h.finish().await;
    }

    async fn a_legacy_alert_fires_and_is_over(on) {
        let h = Harness::start(on).await;
        let legacy = payload!("grafana_legacy");
        h.deliver("grafana", legacy).await;
        h.deliver("grafana", legacy).await;
        let incident = h.incident().await;
        assert_eq!((&incident["title"], &incident["severity"]), (&json!("Load is high"), &json!("critical")));
        let unused = h.deliver("grafana", changed(legacy, |body| body["state"] = json!("paused"))).await;
        assert_eq!((&unused["unused"], &unused["enqueued"]), (&json!(1), &json!(0)));
        h.deliver("grafana", changed(legacy, |body| body["state"] = json!("ok"))).await;
        assert_eq!(h.incident().await["status"], "RESOLVED");
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        h.finish().await;
    }

    async fn what_is_not_signed_is_refused_and_the_time_may_be_signed_too(on) {
        let h = Harness::start_with(on, |config| {
            config.webhook_token = Tokens::from("hook");
            config.sources.grafana.secret = Some(Secret::from(SECRET));
        })
        .await;
        let post = async |headers: &[(&str, &str)]| {
            let sent = h.webhook("grafana", FIRING).bearer_auth("hook");
            let sent = headers.iter().fold(sent, |sent, (name, value)| sent.header(*name, *value));
            answer(sent.send().await.unwrap()).await
        };
        let header = "X-Grafana-Alerting-Signature";
        let (good, other) = (signed(FIRING), signed("{}"));
        for headers in [&[][..], &[(header, other.as_str())], &[(header, "")], &[("X-Signature", good.as_str())]] {
            let (status, told) = post(headers).await;
            assert_eq!((status, &told["code"]), (401, &json!("invalid_signature")), "{headers:?}");
        }
        let (status, taken) = post(&[(header, &good)]).await;
        assert_eq!((status, &taken["enqueued"]), (200, &json!(1)));
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        h.finish().await;

        let h = Harness::start_with(on, |config| {
            let grafana = &mut config.sources.grafana;
            grafana.secret = Some(Secret::from(SECRET));
            grafana.header = "X-Signed".to_owned();
            grafana.timestamp_header = Some("X-Signed-At".to_owned());
        })
        .await;
        let post = async |at: i64, signature: String| {
            let sent = h.webhook("grafana", FIRING).header("X-Signed", signature);
            let sent = sent.header("X-Signed-At", at.to_string()).send().await.unwrap();
            sent.status().as_u16()
        };
        let now = h.now().0 / 1000;
        let late = now - 301;
        assert_eq!(post(now, signed(FIRING)).await, 401);
        assert_eq!(post(late, signed(&format!("{late}:{FIRING}"))).await, 401);
        assert_eq!(post(now, signed(&format!("{now}:{FIRING}"))).await, 200);
        h.finish().await;
    }
}
