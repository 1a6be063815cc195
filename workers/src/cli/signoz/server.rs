//! SigNoz's API: the parts of it that set up alerts.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tocsin::config::Secret;
use tocsin::http_client;

use super::report::Request;
use crate::cli::client::is_loopback;
use crate::cli::error::shown;

/// Notification channels, since 0.142.
pub(super) const CHANNELS: [&str; 3] = ["api", "v2", "notification_channels"];
/// One rule, and new ones.
pub(super) const RULES: [&str; 3] = ["api", "v2", "rules"];
/// Rules in pages, which newer versions list only so.
const LISTED_RULES: [&str; 3] = ["api", "v3", "rules"];

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Items that are asked for at once.
const PAGE: usize = 100;
/// Pages that are asked for at most.
const PAGES: usize = 100;
/// Bytes of an answer that are read.
const MOST: usize = 16 << 20;
/// So much of what SigNoz says is shown.
const EXCERPT: usize = 500;

/// Why SigNoz did not do something.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No answer came.
    #[error("no answer from SigNoz at {base} ({why}): check --url, and that SigNoz runs there")]
    Unanswered { base: String, why: String },
    /// The key does not suffice.
    #[error(
        "SigNoz refuses the key (HTTP {}): {said}: SIGNOZ_API_KEY must be the key of a service account that may change channels (admin) and rules (editor)",
        .status.as_u16()
    )]
    Key { status: StatusCode, said: String },
    /// There is no such thing in this version, or this is not SigNoz.
    #[error("{base} has no {path}: check --url; SigNoz 0.142 or newer is needed")]
    Missing { base: String, path: String },
    /// A request that SigNoz will never take.
    #[error(
        "SigNoz refuses {path} (HTTP {}): {said}: change what it names, and run the command again; what was applied stays",
        .status.as_u16()
    )]
    Refused {
        path: String,
        status: StatusCode,
        said: String,
    },
    /// SigNoz cannot, at present.
    #[error(
        "SigNoz failed at {path} (HTTP {}): {said}: run the command again later; what was applied stays",
        .status.as_u16()
    )]
    Failed {
        path: String,
        status: StatusCode,
        said: String,
    },
}

/// One SigNoz.
pub(super) struct Server {
    http: reqwest::Client,
    base: Url,
    key: Secret,
    /// What must not be shown, even if SigNoz says it.
    hidden: Vec<Secret>,
}

impl Server {
    pub(super) fn new(url: &str, key: Secret, token: Option<Secret>) -> anyhow::Result<Self> {
        let base = Url::parse(url).with_context(|| format!("--url {url:?} is not a URL"))?;
        let is_http = matches!(base.scheme(), "http" | "https");
        ensure!(is_http, "--url {url:?} must begin with http:// or https://");
        let mut http = http_client::builder().timeout(TIMEOUT);
        if base.scheme() == "http" {
            // A small container may have no certificates, and loading them would fail.
            http = http.tls_certs_only([]);
        }
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build().context("cannot set up the HTTP client")?,
            base,
            hidden: token.into_iter().chain([key.clone()]).collect(),
            key,
        })
    }

    /// All rules, as a list has them.
    pub(super) async fn rules(&self) -> Result<Vec<Value>, Error> {
        match self.list(LISTED_RULES, "rules").await {
            // Before 0.150.
            Err(Error::Missing { .. }) => match self.get(&RULES).await? {
                Value::Array(rules) => Ok(rules),
                _ => Err(self.missing(&RULES)),
            },
            listed => listed,
        }
    }

    /// All items of a list that comes in pages.
    pub(super) async fn list(&self, path: [&str; 3], items: &str) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let query = [("limit", PAGE), ("offset", all.len())];
            let request = self.http.get(self.url(&path)).query(&query);
            let data = self.call(request, &path).await?;
            let Some(page) = data[items].as_array() else {
                return Err(self.missing(&path));
            };
            all.extend(page.iter().cloned());
            let total = data["total"].as_u64().unwrap_or_default();
            if page.is_empty() || all.len() as u64 >= total {
                break;
            }
        }
        Ok(all)
    }

    pub(super) async fn get(&self, path: &[&str]) -> Result<Value, Error> {
        self.call(self.http.get(self.url(path)), path).await
    }

    /// Changes something.
    pub(super) async fn send(&self, request: &Request) -> Result<(), Error> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let method: Method = request.method.clone();
        let http = self.http.request(method, self.url(&path));
        self.call(http.json(&request.body), &path).await?;
        Ok(())
    }

    /// The data of an answer.
    async fn call(&self, request: reqwest::RequestBuilder, path: &[&str]) -> Result<Value, Error> {
        let unanswered = |why| Error::Unanswered {
            base: shown(&self.base),
            why,
        };
        let request = request.header("SIGNOZ-API-KEY", self.key.expose());
        let response = request.send().await;
        let response =
            response.map_err(|error| unanswered(http_client::causes(&error.without_url())))?;
        let status = response.status();
        let is_json = response
            .headers()
            .get(CONTENT_TYPE)
            .is_none_or(|kind| kind.as_bytes().starts_with(b"application/json"));
        let (body, broken) = http_client::read(response, MOST).await;
        if let Some(error) = broken {
            return Err(unanswered(http_client::causes(&error)));
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        // What it does not know, SigNoz answers with its page.
        if status == StatusCode::NOT_FOUND || (status.is_success() && !is_json) {
            return Err(self.missing(path));
        }
        let mut document: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(document["data"].take());
        }
        let said = self.without_secrets(&said(&document, &body));
        let path = path.join("/");
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Key { status, said },
            StatusCode::TOO_MANY_REQUESTS => Error::Failed { path, status, said },
            _ if status.is_server_error() => Error::Failed { path, status, said },
            _ => Error::Refused { path, status, said },
        })
    }

    fn missing(&self, path: &[&str]) -> Error {
        Error::Missing {
            base: shown(&self.base),
            path: path.join("/"),
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn without_secrets(&self, text: &str) -> String {
        let secrets = self.hidden.iter().map(Secret::expose);
        let secrets = secrets.filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

/// What an error answer says: its message and details, or how it begins.
fn said(document: &Value, body: &[u8]) -> String {
    let error = &document["error"];
    let details = error["errors"].as_array().into_iter().flatten();
    let messages = [&error["message"]]
        .into_iter()
        .chain(details.map(|one| &one["message"]));
    let messages: Vec<&str> = messages.filter_map(Value::as_str).collect();
    let text = match messages.is_empty() {
        true => String::from_utf8_lossy(body).trim().to_owned(),
        false => messages.join("; "),
    };
    let excerpt: String = text.chars().take(EXCERPT).collect();
    match excerpt.is_empty() {
        true => "no reason given".to_owned(),
        false => excerpt.replace('\n', " "),
    }
}
