//! Allowing an action again that is stopped.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::recommendation::Streak;
use crate::operations::action;
use crate::web::api::incidents::By;
use crate::web::auth::Caller;
use crate::web::{Ingress, Problem, body};

/// An action that is allowed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AllowedAction)]
pub(in crate::web::api) struct Allowed {
    /// The action, as it is recorded.
    action: String,
    /// Why it was stopped; null: it was not.
    was_stopped: Option<Streak>,
}

/// Allows an action again that is stopped.
///
/// An action that did not hold `repairs.breaker` times in a row, on any anomalies, is neither recommended nor run by
/// hooks. Verdicts on repairs that finished before now stop it no more.
#[utoipa::path(
    post,
    path = "/actions/{action}/allow",
    operation_id = "allow_action",
    tag = "repairs",
    params(("action" = String, Path, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$", description = "The action, for example `restart_pod`")),
    request_body = Option<By>,
    responses((status = OK, description = "The action, and why it was stopped", body = Allowed)),
)]
pub(in crate::web::api) async fn allow(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<Allowed>, Problem> {
    let By { operator } = body::json(body).await?;
    let actor = caller.named(operator);
    let allowed = action::allow(&ingress.context, &actor, &name).await?;
    Ok(Json(Allowed {
        action: allowed.action,
        was_stopped: allowed.was,
    }))
}
