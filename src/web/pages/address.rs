//! Queries of pages.
//!
//! A name that is not known is passed over, other than by the API: mail programs and chats add their own to
//! the addresses that people send (`utm_source`). A value that is not known is refused: leaving it out would
//! show another list than was asked for, and say nothing of it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::PageError;
use crate::web::query::Query;

/// The query of a page; an error page where it cannot be read.
pub(super) struct PageQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for PageQuery<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let Query(query) = Query::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

/// A name, its value, and whether it can have that.
pub(super) type Value<'a> = (&'static str, &'a str, bool);

/// A text that is looked for: anything that a database can hold.
pub(super) fn text<'a>(name: &'static str, value: &'a str) -> Value<'a> {
    (name, value, !value.contains('\0'))
}

/// Refuses a value that there is not. None at all is as good as a known one.
pub(super) fn check<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Result<(), PageError> {
    let mut values = values.into_iter();
    match values.find(|(_, value, is_known)| !value.is_empty() && !is_known) {
        Some((name, value, _)) => Err(PageError::no_such(name, value)),
        None => Ok(()),
    }
}
