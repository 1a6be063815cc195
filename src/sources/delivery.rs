//! The part of a request that a source reads.

use axum::body::Bytes;
use axum::http::HeaderMap;

use crate::time::Timestamp;

/// How a delivery is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// By POST.
    Post,
    /// By PUT.
    Put,
}

/// One request to a webhook, after its sender was let in. The body is decompressed, in UTF-8, and no larger than
/// `limits.body`.
#[derive(Debug)]
pub struct Delivery {
    /// How it was sent.
    pub method: Verb,
    /// Where: one of the source's paths, as the source writes it.
    pub path: &'static str,
    /// The value of `{name}` in the path; empty where there is none.
    pub name: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// Its headers.
    pub headers: HeaderMap,
    /// The query parameters, in order. `cluster` is read for every source.
    pub query: Vec<(String, String)>,
    /// The request's body.
    pub body: Bytes,
}

impl Delivery {
    /// A body that was posted just now without headers of its own.
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        let body: Vec<u8> = body.into();
        Self {
            method: Verb::Post,
            path: "",
            name: String::new(),
            received_at: Timestamp::now(),
            headers: HeaderMap::new(),
            query: Vec::new(),
            body: body.into(),
        }
    }

    /// A header as a text; empty where it is missing or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The last value of a parameter behind the `?`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let last = self.query.iter().rev().find(|(known, _)| known == name);
        last.map(|(_, value)| value.as_str())
    }
}
