//! Executions: actions that executors are asked to run, and what they report.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::incidents::{ExecutionView as View, parse};
use crate::operations::{OperationError, Resource, execution};
use crate::store::executions::find;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body};

/// An action that is to be run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExecutionRequest)]
pub(super) struct Ask {
    /// The action that is recommended for the incident now.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    action: BoundedText,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
}

/// Has an executor run the recommended action of an incident.
///
/// The hook that matches is asked (`repairs.hooks`), at most once for each incident and action. Wanted again, the answer is
/// the same execution.
#[utoipa::path(
    post,
    path = "/incidents/{id}/executions",
    operation_id = "execute_action",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    request_body = Ask,
    responses(
        (status = ACCEPTED, description = "The executor is asked by a job, or was asked", body = View),
        (status = CONFLICT, description = "The action is not recommended now, no hook runs it, another one runs, or too \
            many ran within an hour", body = crate::web::problem::ErrorResponse),
    ),
)]
pub(super) async fn ask(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<View>), Problem> {
    let request: Ask = body::json(body).await?;
    let (id, context) = (parse(&id)?, &ingress.context);
    let actor = caller.named(request.operator);
    let action = String::from(request.action);
    let asked = execution::ask(context, &actor, id, &action).await?;
    let view = View::of(asked, context.clock.now());
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Shows one execution.
#[utoipa::path(
    get,
    path = "/executions/{id}",
    operation_id = "show_execution",
    tag = "repairs",
    params(("id" = Uuid, Path, description = "The execution's id")),
    responses((status = OK, description = "The execution", body = View)),
)]
pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    let context = &ingress.context;
    let found = find(context.db.view(), read(&id)?).await?;
    let found = found.ok_or_else(missing)?;
    Ok(Json(View::of(found, context.clock.now())))
}

fn missing() -> Problem {
    OperationError::NotFound(Resource::Execution).into()
}

fn read(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| missing())
}

/// That an executor started.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ExecutionStart)]
pub(super) struct Started {}

/// Reports that an executor started.
///
/// It is recorded as a repair of the same ID that was started, by the operator `hook NAME`. Reported again, it changes
/// nothing.
#[utoipa::path(
    post,
    path = "/executions/{id}/started",
    operation_id = "start_execution",
    tag = "repairs",
    params(("id" = Uuid, Path, description = "The execution's id")),
    request_body = Option<Started>,
    responses(
        (status = OK, description = "The execution as it is now", body = View),
        (status = CONFLICT, description = "The executor was not asked", body = crate::web::problem::ErrorResponse),
    ),
)]
pub(super) async fn started(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let Started {} = body::json(body).await?;
    let (id, context) = (read(&id)?, &ingress.context);
    let actor = caller.named(None);
    let started = execution::started(context, &actor, id).await?;
    Ok(Json(View::of(started, context.clock.now())))
}

/// That an executor finished.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExecutionFinish)]
pub(super) struct Finished {
    /// Whether it helped, as far as the executor knows.
    success: bool,
    /// Note.
    note: Option<BoundedText>,
}

/// Reports that an executor finished.
///
/// It is recorded as a repair of the same ID, by the operator `hook NAME`; its verdict follows. Reported again with the same
/// outcome, it changes nothing.
#[utoipa::path(
    post,
    path = "/executions/{id}/finished",
    operation_id = "finish_execution",
    tag = "repairs",
    params(("id" = Uuid, Path, description = "The execution's id")),
    request_body = Finished,
    responses(
        (status = OK, description = "The execution as it is now", body = View),
        (status = CONFLICT, description = "The executor was not asked, or it finished with another outcome",
            body = crate::web::problem::ErrorResponse),
    ),
)]
pub(super) async fn finished(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let request: Finished = body::json(body).await?;
    let (id, context) = (read(&id)?, &ingress.context);
    let actor = caller.named(None);
    let outcome = (request.success, request.note.and_then(BoundedText::said));
    let finished = execution::finished(context, &actor, id, outcome).await?;
    Ok(Json(View::of(finished, context.clock.now())))
}
