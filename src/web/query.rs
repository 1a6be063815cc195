//! Query parameters: read, and refused, in one way everywhere.

use std::error::Error;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query as Read, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use serde::de::{DeserializeOwned, value};
use serde_path_to_error::{Path, Segment};

use super::Problem;
use crate::domain::refusal::{self, Code, Refusal};

/// What a request asks for. A name that `T` does not know is refused, not passed over: it may have been
/// meant to leave something out.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = refusal::read(|| Read::<T>::try_from_uri(&parts.uri));
        let Read(query) = read.map_err(|(error, refused)| {
            let refused = refused.unwrap_or_else(|| Refusal::new(Code::InvalidParameter, ""));
            of_query(refused, &error)
        })?;
        Ok(Self(query))
    }
}

/// What is wrong with a query, with the parameter if one is.
fn of_query(refused: Refusal, error: &QueryRejection) -> Refusal {
    let mut beneath: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = beneath {
        if let Some(error) = error.downcast_ref::<serde_path_to_error::Error<value::Error>>() {
            let refusal = refused.saying(said(error));
            return match field(error.path()) {
                Some(parameter) => refusal.parameter(parameter),
                None => refusal,
            };
        }
        beneath = error.source();
    }
    refused.saying(error.body_text())
}

/// Which name or value it is, and which there are; serde's words are those of a program's fields.
fn said(error: &serde_path_to_error::Error<value::Error>) -> String {
    let said = error.inner().to_string();
    let words = [
        ("unknown field", "unknown parameter"),
        ("unknown variant", "unknown value"),
    ];
    let found = words.into_iter().find_map(|(serde, ours)| {
        let rest = said.strip_prefix(serde)?;
        Some(format!("{ours}{rest}"))
    });
    found.unwrap_or_else(|| error.to_string())
}

/// The field that a path leads to; `None` if it leads to none.
pub(super) fn field(path: &Path) -> Option<String> {
    let is_named = |segment: &Segment| !matches!(segment, Segment::Unknown);
    let is_field = path.iter().len() > 0 && path.iter().all(is_named);
    is_field.then(|| path.to_string())
}

/// For addresses that take nothing there.
pub(super) async fn none(request: Request, next: Next) -> Result<Response, Problem> {
    match request.uri().query() {
        None | Some("") => Ok(next.run(request).await),
        Some(_) => Err(Problem::new(
            Code::InvalidParameter,
            "this address accepts no query parameters",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[allow(dead_code)]
    struct ListQuery {
        limit: u64,
        age: Option<crate::config::Span>,
        order: Option<Order>,
    }

    #[derive(Debug, serde::Deserialize)]
    enum Order {
        Newest,
        Oldest,
    }

    #[tokio::test]
    async fn a_parameter_that_is_refused_is_named() {
        for (query, code, parameter, expected) in [
            (
                "limit=x",
                Code::InvalidParameter,
                Some("limit"),
                "limit: invalid digit found in string",
            ),
            ("age=soon", Code::InvalidDuration, Some("age"), ""),
            (
                "sort=x",
                Code::InvalidParameter,
                Some("sort"),
                "unknown parameter `sort`, expected one of `limit`, `age`, `order`",
            ),
            (
                "order=x",
                Code::InvalidParameter,
                Some("order"),
                "unknown value `x`, expected `Newest` or `Oldest`",
            ),
        ] {
            let request = axum::http::Request::get(format!("/?{query}"));
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let refused = Query::<ListQuery>::from_request_parts(&mut parts, &()).await;
            let (status, refusal) = refused.unwrap_err().said();
            assert_eq!((status.as_u16(), refusal.code), (400, code), "{query}");
            assert_eq!(refusal.facts.parameter.as_deref(), parameter, "{query}");
            let detail = refusal.detail();
            assert!(detail.starts_with(expected), "{detail}");
        }
    }
}
