//! Handlers of the forms of playbooks.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::{Written, address, list, shown};
use crate::domain::playbook::{self, Origin, Playbook};
use crate::operations::playbook::proposal::{accept, reject};
use crate::operations::playbook::{Changed, Reason, restore, set, withdraw};
use crate::operations::{Invalid, OperationError};
use crate::web::pages::forms::Done;
use crate::web::pages::request::FormPost;
use crate::web::pages::{PageError, Pages};

/// Makes a playbook of what is written, which has its name in it.
pub(in crate::web::pages) async fn write(
    State(pages): State<Pages>,
    posted: FormPost,
) -> Result<Response, PageError> {
    let done = async {
        let playbook = written(&posted)?;
        let name = playbook.name.clone();
        // Without a name it is not kept under that of an address.
        playbook
            .check()
            .map_err(Invalid::from)
            .map_err(OperationError::from)?;
        save(&pages, &name, playbook, &posted).await
    };
    let done = pages.done(&posted, Box::pin(done)).await;
    or_shown(&pages, None, &posted, done).await
}

/// Set, withdraw, restore.
pub(in crate::web::pages) async fn decide(
    State(pages): State<Pages>,
    Path((name, operation)): Path<(String, String)>,
    posted: FormPost,
) -> Result<Response, PageError> {
    let context = &pages.context;
    let done = async {
        match operation.as_str() {
            "set" => return save(&pages, &name, written(&posted)?, &posted).await,
            "withdraw" => {
                let (actor, reason) = (posted.actor()?, reason(&posted)?);
                let done = withdraw(context, &actor, &name, Origin::Page, reason).await?;
                Ok(leads_to(&name, &done, "playbook-withdraw"))
            }
            "restore" => {
                let (actor, reason) = (posted.actor()?, reason(&posted)?);
                let version = posted.get("restore").and_then(|n| n.parse().ok());
                let version = version.ok_or(PageError::NotFound)?;
                let done = restore(context, &actor, &name, version, reason).await?;
                Ok(leads_to(&name, &done, "playbook-restore"))
            }
            "accept" => {
                let (actor, id) = (posted.actor()?, proposal(&posted)?);
                let done = accept(context, &actor, &name, id, posted.text("why")?).await?;
                Ok(leads_to(&name, &done, "proposal-accept"))
            }
            "reject" => {
                let (actor, id) = (posted.actor()?, proposal(&posted)?);
                reject(context, &actor, &name, id, posted.text("why")?).await?;
                Ok(format!("{}?done=proposal-reject", address(&name)))
            }
            _ => Err(PageError::NotFound),
        }
    };
    let done = pages.done(&posted, Box::pin(done)).await;
    match operation.as_str() {
        "set" => or_shown(&pages, Some(&name), &posted, done).await,
        _ => done.map(IntoResponse::into_response),
    }
}

/// The proposal that the form was made for.
fn proposal(posted: &FormPost) -> Result<Uuid, PageError> {
    let id = posted.get("proposal").and_then(|id| id.parse().ok());
    id.ok_or(PageError::NotFound)
}

async fn save(
    pages: &Pages,
    name: &str,
    playbook: Playbook,
    posted: &FormPost,
) -> Result<String, PageError> {
    let (actor, reason) = (posted.actor()?, reason(posted)?);
    let wanted = (playbook, Origin::Page);
    let done = set(&pages.context, &actor, name, wanted, reason).await?;
    Ok(leads_to(name, &done, "playbook"))
}

fn leads_to(name: &str, done: &Changed, what: &str) -> String {
    let what = if done.changed { what } else { "playbook-same" };
    format!("{}?done={what}", address(name))
}

fn written(posted: &FormPost) -> Result<Playbook, PageError> {
    let toml = posted.get("toml").unwrap_or_default();
    let read = playbook::read(toml).map_err(|why| Invalid::PlaybookText { why });
    Ok(read.map_err(OperationError::from)?)
}

fn reason(posted: &FormPost) -> Result<Reason, PageError> {
    Ok(Reason {
        why: posted.text("why")?.unwrap_or_default(),
        expected: posted.get("version").and_then(|n| n.parse().ok()),
    })
}

/// Where it leads. What was written and refused is not lost: its page is shown with it, beneath the reason.
async fn or_shown(
    pages: &Pages,
    name: Option<&str>,
    posted: &FormPost,
    done: Done,
) -> Result<Response, PageError> {
    let (status, refused) = match done {
        Err(PageError::BadRequest(why)) => (StatusCode::BAD_REQUEST, why),
        Err(PageError::Refused(status, why)) => (status, why),
        done => return done.map(IntoResponse::into_response),
    };
    let written = Written {
        toml: posted.get("toml").unwrap_or_default(),
        why: posted.get("why").unwrap_or_default(),
        refused: &refused,
    };
    let page = match name {
        Some(name) => {
            let visit = posted.visit.at(address(name));
            shown(pages, name, &visit, Some(&written)).await?
        }
        None => {
            let visit = posted.visit.at("/playbooks".to_owned());
            list(pages, &visit, Some(&written)).await?
        }
    };
    Ok((status, page).into_response())
}
