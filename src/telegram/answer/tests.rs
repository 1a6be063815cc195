//! Answers as they come, and what each means.

use serde_json::json;

use super::*;

fn answered(status: u16, body: &str, in_topic: bool) -> Result<Value, TelegramError> {
    let answer = Answer {
        method: "sendMessage",
        in_topic,
        status,
        body: body.as_bytes(),
        cut: None,
    };
    answer.read()
}

fn class_of(status: u16, body: &str, in_topic: bool) -> Option<Class> {
    answered(status, body, in_topic).err()?.class().cloned()
}

fn says(status: u16, description: &str, in_topic: bool) -> Option<Class> {
    let body = json!({"ok": false, "error_code": status, "description": description});
    class_of(status, &body.to_string(), in_topic)
}

#[test]
fn the_result_of_a_success_is_handed_out() {
    let taken = json!({"ok": true, "result": {"message_id": 1}}).to_string();
    assert_eq!(answered(200, &taken, false), Ok(json!({"message_id": 1})));
    assert_eq!(answered(200, r#"{"ok":true}"#, false), Ok(Value::Null));
}

#[test]
fn an_unreadable_telegram_response_is_transient() {
    for status in [200, 302, 400, 401, 403, 404, 408, 409, 418, 502] {
        for body in ["", "<html>", "[]", "null", r#"{"ok":"#, r#"{"ok":"yes"}"#] {
            let class = class_of(status, body, true);
            assert_eq!(class, Some(Class::Unavailable), "{status} {body}");
        }
    }
    assert_eq!(says(200, "Bad Request", true), Some(Class::Unavailable));
}

#[test]
fn server_and_bot_errors_are_transient() {
    for (status, description) in [
        (401, "Unauthorized"),
        (404, "Not Found"),
        (408, "Request Timeout"),
        (500, "Internal Server Error: topic"),
    ] {
        let class = says(status, description, true);
        assert_eq!(class, Some(Class::Unavailable), "{description}");
    }
}

#[test]
fn a_telegram_refusal_is_classified_by_its_description() {
    let table = [
        (
            409,
            "Conflict: terminated by other getUpdates request",
            Class::Conflict,
        ),
        (
            400,
            "Bad Request: message is not modified: specified new message content",
            Class::NotModified,
        ),
        (
            400,
            "Bad Request: message to edit not found",
            Class::MessageGone,
        ),
        (
            400,
            "Bad Request: message can't be edited",
            Class::MessageGone,
        ),
        (400, "Bad Request: MESSAGE_ID_INVALID", Class::MessageGone),
        (
            400,
            "Bad Request: can't parse entities: Unsupported start tag \"\"",
            Class::Markup,
        ),
        (400, "Bad Request: ENTITY_BOUNDS_INVALID", Class::Markup),
        (400, "Bad Request: BUTTON_DATA_INVALID", Class::Markup),
        (
            400,
            "Bad Request: can't parse inline keyboard button: text buttons are unallowed",
            Class::Markup,
        ),
        (403, "Forbidden: can't parse entities", Class::Rejected),
        (400, "Bad Request: chat not found", Class::Rejected),
        (400, "Bad Request: message is too long", Class::Rejected),
        (
            403,
            "Forbidden: bot was blocked by the user",
            Class::Rejected,
        ),
    ];
    for (status, description, expected) in table {
        for in_topic in [false, true] {
            let class = says(status, description, in_topic);
            assert_eq!(class.as_ref(), Some(&expected), "{status} {description}");
        }
    }
}

#[test]
fn a_topic_is_closed_only_to_what_named_it() {
    let table = [
        ("Bad Request: message thread not found", Class::MessageGone),
        ("Bad Request: TOPIC_DELETED", Class::MessageGone),
        ("Bad Request: TOPIC_CLOSED", Class::Rejected),
        ("Bad Request: topic is closed", Class::Rejected),
    ];
    for (description, without) in table {
        let class = says(400, description, true);
        assert_eq!(class, Some(Class::TopicClosed), "{description}");
        let class = says(400, description, false);
        assert_eq!(class, Some(without), "{description}");
    }
}

#[test]
fn a_group_that_became_another_chat_is_known_by_its_new_id() {
    for id in [json!(-1_001_234_567_890_i64), json!("-1001234567890")] {
        let moved = json!({
            "ok": false,
            "error_code": 400,
            "description": "Bad Request: group chat was upgraded to a supergroup chat",
            "parameters": {"migrate_to_chat_id": id},
        });
        let expected = Class::Moved("-1001234567890".to_owned());
        assert_eq!(class_of(400, &moved.to_string(), true), Some(expected));
    }
}

#[test]
fn too_many_requests_wait_as_long_as_telegram_says_up_to_a_day() {
    let says = |retry_after: Value| {
        let body = json!({"ok": false, "parameters": {"retry_after": retry_after}});
        class_of(429, &body.to_string(), false)
    };
    let wait = |seconds| Some(Class::Wait(Duration::from_secs(seconds)));
    assert_eq!(says(json!(7)), wait(7));
    assert_eq!(says(json!(0)), wait(1));
    assert_eq!(says(json!(u64::MAX)), wait(86_400));
    for garbage in [json!(null), json!("soon"), json!(-3), json!(1.5), json!({})] {
        assert_eq!(says(garbage), wait(5));
    }
    assert_eq!(class_of(429, "", false), wait(5));
}
