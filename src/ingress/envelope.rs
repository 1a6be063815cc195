//! What every request and every answer has: an id, a trace, and headers that tell a browser to do
//! nothing with it.

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::trace::Trace;
use crate::trail::{RequestId, Trail};

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
pub(super) async fn seal(request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers().get(REQUEST_ID));
    let trail = Trail {
        request: Some(id.clone()),
        trace: Some(trace_of(request.headers()).unwrap_or_else(Trace::begin)),
        ..Trail::default()
    };
    let mut response = trail.follow(next.run(request)).await;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.header().clone());
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    response
}

fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    Trace::of_traceparent(headers.get(TRACEPARENT)?.to_str().ok()?)
}
