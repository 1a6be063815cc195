//! Handlers of forms: each runs an operation and redirects to its page.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Redirect;
use uuid::Uuid;

use super::request::FormPost;
use super::{PageError, Pages, parts};
use crate::config::Span;
use crate::domain::refusal::{Code, Refusal};
use crate::operations::incident::{Holder, NewNote};
use crate::operations::once::{Once, RequestKey, once};
use crate::operations::repair::{Finish, Report, Target};
use crate::operations::{self, mute};
use crate::store::requests::Answer;
use crate::time::Timestamp;

/// How long a form that was sent twice waits for what the first one comes to.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a repair is refused with that does not say whether it helped.
const NO_OUTCOME: &str = "success must say whether the repair helped";

pub(super) type Done = Result<Redirect, PageError>;

impl Pages {
    /// Does the operation that a form asks for, which leads to an address. A form that has a key does it
    /// once, however often it is sent.
    pub(super) async fn done(
        &self,
        posted: &FormPost,
        operation: impl Future<Output = Result<String, PageError>>,
    ) -> Done {
        let Some(key) = posted.key() else {
            return Ok(Redirect::to(&operation.await?));
        };
        let (token, form) = (&posted.visit.session.actor, &posted.visit.address);
        let request = RequestKey::new(token, ("FORM", form), &key, b"");
        let answer = |address: &String| Answer {
            status: 303,
            kind: None,
            body: address.clone().into_bytes(),
        };
        match once(&self.context, &request, PATIENCE, operation, answer).await? {
            Once::Done(address) => Ok(Redirect::to(&address)),
            Once::Before(answer) => {
                let address = String::from_utf8(answer.body).map_err(|_| PageError::Broken)?;
                Ok(Redirect::to(&address))
            }
        }
    }
}

/// Acknowledge, take over, resolve, write a note, analyze, record a repair.
pub(super) async fn incident(
    State(pages): State<Pages>,
    Path((id, operation)): Path<(String, String)>,
    posted: FormPost,
) -> Done {
    let context = &pages.context;
    let id: Uuid = id.parse().map_err(|_| PageError::NotFound)?;
    let done = async {
        let actor = posted.actor()?;
        match operation.as_str() {
            "acknowledge" => {
                let (said, key) = (posted.text("note")?, posted.key());
                let note = NewNote::said(said.as_deref(), key.as_deref());
                operations::incident::acknowledge(context, &actor, id, note).await?;
            }
            "take-over" => {
                let (from, said, key) = (posted.text("from")?, posted.text("note")?, posted.key());
                let from = from.filter(|from| !from.is_empty());
                let from = Holder::Name(from.as_deref());
                let note = NewNote::said(said.as_deref(), key.as_deref());
                let taken = operations::incident::take_over(context, &actor, id, from, note);
                if !Box::pin(taken).await?.changed {
                    return Ok(format!("/incidents/{id}?done=take-over-kept"));
                }
            }
            "resolve" => {
                let (said, key) = (posted.text("note")?, posted.key());
                let note = NewNote::said(said.as_deref(), key.as_deref());
                operations::incident::resolve(context, &actor, id, note).await?;
            }
            "note" => {
                let (said, key) = (posted.text("note")?, posted.key());
                let note = NewNote::said(said.as_deref(), key.as_deref());
                operations::incident::note(context, &actor, id, note).await?;
            }
            "analyze" => {
                operations::analysis::request(context, &actor, id).await?;
            }
            "repair" => {
                let report = report(&posted, context.clock.now())?;
                let (target, key) = (Target::Incident(id), posted.key());
                operations::repair::record(context, &actor, &target, report, key.as_deref())
                    .await?;
            }
            "execute" => {
                let action = posted.text("action")?.unwrap_or_default();
                operations::execution::ask(context, &actor, id, &action).await?;
            }
            "finish" => {
                let repair = posted.get("repair").and_then(|id| id.parse().ok());
                let repair: Uuid = repair.ok_or(PageError::NotFound)?;
                let finish = Finish {
                    success: helped(&posted)?,
                    note: None,
                    duration_ms: None,
                    finished_at: None,
                };
                operations::repair::finish(context, &actor, repair, finish).await?;
            }
            _ => return Err(PageError::NotFound),
        }
        Ok(format!("/incidents/{id}?done={operation}"))
    };
    pages.done(&posted, Box::pin(done)).await
}

fn report(posted: &FormPost, now: Timestamp) -> Result<Report, PageError> {
    let action = posted.text("action")?.unwrap_or_default().trim().to_owned();
    let has_only_started = posted.get("success") == Some("started");
    let success = match has_only_started {
        true => None,
        false => Some(helped(posted)?),
    };
    Ok(Report {
        success,
        note: posted.text("note")?,
        started_at: has_only_started.then_some(now),
        ..Report::finished(action, false)
    })
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

/// Mark a permanent fix, withdraw it; mute, unmute.
pub(super) async fn anomaly(
    State(pages): State<Pages>,
    Path((key, operation)): Path<(String, String)>,
    posted: FormPost,
) -> Done {
    let context = &pages.context;
    let done = async {
        let actor = posted.actor()?;
        let done = match operation.as_str() {
            "fix" => {
                let reference = posted.text("reference")?;
                let marked = operations::fix::fix(context, &actor, &key, reference).await?;
                match (marked.changed, marked.earlier_fix_at) {
                    (false, _) => "fix-kept",
                    (true, Some(_)) => "fix-again",
                    (true, None) => "fix",
                }
            }
            "unfix" => {
                operations::fix::withdraw(context, &actor, &key).await?;
                "unfix"
            }
            "mute" => {
                mute::mute(context, &actor, &key, wanted(&posted)?).await?;
                "mute"
            }
            "unmute" => {
                mute::unmute(context, &actor, &key).await?;
                "unmute"
            }
            _ => return Err(PageError::NotFound),
        };
        // The form may stand on an incident's page.
        let incident = posted.get("incident").and_then(|id| id.parse().ok());
        let page = match incident {
            Some(id) => format!("/incidents/{}", Uuid::to_string(&id)),
            None => format!("/anomalies/{}", parts::encoded(&key)),
        };
        Ok(format!("{page}?done={done}"))
    };
    pages.done(&posted, Box::pin(done)).await
}

pub(super) fn wanted(posted: &FormPost) -> Result<mute::NewMute, PageError> {
    let span = posted.get("own").or_else(|| posted.get("for"));
    let span = span.map(|span| Span::read(span.trim())).transpose();
    let span = span.map_err(PageError::BadRequest)?;
    let ends =
        mute::ends(span.map(|span| span.0), None).map_err(operations::OperationError::from)?;
    let why = posted.text("why")?;
    Ok(mute::NewMute { ends, why })
}

/// Pause and resume.
pub(super) async fn queue(
    State(pages): State<Pages>,
    Path((name, operation)): Path<(String, String)>,
    posted: FormPost,
) -> Done {
    let context = &pages.context;
    let done = async {
        let actor = posted.actor()?;
        match operation.as_str() {
            "pause" => operations::queue::pause(context, &actor, &name).await?,
            "resume" => operations::queue::resume(context, &actor, &name).await?,
            _ => return Err(PageError::NotFound),
        }
        Ok(format!("/queues?done={operation}"))
    };
    pages.done(&posted, Box::pin(done)).await
}
