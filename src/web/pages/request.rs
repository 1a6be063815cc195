//! A page's request: its reader's role and language, and its form's token.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::form::Fields;
use super::session::{self, Role, Session};
use super::{PageError, Pages};
use crate::entity::windows::Model as Window;
use crate::probe::Paused;
use crate::store::audit::Actor;
use crate::store::windows;
use crate::telemetry::task_context;
use crate::text::{Lang, Text};
use crate::time::Timestamp;
use crate::web::anonymous::mark_known;
use crate::web::bounded_text::BoundedText;
use crate::web::origin;

/// The field of a form that makes it one request, however often it is sent.
pub(super) const ONCE: &str = "once";

/// The cookie that remembers a language that was chosen by hand.
pub(super) const LANGUAGE: &str = "tocsin_language";

/// How old the maintenance windows may be that pages show.
const WINDOWS: Duration = Duration::from_secs(1);

/// The field that makes a form one of its session's.
const CSRF: &str = "csrf";

/// One request for a page.
#[derive(Clone, Debug)]
pub(super) struct PageRequest {
    pub(super) lang: Lang,
    pub(super) session: Session,
    /// Whether it was asked who it is.
    pub(super) signed_in: bool,
    /// Now, by this process' clock.
    pub(super) now: Timestamp,
    /// The page's own address: path and query.
    pub(super) address: String,
    /// What was just done, where a form led here.
    pub(super) done: Option<&'static str>,
    /// Queues that are paused, as far as is known.
    pub(super) paused: Arc<[Paused]>,
    /// Maintenance windows that are not over, as far as is known.
    pub(super) windows: Arc<[Window]>,
}

impl PageRequest {
    pub(super) fn text(&self) -> &'static Text {
        self.lang.text()
    }

    /// The same, as if it were for the page at `address`.
    pub(super) fn at(&self, address: String) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    pub(super) fn may_act(&self) -> bool {
        self.session.role == Role::Operate
    }

    /// For the audit; `operator` goes before the name that was signed in with.
    pub(super) fn actor(&self, operator: Option<&str>) -> Actor {
        let operator = operator.filter(|_| !self.session.is_named_by_proxy);
        let operator = operator.map(str::trim).filter(|name| !name.is_empty());
        Actor {
            token: self.session.actor.clone(),
            operator: operator
                .map(ToOwned::to_owned)
                .or_else(|| self.session.name.clone()),
            request_id: task_context::look(|task_context| {
                Some(task_context.request.as_ref()?.as_str().to_owned())
            })
            .flatten(),
        }
    }
}

/// The language that was chosen by hand, else the browser's.
pub(super) fn language(headers: &HeaderMap) -> Lang {
    let chosen = session::cookie(headers, LANGUAGE).and_then(Lang::from_tag);
    let accepted = || {
        let header = headers.get(header::ACCEPT_LANGUAGE)?;
        Lang::accepted(header.to_str().ok()?)
    };
    chosen.or_else(accepted).unwrap_or_default()
}

/// Without sign-in, pages are served only at hosts that are known to be ours.
pub(super) async fn by_a_known_name(
    State(pages): State<Pages>,
    request: Request,
    next: Next,
) -> Result<Response, PageError> {
    let config = &pages.context.config;
    if !session::asked_for(config) {
        origin::check_host(config, &request).map_err(|_| PageError::UnknownHost)?;
    }
    Ok(next.run(request).await)
}

impl FromRequestParts<Pages> for PageRequest {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, PageError> {
        let config = &pages.context.config;
        let now = pages.context.clock.now();
        let address = parts
            .uri
            .path_and_query()
            .map_or("/", |address| address.as_str());
        let session = session::current(&pages.context, &parts.headers, &parts.extensions)
            .await
            .ok_or_else(|| PageError::SignIn(wanted(&parts.method, address)))?;
        mark_known(&parts.extensions);
        let lang = language(&parts.headers);
        let done = parts.uri.query().and_then(|query| done(lang.text(), query));
        let paused = pages.context.probe.paused(&pages.context.stores()).await;
        let windows = async {
            let found = windows::ahead(pages.context.db.view(), now).await?;
            Ok::<Arc<[Window]>, sea_orm::DbErr>(found.into())
        };
        let windows = pages.shared.windows.get(WINDOWS, windows).await;
        Ok(Self {
            lang,
            session,
            signed_in: session::asked_for(config),
            now,
            address: address.to_owned(),
            done,
            paused: paused.unwrap_or_default(),
            windows: windows.unwrap_or_default(),
        })
    }
}

/// Where to come back to: to the page, where a form of it was sent.
fn wanted(method: &Method, address: &str) -> String {
    let path = address.split('?').next().unwrap_or_default();
    let page = path.rsplit_once('/').map_or("", |(page, _)| page);
    // A form of the list itself is sent to the list.
    if method == Method::POST && !page.is_empty() {
        page.to_owned()
    } else {
        address.to_owned()
    }
}

/// What `?done=…` says was done.
fn done(text: &'static Text, query: &str) -> Option<&'static str> {
    let what = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("done="))?;
    Some(match what {
        "acknowledge" => text.done_acknowledge,
        "take-over" => text.done_take_over,
        "take-over-kept" => text.done_take_over_kept,
        "resolve" => text.done_resolve,
        "note" => text.done_note,
        "analyze" => text.done_analyze,
        "repair" => text.done_repair,
        "finish" => text.done_finish,
        "execute" => text.done_execute,
        "fix" => text.done_fix,
        "fix-again" => text.done_fix_again,
        "fix-kept" => text.done_fix_kept,
        "unfix" => text.done_unfix,
        "mute" => text.done_mute,
        "unmute" => text.done_unmute,
        "maintenance" => text.done_maintenance,
        "maintenance-end" => text.done_maintenance_end,
        "pause" => text.done_pause,
        "resume" => text.done_resume,
        "replay" => text.done_replay,
        "discard" => text.done_discard,
        "edit" => text.done_edit,
        "playbook" => text.done_playbook_set,
        "playbook-same" => text.done_playbook_same,
        "playbook-withdraw" => text.done_playbook_withdraw,
        "playbook-restore" => text.done_playbook_restore,
        "proposal-accept" => text.done_proposal_accept,
        "proposal-reject" => text.done_proposal_reject,
        _ => return None,
    })
}

/// A form of ours, sent by somebody who may act.
#[derive(Debug)]
pub(super) struct FormPost {
    pub(super) visit: PageRequest,
    fields: Fields,
}

impl FormPost {
    /// A field; `None` if it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.fields.get(name);
        (!value.trim().is_empty()).then_some(value)
    }

    /// All values of a field that is there more than once.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.fields.all(name)
    }

    /// A field that is kept, which is bounded; `None` if it is empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, PageError> {
        let text = self
            .get(name)
            // A browser sends two characters for the end of a line, and counts one.
            .map(|text| BoundedText::read(text.replace("\r\n", "\n")));
        let text = text.transpose().map_err(PageError::BadRequest)?;
        Ok(text.map(String::from))
    }

    pub(super) fn actor(&self) -> Result<Actor, PageError> {
        Ok(self.visit.actor(self.text("operator")?.as_deref()))
    }

    /// What makes the form one request, however often it is sent: its key and what it says. To go back to it
    /// and send something else is another request.
    pub(super) fn key(&self) -> Option<String> {
        let once = self.get(ONCE)?;
        let mut said = self.fields.sorted();
        said.remove(CSRF);
        let request = serde_json::json!([once, said]).to_string();
        Some(URL_SAFE_NO_PAD.encode(Sha256::digest(request)))
    }
}

impl FromRequest<Pages> for FormPost {
    type Rejection = PageError;

    async fn from_request(request: Request, pages: &Pages) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let visit = PageRequest::from_request_parts(&mut parts, pages).await?;
        if !session::same_origin(&parts.headers) {
            return Err(PageError::Forged);
        }
        let request = Request::from_parts(parts, body);
        let fields = Fields::from_request(request, pages).await?;
        if !bool::from(subtle::ConstantTimeEq::ct_eq(
            fields.get(CSRF).as_bytes(),
            visit.session.csrf.as_bytes(),
        )) {
            return Err(PageError::Forged);
        }
        if !visit.may_act() {
            return Err(PageError::NotAllowed);
        }
        Ok(Self { visit, fields })
    }
}
