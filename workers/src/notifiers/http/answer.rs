//! Answers of a receiver: sent, retry, or failed.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tocsin::time::Timestamp;

use crate::notifiers::SendError;

/// The longest wait that is obeyed.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// When Sentry counts anew, in seconds since 1970. It comes with every answer.
const RESET: HeaderName = HeaderName::from_static("x-sentry-rate-limit-reset");

/// What became of a message, for which the receiver said so much beside the status: that, if it took it.
pub(super) fn outcome(
    channel: &str,
    status: StatusCode,
    retry_after: Option<Duration>,
    said: &str,
) -> Result<String, SendError> {
    let code = status.as_u16();
    let why = match said {
        _ if status.is_redirection() => {
            format!("{channel} answered {code}, and redirects are not followed: correct its url")
        }
        "" => format!("{channel} answered {code} without a reason"),
        said => format!("{channel} answered {code}: {said}"),
    };
    Err(match (code, retry_after) {
        (200..=299, _) => {
            return Ok(match said {
                "" => format!("answered {code}"),
                said => format!("answered {code}: {said}"),
            });
        }
        (429 | 503, Some(after)) => SendError::Wait { after, why },
        (408 | 429 | 500..=599, _) => SendError::Retry(why),
        _ => SendError::GiveUp(why),
    })
}

/// How long the receiver wants to be left alone: in seconds, or until a date. Where it counts what it takes, and that
/// was too much, until it counts anew.
pub(super) fn retry_after(
    status: StatusCode,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<Duration> {
    let text = |name: &HeaderName| Some(headers.get(name)?.to_str().ok()?.trim());
    let date = |value: &str| {
        let at = DateTime::parse_from_rfc2822(value).ok()?;
        Some(Timestamp(at.timestamp_millis()))
    };
    let after = match text(&RETRY_AFTER) {
        Some(value) => match value.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => date(value)?.since(now),
        },
        None if status == StatusCode::TOO_MANY_REQUESTS => {
            let reset: i64 = text(&RESET)?.parse().ok()?;
            // By its own clock.
            let now = text(&DATE).and_then(date).unwrap_or(now);
            Timestamp(reset.saturating_mul(1000)).since(now)
        }
        None => return None,
    };
    Some(after.clamp(Duration::from_secs(1), WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn answered(code: u16, after: Option<Duration>, said: &str) -> Result<String, SendError> {
        let status = StatusCode::from_u16(code).unwrap_or_default();
        outcome("webhook:ops", status, after, said)
    }

    #[test]
    fn a_success_is_one_whatever_it_says() {
        for code in [200, 201, 202, 204] {
            let taken = Ok(format!("answered {code}: no"));
            assert_eq!(answered(code, Some(SECOND), "no"), taken);
        }
    }

    #[test]
    fn transient_errors_retry_and_honour_retry_after() {
        for code in [408, 429, 500, 502, 503, 504, 599] {
            let why = format!("webhook:ops answered {code}: later");
            assert_eq!(answered(code, None, "later"), Err(SendError::Retry(why)));
        }
        for code in [429, 503] {
            let why = format!("webhook:ops answered {code} without a reason");
            let expected = SendError::Wait { after: SECOND, why };
            assert_eq!(answered(code, Some(SECOND), ""), Err(expected));
        }
    }

    #[test]
    fn a_refusal_is_given_up_with_what_the_receiver_said() {
        for code in [400, 401, 403, 404, 410, 413, 418] {
            let why = format!("webhook:ops answered {code}: no_service");
            let expected = Err(SendError::GiveUp(why));
            assert_eq!(answered(code, Some(SECOND), "no_service"), expected);
        }
        for code in [301, 302, 307, 308] {
            let why = format!(
                "webhook:ops answered {code}, and redirects are not followed: correct its url"
            );
            assert_eq!(answered(code, None, "moved"), Err(SendError::GiveUp(why)));
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds_or_as_a_date() {
        let now = Timestamp(1_795_382_909_000);
        let table = [
            ("7", Some(7 * SECOND)),
            ("0", Some(SECOND)),
            ("18446744073709551615", Some(WAIT_MAX)),
            ("Sun, 22 Nov 2026 21:28:49 GMT", Some(20 * SECOND)),
            ("Sun, 22 Nov 2026 21:28:09 GMT", Some(SECOND)),
            ("-3", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in table {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            let found = retry_after(StatusCode::SERVICE_UNAVAILABLE, &headers, now);
            assert_eq!(found, expected, "{value}");
        }
        let status = StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(retry_after(status, &HeaderMap::new(), now), None);
    }

    #[test]
    fn a_count_that_is_full_is_waited_for_by_the_receiver_s_own_clock() {
        let now = Timestamp(1_795_382_909_000);
        let reset = |value| (RESET, HeaderValue::from_static(value));
        let date = |value| (DATE, HeaderValue::from_static(value));
        let ahead = "Sun, 22 Nov 2026 22:28:29 GMT";
        let limited = StatusCode::TOO_MANY_REQUESTS;
        for (status, headers, expected) in [
            (limited, vec![reset("1795382916")], Some(7 * SECOND)),
            (
                limited,
                vec![reset("1795386516"), date(ahead)],
                Some(7 * SECOND),
            ),
            (
                limited,
                vec![reset("1795382916"), date("soon")],
                Some(7 * SECOND),
            ),
            (limited, vec![reset("1795382900")], Some(SECOND)),
            (limited, vec![reset("9223372036854775807")], Some(WAIT_MAX)),
            (limited, vec![reset("soon")], None),
            (
                limited,
                vec![
                    reset("1795382916"),
                    (RETRY_AFTER, HeaderValue::from_static("3")),
                ],
                Some(3 * SECOND),
            ),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                vec![reset("1795382916")],
                None,
            ),
        ] {
            let headers = HeaderMap::from_iter(headers);
            let found = retry_after(status, &headers, now);
            assert_eq!(found, expected, "{headers:?}");
        }
    }
}
