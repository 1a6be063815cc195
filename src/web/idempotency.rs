//! Requests that may be sent twice: with the same `Idempotency-Key`, the same request of the same
//! token is done once and answered the same.
//!
//! A request is claimed before it is done, and its answer remembered after it, unless nothing was done.
//! A process that dies between the two leaves a claim that ends after a minute; then the request is done
//! again, which harms nothing: what is done already stays as it is, and jobs have ids made of the key.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Caller, Ingress, Problem, body};
use crate::domain::refusal::Code;
use crate::jobs::derived_id;
use crate::store::maintenance;
use crate::store::requests::{self, Answer, Claim, Found};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What tells a remembered answer from a fresh one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Says of an answer that the same request is being done, and that there will be another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BeingDone;

/// Characters of a key, at most.
const LONGEST: usize = 255;

/// The key of a request, if it has one.
fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
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

/// The id of the job that a request pushes: made of its key, so that it is the same job again.
pub(super) fn job(headers: &HeaderMap, words: &[&str]) -> Result<Option<Uuid>, Problem> {
    let id = |key| derived_id(&[words, &[key]].concat());
    Ok(key(headers)?.map(id))
}

/// Does a request once.
pub(super) async fn once(
    State(ingress): State<Ingress>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let Some(key) = key(request.headers())?.filter(|_| !only_reads) else {
        return Ok(next.run(request).await);
    };
    let caller = request.extensions().get::<Caller>();
    let token = caller.map_or("", |caller| caller.0.token.as_str());
    let (method, path) = (request.method().as_str(), request.uri().path());
    let id = derived_id(&["request", token, method, path, key]);
    let context = &ingress.context;
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, context.config.limits.body).await?;
    let digest: String = Sha256::digest(&bytes)[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();

    let db = context.db.write();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let claim = match requests::claim(db, id, &digest, now).await? {
        Found::New(claim) => claim,
        Found::Done(answer) => return Ok(again(answer)),
        Found::Doing => {
            let detail = "the same request is still in progress: retry to get its response";
            let mut response = Problem::new(Code::RequestInProgress, detail).into_response();
            response.extensions_mut().insert(BeingDone);
            return Ok(response);
        }
        Found::Other => {
            let detail = "this Idempotency-Key was already used with another request body";
            return Err(Problem::new(Code::IdempotencyConflict, detail));
        }
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    let response = next.run(request).await;
    Ok(keep(&ingress, claim, response).await)
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

/// Remembers what was done. Where nothing was, the same request is to be tried again.
async fn keep(ingress: &Ingress, claim: Claim, response: Response) -> Response {
    let db = ingress.context.db.write();
    if !response.status().is_success() {
        if let Err(error) = requests::release(db, claim).await {
            tracing::debug!("cannot release the claim on an idempotency key; it expires: {error}");
        }
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let kind = parts.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    let answer = Answer {
        status: parts.status.as_u16(),
        kind: kind.map(str::to_owned),
        body: body.to_vec(),
    };
    if let Err(error) = requests::remember(db, claim, &answer).await {
        tracing::warn!(
            "cannot store the response for an idempotency key, so a retry may repeat the operation: {error}"
        );
    }
    Response::from_parts(parts, Body::from(body))
}
