//! The `Idempotency-Key` of a request to the API, and the answer to one that was done before; see
//! [`crate::operations::once`].

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::{Caller, Ingress, Problem, body};
use crate::domain::refusal::Code;
use crate::operations::OperationError;
use crate::operations::once::{Once, RequestKey, once};
use crate::store::requests::Answer;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a remembered answer.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Characters of a key, at most.
const LONGEST: usize = 255;

/// The key of a request, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(KEY) else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| {
        (1..=LONGEST).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    });
    let detail = "Idempotency-Key must be 1 to 255 visible ASCII characters";
    key.map(Some)
        .ok_or_else(|| Problem::new(Code::InvalidIdempotencyKey, detail))
}

/// Why there is no answer to store.
enum Unfinished {
    /// The operation was refused, or failed.
    Refused(Response),
    /// It was not begun.
    NotBegun(OperationError),
}

impl From<OperationError> for Unfinished {
    fn from(error: OperationError) -> Self {
        Self::NotBegun(error)
    }
}

/// Has a request that has a key done once.
pub(super) async fn done_once(
    State(ingress): State<Ingress>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let Some(key) = key(request.headers())?.filter(|_| !only_reads) else {
        return Ok(next.run(request).await);
    };
    let key = key.to_owned();
    let context = &ingress.context;
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, context.config.limits.body).await?;
    let caller = parts.extensions.get::<Caller>();
    // People whom a proxy names have one token.
    let token = caller.map_or_else(String::new, |caller| match &caller.0.operator {
        Some(person) => format!("{} {person}", caller.0.token),
        None => caller.0.token.clone(),
    });
    let address = (parts.method.as_str(), parts.uri.path());
    let request = RequestKey::new(&token, address, &key, &bytes);
    let operation = async {
        let response = next
            .run(Request::from_parts(parts, Body::from(bytes)))
            .await;
        finished(response).await
    };
    match once(context, &request, Duration::ZERO, operation, answer).await {
        Ok(Once::Done((parts, body))) => Ok(Response::from_parts(parts, Body::from(body))),
        Ok(Once::Before(answer)) => Ok(again(answer)),
        Err(Unfinished::Refused(response)) => Ok(response),
        Err(Unfinished::NotBegun(error)) => Err(error.into()),
    }
}

/// A response in full, if something was done.
async fn finished(response: Response) -> Result<(Parts, Bytes), Unfinished> {
    if !response.status().is_success() {
        return Err(Unfinished::Refused(response));
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    Ok((parts, body))
}

fn answer((parts, body): &(Parts, Bytes)) -> Answer {
    let kind = parts.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    Answer {
        status: parts.status.as_u16(),
        kind: kind.map(str::to_owned),
        body: body.to_vec(),
    }
}

/// An answer that was given before.
fn again(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    let kind = answer
        .kind
        .and_then(|kind| HeaderValue::try_from(kind).ok());
    headers.extend(kind.map(|kind| (CONTENT_TYPE, kind)));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
