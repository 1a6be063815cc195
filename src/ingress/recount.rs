//! Recount, asked for: at once, or page by page whether figures are what the rows say.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::Caller;
use super::{Ingress, Problem, body};
use crate::jobs::{Recount, new_id};
use crate::queue::Push;
use crate::store::audit;
use crate::verify::{self, Page, VerifyError};

/// What was pushed.
#[derive(Debug, Serialize)]
pub(super) struct Pushed {
    job: Uuid,
}

pub(super) async fn push(
    State(ingress): State<Ingress>,
    Caller(actor): Caller,
) -> Result<(StatusCode, Json<Pushed>), Problem> {
    let context = &ingress.context;
    let now = context.clock.now();
    let job = new_id(now);
    let written = audit::Deed {
        action: "recount.push",
        target: &job.to_string(),
        detail: serde_json::json!({}),
    };
    audit::record(context.db.write(), &actor, written, now).await?;
    let recount = Recount::default();
    context
        .queues
        .push_all([Push::new(&recount).id(job)])
        .await?;
    Ok((StatusCode::ACCEPTED, Json(Pushed { job })))
}

/// Which page is asked for, and what is to be done about it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    cursor: Option<String>,
    repair: bool,
}

pub(super) async fn verify(
    State(ingress): State<Ingress>,
    Caller(actor): Caller,
    body: Body,
) -> Result<Json<Page>, Problem> {
    let Asked { cursor, repair } = body::json(body).await?;
    let after = cursor.unwrap_or_default();
    if after.contains('\0') {
        return Err(Problem::bad_request("cursor is not one of ours"));
    }
    let repair = repair.then_some(&actor);
    Ok(Json(verify::page(&ingress.context, &after, repair).await?))
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => error.into(),
            VerifyError::Counter(error) => {
                tracing::warn!("the counter failed a request: {error}");
                Self::unavailable("the counter cannot be reached; try again")
            }
        }
    }
}
