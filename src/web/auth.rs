//! Authentication: tokens, by role, compared in constant time; and people whom a proxy names.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::anonymous::mark_known;
use super::attempts::{Attempts, Failed, TELL, Unlogged};
use super::bounded_text::BoundedText;
use super::client::client;
use super::origin;
use super::person::Person;
use super::refusals::Refusals;
use super::webhooks::{not_set_up, source_at};
use super::{Ingress, Problem, body};
use crate::config::Config;
use crate::domain::refusal::Code;
use crate::sources::{NotSigned, Signature, Source};
use crate::store::audit::Actor;
use crate::telemetry::metrics::{ByRole, Metrics};
use crate::telemetry::task_context;
use crate::time::Clock;

/// Who calls, as the check of the token found out. Handlers that change something take it for the
/// audit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller(pub(crate) Actor);

/// How the identity of an operator token begins.
const OPERATES: &str = "operate:";

impl Caller {
    /// Whether the request has an operator token. Where no tokens are set, nobody has one.
    pub(super) fn has_operator_token(&self) -> bool {
        self.0.token.starts_with(OPERATES)
    }

    /// The operator: whom the proxy names, else as the request says.
    pub(super) fn named(self, operator: Option<BoundedText>) -> Actor {
        let Self(mut actor) = self;
        if actor.operator.is_some() {
            return actor;
        }
        let said = operator.and_then(BoundedText::said);
        let said = said.filter(|name| !name.trim().is_empty());
        actor.operator = said;
        actor
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// What the checks go by.
pub(crate) struct Guard {
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    clock: Clock,
    attempts: Arc<Attempts>,
}

impl Guard {
    pub(super) fn new(ingress: &Ingress) -> Self {
        let context = &ingress.context;
        Self {
            config: Arc::clone(&context.config),
            metrics: context.metrics.clone(),
            clock: context.clock.clone(),
            attempts: Arc::clone(&ingress.attempts),
        }
    }

    fn missing(&self, role: &'static str) -> Problem {
        self.count(role);
        Problem::new(
            Code::MissingToken,
            "missing token: send Authorization: Bearer TOKEN",
        )
    }

    fn count(&self, role: &'static str) {
        self.metrics
            .auth_failures
            .get_or_create(&ByRole { role })
            .inc();
    }

    /// Why a token that is none of `webhook_token` sends nothing. One of the API's is no guess, but a mistake.
    fn no_sender(&self, given: &str, request: &Request) -> Problem {
        let others = [&self.config.api_token, &self.config.read_token];
        if others
            .into_iter()
            .any(|tokens| tokens.find(given).is_some())
        {
            self.count("webhook");
            return Problem::new(Code::WrongTokenKind, CANNOT_SEND);
        }
        self.wrong("webhook", request);
        wrong_token()
    }

    /// Notes a wrong token.
    fn wrong(&self, role: &'static str, request: &Request) -> Failed {
        self.count(role);
        let client = client(request, &self.config.trusted_proxies);
        let failed = self.attempts.failed(role, client, Instant::now());
        if let Some(more) = failed.tell {
            tracing::warn!(role, client.address = %client, more, "rejected a wrong token");
        }
        if failed.is_first_untold {
            tokio::spawn(tell_the_rest(Arc::clone(&self.attempts)));
        }
        failed
    }
}

/// A burst may end with failures that were not logged.
async fn tell_the_rest(attempts: Arc<Attempts>) {
    tokio::time::sleep(TELL).await;
    if let Some(Unlogged { more, role, client }) = attempts.rest(Instant::now()) {
        tracing::warn!(role, client.address = %client, more, "rejected more wrong tokens; address and role are those of the last");
    }
}

impl Guard {
    /// Notes a wrong secret of Telegram's.
    pub(super) fn refuse_press(&self, request: &Request) -> Problem {
        let detail = "wrong secret";
        match self.wrong("telegram", request).wait {
            None => Problem::new(Code::UnknownToken, detail),
            Some(wait) => Problem::too_many(detail, wait),
        }
    }

    /// Notes a wrong token that somebody wanted to sign in with; says how long they have to wait, if
    /// there were too many.
    pub(crate) fn refuse(&self, request: &Request) -> Option<Duration> {
        self.wrong("page", request).wait
    }
}

/// What a webhook's door knows.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) guard: Arc<Guard>,
    pub(super) refusals: Refusals,
    pub(super) sources: Arc<[Source]>,
}

/// Senders of webhooks. Every delivery that is refused is noted, whichever layer answers it.
pub(super) async fn webhook(
    State(Door {
        guard,
        refusals,
        sources,
    }): State<Door>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let at = source_at(&sources, &path);
    let from = client(&request, &guard.config.trusted_proxies);
    let response = match admit_sender(&guard, at, request).await {
        Ok(request) => {
            mark_known(request.extensions());
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    if let Some((source, name)) = at.filter(|_| response.status().as_u16() >= 400) {
        let called = source.called(&guard.config, name);
        refusals.note(source.name, &called, from, &response);
    }
    response
}

/// A sender of a source that is on: by its signature where it has to sign, else by its token.
async fn admit_sender(
    guard: &Guard,
    at: Option<(&Source, &str)>,
    request: Request,
) -> Result<Request, Problem> {
    let Some((source, name)) = at else {
        return admit_by_token(guard, &request).map(|()| request);
    };
    let admission = (source.admission)(&guard.config, name);
    if !admission.enabled {
        let setting = format!("{}.enabled", source.section(name));
        let detail = format!("this source is off: set {setting} = true");
        return Err(not_set_up(setting, detail));
    }
    match admission.signature {
        Some(signature) => admit_signed(guard, &signature, request).await,
        None => admit_by_token(guard, &request).map(|()| request),
    }
}

/// A sender that signs the body as it was sent: before it is decompressed or decoded. What is read for that is
/// bounded like every body.
async fn admit_signed(
    guard: &Guard,
    signature: &Signature<'_>,
    mut request: Request,
) -> Result<Request, Problem> {
    let sent = std::mem::take(request.body_mut());
    let sent = body::whole(sent, guard.config.limits.body).await?;
    let verified = signature.verify(request.headers(), &sent, guard.clock.now());
    *request.body_mut() = Body::from(sent);
    let detail = match verified {
        Ok(()) => return Ok(request),
        Err(NotSigned::Missing(header)) => {
            guard.count("webhook");
            format!("missing signature: the header {header} is not set or not text")
        }
        Err(NotSigned::Late) => {
            guard.count("webhook");
            "the signed time is too far from this computer's: check both clocks".to_owned()
        }
        Err(NotSigned::Wrong) => {
            guard.wrong("webhook", &request);
            "wrong signature: check that both sides have the same secret".to_owned()
        }
    };
    Err(Problem::new(Code::InvalidSignature, detail))
}

/// Bearer, or basic with the token as password. Senders are never rate-limited: what they send would be
/// lost.
fn admit_by_token(guard: &Guard, request: &Request) -> Result<(), Problem> {
    let tokens = &guard.config.webhook_token;
    if !tokens.is_empty() {
        let given = bearer(request.headers()).or_else(|| basic(request.headers()));
        let given = given.ok_or_else(|| guard.missing("webhook"))?;
        if tokens.find(&given).is_none() {
            return Err(guard.no_sender(&given, request));
        }
    } else {
        origin::check_sender(&guard.config, request)?;
    }
    Ok(())
}

/// Users of the API: bearer. Who may operate may do everything, who may read only that.
pub(super) async fn api(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    follow(&guard, request, only_reads, next).await
}

/// Clients of MCP: as users of the API who read. What they have done is checked again where the API does it.
pub(super) async fn mcp(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // What a tool asks of the API goes there with the token.
    request.extensions_mut().remove::<Person>();
    follow(&guard, request, true, next).await
}

async fn follow(
    guard: &Guard,
    mut request: Request,
    only_reads: bool,
    next: Next,
) -> Result<Response, Problem> {
    let person = request.extensions().get::<Person>();
    let caller = Caller(Actor {
        token: match person {
            Some(person) => admit_person(guard, person, &request, only_reads)?,
            None => admit(guard, &request, only_reads)?,
        },
        operator: person.map(|person| person.name.clone()),
        request_id: task_context::look(|task_context| {
            Some(task_context.request.as_ref()?.as_str().to_owned())
        })
        .flatten(),
    });
    mark_known(request.extensions());
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// What a person may do whom the proxy let in. Their browser has the proxy's cookie, also where another site's page
/// asks.
fn admit_person(
    guard: &Guard,
    person: &Person,
    request: &Request,
    only_reads: bool,
) -> Result<String, Problem> {
    origin::check_site(&guard.config, request)?;
    if !person.operates && !only_reads {
        guard.count("operate");
        let detail = "you may read only: this request needs an operator (identity.operators)";
        return Err(Problem::new(Code::ReadOnlyToken, detail));
    }
    Ok(person.role().to_owned())
}

/// Whose token it is: role and fingerprint.
fn admit(guard: &Guard, request: &Request, only_reads: bool) -> Result<String, Problem> {
    let (read, operate) = (&guard.config.read_token, &guard.config.api_token);
    if !guard.config.asks_who() {
        origin::check(&guard.config, request)?;
        return Ok("anyone".to_owned());
    }
    let needed = if only_reads { "read" } else { "operate" };
    let given = bearer(request.headers()).ok_or_else(|| guard.missing(needed))?;
    match (operate.find(&given), read.find(&given)) {
        (Some(token), _) => Ok(format!("{OPERATES}{token}")),
        (None, Some(token)) if only_reads => Ok(format!("read:{token}")),
        (None, Some(_)) => {
            guard.count(needed);
            let detail =
                "this token is read-only; this request needs an operator token (api_token)";
            Err(Problem::new(Code::ReadOnlyToken, detail))
        }
        (None, None) if guard.config.webhook_token.find(&given).is_some() => {
            guard.count(needed);
            Err(Problem::new(Code::WrongTokenKind, ONLY_SENDS))
        }
        (None, None) => Err(match guard.wrong(needed, request).wait {
            None => wrong_token(),
            Some(wait) => {
                let detail = "too many wrong tokens from your address: wait, then retry (a valid token is accepted at any time)";
                Problem::too_many(detail, wait)
            }
        }),
    }
}

/// Why a token of the API is refused at a webhook.
const CANNOT_SEND: &str = "this token cannot send webhooks: use one of webhook_token";
/// Why a token of webhooks is refused by the API.
const ONLY_SENDS: &str =
    "this token can only send webhooks: use one of api_token, or of read_token to read";

fn wrong_token() -> Problem {
    Problem::new(Code::UnknownToken, "unknown token")
}

fn credentials(headers: &HeaderMap, scheme: &str) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    given
        .eq_ignore_ascii_case(scheme)
        .then(|| rest.trim().to_owned())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    credentials(headers, "bearer")
}

fn basic(headers: &HeaderMap) -> Option<String> {
    let decoded = STANDARD.decode(credentials(headers, "basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':')
        .map(|(_, password)| password.to_owned())
}
