//! Errors as `application/problem+json` (RFC 9457).

use std::any::Any;
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::refusal::{Code, Facts, Refusal};
use crate::queue::store::QueueError;
use crate::store::error::{Cause, cause, took_too_long};
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::task_context;

/// How long a sender should wait before it tries again, in seconds.
const RETRY_AFTER: u32 = 5;
/// Maximum bytes of a foreign error that are shown.
const DETAIL_BYTES: usize = 4096;

/// An error that a client can act on.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    refusal: Refusal,
    /// In seconds.
    retry_after: Option<u32>,
    /// The body, if it is what cannot be read.
    unread: Option<Bytes>,
}

impl Problem {
    /// What is wrong, by its code; the code says the status.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Refusal::new(code, detail).into()
    }

    /// An error of which no more is known than its status.
    pub(super) fn of_status(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            ..Self::new(Code::of_status(status.as_u16()), detail)
        }
    }

    /// Of a body that cannot be read.
    #[must_use]
    pub(super) fn of_body(self, body: Bytes) -> Self {
        Self {
            unread: Some(body),
            ..self
        }
    }

    /// Its status, and what is wrong.
    pub(crate) fn said(self) -> (StatusCode, Refusal) {
        (self.status, self.refusal)
    }

    /// There is no such thing.
    pub fn not_found(resource: &str, detail: impl Into<String>) -> Self {
        Refusal::not_found(resource, detail).into()
    }

    /// The client has asked too often; it should wait.
    pub(super) fn too_many(detail: impl Into<String>, wait: Duration) -> Self {
        let mut problem = Self::new(Code::TooManyAttempts, detail);
        let seconds = wait.as_secs().saturating_add(1);
        problem.retry_after = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        problem
    }
}

impl From<Refusal> for Problem {
    /// What passes by itself is to be tried again.
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let passes = status == StatusCode::SERVICE_UNAVAILABLE;
        Self {
            status,
            refusal,
            retry_after: passes.then_some(RETRY_AFTER),
            unread: None,
        }
    }
}

/// An error response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ErrorResponse {
    /// Always `about:blank`: the status says what kind of problem it is.
    r#type: &'static str,
    /// What the status means.
    title: &'static str,
    /// The answer's status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What kind of error it is, for programs.
    code: Code,
    /// What is wrong, for a person.
    detail: String,
    /// Described beside the others.
    #[serde(flatten)]
    #[schema(ignore)]
    facts: Facts,
    /// The request ID, also found in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Why a response refuses the request.
#[derive(Clone, Debug)]
pub(super) struct RefusalReason {
    /// What is wrong.
    pub(super) refusal: Refusal,
    /// The body, if it is what cannot be read.
    pub(super) body: Option<Bytes>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let request = task_context::look(|task_context| task_context.request.clone()).flatten();
        let body = ErrorResponse {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.refusal.code,
            detail: self.refusal.detail().to_owned(),
            facts: Facts::clone(&self.refusal.facts),
            request_id: request.map(|id| id.as_str().to_owned()),
        };
        let body = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        response.extensions_mut().insert(RefusalReason {
            refusal: self.refusal,
            body: self.unread,
        });
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let schemes = HeaderValue::from_static("Bearer, Basic realm=\"tocsin\"");
            headers.insert(header::WWW_AUTHENTICATE, schemes);
        }
        response
    }
}

impl From<sea_orm::DbErr> for Problem {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::from(&error)
    }
}

impl From<&sea_orm::DbErr> for Problem {
    fn from(error: &sea_orm::DbErr) -> Self {
        if cause(error) == Cause::Data {
            tracing::debug!("the database rejected a value in a request: {error}");
            let detail = "invalid value: too large, or with NUL in it";
            return Self::new(Code::InvalidValue, detail);
        }
        if took_too_long(error) {
            tracing::warn!("a query of a request timed out (limits.query): {error}");
            let detail = "the query takes too long: ask for less at a time";
            return Self::new(Code::QueryTimeout, detail);
        }
        tracing::warn!("a request failed at the database: {error}");
        let detail = "the database is unavailable or busy: retry later";
        Self::new(Code::DatabaseUnavailable, detail)
    }
}

/// Says that the queue failed requests: there are many of them while it is away.
static FAILURES: LazyLock<LogThrottle<()>> =
    LazyLock::new(|| LogThrottle::new(Duration::from_secs(10)));

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        if let Some(more) = FAILURES.says(()) {
            tracing::warn!(more, "a request failed at the queue: {error}");
        }
        Self::new(
            Code::QueueUnavailable,
            "the queue is unavailable or rejects writes: retry later; nothing answered with 2xx is lost",
        )
    }
}

pub(super) async fn not_found() -> Problem {
    Problem::not_found("address", "no page or API resource at this address")
}

pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "method not allowed at this address")
}

/// Turns errors of the layers around the handlers into problems of the same form.
pub(crate) async fn problem_response(response: Response) -> Response {
    let (status, kind) = (
        response.status(),
        response.headers().get(header::CONTENT_TYPE),
    );
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE && kind.is_none() {
        let detail = "unknown content encoding: use gzip, deflate or none";
        return Problem::new(Code::UnsupportedEncoding, detail).into_response();
    }
    let is_error = status.is_client_error() || status.is_server_error();
    let is_text = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !is_error || !is_text {
        return response;
    }
    let text = to_bytes(response.into_body(), DETAIL_BYTES).await;
    Problem::of_status(status, String::from_utf8_lossy(&text.unwrap_or_default())).into_response()
}

pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response {
    let detail = "internal server error: see the server log";
    Problem::new(Code::InternalError, detail).into_response()
}
