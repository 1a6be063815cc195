//! Recount, asked for: at once, or page by page whether figures are what the rows say.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::anomalies;
use super::repairs::Queued;
use crate::domain::refusal::Code;
use crate::jobs::{Recount, new_id};
use crate::queue::Push;
use crate::store::audit;
use crate::verify::{self, Page, VerifyError};
use crate::web::auth::Caller;
use crate::web::{Ingress, Problem, body, idempotency, paging};

/// Runs recount now.
#[utoipa::path(
    post,
    path = "/recount",
    operation_id = "recount",
    tag = "recount",
    responses((status = ACCEPTED, description = "The job that runs it", body = Queued)),
)]
pub(super) async fn push(
    State(ingress): State<Ingress>,
    Caller(actor): Caller,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Queued>), Problem> {
    let context = &ingress.context;
    let now = context.clock.now();
    let job = idempotency::job(&headers, &["recount"])?.unwrap_or_else(|| new_id(now));
    let written = audit::AuditEntry {
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
    /// `next_cursor` of the previous response. Null or empty: from the beginning.
    #[schema(pattern = "^([0-9a-f]{32})?$")]
    cursor: Option<String>,
    /// Whether to set drifted figures to what the rows say.
    repair: bool,
}

/// Runs the consistency check on the next 200 anomalies.
///
/// Returns what drifted, and the cursor of the next page. Safe to repeat, also with `repair`.
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
    let after = paging::cursor(cursor.as_deref(), key)?.unwrap_or_default();
    let repair = repair.then_some(&actor);
    Ok(Json(verify::page(&ingress.context, &after, repair).await?))
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => error.into(),
            VerifyError::Counter(error) => {
                tracing::warn!("a request failed at the counter: {error}");
                Self::new(
                    Code::CounterUnavailable,
                    "the counter is unavailable: retry later",
                )
            }
        }
    }
}
