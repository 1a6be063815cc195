//! What goes wrong, as a page; and what every answer of the pages carries.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::layout;
use super::visit::language;
use crate::queue::store::QueueError;

/// Why there is no page to show.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Somebody must sign in first, and wanted to go there.
    SignIn(String),
    /// There is no such thing.
    NotFound,
    /// The token may look, not act.
    NotAllowed,
    /// The form is not one of ours.
    Forged,
    /// The host is not known to be ours.
    UnknownHost,
    /// The request makes no sense.
    BadRequest(String),
    /// It was refused, with a reason.
    Refused(StatusCode, String),
    /// The store or the queue does not answer.
    Unavailable,
    /// A mistake of ours.
    Broken,
}

impl Fault {
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

impl From<sea_orm::DbErr> for Fault {
    fn from(error: sea_orm::DbErr) -> Self {
        tracing::warn!("the store failed a page: {error}");
        Self::Unavailable
    }
}

impl From<QueueError> for Fault {
    fn from(error: QueueError) -> Self {
        tracing::warn!("the queue failed a page: {error}");
        Self::Unavailable
    }
}

impl IntoResponse for Fault {
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

/// Makes pages of faults, and adds the headers that every answer carries.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let lang = language(request.headers());
    let mut response = next.run(request).await;
    if let Some(fault) = response.extensions_mut().remove::<Fault>() {
        response = match fault {
            Fault::SignIn(wanted) => {
                Redirect::to(&layout::sign_in_address(&wanted)).into_response()
            }
            fault => (fault.status(), page(lang, &fault)).into_response(),
        };
    }
    let headers = response.headers_mut();
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
    response
}

fn page(lang: crate::text::Lang, fault: &Fault) -> Markup {
    let text = lang.text();
    let (title, lead, detail) = match fault {
        Fault::NotFound => (text.not_found, text.not_found_lead, None),
        Fault::NotAllowed => (text.not_allowed, text.not_allowed_lead, None),
        Fault::Forged => (text.forged, text.forged_lead, None),
        Fault::UnknownHost => (text.not_allowed, text.unknown_host_lead, None),
        Fault::BadRequest(detail) => (text.bad_request, "", Some(detail)),
        Fault::Refused(_, detail) => (text.not_done, "", Some(detail)),
        Fault::Unavailable => (text.unavailable, text.unavailable_lead, None),
        Fault::SignIn(_) | Fault::Broken => (text.broken, text.broken_lead, None),
    };
    let body = html! {
        div.empty role="alert" {
            h1 { (title) }
            @if !lead.is_empty() { p { (lead) } }
            @if let Some(detail) = detail { p { (detail) } }
            p { a.button href="/incidents" { (text.back_to_incidents) } }
        }
    };
    layout::bare(lang, title, &body)
}
