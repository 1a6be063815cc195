//! Handlers of a dead letter's forms.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use uuid::Uuid;

use super::{Written, shown};
use crate::domain::refusal::{Code, Refusal, cause};
use crate::operations::dead_letter;
use crate::web::pages::forms::Done;
use crate::web::pages::request::FormPost;
use crate::web::pages::{PageError, Pages, parts};

/// Queue again, with another payload or without; discard.
pub(in crate::web::pages) async fn decide(
    State(pages): State<Pages>,
    Path((id, operation)): Path<(String, String)>,
    posted: FormPost,
) -> Result<Response, PageError> {
    let is_edit = operation == "edit";
    let done = done(&pages, &id, &operation, &posted).await;
    let (status, why) = match done {
        Err(PageError::BadRequest(why)) if is_edit => (StatusCode::BAD_REQUEST, why),
        Err(PageError::Refused(status, why)) if is_edit => (status, why),
        done => return done.map(IntoResponse::into_response),
    };
    // What was written is not lost: the form is shown with it, beneath the reason.
    let payload = posted.get("payload").unwrap_or_default();
    let written = Written { payload, why: &why };
    let visit = posted
        .visit
        .at(format!("/dead-letters/{}", parts::encoded(&id)));
    let page = shown(&pages, &id, &visit, Some(&written)).await?;
    Ok((status, page).into_response())
}

/// Does it, and leads to the letter.
async fn done(pages: &Pages, id: &str, operation: &str, posted: &FormPost) -> Done {
    let context = &pages.context;
    let id: Uuid = id.parse().map_err(|_| PageError::NotFound)?;
    let seen: Option<i32> = posted.get("replay").and_then(|n| n.parse().ok());
    let seen = seen.map(i64::from);
    let done = async {
        let actor = posted.actor()?;
        match operation {
            "replay" => dead_letter::replay(context, &actor, id, seen).await?,
            "edit" => match edited(posted)? {
                Some(payload) => dead_letter::edit(context, &actor, id, payload, seen).await?,
                None => dead_letter::replay(context, &actor, id, seen).await?,
            },
            "discard" => dead_letter::discard(context, &actor, id).await?,
            _ => return Err(PageError::NotFound),
        };
        Ok(format!("/dead-letters/{id}?done={operation}"))
    };
    pages.done(posted, Box::pin(done)).await
}

/// The payload that was written in place of the letter's own; `null` stands for that.
fn edited(posted: &FormPost) -> Result<Option<Vec<u8>>, PageError> {
    let payload = posted.get("payload").unwrap_or_default();
    let payload: Value = serde_json::from_str(payload).map_err(|error| {
        let refused = Refusal::new(Code::InvalidJson, format!("JSON: {error}"));
        PageError::BadRequest(refused.cause(cause(&error)))
    })?;
    Ok((!payload.is_null()).then(|| payload.to_string().into_bytes()))
}
