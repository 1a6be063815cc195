//! Errors between the command line and the instance, each with a remedy.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde_json::Value;
use tocsin::domain::refusal::Code;

use super::fields::text;

/// So much of an answer that is no problem document is shown.
const EXCERPT: usize = 200;

/// Why a request did not get its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No connection came about.
    #[error("cannot connect to {base} ({why}): check that Tocsin is running there, or set --url")]
    Unreachable {
        /// The instance.
        base: String,
        /// What the system says.
        why: String,
    },
    /// The connection broke, or no answer came in time.
    #[error("no response from {base}: {why}")]
    Unanswered {
        /// The instance.
        base: String,
        /// What happened.
        why: String,
    },
    /// The instance answered that it will not.
    #[error("{problem} (HTTP {}){hint}", .status.as_u16())]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// The problem's code; none of an older instance, or of a newer one with codes of its own.
        code: Option<Code>,
        /// What the answer says.
        problem: String,
        /// What could help.
        hint: String,
        /// When to come again.
        retry_after: Option<Duration>,
    },
    /// The answer is JSON, and not what the API gives.
    #[error("{base} did not respond as Tocsin does: check that it is a Tocsin instance")]
    Foreign {
        /// The instance.
        base: String,
    },
    /// The answer is not JSON.
    #[error("{base} did not respond with JSON: check that it is a Tocsin instance")]
    Unreadable {
        /// The instance.
        base: String,
    },
}

impl Error {
    /// A request that failed on its way.
    pub(super) fn of_request(error: &reqwest::Error, base: &Url) -> Self {
        let base = shown(base);
        if error.is_connect() && !error.is_timeout() {
            Self::Unreachable {
                base,
                why: root_cause(error),
            }
        } else {
            let why = if error.is_timeout() {
                "timed out".to_owned()
            } else {
                root_cause(error)
            };
            Self::Unanswered { base, why }
        }
    }

    /// An answer that is an error. `token` says what to do about the token, if that is what is wrong.
    pub(super) fn of_answer(
        status: StatusCode,
        headers: &HeaderMap,
        body: &str,
        token: &str,
    ) -> Self {
        let document: Value = serde_json::from_str(body).unwrap_or_default();
        let code = Code::named(&text(&document, "/code"));
        let hint = match code.unwrap_or(Code::of_status(status.as_u16())) {
            Code::MissingToken | Code::UnknownToken | Code::WrongTokenKind => format!(": {token}"),
            _ => String::new(),
        };
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        Self::Refused {
            status,
            code,
            problem: problem(status, &document, body),
            hint,
            retry_after,
        }
    }

    /// Whether the same request may succeed a little later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unanswered { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Foreign { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// Whether what was asked for is not there.
    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => {
                code.unwrap_or(Code::of_status(status.as_u16())) == Code::NotFound
            }
            _ => false,
        }
    }

    /// Whether the incident is resolved, so that it cannot be done.
    pub(super) fn is_already_resolved(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Some(Code::AlreadyResolved),
                ..
            }
        )
    }

    /// How long the instance asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A URL without the user and password that may be in it.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The detail of a problem document, or its title; else how the answer begins; else what the status means.
fn problem(status: StatusCode, document: &Value, body: &str) -> String {
    let message = ["/detail", "/title"].map(|field| text(document, field));
    if let Some(message) = message.into_iter().find(|message| !message.is_empty()) {
        return message;
    }
    let meaning = status.canonical_reason().unwrap_or("refused");
    let excerpt: String = body.trim().chars().take(EXCERPT).collect();
    if excerpt.is_empty() {
        meaning.to_owned()
    } else {
        format!("{meaning}: {}", excerpt.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        Error::of_answer(status, &HeaderMap::new(), body, "present a token").to_string()
    }

    #[test]
    fn a_problem_document_is_shown_with_its_detail_and_status() {
        let body =
            r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"no incident 7"}"#;
        assert_eq!(refused(404, body), "no incident 7 (HTTP 404)");
        assert_eq!(refused(400, r#"{"title":"Bad"}"#), "Bad (HTTP 400)");
    }

    #[test]
    fn any_other_response_is_shown_by_its_beginning() {
        assert_eq!(refused(502, "<html>\n"), "Bad Gateway: <html> (HTTP 502)");
        assert_eq!(refused(503, ""), "Service Unavailable (HTTP 503)");
    }

    #[test]
    fn a_missing_token_error_says_how_to_give_one() {
        let message = refused(401, r#"{"title":"Unauthorized"}"#);
        assert_eq!(message, "Unauthorized (HTTP 401): present a token");
    }

    #[test]
    fn a_known_error_code_decides_and_otherwise_the_status() {
        let of = |status, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            Error::of_answer(status, &HeaderMap::new(), body, "present a token")
        };
        for (status, body, is_not_found, message) in [
            (
                404,
                r#"{"code":"not_found","detail":"no incident"}"#,
                true,
                "no incident (HTTP 404)",
            ),
            // Of an older instance.
            (
                404,
                r#"{"detail":"no incident"}"#,
                true,
                "no incident (HTTP 404)",
            ),
            // Of a newer one.
            (
                404,
                r#"{"code":"moved","detail":"look elsewhere"}"#,
                true,
                "look elsewhere (HTTP 404)",
            ),
            (
                401,
                r#"{"code":"unknown_token","detail":"unknown token"}"#,
                false,
                "unknown token (HTTP 401): present a token",
            ),
            (
                409,
                r#"{"code":"already_resolved","detail":"too late"}"#,
                false,
                "too late (HTTP 409)",
            ),
        ] {
            let error = of(status, body);
            assert_eq!(error.is_not_found(), is_not_found, "{body}");
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        let url = Url::parse("https://ops:planted@tocsin.example/base/").unwrap();
        assert_eq!(shown(&url), "https://tocsin.example/base");
    }
}
