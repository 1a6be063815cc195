//! Error pages, and the headers of every answer of the pages.

use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::layout::{self, Section};
use super::parts;
use super::request::language;
use crate::domain::refusal::{Code, Refusal};
use crate::operations::OperationError;
use crate::queue::store::QueueError;
use crate::text::Text;
use crate::web::problem::{Problem, RefusalReason};

/// Why there is no page to show.
#[derive(Clone, Debug)]
pub(super) enum PageError {
    /// Sign-in is required; with the page to go to afterwards.
    SignIn(String),
    /// There is no such thing.
    NotFound,
    /// The token is read-only.
    NotAllowed,
    /// The form is not one of ours.
    Forged,
    /// The host is not known to be ours.
    UnknownHost,
    /// The request makes no sense.
    BadRequest(Refusal),
    /// It was refused, with a reason.
    Refused(StatusCode, Refusal),
    /// The store or the queue does not answer.
    Unavailable,
    /// A mistake of ours.
    Broken,
}

impl PageError {
    /// What a problem of the API's comes to.
    pub(super) fn of(status: StatusCode, refusal: Refusal) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Broken,
            StatusCode::BAD_REQUEST => Self::BadRequest(refusal),
            status => Self::Refused(status, refusal),
        }
    }

    /// A value that `name` cannot have in an address. Nothing is shown then rather than another list than was
    /// asked for.
    pub(super) fn no_such(name: &str, value: &str) -> Self {
        let detail = format!("invalid value for {name} in the address: {value}");
        let refusal = Refusal::new(Code::InvalidParameter, detail);
        Self::BadRequest(refusal.parameter(name).value(value))
    }

    /// What an answer of the API's that is an error comes to. The API leaves the refusal beside its answer.
    pub(super) fn of_answer(status: StatusCode, beside: &mut Extensions) -> Self {
        let said = beside.remove::<RefusalReason>().map(|said| said.refusal);
        let unsaid = || Refusal::new(Code::of_status(status.as_u16()), status.to_string());
        Self::of(status, said.unwrap_or_else(unsaid))
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::SignIn(_) => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAllowed | Self::Forged | Self::UnknownHost => StatusCode::FORBIDDEN,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Refused(status, _) => *status,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<sea_orm::DbErr> for PageError {
    fn from(error: sea_orm::DbErr) -> Self {
        Problem::from(&error).into()
    }
}

impl From<std::sync::Arc<sea_orm::DbErr>> for PageError {
    fn from(error: std::sync::Arc<sea_orm::DbErr>) -> Self {
        Problem::from(&*error).into()
    }
}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> Self {
        let (status, refusal) = problem.said();
        Self::of(status, refusal)
    }
}

impl From<OperationError> for PageError {
    fn from(error: OperationError) -> Self {
        Problem::from(error).into()
    }
}

impl From<QueueError> for PageError {
    fn from(error: QueueError) -> Self {
        tracing::warn!("a page failed at the queue: {error}");
        Self::Unavailable
    }
}

impl IntoResponse for PageError {
    /// The page itself is made by [`finish`], which knows the language.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Nothing but our own style, script and data; no frames; no forms to elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Programs ask it, and read which part is missing.
const READINESS: &str = "/readyz";

/// Shows people as a page what programs get as a problem document: that there is nothing at an address,
/// that a question cannot be read, that a page failed. The API's own addresses answer as they do.
pub(crate) async fn for_people(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let is_api = path.starts_with("/api/") || path == READINESS;
    let mut accepted = request.headers().get_all(header::ACCEPT).iter();
    let reads_pages = accepted.any(|kinds| kinds.to_str().is_ok_and(|k| k.contains("text/html")));
    let lang = language(request.headers());
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_problem = kind.is_some_and(|kind| kind == "application/problem+json");
    if is_api || !reads_pages || !is_problem {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let fault = PageError::of_answer(parts.status, &mut parts.extensions);
    let mut response = (parts.status, page(lang, &fault, None, &path)).into_response();
    let kept = [header::ALLOW, header::RETRY_AFTER];
    for (name, value) in kept
        .iter()
        .filter_map(|name| Some((name, parts.headers.get(name)?)))
    {
        response.headers_mut().insert(name, value.clone());
    }
    dress(response.headers_mut());
    response
}

/// Makes pages of faults, and adds the headers that every answer carries.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let lang = language(request.headers());
    let path = request.uri().path().to_owned();
    let form = form_page(request.method(), &path);
    let mut response = next.run(request).await;
    if let Some(fault) = response.extensions_mut().remove::<PageError>() {
        response = match fault {
            PageError::SignIn(wanted) => {
                Redirect::to(&layout::sign_in_address(&wanted)).into_response()
            }
            fault => (fault.status(), page(lang, &fault, form.as_deref(), &path)).into_response(),
        };
    }
    dress(response.headers_mut());
    response
}

/// The headers of every page.
fn dress(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (header::VARY, "Cookie, Accept-Language"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// The page of what a form that was sent to `path` is about: `/incidents/…/repair` is about `/incidents/…`.
fn form_page(method: &Method, path: &str) -> Option<String> {
    let (page, _) = path.rsplit_once('/').filter(|_| *method == Method::POST)?;
    let sections = [
        "/incidents/",
        "/anomalies/",
        "/dead-letters/",
        "/queues/",
        "/maintenance/",
    ];
    let is_of_ours = sections.iter().any(|section| path.starts_with(section));
    let page = match page {
        _ if page.starts_with("/queues/") => "/queues",
        _ if page.starts_with("/maintenance/") => "/maintenance",
        _ => page,
    };
    is_of_ours.then(|| page.to_owned())
}

/// What is not there, by the address that was asked for, and the list to look for it.
fn missing(text: &'static Text, path: &str) -> Option<(&'static str, Section)> {
    [
        (text.no_incident, super::incidents::SECTION),
        (text.no_anomaly, super::anomalies::SECTION),
        (text.no_letter, super::dead_letters::SECTION),
    ]
    .into_iter()
    .find(|(_, list)| {
        path.strip_prefix(list.path)
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

/// The page of a fault; with the way back to the page that has the form, if one was sent.
fn page(lang: crate::text::Lang, fault: &PageError, form: Option<&str>, path: &str) -> Markup {
    let text = lang.text();
    let missing = missing(text, path).filter(|_| matches!(fault, PageError::NotFound));
    let form = form.filter(|_| !matches!(fault, PageError::NotFound));
    let incidents = super::incidents::SECTION.path;
    let (title, lead, refused) = match fault {
        PageError::NotFound => (
            text.not_found,
            missing.map_or(text.not_found_lead, |(parts, _)| parts),
            None,
        ),
        PageError::NotAllowed => (text.not_allowed, text.not_allowed_lead, None),
        PageError::Forged => (text.forged, text.forged_lead, None),
        PageError::UnknownHost => (text.not_allowed, text.unknown_host_lead, None),
        PageError::BadRequest(refused) => (text.bad_request, "", Some(refused)),
        PageError::Refused(_, refused) => (text.not_done, "", Some(refused)),
        PageError::Unavailable => (text.unavailable, text.unavailable_lead, None),
        PageError::SignIn(_) | PageError::Broken => (text.broken, text.broken_lead, None),
    };
    let body = html! {
        div.empty role="alert" {
            h1 { (title) }
            @if !lead.is_empty() { p { (lead) } }
            @if let Some(refused) = refused { (parts::refusal_paragraph(text, refused)) }
            p {
                @if let Some(form) = form { a.button.primary href=(form) { (text.back_to_form) } " " }
                @if let Some((_, list)) = missing.filter(|(_, list)| list.path != incidents) {
                    a.button href=(list.path) { ((list.name)(text)) } " "
                }
                a.button href=(incidents) { (text.back_to_incidents) }
            }
        }
    };
    layout::fault(lang, title, &body)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::{from_fn, map_response};
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;
    use crate::web::problem;

    #[test]
    fn a_form_leads_back_to_the_page_that_has_it() {
        for (path, page) in [
            ("/incidents/1/repair", Some("/incidents/1")),
            ("/anomalies/k/mute", Some("/anomalies/k")),
            ("/dead-letters/1/edit", Some("/dead-letters/1")),
            ("/queues/notify/pause", Some("/queues")),
            ("/maintenance/1/end", Some("/maintenance")),
            ("/sign-in", None),
            ("/nowhere/1/x", None),
        ] {
            assert_eq!(form_page(&Method::POST, path).as_deref(), page, "{path}");
            assert_eq!(form_page(&Method::GET, path), None);
        }
    }

    #[tokio::test]
    async fn a_failed_page_shows_an_error_page() {
        #[allow(clippy::panic)]
        async fn broken() -> Markup {
            panic!("on purpose")
        }
        let router = Router::new()
            .route("/broken", get(broken))
            .layer(CatchPanicLayer::custom(problem::panicked))
            .layer(map_response(problem::problem_response))
            .layer(from_fn(for_people));
        for (accept, expected) in [
            ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
            ("*/*", "application/problem+json"),
        ] {
            let request = axum::http::Request::get("/broken")
                .header(header::ACCEPT, accept)
                .header(header::ACCEPT_LANGUAGE, "zh-TW")
                .body(Body::empty())
                .unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 500);
            assert_eq!(answer.headers()[header::CONTENT_TYPE], expected);
            let body = to_bytes(answer.into_body(), 64 << 10).await.unwrap();
            let is_page = String::from_utf8_lossy(&body).contains("<html lang=\"zh-TW\">");
            assert_eq!(is_page, accept.starts_with("text/html"));
        }
    }
}
