//! The HTTP client that Telegram's client and the notifiers share.

use std::error::Error;
use std::time::Duration;

use reqwest::{ClientBuilder, Response, redirect};

/// Connecting alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// To build a client that goes nowhere else than it was sent. How long a request may take is the caller's
/// to say.
pub fn builder() -> ClientBuilder {
    crate::tls::client()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
}

/// What came of an answer, little more than `max` bytes of it, and why it broke off if it did: the status
/// and the beginning may do. The error does not have the address.
pub async fn read(mut response: Response, max: usize) -> (Vec<u8>, Option<reqwest::Error>) {
    let mut body = Vec::new();
    while body.len() <= max {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return (body, Some(error.without_url())),
        }
    }
    (body, None)
}

/// An error with all its causes: reqwest's own text says only that it failed.
#[must_use]
pub fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
