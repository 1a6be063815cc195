//! Answers as the Bot API gives them, and what each means.

use serde_json::json;

use super::*;

fn answered(code: u16, body: &str) -> Result<Sent, SendError> {
    outcome(
        StatusCode::from_u16(code).unwrap_or_default(),
        body.as_bytes(),
    )
}

fn sent(message_id: Option<&str>) -> Result<Sent, SendError> {
    Ok(Sent {
        message_id: message_id.map(str::to_owned),
    })
}

fn wait(seconds: u64, why: &str) -> Result<Sent, SendError> {
    Err(SendError::Wait {
        after: Duration::from_secs(seconds),
        why: why.to_owned(),
    })
}

fn retry(why: &str) -> Result<Sent, SendError> {
    Err(SendError::Retry(why.to_owned()))
}

fn give_up(why: &str) -> Result<Sent, SendError> {
    Err(SendError::GiveUp(why.to_owned()))
}

fn refusal(code: u16, description: &str) -> Result<Sent, SendError> {
    let body = json!({"ok": false, "error_code": code, "description": description});
    answered(code, &body.to_string())
}

#[test]
fn a_message_that_was_taken_is_sent() {
    let taken = json!({"ok": true, "result": {
        "message_id": 1,
        "date": 0,
        "chat": {"id": -1_001_234_567_890_i64, "type": "supergroup", "title": "ops"},
        "text": "text",
    }});
    assert_eq!(answered(200, &taken.to_string()), sent(Some("1")));
    assert_eq!(answered(200, r#"{"ok":true,"result":{}}"#), sent(None));
    assert_eq!(answered(200, r#"{"ok":true}"#), sent(None));
}

#[test]
fn a_success_that_does_not_read_as_one_is_tried_again() {
    let expected = retry("Telegram answered 200 with an unexpected body");
    for body in [
        "",
        "<html>Welcome to this hotel</html>",
        "[]",
        "null",
        r#"{"ok":"#,
    ] {
        assert_eq!(answered(200, body), expected, "{body}");
    }
    assert_eq!(
        answered(200, r#"{"ok":false,"description":"Bad Request"}"#),
        retry("Telegram answered 200: Bad Request")
    );
}

#[test]
fn a_refusal_is_given_up_with_what_telegram_said() {
    for (code, description) in [
        (
            400,
            "Bad Request: can't parse entities: Unsupported start tag \"\" at byte offset 218",
        ),
        (400, "Bad Request: message is too long"),
        (400, "Bad Request: message is not modified"),
        (400, "Bad Request: message to edit not found"),
        (403, "Forbidden: bot was blocked by the user"),
    ] {
        let expected = give_up(&format!("Telegram answered {code}: {description}"));
        assert_eq!(refusal(code, description), expected);
    }
}

#[test]
fn an_edit_that_changes_nothing_is_done_and_one_of_what_is_gone_is_never() {
    let says = |code: u16, description: &str| {
        let body = json!({"ok": false, "error_code": code, "description": description});
        let status = StatusCode::from_u16(code).unwrap_or_default();
        edited(status, body.to_string().as_bytes())
    };
    let ok = json!({"ok": true, "result": {"message_id": 1}}).to_string();
    assert_eq!(edited(StatusCode::OK, ok.as_bytes()), Ok(Edited::Done));
    let same = "Bad Request: message is not modified: specified new message content and reply \
                    markup are exactly the same as a current content and reply markup of the message";
    assert_eq!(says(400, same), Ok(Edited::Done));
    for gone in [
        "Bad Request: message to edit not found",
        "Bad Request: message can't be edited",
        "Bad Request: MESSAGE_ID_INVALID",
        "Bad Request: TOPIC_DELETED",
    ] {
        let why = format!("Telegram answered 400: {gone}");
        assert_eq!(says(400, gone), Ok(Edited::Never(why)));
    }
    let blocked = says(403, "Forbidden: bot was kicked from the group chat");
    assert!(matches!(blocked, Err(SendError::GiveUp(_))), "{blocked:?}");
    assert!(matches!(says(500, ""), Err(SendError::Retry(_))));
    assert!(matches!(says(429, ""), Err(SendError::Wait { .. })));
}

#[test]
fn a_group_that_moved_is_given_up_with_the_chat_to_set() {
    let moved = json!({
        "ok": false,
        "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": -1_001_234_567_890_i64},
    });
    let expected = "the group is now the chat -1001234567890: set TOCSIN_TELEGRAM_CHAT to it \
                        (Telegram answered 400: Bad Request: group chat was upgraded to a \
                        supergroup chat)";
    let body = moved.to_string();
    assert_eq!(answered(400, &body), give_up(expected));
    let found = instead(StatusCode::BAD_REQUEST, body.as_bytes(), false);
    assert_eq!(found, Some(Instead::Chat("-1001234567890".to_owned())));
    let never = edited(StatusCode::BAD_REQUEST, body.as_bytes());
    assert_eq!(never, Ok(Edited::Never(expected.to_owned())));
}

#[test]
fn how_a_message_can_go_is_known_by_what_a_refusal_speaks_of() {
    let says = |code: u16, description: &str, in_topic| {
        let body = json!({"ok": false, "error_code": code, "description": description});
        let status = StatusCode::from_u16(code).unwrap_or_default();
        instead(status, body.to_string().as_bytes(), in_topic)
    };
    for topic in [
        "Bad Request: message thread not found",
        "Bad Request: TOPIC_DELETED",
        "Bad Request: TOPIC_CLOSED",
        "Bad Request: topic is closed",
    ] {
        assert_eq!(says(400, topic, true), Some(Instead::NoTopic), "{topic}");
        assert_eq!(says(400, topic, false), None, "{topic}");
        assert_eq!(says(500, topic, true), None, "{topic}");
    }
    for form in [
        "Bad Request: can't parse entities: Unsupported start tag \"\" at byte offset 218",
        "Bad Request: ENTITY_BOUNDS_INVALID",
        "Bad Request: BUTTON_DATA_INVALID",
        "Bad Request: can't parse inline keyboard button: text buttons are unallowed",
    ] {
        assert_eq!(says(400, form, true), Some(Instead::Plain), "{form}");
    }
    for other in [
        "Bad Request: chat not found",
        "Bad Request: message is too long",
    ] {
        assert_eq!(says(400, other, true), None, "{other}");
    }
    assert_eq!(instead(StatusCode::BAD_REQUEST, b"<html>", true), None);
}

#[test]
fn what_may_pass_is_tried_again() {
    assert_eq!(
        refusal(500, "Internal"),
        retry("Telegram answered 500: Internal")
    );
    assert_eq!(
        answered(502, "<html>Bad Gateway</html>"),
        retry("Telegram answered 502 without a reason")
    );
    for code in [302, 401, 403, 404, 408, 418] {
        let expected = retry(&format!("Telegram answered {code} without a reason"));
        assert_eq!(
            answered(code, "<html>Welcome to this hotel</html>"),
            expected
        );
    }
    for (code, description) in [(401, "Unauthorized"), (404, "Not Found")] {
        let expected = retry(&format!("Telegram answered {code}: {description}"));
        assert_eq!(refusal(code, description), expected);
    }
}

#[test]
fn too_many_requests_wait_as_long_as_telegram_says() {
    let says = |retry_after: Value| {
        let body = json!({
            "ok": false,
            "error_code": 429,
            "description": "Too Many Requests: retry after 7",
            "parameters": {"retry_after": retry_after},
        });
        answered(429, &body.to_string())
    };
    let why = "Telegram answered 429: Too Many Requests: retry after 7";
    assert_eq!(says(json!(7)), wait(7, why));
    assert_eq!(says(json!(0)), wait(1, why));
    assert_eq!(says(json!(u64::MAX)), wait(86_400, why));
    for garbage in [json!(null), json!("soon"), json!(-3), json!(1.5), json!({})] {
        assert_eq!(says(garbage), wait(5, why));
    }
    assert_eq!(
        answered(429, ""),
        wait(5, "Telegram answered 429 without a reason")
    );
}
