//! Alertmanager's API, version 2: what is asked, and what is read of the answers. What is unknown in them
//! is passed over.

use std::error::Error as _;

use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ApiError;
use crate::domain::labels::Labels;

/// Bytes of an answer: some fifty thousand alerts.
const LONGEST: usize = 64 << 20;

/// One alert.
#[derive(Debug, Deserialize)]
pub(super) struct Alert {
    pub(super) fingerprint: String,
    #[serde(default)]
    pub(super) labels: Labels,
}

/// One alert with all that a webhook has of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FiringAlert {
    /// As the webhook has it.
    pub fingerprint: String,
    /// What identifies it.
    pub labels: Value,
    /// What explains it.
    #[serde(default)]
    pub annotations: Value,
    /// When it began to fire.
    pub starts_at: String,
    /// Where its sender shows what made it fire.
    #[serde(default, rename = "generatorURL")]
    pub generator_url: String,
}

/// How it is.
#[derive(Debug, Deserialize)]
pub(super) struct Server {
    /// Since when it runs.
    pub(super) uptime: String,
}

/// One silence.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Silence {
    pub(super) id: String,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) created_by: String,
    #[serde(default)]
    pub(super) comment: String,
    #[serde(default)]
    pub(super) starts_at: String,
    #[serde(default)]
    pub(super) ends_at: String,
    #[serde(default)]
    pub(super) matchers: Vec<Matcher>,
}

/// Where a silence stands.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    /// `active`, `pending` or `expired`.
    pub(super) state: String,
}

/// What a label must be like.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Matcher {
    pub(super) name: String,
    pub(super) value: String,
    #[serde(default)]
    pub(super) is_regex: bool,
    /// Versions before 0.22 know no negation.
    #[serde(default = "yes")]
    pub(super) is_equal: bool,
}

const fn yes() -> bool {
    true
}

/// Asks for something.
pub(super) async fn ask<T: DeserializeOwned>(
    http: &Client,
    url: &Url,
    what: &str,
    query: &[(&str, &str)],
) -> Result<T, ApiError> {
    answer(http.get(address(url, what)).query(query)).await
}

/// The address of something in its API.
pub(super) fn address(url: &Url, what: &str) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let path = format!("{}/api/v2/{what}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// Has something done, whatever is answered.
pub(super) async fn done(request: RequestBuilder) -> Result<Response, ApiError> {
    let response = request.send().await.map_err(unreachable)?;
    match response.status().is_success() {
        true => Ok(response),
        false => Err(ApiError::Refused(response.status())),
    }
}

/// What is answered.
pub(super) async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ApiError> {
    let mut response = done(request).await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LONGEST {
            return Err(ApiError::TooLong(LONGEST));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|error| ApiError::Senseless(error.to_string()))
}

/// With all its causes, and without the URL: that may hold a password.
fn unreachable(error: reqwest::Error) -> ApiError {
    let error = error.without_url();
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    ApiError::Unreachable(text)
}
