//! The consequence of an error of Telegram's for a notification.

use tocsin::telegram::{Class, Refusal, TelegramError};

use crate::notifiers::text::tidy;
use crate::notifiers::{Edited, SendError};

/// The longest reason that is reported, in UTF-16 code units.
const REASON_MAX: usize = 500;

/// What becomes of a message that did not go out.
pub(super) fn failed(error: &TelegramError) -> SendError {
    let why = why(error);
    match error {
        TelegramError::Request(_) => SendError::GiveUp(why),
        TelegramError::TimedOut(_) | TelegramError::Unreachable(_) => SendError::Retry(why),
        TelegramError::Refused(refusal) => match &refusal.class {
            Class::Wait(after) => SendError::Wait { after: *after, why },
            // A message twice is better than none.
            Class::Unavailable => SendError::Retry(why),
            Class::Conflict
            | Class::Moved(_)
            | Class::TopicClosed
            | Class::MessageGone
            | Class::NotModified
            | Class::Markup
            | Class::Rejected => SendError::GiveUp(why),
        },
    }
}

/// What became of an edit. That it changes nothing is no failure: it arrived before, and the answer did
/// not. What was written to a group before it became another chat is not that chat's.
pub(super) fn edited(edited: Result<(), TelegramError>) -> Result<Edited, SendError> {
    let Err(error) = edited else {
        return Ok(Edited::Done);
    };
    match error.class() {
        Some(Class::NotModified) => Ok(Edited::Done),
        Some(Class::MessageGone | Class::Moved(_)) => Ok(Edited::Never(why(&error))),
        _ => Err(failed(&error)),
    }
}

/// The reason, on one line and bounded.
fn why(error: &TelegramError) -> String {
    let why = match error {
        TelegramError::Request(why)
        | TelegramError::TimedOut(why)
        | TelegramError::Unreachable(why) => why,
        TelegramError::Refused(refusal) => &said(refusal),
    };
    tidy(why, REASON_MAX)
}

fn said(refusal: &Refusal) -> String {
    let code = refusal.status;
    let said = match &refusal.description {
        Some(description) => format!("Telegram answered {code}: {description}"),
        None if (200..300).contains(&code) => {
            format!("Telegram answered {code} with an unexpected body")
        }
        None => format!("Telegram answered {code} without a reason"),
    };
    match &refusal.class {
        Class::Moved(chat) => {
            format!("the group is now the chat {chat}: set TOCSIN_TELEGRAM_CHAT to it ({said})")
        }
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tocsin::telegram::Answer;

    use super::*;

    fn read(status: u16, body: &str) -> Result<Value, TelegramError> {
        let answer = Answer {
            method: "sendMessage",
            in_topic: false,
            status,
            body: body.as_bytes(),
            cut: None,
        };
        answer.read()
    }

    fn answered(status: u16, body: &str) -> Option<SendError> {
        read(status, body).err().map(|error| failed(&error))
    }

    fn refusal(status: u16, description: &str) -> Option<SendError> {
        let body = json!({"ok": false, "error_code": status, "description": description});
        answered(status, &body.to_string())
    }

    fn wait(seconds: u64, why: &str) -> Option<SendError> {
        Some(SendError::Wait {
            after: Duration::from_secs(seconds),
            why: why.to_owned(),
        })
    }

    fn retry(why: &str) -> Option<SendError> {
        Some(SendError::Retry(why.to_owned()))
    }

    fn give_up(why: &str) -> Option<SendError> {
        Some(SendError::GiveUp(why.to_owned()))
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
            (409, "Conflict"),
        ] {
            let expected = give_up(&format!("Telegram answered {code}: {description}"));
            assert_eq!(refusal(code, description), expected);
        }
    }

    #[test]
    fn an_unchanged_edit_succeeds_and_an_edit_of_a_deleted_message_is_dropped() {
        let says = |code: u16, description: &str| {
            let body = json!({"ok": false, "error_code": code, "description": description});
            edited(read(code, &body.to_string()).map(drop))
        };
        assert_eq!(edited(Ok(())), Ok(Edited::Done));
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
        let never = edited(read(400, &body).map(drop));
        assert_eq!(never, Ok(Edited::Never(expected.to_owned())));
    }

    #[test]
    fn transient_errors_are_retried() {
        assert_eq!(
            refusal(500, "Internal"),
            retry("Telegram answered 500: Internal")
        );
        assert_eq!(
            answered(502, "<html>Bad Gateway</html>"),
            retry("Telegram answered 502 without a reason")
        );
        for code in [302, 401, 403, 404, 408, 409, 418] {
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
    fn an_error_without_an_answer_is_tried_again_unless_the_request_cannot_be_written() {
        let why = || "it broke".to_owned();
        let table = [
            (TelegramError::TimedOut(why()), retry("it broke")),
            (TelegramError::Unreachable(why()), retry("it broke")),
            (TelegramError::Request(why()), give_up("it broke")),
        ];
        for (error, expected) in table {
            assert_eq!(Some(failed(&error)), expected);
        }
    }

    #[test]
    fn too_many_requests_wait_as_long_as_telegram_says() {
        let busy = json!({
            "ok": false,
            "error_code": 429,
            "description": "Too Many Requests: retry after 7",
            "parameters": {"retry_after": 7},
        });
        let why = "Telegram answered 429: Too Many Requests: retry after 7";
        assert_eq!(answered(429, &busy.to_string()), wait(7, why));
        assert_eq!(
            answered(429, ""),
            wait(5, "Telegram answered 429 without a reason")
        );
    }
}
