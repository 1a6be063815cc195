//! The envelope of every request and answer: an ID, a trace, and headers that forbid a browser to do anything
//! with it.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::telemetry::spans::{Span, SpanKind, Tracer};
use crate::telemetry::task_context::{RequestId, TaskContext};
use crate::telemetry::trace_context::Trace;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What an answer gets that has nothing of its own in this place.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Gives the request its id and its trace, and the answer its headers. Stands outside of everything
/// else.
pub(super) async fn seal(State(tracer): State<Tracer>, request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers().get(REQUEST_ID));
    let mut span = span_of(&tracer, &request);
    span.note("request.id", || id.as_str().to_owned());
    let task_context = TaskContext {
        request: Some(id.clone()),
        trace: Some(span.trace().unwrap_or_else(Trace::begin)),
        ..TaskContext::default()
    };
    let mut response = task_context.follow(next.run(request)).await;
    let status = response.status();
    span.note("http.response.status_code", || i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(|| status.to_string());
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.header().clone());
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    response
}

/// A span for a request. Those who ask every few seconds whether we are well are
/// left out.
fn span_of(tracer: &Tracer, request: &Request) -> Span {
    let (method, path) = (request.method(), request.uri().path());
    let under = trace_of(request.headers());
    if !path.starts_with("/api/") {
        return Tracer::default().start(SpanKind::Server, || "".into(), under);
    }
    let name = || {
        // Without ids: names are few.
        let kind: Vec<&str> = path.splitn(5, '/').take(4).collect();
        format!("{method} {}", kind.join("/")).into()
    };
    let mut span = tracer.start(SpanKind::Server, name, under);
    span.note("http.request.method", || method.to_string());
    span.note("url.path", || path.to_owned());
    span
}

fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    Trace::of_traceparent(headers.get(TRACEPARENT)?.to_str().ok()?)
}
