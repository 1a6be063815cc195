//! Repairs: what was tried on an incident, and whether it helped.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::incidents::parse;
use crate::entity::repairs::Model;
use crate::operations::repair;
use crate::store::views::timeline::{self, RepairFilter, RepairPosition};
use crate::store::views::top_anomalies::{ActionStats, by_action};
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::{BoundedText, whole};
use crate::web::paging::{self, Page};
use crate::web::query::Query;
use crate::web::{Ingress, Problem, body, idempotency};

/// A repair as it is reported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RepairReport)]
pub(super) struct Report {
    /// What was done, for instance `restart_pod`. It is recorded in lower case, with `_` for spaces and dashes.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    action: BoundedText,
    /// Whether it helped.
    success: bool,
    /// Who did it.
    operator: Option<BoundedText>,
    /// Note.
    note: Option<BoundedText>,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 0)]
    duration_ms: Option<i64>,
}

/// A job that was pushed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queued {
    /// Its id.
    pub(super) job: Uuid,
}

/// Records a repair of an incident.
///
/// A job records it. The response has the ID of the job, which is also that of the repair.
#[utoipa::path(
    post,
    path = "/incidents/{id}/repairs",
    operation_id = "record_repair",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    request_body = Report,
    responses((status = ACCEPTED, description = "The job that records it", body = Queued)),
)]
pub(super) async fn record(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Queued>), Problem> {
    let report: Report = body::json(body).await?;
    let (actor, key) = (caller.named(report.operator), idempotency::key(&headers)?);
    let repair = repair::Report {
        action: String::from(report.action),
        success: report.success,
        note: report.note.and_then(BoundedText::said),
        duration_ms: report.duration_ms,
    };
    // What is wrong with it is said before what it is of.
    repair.check()?;
    let job = repair::record(&ingress.context, &actor, parse(&id)?, repair, key).await?;
    Ok((StatusCode::ACCEPTED, Json(Queued { job })))
}

/// Query of the repairs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RepairQuery {
    /// On this anomaly, by its key.
    anomaly: Option<BoundedText>,
    /// With this action, for example `restart_pod`; as it is recorded, or in another spelling of that.
    action: Option<BoundedText>,
    /// Whether it helped.
    success: Option<bool>,
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([0-9]{1,15}\\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists repairs, newest first.
#[utoipa::path(
    get,
    path = "/repairs",
    operation_id = "list_repairs",
    tag = "repairs",
    params(RepairQuery),
    responses((status = OK, description = "A page of repairs", body = Page<Model>)),
)]
pub(super) async fn list(
    State(ingress): State<Ingress>,
    Query(query): Query<RepairQuery>,
) -> Result<Json<Page<Model>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let before = paging::cursor(query.cursor.as_deref(), position)?;
    let filter = RepairFilter {
        anomaly: query.anomaly.map(String::from),
        action: query.action.map(String::from),
        success: query.success,
    };
    let db = ingress.context.db.view();
    let found = timeline::newest_repairs(db, &filter, before, limit + 1).await?;
    Ok(Json(Page::new(found, limit, cursor)))
}

/// Where a list of repairs goes on after this one.
pub(crate) fn cursor(repair: &Model) -> String {
    format!("{}.{}", repair.repaired_at.0, repair.id)
}

/// Reads what [`cursor`] wrote.
pub(crate) fn position(text: &str) -> Option<RepairPosition> {
    let (at, id) = text.split_once('.')?;
    Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
}

/// Query of the actions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActionQuery {
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([0-9]{1,18}\\.[^\\x00]+)?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists how effective each action is over all anomalies, most tried first.
#[utoipa::path(
    get,
    path = "/repairs/actions",
    operation_id = "list_repair_actions",
    tag = "repairs",
    params(ActionQuery),
    responses((status = OK, description = "A page of actions", body = Page<ActionStats>)),
)]
pub(super) async fn actions(
    State(ingress): State<Ingress>,
    Query(query): Query<ActionQuery>,
) -> Result<Json<Page<ActionStats>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let place = |text: &str| {
        let (attempts, action) = text.split_once('.')?;
        (!action.is_empty()).then_some(())?;
        Some((attempts.parse().ok()?, action.to_owned()))
    };
    let before = paging::cursor(query.cursor.as_deref(), place)?;
    let found = by_action(ingress.context.db.view(), before, limit + 1).await?;
    Ok(Json(Page::new(found, limit, |worth| {
        format!("{}.{}", worth.attempts, worth.action)
    })))
}
