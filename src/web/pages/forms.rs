//! What the forms do: each is handed to the API's own route, and leads back to its page.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Method, Request, header};
use axum::response::Redirect;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

use super::request::FormPost;
use super::{PageError, Pages, layout, parts};
use crate::domain::refusal::{Code, Refusal};
use crate::web::{BeingDone, Caller};

/// Bytes of the API's answer that are read.
const ANSWER: usize = 1 << 20;
/// How long a form that was sent twice is waited for, and how often is looked.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// What a repair is refused with that does not say whether it helped.
const NO_OUTCOME: &str = "success must say whether the repair helped";

/// The idempotency key of what a form asks for: going back to the form and sending something else is
/// another request.
fn key_of(form: &str, body: &str) -> String {
    let digest = Sha256::digest([form, "\0", body].concat());
    URL_SAFE_NO_PAD.encode(digest)
}

/// The same form is being done already; and what is said of that where it takes too long.
struct Doing(PageError);

impl From<Doing> for PageError {
    fn from(Doing(fault): Doing) -> Self {
        fault
    }
}

impl Pages {
    /// Does what the API does, on behalf of whoever sent the form. A form that has a key does it once,
    /// however often it is sent.
    pub(super) async fn ask(
        &self,
        posted: &FormPost,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, PageError> {
        let body = body.map_or_else(String::new, |body| body.to_string());
        let Some(key) = posted.get(layout::ONCE).map(|key| key_of(key, &body)) else {
            return self.ask_once(posted, method, path, None, body).await?;
        };
        let mut patience = PATIENCE;
        loop {
            let (method, body) = (method.clone(), body.clone());
            match self.ask_once(posted, method, path, Some(&key), body).await {
                // The first click is being done: its answer is this one's, too.
                Err(Doing(_)) if !patience.is_zero() => {
                    tokio::time::sleep(PAUSE).await;
                    patience = patience.saturating_sub(PAUSE);
                }
                answer => return answer?,
            }
        }
    }

    async fn ask_once(
        &self,
        posted: &FormPost,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> Result<Result<Value, PageError>, Doing> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .extension(Caller(posted.actor()));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let Ok(request) = request.body(Body::from(body)) else {
            return Ok(Err(PageError::NotFound));
        };
        let response = match self.api.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (status, mut response) = (response.status(), response);
        let is_being_done = response.extensions().get::<BeingDone>().is_some();
        if !status.is_success() {
            let fault = PageError::of_answer(status, response.extensions_mut());
            return match is_being_done {
                true => Err(Doing(fault)),
                false => Ok(Err(fault)),
            };
        }
        let Ok(answer) = axum::body::to_bytes(response.into_body(), ANSWER).await else {
            return Ok(Err(PageError::Broken));
        };
        Ok(Ok(serde_json::from_slice(&answer).unwrap_or(Value::Null)))
    }
}

type Done = Result<Redirect, PageError>;

/// Acknowledge, resolve, record a repair.
pub(super) async fn incident(
    State(pages): State<Pages>,
    Path((id, operation)): Path<(String, String)>,
    posted: FormPost,
) -> Done {
    let operator = posted.actor().operator;
    let (path, body) = match operation.as_str() {
        "acknowledge" | "resolve" => (operation.as_str(), json!({"operator": operator})),
        "repair" => (
            "repairs",
            json!({
                "action": posted.get("action").unwrap_or_default().trim(),
                "success": helped(&posted)?,
                "operator": operator,
                "note": posted.get("note"),
            }),
        ),
        _ => return Err(PageError::NotFound),
    };
    let page = format!("/incidents/{}", parts::encoded(&id));
    let path = format!("{page}/{path}");
    pages.ask(&posted, Method::POST, &path, Some(body)).await?;
    Ok(Redirect::to(&format!("{page}?done={operation}")))
}

/// Whether the repair helped: never taken for granted, either way.
fn helped(posted: &FormPost) -> Result<bool, PageError> {
    match posted.get("success") {
        Some("yes") => Ok(true),
        Some("no") => Ok(false),
        _ => Err(PageError::BadRequest(Refusal::new(
            Code::OutcomeMissing,
            NO_OUTCOME,
        ))),
    }
}

/// Mark a permanent fix, take it back; mute, end that.
pub(super) async fn anomaly(
    State(pages): State<Pages>,
    Path((key, operation)): Path<(String, String)>,
    posted: FormPost,
) -> Done {
    let page = format!("/anomalies/{}", parts::encoded(&key));
    let (method, part, body) = match operation.as_str() {
        "fix" => (
            Method::POST,
            "permanent-fix",
            Some(json!({"reference": posted.get("reference")})),
        ),
        "unfix" => (Method::DELETE, "permanent-fix", None),
        "mute" => (
            Method::POST,
            "mute",
            Some(json!({
                "for": posted.get("own").or_else(|| posted.get("for")).map(str::trim),
                "why": posted.get("why"),
                "operator": posted.actor().operator,
            })),
        ),
        "unmute" => (
            Method::DELETE,
            "mute",
            Some(json!({"operator": posted.actor().operator})),
        ),
        _ => return Err(PageError::NotFound),
    };
    let path = format!("{page}/{part}");
    let answer = pages.ask(&posted, method, &path, body).await?;
    let done = match operation.as_str() {
        "fix" if answer["changed"] == false => "fix-kept",
        "fix" if answer["earlier_fix_at"].is_string() => "fix-again",
        _ => &operation,
    };
    // The form may stand on an incident's page.
    let back = posted
        .get("incident")
        .and_then(|id| id.parse::<uuid::Uuid>().ok())
        .map_or(page, |id| format!("/incidents/{id}"));
    Ok(Redirect::to(&format!("{back}?done={done}")))
}

/// Pause and resume.
pub(super) async fn queue(
    State(pages): State<Pages>,
    Path((name, operation)): Path<(String, String)>,
    posted: FormPost,
) -> Done {
    if !matches!(operation.as_str(), "pause" | "resume") {
        return Err(PageError::NotFound);
    }
    let path = format!("/queues/{}/{operation}", parts::encoded(&name));
    pages.ask(&posted, Method::POST, &path, None).await?;
    Ok(Redirect::to(&format!("/queues?done={operation}")))
}
