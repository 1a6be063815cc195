//! What stands behind the `?` of an address: read and refused alike everywhere.

use axum::extract::{FromRequestParts, Query as Read, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::Problem;

/// What a request asks for. A name that `T` does not know is refused, not passed over: it may have been
/// meant to leave something out.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Read::<T>::from_request_parts(parts, state).await;
        let Read(asked) = read.map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(Self(asked))
    }
}

/// For addresses that take nothing there.
pub(super) async fn none(request: Request, next: Next) -> Result<Response, Problem> {
    match request.uri().query() {
        None | Some("") => Ok(next.run(request).await),
        Some(_) => Err(Problem::bad_request(
            "this address accepts no query parameters",
        )),
    }
}
