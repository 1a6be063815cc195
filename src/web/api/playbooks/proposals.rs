//! Proposals for playbooks: accepted and rejected.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{After, shown};
use crate::operations::playbook::proposal;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body};

/// Why a proposal is accepted or rejected.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = PlaybookDecision)]
pub(in crate::web::api) struct Decision {
    /// Why. By default a version that is accepted says how often its actions held.
    why: Option<BoundedText>,
    /// Operator name, for the version and the audit entry.
    operator: Option<BoundedText>,
}

/// Accepts a proposal: the playbook becomes as it is proposed, as a new version.
///
/// It must be the one that the playbook has now. For a playbook of the settings it cannot be accepted: paste its `toml`
/// there.
#[utoipa::path(
    post,
    path = "/playbooks/{name}/proposals/{id}/accept",
    operation_id = "accept_proposal",
    tag = "playbooks",
    params(
        ("name" = String, Path, description = "The playbook's name"),
        ("id" = Uuid, Path, description = "The proposal's ID"),
    ),
    request_body = Option<Decision>,
    responses(
        (status = OK, description = "The playbook as it is now", body = After),
        (status = CONFLICT, description = "It is in the settings; another version came first; or the proposal was \
            decided before"),
    ),
)]
pub(in crate::web::api) async fn accept(
    State(ingress): State<Ingress>,
    Path((name, id)): Path<(String, Uuid)>,
    caller: Caller,
    body: Body,
) -> Result<Json<After>, Problem> {
    let Decision { why, operator } = body::json(body).await?;
    let actor = caller.named(operator);
    let why = why.and_then(BoundedText::said);
    let done = proposal::accept(&ingress.context, &actor, &name, id, why).await?;
    After::of(&ingress, &name, &done).await
}

/// Rejects a proposal.
///
/// It is made again once there are as many new verdicts as `effectiveness.min_verdicts`.
#[utoipa::path(
    post,
    path = "/playbooks/{name}/proposals/{id}/reject",
    operation_id = "reject_proposal",
    tag = "playbooks",
    params(
        ("name" = String, Path, description = "The playbook's name"),
        ("id" = Uuid, Path, description = "The proposal's ID"),
    ),
    request_body = Option<Decision>,
    responses(
        (status = OK, description = "The playbook as it is now", body = After),
        (status = CONFLICT, description = "The proposal was decided before"),
    ),
)]
pub(in crate::web::api) async fn reject(
    State(ingress): State<Ingress>,
    Path((name, id)): Path<(String, Uuid)>,
    caller: Caller,
    body: Body,
) -> Result<Json<After>, Problem> {
    let Decision { why, operator } = body::json(body).await?;
    let actor = caller.named(operator);
    let why = why.and_then(BoundedText::said);
    let changed = proposal::reject(&ingress.context, &actor, &name, id, why).await?;
    let shown = shown(&ingress, &name).await?;
    Ok(Json(After { shown, changed }))
}
