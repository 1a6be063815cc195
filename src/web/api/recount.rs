//! Recount, asked for: at once, or page by page whether figures are what the rows say.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::anomalies;
use super::repairs::Queued;
use crate::operations::recount;
use crate::verify::Page;
use crate::web::auth::Caller;
use crate::web::{Ingress, Problem, body, idempotency, paging};

/// Runs all parts of recount now.
#[utoipa::path(
    post,
    path = "/recount",
    operation_id = "recount",
    tag = "recount",
    responses((status = ACCEPTED, description = "The job that enqueues all parts", body = Queued)),
)]
pub(super) async fn push(
    State(ingress): State<Ingress>,
    Caller(actor): Caller,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Queued>), Problem> {
    let key = idempotency::key(&headers)?;
    let job = recount::push(&ingress.context, &actor, key).await?;
    Ok((StatusCode::ACCEPTED, Json(Queued { job })))
}

/// Which page is asked for, and what is to be done about it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Verify)]
pub(super) struct VerifyRequest {
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
    request_body = Option<VerifyRequest>,
    responses((status = OK, description = "What drifted", body = Page)),
)]
pub(super) async fn verify(
    State(ingress): State<Ingress>,
    Caller(actor): Caller,
    body: Body,
) -> Result<Json<Page>, Problem> {
    let VerifyRequest { cursor, repair } = body::json(body).await?;
    let key = |cursor: &str| anomalies::is_key(cursor).then(|| cursor.to_owned());
    let after = paging::cursor(cursor.as_deref(), key)?.unwrap_or_default();
    Ok(Json(
        recount::verify(&ingress.context, &actor, &after, repair).await?,
    ))
}
