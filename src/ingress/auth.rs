//! Who may come in: tokens, compared in constant time.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::{Ingress, Problem};
use crate::config::Secret;
use crate::store::audit::Actor;

/// Who calls, as the check of the token found out. Handlers that change something take it for the
/// audit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller(pub(crate) Actor);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Senders of webhooks: bearer, or basic with the token as password.
pub(super) async fn webhook(
    State(ingress): State<Ingress>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let given = bearer(request.headers()).or_else(|| basic(request.headers()));
    check(ingress.context.config.webhook_token.as_ref(), given)?;
    Ok(next.run(request).await)
}

/// Users of the API: bearer.
pub(super) async fn api(
    State(ingress): State<Ingress>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = ingress.context.config.api_token.as_ref();
    check(token, bearer(request.headers()))?;
    let token = token.map_or("anyone", |_| "operate").to_owned();
    request.extensions_mut().insert(Caller(Actor {
        token,
        ..Actor::default()
    }));
    Ok(next.run(request).await)
}

fn check(expected: Option<&Secret>, given: Option<String>) -> Result<(), Problem> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let refuse = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, detail);
    let given = given.ok_or_else(|| refuse("a token is needed"))?;
    if bool::from(given.as_bytes().ct_eq(expected.expose().as_bytes())) {
        Ok(())
    } else {
        Err(refuse("the token is wrong"))
    }
}

fn credentials(headers: &HeaderMap, scheme: &str) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    given
        .eq_ignore_ascii_case(scheme)
        .then(|| rest.trim().to_owned())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    credentials(headers, "bearer")
}

fn basic(headers: &HeaderMap) -> Option<String> {
    let decoded = STANDARD.decode(credentials(headers, "basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':')
        .map(|(_, password)| password.to_owned())
}
