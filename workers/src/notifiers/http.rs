//! What notifiers that speak HTTP share.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, Response, redirect};

/// Connecting, sending and the answer together: less than the claim on a message lasts.
pub(crate) const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connecting alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that gives up after `total`, and goes nowhere else than it was sent.
pub(super) fn client(total: Duration) -> Result<Client, reqwest::Error> {
    tocsin::tls::client()
        .timeout(total)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .build()
}

/// What came of an answer, little more than `max` bytes of it. Where it breaks off, the status and
/// the beginning have to do.
pub(super) async fn read(mut response: Response, max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > max {
            break;
        }
    }
    body
}

/// An error with all its causes: reqwest's own text says only that it failed.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
