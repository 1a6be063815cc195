//! The client against a server that plays Telegram badly.

use std::error::Error;
use std::net::TcpListener;

use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::error::Class;
use super::super::methods::{ANSWER_MAX, Content, NewMessage};
use super::*;

const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const SECRET: &str = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

type TestResult = Result<(), Box<dyn Error>>;

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(format!("/bot{TOKEN}/sendMessage")))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    server
}

async fn send(base: &str, within: Duration) -> Result<Option<String>, TelegramError> {
    let message = NewMessage {
        chat: "1",
        topic: None,
        reply_to: None,
        is_silent: false,
        content: Content {
            text: "text",
            is_html: true,
            reply_markup: None,
        },
    };
    let bot = Bot::new(base, TOKEN).map_err(TelegramError::unanswered)?;
    assert!(!format!("{bot:?}").contains(SECRET), "{bot:?}");
    bot.send(message, within).await
}

#[tokio::test]
async fn a_timeout_is_distinguished_from_a_refused_connection_without_the_address() -> TestResult {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let base = format!("http://{}", silent.local_addr()?);
    let error = send(&base, Duration::from_millis(50)).await;
    assert!(
        matches!(error, Err(TelegramError::TimedOut(_))),
        "{error:?}"
    );
    drop(silent);
    let refused = send(&base, Duration::from_secs(10)).await;
    assert!(
        matches!(refused, Err(TelegramError::Unreachable(_))),
        "{refused:?}"
    );
    let shown = format!("{error:?} {refused:?}");
    assert!(
        !shown.contains(SECRET) && !shown.contains("/bot"),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = MockServer::start().await;
    let there = ResponseTemplate::new(307).insert_header("location", elsewhere.uri());
    let server = answering(there).await;
    let sent = send(&server.uri(), Duration::from_secs(10)).await;
    let Err(TelegramError::Refused(refusal)) = sent else {
        unreachable!("{sent:?}");
    };
    assert_eq!((refusal.status, refusal.class), (307, Class::Unavailable));
    let followed = elsewhere.received_requests().await.unwrap_or_default();
    assert!(followed.is_empty(), "{followed:?}");
}

#[tokio::test]
async fn a_message_has_the_id_that_telegram_gives_it_if_it_does() {
    let table = [
        (json!({"ok": true, "result": {"message_id": 1}}), Some("1")),
        (json!({"ok": true, "result": {}}), None),
        (json!({"ok": true}), None),
    ];
    for (answer, expected) in table {
        let server = answering(ResponseTemplate::new(200).set_body_json(answer)).await;
        let sent = send(&server.uri(), Duration::from_secs(10)).await;
        assert_eq!(sent, Ok(expected.map(str::to_owned)));
    }
}

#[tokio::test]
async fn a_response_that_repeats_the_token_is_redacted() {
    let echo = format!("Not Found: /bot{TOKEN}/sendMessage");
    let answer = json!({"ok": false, "description": echo});
    let server = answering(ResponseTemplate::new(400).set_body_json(answer)).await;
    let Err(error) = send(&server.uri(), Duration::from_secs(10)).await else {
        unreachable!("a refusal");
    };
    let expected = "Telegram answered sendMessage with 400: \
                    Not Found: /bot110201543:***/sendMessage";
    assert_eq!(error.to_string(), expected);
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_read_only_so_far() {
    let long = json!({"ok": true, "padding": "x".repeat(2 * ANSWER_MAX)});
    let server = answering(ResponseTemplate::new(200).set_body_json(long)).await;
    let sent = send(&server.uri(), Duration::from_secs(10)).await;
    let error = sent.as_ref().err().and_then(TelegramError::class);
    assert_eq!(error, Some(&Class::Unavailable), "{sent:?}");
}

#[test]
fn an_invalid_base_url_is_refused_without_showing_the_token() {
    for base in ["", "api.telegram.org", "http://", "mailto:me"] {
        let refused = Bot::new(base, TOKEN);
        assert!(refused.is_err(), "{base}");
        let shown = format!("{refused:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
