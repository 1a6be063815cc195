//! The notifier against receivers that answer badly, or not at all.

use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::RETRY_AFTER;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use tocsin::config::Secret;
use tocsin::time::Timestamp;

use super::*;

const SECRET: &str = "planted-secret-0123456789";
/// Parts of it are parts of what we say ourselves.
const PATH: &str = "/hook/answered/plantedpath";

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn at(base: &str, total: Duration) -> Result<Webhook, Unusable> {
    let settings = config::Webhook {
        url: Secret::from(&*format!("{base}{PATH}?token=plantedquery")),
        secret: Some(Secret::from(SECRET)),
        payload: Payload::Event,
    };
    Webhook::with_timeout("ops", &settings, Lang::English, total)
}

/// Sends, if it is not left alone.
async fn by(webhook: &Webhook, now: Instant) -> Result<Sent, SendError> {
    let _place = webhook.http.circuit_breaker.take(now).map_err(|after| {
        let why = "left alone".to_owned();
        SendError::Wait { after, why }
    })?;
    webhook.send_by(|| now, Message::for_test("{}")).await
}

fn taken(code: u16) -> Result<Sent, SendError> {
    Ok(Sent {
        message_id: None,
        answer: format!("answered {code}"),
    })
}

async fn answers(response: ResponseTemplate, times: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(response)
        .expect(times)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn each_try_has_the_message_s_id_and_its_own_time_and_signature() -> TestResult {
    let server = answers(ResponseTemplate::new(204), 2).await;
    let webhook = at(&server.uri(), TOTAL_TIMEOUT)?;
    assert_eq!(webhook.channel(), "webhook:ops");
    let first = Message::for_test("{}");
    let second = Message {
        at: Timestamp(first.at.0 + 61_999),
        ..first
    };
    for message in [first, second] {
        assert_eq!(webhook.send(message).await, taken(204));
    }
    let requests = server.received_requests().await.unwrap_or_default();
    let of = |name: &HeaderName| {
        let values = requests.iter().map(|request| {
            let value = request.headers.get(name).and_then(|v| v.to_str().ok());
            value.unwrap_or_default().to_owned()
        });
        values.collect::<Vec<_>>()
    };
    assert_eq!(of(&ID), vec![first.id.to_string(); 2]);
    assert_eq!(of(&TIMESTAMP), ["1649367553", "1649367614"]);
    assert_eq!(of(&CONTENT_TYPE), ["application/json"; 2]);
    let signed = of(&SIGNATURE);
    // printf '%s' 019aad6b-8bae-7c31-9d0e-52a17fb309c4.1649367553.{} |
    //   openssl dgst -sha256 -hmac planted-secret-0123456789 -binary | base64
    assert_eq!(signed[0], "v1,m/Mf6c/k6PAgEE+qBChhfsNZ7M3wQGfynAtCLjB35yI=");
    assert_ne!(signed[0], signed[1]);
    Ok(())
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() -> TestResult {
    let server = answers(ResponseTemplate::new(200).set_body_string("ok"), 1).await;
    let settings = config::Webhook {
        url: Secret::from(server.uri().as_str()),
        secret: None,
        payload: Payload::Text,
    };
    let webhook = Webhook::new("ops", &settings, Lang::English)?;
    assert_eq!(webhook.send(Message::for_test("{}")).await, taken(200));
    let requests = server.received_requests().await.unwrap_or_default();
    assert!(
        requests
            .iter()
            .all(|request| !request.headers.contains_key(SIGNATURE))
    );
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_asks_to_wait_gets_nothing_until_then() -> TestResult {
    let busy = ResponseTemplate::new(429).insert_header(RETRY_AFTER, "7");
    let server = answers(busy, 2).await;
    let webhook = at(&server.uri(), TOTAL_TIMEOUT)?;
    let start = Instant::now();
    let mut waits = Vec::new();
    for passed in [0, 3, 6, 7] {
        let now = start + Duration::from_secs(passed);
        let sent = by(&webhook, now).await;
        waits.push(match sent {
            Err(SendError::Wait { after, .. }) => after.as_secs(),
            other => return Err(format!("{other:?}").into()),
        });
    }
    assert_eq!(waits, [7, 4, 1, 7]);
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_hung_and_then_fails_is_still_tried_by_one_message_at_a_time() -> TestResult
{
    let server = MockServer::start().await;
    for code in [500, 204] {
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(code))
            .up_to_n_times(1)
            .expect(1)
            .mount(&server)
            .await;
    }
    let webhook = at(&server.uri(), TOTAL_TIMEOUT)?;
    let start = Instant::now();
    webhook.http.circuit_breaker.unanswered(start);
    let later = start + TOTAL_TIMEOUT;
    let failed = by(&webhook, later).await;
    assert!(matches!(&failed, Err(SendError::Retry(_))), "{failed:?}");
    assert!(
        webhook.http.circuit_breaker.is_left_alone(later),
        "it failed at it"
    );
    let later = later + Duration::from_secs(1);
    {
        let _probe = webhook
            .http
            .circuit_breaker
            .take(later)
            .map_err(|_| "one may try")?;
        assert!(
            webhook.http.circuit_breaker.is_left_alone(later),
            "and no other"
        );
    }
    assert_eq!(by(&webhook, later).await, taken(204));
    assert!(
        !webhook.http.circuit_breaker.is_left_alone(later),
        "it took a message"
    );
    Ok(())
}

#[tokio::test]
async fn timeouts_are_retried_without_blocking_other_messages() -> TestResult {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let base = format!("http://{}", silent.local_addr()?);
    let webhook = at(&base, Duration::from_millis(500))?;
    let start = Instant::now();
    let error = by(&webhook, start).await;
    assert!(
        matches!(&error, Err(SendError::Retry(why)) if why.contains("timed out")),
        "{error:?}"
    );
    let error = by(&webhook, start).await;
    let after = Duration::from_millis(500);
    let why = "left alone".to_owned();
    assert_eq!(error, Err(SendError::Wait { after, why }));
    drop(silent);
    let later = start + Duration::from_millis(500);
    let error = by(&webhook, later).await;
    assert!(
        matches!(&error, Err(SendError::Retry(why)) if why.contains("refused")),
        "{error:?}"
    );
    assert!(!format!("{error:?} {webhook:?}").contains("planted"));
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_not_followed() -> TestResult {
    let server = MockServer::start().await;
    let elsewhere = format!("{}/elsewhere", server.uri());
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(307).insert_header("location", elsewhere.as_str()))
        .expect(1)
        .mount(&server)
        .await;
    let webhook = at(&server.uri(), TOTAL_TIMEOUT)?;
    let error = webhook.send(Message::for_test("{}")).await;
    assert!(
        matches!(&error, Err(SendError::GiveUp(why)) if why.contains("307")),
        "{error:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_response_that_repeats_the_address_is_redacted() -> TestResult {
    let echo = format!(
        "no {PATH}?token=plantedquery, {SECRET}:\n{}",
        "x".repeat(100_000)
    );
    for code in [404, 410, 429, 502] {
        let server = answers(ResponseTemplate::new(code).set_body_string(&echo), 1).await;
        let webhook = at(&server.uri(), TOTAL_TIMEOUT)?;
        let Err(error) = webhook.send(Message::for_test("{}")).await else {
            return Err(format!("{code} was taken for a success").into());
        };
        let shown = format!("{error} {error:?} {webhook:?}");
        assert!(!shown.contains("planted"), "{shown}");
        let begin = format!("webhook:ops answered {code}: no ***?***, ***: xxx");
        assert!(error.to_string().starts_with(&begin), "{error}");
        assert!(error.to_string().len() < 600);
    }
    Ok(())
}

#[tokio::test]
async fn a_user_and_a_password_in_the_address_are_sent_decoded() -> TestResult {
    let server = answers(ResponseTemplate::new(204), 1).await;
    let base = server
        .uri()
        .replace("http://", "http://us%40er:p%3Ass%2Fw%40rd@");
    let webhook = at(&base, TOTAL_TIMEOUT)?;
    assert_eq!(webhook.send(Message::for_test("{}")).await, taken(204));
    let requests = server.received_requests().await.unwrap_or_default();
    let sent = requests[0].headers["authorization"].to_str()?;
    let expected = STANDARD.encode("us@er:p:ss/w@rd");
    assert_eq!(sent, format!("Basic {expected}"));
    Ok(())
}
