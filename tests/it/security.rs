//! Roles, the headers of every answer, and the audit of operations.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tocsin::config::Tokens;

use crate::harness::{Harness, On, firing};
use crate::on_all;

const OLD: &str = "operate-old-0123456789";
const NEW: &str = "operate-new-0123456789";
const READ: &str = "read-0123456789";

async fn guarded(on: On) -> Harness {
    Harness::start_with(on, |config| {
        config.webhook_token = Tokens::from("hook");
        config.read_token = Tokens::from(READ);
        config.api_token = [OLD, NEW].into_iter().collect();
    })
    .await
}

impl Harness {
    fn ask(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(token)
    }

    async fn status(&self, method: Method, path: &str, token: &str) -> StatusCode {
        let answer = self.ask(method, path, token).send().await.unwrap();
        answer.status()
    }
}

async fn body(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_reads_an_operator_operates_and_old_and_new_tokens_hold_side_by_side() {
    let h = guarded(On::Sqlite).await;
    let (list, pause) = ("/api/v1/queues", "/api/v1/queues/notify/pause");
    for token in [OLD, NEW, READ] {
        assert_eq!(h.status(Method::GET, list, token).await, 200, "{token}");
        assert_eq!(h.status(Method::HEAD, list, token).await, 200, "{token}");
    }
    for (token, status) in [
        (OLD, 200),
        (NEW, 200),
        (READ, 403),
        ("hook", 401),
        ("operate", 401),
    ] {
        assert_eq!(
            h.status(Method::POST, pause, token).await,
            status,
            "{token}"
        );
    }
    let problem = body(h.ask(Method::POST, pause, READ)).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("api_token"), "{detail}");
    let resume = "/api/v1/queues/notify/resume";
    assert_eq!(h.status(Method::POST, resume, NEW).await, 200);
    let metrics = h.metrics().await;
    let failures = "tocsin_auth_failures_total{role=\"operate\"} 4";
    assert!(metrics.contains(failures), "{metrics}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_authentication_is_rate_limited_per_client() {
    let h = guarded(On::Sqlite).await;
    let list = "/api/v1/incidents";
    for _ in 0..10 {
        assert_eq!(h.status(Method::GET, list, "guess").await, 401);
    }
    let refused = h.ask(Method::GET, list, "guess").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(h.status(Method::GET, list, READ).await, 200);
    // No answer to a webhook makes its sender give up an alert for good.
    let webhook = "/api/v1/alertmanager";
    assert_eq!(h.status(Method::POST, webhook, "guess").await, 401);
    let sent = h
        .ask(Method::POST, webhook, "hook")
        .body(r#"{"alerts":[]}"#);
    assert_eq!(sent.send().await.unwrap().status(), 200);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_role_is_not_treated_as_a_guess() {
    let h = guarded(On::Sqlite).await;
    let webhook = "/api/v1/alertmanager";
    // More often than anybody may guess.
    for _ in 0..6 {
        for (method, path, token, told) in [
            (Method::POST, webhook, NEW, "use one of webhook_token"),
            (Method::POST, webhook, READ, "use one of webhook_token"),
            (Method::POST, webhook, "guess", "unknown token"),
            (
                Method::GET,
                "/api/v1/incidents",
                "hook",
                "can only send webhooks",
            ),
        ] {
            let answer = h.ask(method, path, token).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
            let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(told), "{token} at {path}: {detail}");
        }
    }
    let metrics = h.metrics().await;
    let failures = "tocsin_auth_failures_total{role=\"webhook\"} 18";
    assert!(metrics.contains(failures), "{metrics}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_and_headers_that_leave_a_browser_nothing_to_do() {
    let h = guarded(On::Sqlite).await;
    let get = |path: &str| h.http.get(format!("{}{path}", h.url));
    let answers = [
        (get("/healthz"), 200),
        (get("/metrics"), 200),
        (get("/nowhere"), 404),
        (get("/api/v1/alertmanager"), 405),
        (get("/api/v1/incidents"), 401),
        (get("/api/v1/incidents").bearer_auth(READ), 200),
        (get("/api/v1/incidents?limit=0").bearer_auth(READ), 400),
    ];
    for (request, status) in answers {
        let answer = request
            .header("x-request-id", "mine/1")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status);
        let headers = answer.headers().clone();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-request-id", "mine/1"),
        ] {
            assert_eq!(headers[name], value, "{name} of {}", answer.url());
        }
        if status >= 400 {
            let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert_eq!(problem["request_id"], "mine/1");
        }
    }
    for insane in ["two words", &"x".repeat(129)] {
        let answer = get("/healthz")
            .header("x-request-id", insane)
            .send()
            .await
            .unwrap();
        let made = answer.headers()["x-request-id"].to_str().unwrap();
        assert_eq!(made.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    }
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_no_page_of_another_site_operates_and_programs_do_as_ever() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.public_url = Some("https://tocsin.example".to_owned());
    })
    .await;
    let (list, pause) = ("/api/v1/queues", "/api/v1/queues/notify/pause");
    let (webhook, page) = ("/api/v1/alertmanager", "/incidents");
    let status = async |method: &Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = h.http.request(method.clone(), format!("{}{path}", h.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(r#"{"alerts":[]}"#);
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert!(
            answer.status() != 403 || path == page || kind == "application/problem+json",
            "{kind}"
        );
        answer.status().as_u16()
    };
    let (get, post) = (&Method::GET, &Method::POST);
    let elsewhere = ("origin", "https://evil.example");
    let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
    let through_a_proxy = [
        ("host", "tocsin.example"),
        ("origin", "https://tocsin.example"),
    ];
    for (method, path, headers, expected) in [
        (post, webhook, &[][..], 200),
        (
            post,
            webhook,
            &[("host", "tocsin.monitoring.svc:9099")],
            200,
        ),
        (post, webhook, &[("sec-fetch-site", "cross-site")], 403),
        (post, webhook, &[elsewhere], 403),
        (post, webhook, &rebound, 403),
        (post, pause, &[("sec-fetch-site", "same-site")], 403),
        (post, pause, &[elsewhere], 403),
        (post, pause, &rebound, 403),
        (get, list, &[("host", "evil.example")], 403),
        (get, list, &[elsewhere], 200),
        (get, list, &through_a_proxy, 200),
        (get, page, &[("host", "evil.example")], 403),
        (get, page, &[("host", "localhost:9099")], 200),
        (get, "/healthz", &[("host", "tocsin.monitoring.svc")], 200),
    ] {
        let answered = status(method, path, headers).await;
        assert_eq!(answered, expected, "{method} {path} {headers:?}");
    }
    let paused = h.get(list).await["items"][2]["paused"].clone();
    assert_eq!(paused, json!(false));
    h.finish().await;

    // With a token it is the token that counts; with `insecure`, what stands in front.
    let h = guarded(On::Sqlite).await;
    let asked = h.ask(Method::GET, list, READ).header("host", "a.b.svc");
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let asked = h
        .ask(Method::POST, webhook, "hook")
        .header("origin", "x://y");
    let asked = asked.body(r#"{"alerts":[]}"#);
    assert_eq!(asked.send().await.unwrap().status(), 200);
    h.finish().await;
    let h = Harness::start_with(On::Sqlite, |config| config.insecure = true).await;
    for path in [list, page] {
        let asked = h.http.get(format!("{}{path}", h.url));
        let asked = asked.header("host", "tocsin.monitoring.svc");
        assert_eq!(asked.send().await.unwrap().status(), 200, "{path}");
    }
    let asked = h
        .ask(Method::POST, pause, "")
        .header("origin", "http://evil");
    assert_eq!(asked.send().await.unwrap().status(), 403);
    h.finish().await;
}

on_all! {
    async fn each_operation_is_audited_with_token_and_request_id(on) {
        let h = guarded(on).await;
        let alert = json!({"alerts": [firing("a", h.now())]}).to_string();
        let sent = h.ask(Method::POST, "/api/v1/alertmanager", "hook").body(alert);
        assert_eq!(sent.send().await.unwrap().status(), 200);
        h.drain().await;
        let incidents = body(h.ask(Method::GET, "/api/v1/incidents", READ)).await;
        let incident = &incidents["items"][0];
        let (id, key) = (incident["id"].as_str().unwrap(), incident["anomaly_key"].as_str().unwrap());

        let operations = [
            (Method::POST, format!("incidents/{id}/acknowledge"), json!({"operator": "ann"})),
            (Method::POST, format!("incidents/{id}/repairs"),
             json!({"action": "restart_pod", "success": true, "operator": "ann"})),
            (Method::POST, format!("anomalies/{key}/permanent-fix"), json!({"reference": "PR 7"})),
            (Method::DELETE, format!("anomalies/{key}/permanent-fix"), json!({})),
        ];
        for (n, (method, path, json)) in operations.into_iter().enumerate() {
            let request = h.ask(method, &format!("/api/v1/{path}"), NEW).json(&json);
            let request = request.header("x-request-id", format!("request-{n}"));
            assert!(request.send().await.unwrap().status().is_success(), "{path}");
        }
        h.drain().await;

        let audit = async |query: &str| {
            let page = body(h.ask(Method::GET, &format!("/api/v1/audit{query}"), READ)).await;
            (page["items"].as_array().unwrap().clone(), page["next_cursor"].clone())
        };
        let (all, _) = audit("").await;
        let told: Vec<[&str; 4]> = all.iter().map(|deed| {
            ["action", "target", "operator", "request_id"].map(|name| deed[name].as_str().unwrap_or("-"))
        }).collect();
        assert_eq!(told, [
            ["anomaly.unfix", key, "-", "request-3"],
            ["anomaly.fix", key, "-", "request-2"],
            ["incident.repair", id, "ann", "request-1"],
            ["incident.acknowledge", id, "ann", "request-0"],
        ]);
        let whose = format!("operate:{}", Tokens::from(NEW).find(NEW).unwrap());
        assert!(all.iter().all(|deed| deed["actor"] == json!(whose)), "{all:#?}");
        assert_eq!(all[1]["detail"], json!({"reference": "PR 7"}));
        let repair = h.sql("SELECT count(*) FROM repairs").await;
        assert_eq!((repair, &all[2]["detail"]["action"]), (1, &json!("restart_pod")));

        assert_eq!(audit("?actor=ann").await.0, all[2..]);
        assert_eq!(audit(&format!("?actor={whose}&target={key}&action=anomaly.fix")).await.0, all[1..2]);
        assert_eq!(audit("?target=nothing").await.0, [] as [Value; 0]);
        let (first, cursor) = audit("?limit=3").await;
        let (rest, end) = audit(&format!("?limit=3&cursor={}", cursor.as_str().unwrap())).await;
        assert_eq!(([first, rest].concat(), end), (all, Value::Null));
        assert_eq!(h.status(Method::GET, "/api/v1/audit?colour=red", READ).await, 400);

        h.advance(Duration::from_secs(401 * 86_400));
        h.recount().await;
        assert_eq!(h.sql("SELECT count(*) FROM audit").await, 0);
        h.finish().await;
    }
}
