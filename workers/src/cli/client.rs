//! The HTTP client: one instance, its token, its lists and its errors.

mod remote;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value;
use tocsin::config::Secret;
use tocsin::web::mcp::{ApiAnswer, ApiRequest};

use super::error::{Error, shown};
use super::token;
pub(super) use remote::is_loopback;
use remote::{API_TOKEN, TokenHints, WEBHOOK_TOKEN};
pub use remote::{Remote, on_this_computer};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long saying whether it is ready may take: an instance gives its own parts two seconds.
const READY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a download may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(3600);
/// What a download is.
const LINES: &str = "application/x-ndjson";
/// Items that the API gives on one page at most.
const PAGE: usize = 200;

/// Talks to one instance. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
}

impl Client {
    pub(super) fn new(remote: &Remote) -> anyhow::Result<Self> {
        let token = token::of("TOCSIN_API_TOKEN", remote.api_token.as_ref())?;
        let url = remote.url.as_deref();
        Self::at(url.context("no instance given: pass --url")?, token)
    }

    /// A client of the instance at `url`.
    pub(super) fn at(url: &str, token: Option<Secret>) -> anyhow::Result<Self> {
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        ensure!(is_http, "--url {url:?} must begin with http:// or https://");
        let base = Url::parse(url).with_context(|| format!("--url {url:?} is not a URL"))?;
        let mut http = tocsin::tls::client()
            .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none());
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
            token: token.filter(|token| !token.expose().is_empty()),
        })
    }

    /// The instance, as it is shown.
    pub(super) fn instance(&self) -> String {
        shown(&self.base)
    }

    /// Whether the instance is on this computer.
    pub(super) fn is_local(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Asks whether it can do its work.
    pub(super) async fn ready(&self) -> Result<Value, Error> {
        let request = self.http.get(self.below(&["readyz"]));
        let answer = self.call(request.timeout(READY_TIMEOUT)).await?;
        self.recognised(&["readyz"], answer)
    }

    /// Gets one thing below `/api/v1`.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, Error> {
        let request = self.http.get(self.url(path)).query(query);
        let answer = self.call(request).await?;
        self.recognised(path, answer)
    }

    /// Gets a list below `/api/v1`, page after page, until it ends or `limit` items are there.
    pub(super) async fn list(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        let mut cursor = None;
        while items.len() < limit {
            let mut query = query.to_vec();
            query.push(("limit", PAGE.min(limit - items.len()).to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            let found = items_of(&mut page);
            let next = match &page["next_cursor"] {
                Value::String(cursor) => Some(cursor.clone()),
                Value::Null => None,
                other => Some(other.to_string()),
            };
            let is_last = found.is_empty() || next.is_none();
            items.extend(found);
            if is_last {
                break;
            }
            cursor = next;
        }
        items.truncate(limit);
        Ok(items)
    }

    /// Gets a list below `/api/v1` that has one page.
    pub(super) async fn whole(&self, path: &[&str]) -> Result<Vec<Value>, Error> {
        Ok(items_of(&mut self.get(path, &[]).await?))
    }

    /// Posts below `/api/v1`. Requests with one idempotency key are one request.
    pub(super) async fn post(
        &self,
        path: &[&str],
        body: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> Result<Value, Error> {
        let mut request = self.http.post(self.url(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = self.call(request).await?;
        self.recognised(path, answer)
    }

    /// Sets one thing below `/api/v1`.
    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<Value, Error> {
        let answer = self.call(self.http.put(self.url(path)).json(body));
        self.recognised(path, answer.await?)
    }

    /// Changes one thing below `/api/v1`.
    pub(super) async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, Error> {
        let answer = self.call(self.http.patch(self.url(path)).json(body));
        self.recognised(path, answer.await?)
    }

    /// Deletes one thing below `/api/v1`, and says something with that.
    pub(super) async fn delete(&self, path: &[&str], body: &Value) -> Result<Value, Error> {
        let answer = self.call(self.http.delete(self.url(path)).json(body));
        self.recognised(path, answer.await?)
    }

    /// Gets something below `/api/v1` that may be long: its body is not read yet.
    pub(super) async fn download(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Response, Error> {
        let request = self.http.get(self.url(path)).query(query);
        let request = request.timeout(DOWNLOAD_TIMEOUT);
        let response = self.request(request, self.token.as_ref()).await?;
        if !response.status().is_success() {
            self.read(response, API_TOKEN.after(self.token.as_ref()))
                .await?;
        } else if response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == LINES)
        {
            return Ok(response);
        }
        Err(Error::Foreign {
            base: self.instance(),
        })
    }

    /// Posts a webhook's body as Alertmanager does.
    pub(super) async fn post_webhook(
        &self,
        body: Vec<u8>,
        token: Option<&Secret>,
    ) -> Result<Value, Error> {
        let request = self
            .http
            .post(self.url(&["alertmanager"]))
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = self.send(request, token, &WEBHOOK_TOKEN).await?;
        self.recognised(&["alertmanager"], answer)
    }

    /// Posts a webhook's body with these headers, to a path below the instance's address.
    pub(super) async fn post_delivery(
        &self,
        path: &str,
        headers: &[(String, String)],
        body: String,
        token: Option<&Secret>,
    ) -> Result<(), Error> {
        let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut request = self.http.post(self.below(&path)).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = self.request(request, token).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            return Ok(());
        }
        let failed = |error: reqwest::Error| Error::of_request(&error, &self.base);
        let body = response.text().await.map_err(failed)?;
        let hint = WEBHOOK_TOKEN.after(token);
        Err(Error::of_answer(status, &headers, &body, hint))
    }

    /// Executes a request below `/api/v1` as it is. Its answer may be a refusal, but not that of a token: that is an
    /// error with a remedy.
    pub(super) async fn execute(&self, request: &ApiRequest) -> Result<ApiAnswer, Error> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let http = self.http.request(request.method.clone(), self.url(&path));
        let mut http = http.query(&request.query);
        if let Some(body) = &request.body {
            http = http.json(body);
        }
        if let Some(key) = &request.key {
            http = http.header("Idempotency-Key", key);
        }
        let response = self.request(http, self.token.as_ref()).await?;
        let status = response.status();
        if status.is_success() || status == StatusCode::UNAUTHORIZED {
            let hint = API_TOKEN.after(self.token.as_ref());
            let body = self.read(response, hint).await?;
            return Ok(ApiAnswer {
                status: status.as_u16(),
                body: self.recognised(&path, body)?,
            });
        }
        let failed = |error: reqwest::Error| Error::of_request(&error, &self.base);
        let text = response.text().await.map_err(failed)?;
        Ok(ApiAnswer {
            status: status.as_u16(),
            body: serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text)),
        })
    }

    /// An answer to a request at `path`, if it has what the API gives there: nothing else may pass for an
    /// instance that is empty and well.
    fn recognised(&self, path: &[&str], answer: Value) -> Result<Value, Error> {
        let fields = fields_at(path);
        let is_ours = fields.iter().any(|field| answer.get(field).is_some());
        if is_ours && (fields != ITEMS || answer["items"].is_array()) {
            return Ok(answer);
        }
        Err(Error::Foreign {
            base: self.instance(),
        })
    }

    async fn call(&self, request: RequestBuilder) -> Result<Value, Error> {
        self.send(request, self.token.as_ref(), &API_TOKEN).await
    }

    async fn send(
        &self,
        request: RequestBuilder,
        token: Option<&Secret>,
        hints: &TokenHints,
    ) -> Result<Value, Error> {
        let response = self.request(request, token).await?;
        self.read(response, hints.after(token)).await
    }

    async fn request(
        &self,
        mut request: RequestBuilder,
        token: Option<&Secret>,
    ) -> Result<Response, Error> {
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        let failed = |error: reqwest::Error| Error::of_request(&error, &self.base);
        request.send().await.map_err(failed)
    }

    async fn read(&self, response: Response, token_hint: &str) -> Result<Value, Error> {
        let failed = |error: reqwest::Error| Error::of_request(&error, &self.base);
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(Error::of_answer(status, &headers, &body, token_hint));
        }
        if body.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&body).map_err(|_| Error::Unreadable {
            base: self.instance(),
        })
    }

    fn url(&self, path: &[&str]) -> Url {
        self.below(&[&["api", "v1"], path].concat())
    }

    fn below(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// What every list has.
const ITEMS: &[&str] = &["items"];

/// Fields of which an answer of the API at `path` has one at least.
fn fields_at(path: &[&str]) -> &'static [&'static str] {
    match path {
        ["readyz"] => &["status"],
        ["alertmanager"] => &["enqueued"],
        ["recount"] => &["job"],
        ["canaries"] => &["firing"],
        // Planned, or listed.
        ["maintenance"] => &["reason", "items"],
        ["incidents" | "anomalies", _, "repairs"] => &["repair", "job"],
        // Reported there, or listed.
        ["repairs"] => &["repair", "items"],
        ["repairs", "effectiveness"] | ["anomalies", _, "effectiveness"] => &["actions"],
        ["recount", "verify"] => &["anomalies"],
        ["report"] => &["returning"],
        ["notify", "test"] => &["sent"],
        ["trace", _] => &["found_by"],
        [
            "incidents" | "dead-letters",
            "resolve" | "bulk" | "replay" | "discard",
        ] => &["changed", "matching"],
        ["incidents", _, "occurrences" | "last-time"] | [_] => ITEMS,
        ["anomalies", ..] => &["key"],
        ["actions", ..] => &["action"],
        ["playbooks", ..] => &["versions"],
        ["queues", ..] => &["name"],
        _ => &["id"],
    }
}

fn items_of(page: &mut Value) -> Vec<Value> {
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

#[cfg(test)]
impl Client {
    /// A client of the instance at `url`, with a token.
    pub(super) fn of(url: &str) -> Self {
        Self::at(url, Some(Secret::from("planted"))).unwrap()
    }
}

#[cfg(test)]
mod tests;
