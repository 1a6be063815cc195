//! Bad input: a clear answer, no harm to what is good in the same request, and nothing lost.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tocsin::config::Tokens;

use crate::harness::{Harness, firing, number};
use crate::on_all;

const WEBHOOK: &str = "/api/v1/alertmanager";

impl Harness {
    async fn post_raw(&self, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.http.post(format!("{}{WEBHOOK}", self.url)).body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if status != 200 {
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
        }
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        if status != 200 {
            assert_eq!(body["status"], status);
            assert!(!body["detail"].as_str().unwrap().is_empty());
        }
        (status, body)
    }
}

on_all! {
    async fn a_body_that_is_no_webhook_is_refused_and_nothing_is_stored(on) {
        let h = Harness::start(on).await;
        let bodies: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"alerts=1".to_vec(),
            b"[1,2]".to_vec(),
            b"{\"alerts\":{}}".to_vec(),
            b"{\"groupKey\":1}".to_vec(),
            b"{\"alerts\":[\"\0\"]}".to_vec(),
            b"{\"alerts\":[\"\xff\xfe\"]}".to_vec(),
            b"{\"alerts\":[{}".to_vec(),
            "[".repeat(100_000).into_bytes(),
        ];
        for body in bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert_eq!(h.post_raw(body).await.0, 400, "{shown}");
        }
        assert_eq!(h.queued().await, 0);
        h.finish().await;
    }

    async fn too_much_at_once_is_refused_as_too_large(on) {
        let h = Harness::start(on).await;
        let many = vec![json!({"labels": {"alertname": "A"}}); 10_001];
        let (status, problem) = h.post_raw(json!({"alerts": many}).to_string()).await;
        assert_eq!(status, 413, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("10001"));
        let large = json!({"alerts": [], "padding": "x".repeat(5 << 20)}).to_string();
        assert_eq!(h.post_raw(large).await.0, 413);
        h.finish().await;
    }

    async fn bad_alerts_are_dead_letters_and_good_ones_beside_them_are_incidents(on) {
        let mut h = Harness::start(on).await;
        let deep = "[".repeat(100_000) + "]".repeat(100_000).as_str();
        let good = firing("good", h.now()).to_string();
        let nul = r#"{"labels":{"alertname":"Nul\u0000","job":"x"},"startsAt":"0001-01-01T00:00:00Z"}"#;
        let long = format!(
            r#"{{"startsAt":"soon","labels":{{"alertname":"Long","x":"{}"}}}}"#,
            "x".repeat(1 << 20)
        );
        let offset = r#"{"labels":{"alertname":"Offset"},"startsAt":"2026-01-01T00:00:00+05:45","new":{"a":[1]}}"#;
        let alerts = [
            good.as_str(),
            nul,
            &long,
            offset,
            "7",
            r#"{"labels":{}}"#,
            r#"{"labels":{"job":"nameless"}}"#,
            r#"{"labels":{"alertname":"A","x":"\ud800"}}"#,
            &deep,
        ];
        let body = format!(
            r#"{{"version":"3","groupKey":12,"truncatedAlerts":4,"alerts":[{}]}}"#,
            alerts.join(",")
        );
        let (status, taken) = h.post_raw(body).await;
        assert_eq!(status, 200, "{taken}");
        let expected = json!({"status": "ok", "processed": 9, "enqueued": 4, "rejected": 5});
        assert_eq!(taken, expected);
        h.drain().await;

        let mut names: Vec<String> = h
            .incidents()
            .await
            .iter()
            .map(|incident| incident["alert_name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["CrashLooping", "Long", "Nul\u{fffd}", "Offset"]);
        let reasons = "SELECT count(*) FROM dead_letters WHERE queue = 'ingest' AND reason <> ''";
        assert_eq!(h.sql(reasons).await, 5);
        assert_eq!(h.telegram.taken().len(), 4);
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_alerts_truncated_total{source=\"alertmanager\"} 4"));
        assert!(metrics.contains("tocsin_alerts_misdated_total{source=\"alertmanager\"} 1"));
        assert!(metrics.contains("tocsin_alerts_received_total{source=\"alertmanager\"} 9"));
        assert!(metrics.contains("tocsin_alerts_total{source=\"alertmanager\",outcome=\"rejected\"} 5"));
        h.finish_with_dead_letters().await;
    }

    async fn a_dead_letter_keeps_what_was_sent(on) {
        let mut h = Harness::start(on).await;
        let (_, taken) = h.post_raw(r#"{"alerts":[{"labels":{"job":"näme\u0000less"}}]}"#).await;
        assert_eq!(taken["rejected"], 1);
        h.drain().await;
        let query = "SELECT count(*) FROM dead_letters WHERE reason = 'the alert has no alertname'";
        assert_eq!(number(&h.context, query).await, 1);
        use sea_orm::EntityTrait;
        let letters = tocsin::entity::dead_letters::Entity::find();
        let letter = letters.one(h.context.db.read()).await.unwrap().unwrap();
        let payload: Value = serde_json::from_slice(&letter.payload).unwrap();
        assert_eq!(payload["content"]["rejected"]["raw"], r#"{"labels":{"job":"näme\u0000less"}}"#);
        h.finish_with_dead_letters().await;
    }

    async fn a_wrong_or_missing_token_is_refused(on) {
        let h = Harness::start_with(on, |config| {
            config.webhook_token = Tokens::from("hook");
            config.api_token = Tokens::from("api");
        })
        .await;
        let webhook = || h.http.post(format!("{}{WEBHOOK}", h.url)).body(r#"{"alerts":[]}"#);
        let list = || h.http.get(format!("{}/api/v1/incidents", h.url));
        let table = [
            (webhook(), StatusCode::UNAUTHORIZED),
            (webhook().bearer_auth("hoo"), StatusCode::UNAUTHORIZED),
            (webhook().bearer_auth("api"), StatusCode::UNAUTHORIZED),
            (webhook().basic_auth("x", Some("wrong")), StatusCode::UNAUTHORIZED),
            (webhook().bearer_auth("hook"), StatusCode::OK),
            (webhook().basic_auth("prometheus", Some("hook")), StatusCode::OK),
            (list(), StatusCode::UNAUTHORIZED),
            (list().bearer_auth("hook"), StatusCode::UNAUTHORIZED),
            (list().basic_auth("x", Some("api")), StatusCode::UNAUTHORIZED),
            (list().bearer_auth("api"), StatusCode::OK),
            (h.http.get(format!("{}/healthz", h.url)), StatusCode::OK),
        ];
        for (request, expected) in table {
            let shown = format!("{request:?}");
            assert_eq!(request.send().await.unwrap().status(), expected, "{shown}");
        }
        h.finish().await;
    }

    async fn what_does_not_exist_and_what_cannot_be_is_told_as_a_problem(on) {
        let h = Harness::start(on).await;
        let unknown = "00000000-0000-7000-8000-000000000000";
        let table = [
            ("GET", "/nowhere".to_owned(), 404),
            ("DELETE", "/api/v1/incidents".to_owned(), 405),
            ("GET", format!("/api/v1/incidents/{unknown}"), 404),
            ("GET", "/api/v1/incidents/7".to_owned(), 404),
            ("GET", format!("/api/v1/incidents/{unknown}/occurrences"), 404),
            ("POST", format!("/api/v1/incidents/{unknown}/acknowledge"), 404),
            ("POST", format!("/api/v1/incidents/{unknown}/repairs"), 400),
            ("GET", "/api/v1/incidents?limit=0".to_owned(), 400),
            ("GET", "/api/v1/incidents?limit=201".to_owned(), 400),
            ("GET", "/api/v1/incidents?status=BROKEN".to_owned(), 400),
            ("GET", "/api/v1/incidents?cursor=x".to_owned(), 400),
            ("GET", "/api/v1/incidents?colour=red".to_owned(), 400),
            ("GET", "/api/v1/anomalies/x".to_owned(), 404),
            ("POST", "/api/v1/anomalies/x/permanent-fix".to_owned(), 404),
            ("POST", "/api/v1/queues/x/pause".to_owned(), 404),
        ];
        for (method, path, expected) in table {
            let request = h.http.request(method.parse().unwrap(), format!("{}{path}", h.url));
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), expected, "{method} {path}");
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        }
        h.finish().await;
    }

    async fn a_full_queue_is_answered_with_503_and_retry_after(on) {
        let h = Harness::start_with(on, |config| config.queue.max_depth = 10).await;
        h.context.queues.store().set_paused("ingest", true).await.unwrap();
        let alerts = (0..20).map(|n| firing(&n.to_string(), h.now())).collect();
        h.send(alerts).await;
        h.gate.look(&h.context).await.unwrap();
        let request = h.http.post(format!("{}{WEBHOOK}", h.url)).body(r#"{"alerts":[]}"#);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
        h.context.queues.store().set_paused("ingest", false).await.unwrap();
        h.drain().await;
        h.gate.look(&h.context).await.unwrap();
        h.send_and_drain(vec![firing("later", h.now())]).await;
        assert_eq!(h.incident().await["aggregated_count"], 21);
        h.finish().await;
    }
}
