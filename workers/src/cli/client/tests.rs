//! Tests of the client, against a stand-in for the instance.

use std::net::TcpListener;

use serde_json::json;
use tocsin::config::Config;
use wiremock::matchers::{any, header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

#[tokio::test]
async fn a_list_is_followed_to_its_end_with_the_token() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/base/api/v1/incidents"))
        .and(header("Authorization", "Bearer planted"))
        .and(query_param("q", "a b"))
        .and(query_param_is_missing("cursor"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"items": [1, 2], "next_cursor": "n&xt", "more": 1})),
        )
        .mount(&server)
        .await;
    Mock::given(query_param("cursor", "n&xt"))
        .and(query_param("limit", "3"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"items": [3], "next_cursor": null})),
        )
        .mount(&server)
        .await;
    let client = Client::of(&format!("{}/base/", server.uri()));
    let query = [("q", "a b".to_owned())];
    let items = client.list(&["incidents"], &query, 5).await.unwrap();
    assert_eq!(items, [1, 2, 3]);
}

#[tokio::test]
async fn a_list_ends_at_the_limit() {
    let server = MockServer::start().await;
    Mock::given(query_param("limit", "2"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"items": [1, 2], "next_cursor": "more"})),
        )
        .expect(1)
        .mount(&server)
        .await;
    let items = Client::of(&server.uri()).list(&["incidents"], &[], 2).await;
    assert_eq!(items.unwrap(), [1, 2]);
}

#[tokio::test]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let url = Client::of("http://127.0.0.1:9099").url(&["incidents", "../queues?x"]);
    assert_eq!(
        url.as_str(),
        "http://127.0.0.1:9099/api/v1/incidents/..%2Fqueues%3Fx"
    );
}

#[tokio::test]
async fn a_refused_connection_says_how_to_start_an_instance() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let error = Client::of(&url).get(&["queues"], &[]).await.unwrap_err();
    let message = error.to_string();
    assert!(message.contains("Connection refused"), "{message}");
    assert!(
        message.contains(&url) && message.contains("check that Tocsin is running"),
        "{message}"
    );
    assert!(error.is_passing());
}

#[tokio::test]
async fn a_refusal_says_how_to_pass_the_token_that_was_missing() {
    let server = MockServer::start().await;
    let problem = json!({"title": "Unauthorized", "detail": "missing token"});
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(401).set_body_json(problem))
        .mount(&server)
        .await;
    let client = Client::of(&server.uri());
    let error = client.post_webhook(Vec::new(), None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "missing token (HTTP 401): set TOCSIN_WEBHOOK_TOKEN or pass \
         --webhook-token"
    );
    assert!(!error.is_passing());
    let token = Secret::from("planted");
    let wrong = client.post_webhook(Vec::new(), Some(&token)).await;
    let message = wrong.unwrap_err().to_string();
    assert!(
        message.ends_with("the token in TOCSIN_WEBHOOK_TOKEN or --webhook-token is wrong"),
        "{message}"
    );
}

#[test]
fn an_address_without_a_scheme_is_refused_with_a_hint() {
    for url in ["127.0.0.1:9557", "localhost:9557", "ftp://h"] {
        let refused = Client::at(url, None).err().unwrap().to_string();
        assert_eq!(
            refused,
            format!("--url {url:?} must begin with http:// or https://")
        );
    }
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503).insert_header("Retry-After", "7"))
        .mount(&server)
        .await;
    let client = Client::of(&server.uri());
    let error = client
        .post(&["queues", "ingest", "pause"], None, None)
        .await;
    let error = error.unwrap_err();
    assert!(error.is_passing());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn something_that_is_not_tocsin_is_recognised() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string("<html>"))
        .mount(&server)
        .await;
    let error = Client::of(&server.uri())
        .get(&["queues"], &[])
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("check that it is a Tocsin instance"),
        "{error}"
    );
}

#[tokio::test]
async fn another_servers_json_is_not_taken_for_an_empty_instance() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"ok": true, "result": {}})))
        .mount(&server)
        .await;
    let client = Client::of(&server.uri());
    let body = json!({});
    let mut answers = vec![
        ("readyz", client.ready().await),
        ("webhook", client.post_webhook(Vec::new(), None).await),
        (
            "anomaly",
            client.delete(&["anomalies", "k", "mute"], &body).await,
        ),
    ];
    for path in [
        &["incidents"][..],
        &["queues"],
        &["audit"],
        &["repairs", "actions"],
        &["incidents", "1", "occurrences"],
    ] {
        let found = client.list(path, &[], 1).await;
        answers.push((path[0], found.map(Value::Array)));
    }
    for path in [
        &["trace", "a"][..],
        &["incidents", "1"],
        &["dead-letters", "1"],
    ] {
        answers.push((path[0], client.get(path, &[]).await));
    }
    for path in [
        &["recount"][..],
        &["recount", "verify"],
        &["queues", "ingest", "pause"],
        &["dead-letters", "replay"],
        &["incidents", "1", "repairs"],
    ] {
        answers.push((path[0], client.post(path, None, None).await));
    }
    for (what, answer) in answers {
        let message = answer.unwrap_err().to_string();
        assert!(
            message.contains("did not respond as Tocsin does"),
            "{what}: {message}"
        );
    }
    let export = client.download(&["dead-letters", "export"], &[]).await;
    export.unwrap_err();
}

#[test]
fn only_this_computer_is_loopback() {
    let local = |url: &str| is_loopback(&Url::parse(url).unwrap());
    for url in [
        "http://localhost:1",
        "http://127.0.0.2",
        "https://[::1]:9099/x",
    ] {
        assert!(local(url), "{url}");
    }
    for url in [
        "http://10.0.0.1",
        "http://localhost.example",
        "http://[2001:db8::1]",
    ] {
        assert!(!local(url), "{url}");
    }
}

#[test]
fn an_instance_that_is_not_named_is_where_the_settings_have_it_listen() {
    for (named, listen, expected) in [
        (None, "127.0.0.1:9455", "http://127.0.0.1:9455"),
        (None, "0.0.0.0:9099", "http://127.0.0.1:9099"),
        (None, "[::]:80", "http://[::1]:80"),
        (
            Some("https://ops.example"),
            "127.0.0.1:1",
            "https://ops.example",
        ),
    ] {
        let remote = Remote {
            url: named.map(str::to_owned),
            api_token: None,
        };
        let config = || {
            Ok(Config {
                listen: listen.parse().unwrap(),
                ..Config::default()
            })
        };
        let found = remote.found_by(config).unwrap();
        assert_eq!(found.url.as_deref(), Some(expected));
    }
}
