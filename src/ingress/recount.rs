//! Recount, asked for: at once, or page by page whether figures are what the rows say.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::repairs::Queued;
use super::{Ingress, Problem, anomalies, body, once, pages};
use crate::jobs::{Recount, new_id};
use crate::queue::Push;
use crate::store::audit;
use crate::verify::{self, Page, VerifyError};

/// Does now what recount does every minute.
#[utoipa::path(
    post,
    path = "/recount",
    operation_id = "recount",
    tag = "recount",
    responses((status = ACCEPTED, description = "The job that does it", body = Queued)),
)]
pub(super) async fn push(
    State(ingress): State<Ingress>,
    Caller(actor): Caller,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Queued>), Problem> {
    let context = &ingress.context;
    let now = context.clock.now();
    let job = once::job(&headers, &["recount"])?.unwrap_or_else(|| new_id(now));
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
    Ok((StatusCode::ACCEPTED, Json(Queued { job })))
}

/// Which page is asked for, and what is to be done about it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Verify)]
pub(super) struct Asked {
    /// Where to go on: `next_cursor` of the answer before. Null or empty: at the beginning.
    #[schema(pattern = "^([0-9a-f]{32})?$")]
    cursor: Option<String>,
    /// Whether figures that drifted are set to what the rows say.
    repair: bool,
}

/// Compares the figures of 200 anomalies with the rows that they are made of.
///
/// It says what drifted, and where to go on. With `repair` it does the same thing once more without harm.
#[utoipa::path(
    post,
    path = "/recount/verify",
    operation_id = "verify",
    tag = "recount",
    request_body = Option<Asked>,
    responses((status = OK, description = "What drifted", body = Page)),
)]
pub(super) async fn verify(
    State(ingress): State<Ingress>,
    Caller(actor): Caller,
    body: Body,
) -> Result<Json<Page>, Problem> {
    let Asked { cursor, repair } = body::json(body).await?;
    let key = |cursor: &str| anomalies::is_key(cursor).then(|| cursor.to_owned());
    let after = pages::cursor(cursor.as_deref(), key)?.unwrap_or_default();
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
