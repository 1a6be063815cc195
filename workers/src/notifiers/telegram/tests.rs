//! The notifier against a server that plays Telegram.

use std::error::Error;
use std::net::TcpListener;

use serde_json::{Value, json};
use wiremock::matchers::{body_json, body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const SECRET: &str = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

type TestResult = Result<(), Box<dyn Error>>;

fn telegram(server: &MockServer) -> Result<Telegram, reqwest::Error> {
    let api = Api::new(&format!("{}/", server.uri()), TOKEN)?;
    Ok(to(&api, "-100123"))
}

fn to(api: &Api, chat: &str) -> Telegram {
    Telegram::new(api, chat, Budget::new(1, 20, 30))
}

async fn answers(code: u16, body: Value, times: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(code).set_body_json(body))
        .expect(times)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn the_message_is_posted_as_html_to_the_chat() -> TestResult {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(format!("/bot{TOKEN}/sendMessage")))
        .and(body_json(json!({
            "chat_id": "-100123",
            "text": "<b>Opened</b>",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        })))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"ok": true, "result": {"message_id": 42}})),
        )
        .expect(1)
        .mount(&server)
        .await;
    let telegram = telegram(&server)?;
    assert_eq!(telegram.channel(), "telegram:-100123");
    let sent = telegram.send(Message::for_test("<b>Opened</b>")).await?;
    assert_eq!(sent.message_id.as_deref(), Some("42"));
    Ok(())
}

#[tokio::test]
async fn a_message_may_answer_in_a_topic_without_a_sound_and_with_buttons() -> TestResult {
    let server = MockServer::start().await;
    let buttons = json!({"inline_keyboard": [[{"text": "Take it", "callback_data": "x"}]]});
    Mock::given(method("POST"))
        .and(path(format!("/bot{TOKEN}/sendMessage")))
        .and(body_json(json!({
            "chat_id": "-100123",
            "message_thread_id": 45,
            "text": "<b>Escalated</b>",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
            "disable_notification": true,
            "reply_parameters": {"message_id": 42, "allow_sending_without_reply": true},
            "reply_markup": buttons,
        })))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"ok": true})))
        .expect(1)
        .mount(&server)
        .await;
    let telegram = to(&Api::new(&server.uri(), TOKEN)?, "-100123/45");
    assert_eq!(telegram.channel(), "telegram:-100123/45");
    let message = Message {
        reply_to: Some("42"),
        is_silent: true,
        reply_markup: Some(&buttons),
        ..Message::for_test("<b>Escalated</b>")
    };
    telegram.send(message).await?;
    Ok(())
}

#[tokio::test]
async fn an_edit_names_the_message_and_keeps_its_buttons() -> TestResult {
    let server = MockServer::start().await;
    let buttons = json!({"inline_keyboard": []});
    Mock::given(method("POST"))
        .and(path(format!("/bot{TOKEN}/editMessageText")))
        .and(body_json(json!({
            "chat_id": "-100123",
            "message_id": 42,
            "text": "<b>Opened</b>",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
            "reply_markup": buttons,
        })))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"ok": true})))
        .expect(1)
        .mount(&server)
        .await;
    let message = Message {
        reply_markup: Some(&buttons),
        ..Message::for_test("<b>Opened</b>")
    };
    let edited = telegram(&server)?.edit("42", message).await;
    assert_eq!(edited, Ok(Edited::Done));
    let never = telegram(&server)?.edit("x", message).await;
    assert!(matches!(never, Ok(Edited::Never(_))), "{never:?}");
    Ok(())
}

/// Somebody who answers what goes to one chat, and to one topic of it or none, like this.
async fn at(server: &MockServer, place: Value, code: u16, answer: Value, times: u64) {
    Mock::given(method("POST"))
        .and(body_partial_json(&place))
        .and(move |request: &wiremock::Request| {
            let body: Value = request.body_json().unwrap_or_default();
            body["message_thread_id"] == place["message_thread_id"]
                && body["reply_parameters"]["message_id"] == place["reply_parameters"]["message_id"]
        })
        .respond_with(ResponseTemplate::new(code).set_body_json(answer))
        .expect(times)
        .mount(server)
        .await;
}

fn taken(id: u64) -> Value {
    json!({"ok": true, "result": {"message_id": id}})
}

#[tokio::test]
async fn a_group_that_became_another_chat_is_written_to_there() -> TestResult {
    let server = MockServer::start().await;
    let moved = json!({
        "ok": false,
        "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": -1_009},
    });
    at(&server, json!({"chat_id": "-100123"}), 400, moved, 1).await;
    at(&server, json!({"chat_id": "-1009"}), 200, taken(7), 4).await;
    let answers = json!({"chat_id": "-1009", "reply_parameters": {"message_id": 7}});
    at(&server, answers, 200, taken(8), 1).await;
    let (telegram, message) = (telegram(&server)?, Message::for_test("text"));
    let reply_to = |id| Message {
        reply_to: Some(id),
        ..message
    };
    for _ in 0..2 {
        let sent = telegram.send(message).await?;
        assert_eq!(sent.message_id.as_deref(), Some("-1009/7"));
    }
    // A message of the old group has another's number in the new chat.
    telegram.send(reply_to("7")).await?;
    let sent = telegram.send(reply_to("-1009/7")).await?;
    assert_eq!(sent.message_id.as_deref(), Some("-1009/8"));
    assert_eq!(telegram.edit("-1009/7", message).await, Ok(Edited::Done));
    Ok(())
}

#[tokio::test]
async fn a_message_whose_topic_is_gone_goes_to_the_chat() -> TestResult {
    let server = MockServer::start().await;
    let gone = json!({
        "ok": false,
        "error_code": 400,
        "description": "Bad Request: message thread not found",
    });
    let topic = json!({"chat_id": "-100123", "message_thread_id": 45});
    at(&server, topic, 400, gone, 1).await;
    at(&server, json!({"chat_id": "-100123"}), 200, taken(7), 1).await;
    let telegram = to(&Api::new(&server.uri(), TOKEN)?, "-100123/45");
    let sent = telegram.send(Message::for_test("text")).await?;
    assert_eq!(sent.message_id.as_deref(), Some("7"));
    Ok(())
}

#[tokio::test]
async fn html_refused_by_telegram_is_sent_again_as_plain_text() -> TestResult {
    let server = MockServer::start().await;
    let unread = json!({
        "ok": false,
        "error_code": 400,
        "description": "Bad Request: can't parse entities: Unsupported start tag",
    });
    for method in ["sendMessage", "editMessageText"] {
        let called = || Mock::given(path(format!("/bot{TOKEN}/{method}")));
        let plain = json!({"text": "Opened & open"});
        called()
            .and(body_partial_json(&plain))
            .and(|request: &wiremock::Request| {
                let body: Value = request.body_json().unwrap_or_default();
                body["parse_mode"].is_null() && body["reply_markup"].is_null()
            })
            .respond_with(ResponseTemplate::new(200).set_body_json(taken(7)))
            .expect(1)
            .mount(&server)
            .await;
        called()
            .and(body_partial_json(json!({"parse_mode": "HTML"})))
            .respond_with(ResponseTemplate::new(400).set_body_json(&unread))
            .expect(1)
            .mount(&server)
            .await;
    }
    let buttons = json!({"inline_keyboard": []});
    let message = Message {
        reply_markup: Some(&buttons),
        ..Message::for_test("<b>Opened</b> &amp; open")
    };
    let telegram = telegram(&server)?;
    let sent = telegram.send(message).await?;
    assert_eq!(sent.message_id.as_deref(), Some("7"));
    assert_eq!(telegram.edit("7", message).await, Ok(Edited::Done));
    Ok(())
}

#[tokio::test]
async fn a_429_says_how_long_to_wait() -> TestResult {
    let busy = json!({"ok": false, "error_code": 429, "parameters": {"retry_after": 7}});
    let server = answers(429, busy, 2).await;
    let (telegram, message) = (telegram(&server)?, Message::for_test("text"));
    let errors = [
        telegram.send(message).await.err(),
        telegram.edit("1", message).await.err(),
    ];
    for error in errors {
        let is_wait = matches!(&error, Some(SendError::Wait { after, .. }) if after.as_secs() == 7);
        assert!(is_wait, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn timeouts_and_refused_connections_are_retried() -> TestResult {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let base = format!("http://{}", silent.local_addr()?);
    let soon = Duration::from_millis(50);
    let telegram = to(&Api::with_timeout(&base, TOKEN, soon)?, "1");
    let error = telegram.send(Message::for_test("text")).await;
    assert!(
        matches!(&error, Err(SendError::Retry(why)) if why.contains("timed out")),
        "{error:?}"
    );
    drop(silent);
    let telegram = to(&Api::new(&base, TOKEN)?, "1");
    let error = telegram.send(Message::for_test("text")).await;
    assert!(
        matches!(&error, Err(SendError::Retry(why)) if why.contains("refused")),
        "{error:?}"
    );
    assert!(!format!("{error:?} {telegram:?}").contains(SECRET));
    Ok(())
}

#[tokio::test]
async fn a_response_that_repeats_the_token_is_redacted() -> TestResult {
    let echo = format!("Not Found: /bot{TOKEN}/sendMessage {}", "x".repeat(10_000));
    for code in [200, 404, 429, 502] {
        let server = answers(code, json!({"ok": false, "description": echo}), 1).await;
        let telegram = telegram(&server)?;
        let Err(error) = telegram.send(Message::for_test("text")).await else {
            return Err(format!("{code} was taken for a success").into());
        };
        let shown = format!("{error} {error:?} {telegram:?}");
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(
            shown.contains("Not Found: /bot110201543:***/sendMessage"),
            "{shown}"
        );
        assert!(error.to_string().len() < 600);
    }
    Ok(())
}
