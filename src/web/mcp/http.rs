//! MCP by HTTP, at `/mcp`: stateless, so that any process behind a load balancer answers, and each request with its
//! own token. What a tool asks of the API goes through the API's own routes within the process.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use reqwest::Url;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Api, ApiAnswer, ApiRequest, Server};
use crate::telemetry::task_context;
use crate::web::auth::{self, Caller, Guard};
use crate::web::{API, Problem, body};

/// Where it is.
const PATH: &str = "/mcp";
/// Bytes of a request, as of one to the API.
const BYTES: usize = 64 << 10;
/// Bytes of an answer of the API that are read. It ends its pages at 4 MiB of labels and annotations.
const ANSWER_BYTES: usize = 64 << 20;
/// Headers that a request to the API has of the caller's.
const PASSED_ON: [HeaderName; 5] = [
    AUTHORIZATION,
    HOST,
    REQUEST_ID,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-forwarded-for"),
];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The route. `api` has the API's, with the check of the token.
pub(in crate::web) fn router(api: Router, guard: &Arc<Guard>) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(BYTES)
        // Checked as for the API.
        .disable_allowed_hosts();
    let within = Within(api);
    let service = StreamableHttpService::new(
        move || Ok(Server(within.clone())),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new()
        .route_service(PATH, service)
        .route_layer(from_fn(as_the_api))
        .route_layer(from_fn_with_state(Arc::clone(guard), auth::mcp))
}

/// Takes bodies and refuses requests as the API does.
async fn as_the_api(request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, sent) = request.into_parts();
    let sent = body::read(sent, BYTES).await?;
    // The answers and the audit entries that follow have one ID.
    let id = task_context::look(|task_context| task_context.request.clone()).flatten();
    if let Some(id) = id {
        parts.headers.insert(REQUEST_ID, id.header().clone());
    }
    let response = next.run(Request::from_parts(parts, Body::from(sent))).await;
    let (status, kind) = (response.status(), response.headers().get(CONTENT_TYPE));
    if kind.is_some() || !(status.is_client_error() || status.is_server_error()) {
        return Ok(response);
    }
    let (parts, text) = response.into_parts();
    let text = to_bytes(text, BYTES).await.unwrap_or_default();
    let problem = Problem::of_status(status, String::from_utf8_lossy(&text));
    let mut response = problem.into_response();
    for (name, value) in &parts.headers {
        response.headers_mut().entry(name).or_insert(value.clone());
    }
    Ok(response)
}

/// Has the API's routes in this process execute requests.
#[derive(Clone)]
struct Within(Router);

impl Api for Within {
    async fn execute(
        &self,
        request: ApiRequest,
        caller: Option<&Parts>,
    ) -> Result<ApiAnswer, String> {
        let request = made(&request, caller)
            .ok_or("an argument is too long, or not visible ASCII where that is needed")?;
        let response = self.0.clone().oneshot(request).await;
        let Ok(response) = response;
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), ANSWER_BYTES).await;
        let bytes = bytes.map_err(|_| "the answer is too large: ask for less")?;
        let body = serde_json::from_slice(&bytes);
        let body = body.unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)));
        Ok(ApiAnswer { status, body })
    }

    fn may_operate(&self, caller: Option<&Parts>) -> bool {
        caller
            .and_then(|parts| parts.extensions.get::<Caller>())
            .is_some_and(Caller::has_operator_token)
    }

    fn cannot_operate(&self) -> &'static str {
        "this tool needs an operator token (api_token)"
    }
}

/// A request to the API's routes, of who sent `caller`.
fn made(request: &ApiRequest, caller: Option<&Parts>) -> Option<Request> {
    let mut url = Url::parse("http://localhost").ok()?;
    let prefix = API.split('/').filter(|part| !part.is_empty());
    let path = prefix.chain(request.path.iter().map(String::as_str));
    url.path_segments_mut().ok()?.extend(path);
    let mut address = url.path().to_owned();
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
        address = format!("{address}?{}", url.query().unwrap_or_default());
    }
    let content = request.body.as_ref().map(Value::to_string);
    let mut made = Request::builder()
        .method(request.method.clone())
        .uri(address)
        .body(content.map_or_else(Body::empty, Body::from))
        .ok()?;
    let headers = made.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &request.key {
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).ok()?);
    }
    if let Some(caller) = caller {
        for name in PASSED_ON {
            let values = caller.headers.get_all(&name).iter().cloned();
            values.for_each(|value| {
                made.headers_mut().append(name.clone(), value);
            });
        }
        if let Some(peer) = caller.extensions.get::<ConnectInfo<SocketAddr>>() {
            made.extensions_mut().insert(*peer);
        }
    }
    Some(made)
}
