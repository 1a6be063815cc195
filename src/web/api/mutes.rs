//! Mutes and unmutes an anomaly.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::incidents::By;
use crate::config::Span;
use crate::entity::anomalies::Model;
use crate::operations::mute::{self, NewMute};
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body};

/// A mute.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Mute)]
pub(super) struct MuteRequest {
    /// Duration, at most 30 days; or give `until`.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,6}(ms|s|m|h|d|w)$")]
    r#for: Option<Span>,
    /// End, at most 30 days from now; or give `for`.
    until: Option<Timestamp>,
    /// Why.
    why: Option<BoundedText>,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
}

/// Mutes notifications for an anomaly.
///
/// A new mute replaces the current one. The first rise to `PERMANENT_FIX` is still sent.
#[utoipa::path(
    post,
    path = "/anomalies/{key}/mute",
    operation_id = "mute_anomaly",
    tag = "anomalies",
    params(("key" = String, Path, pattern = "^[0-9a-f]{32}$", description = "The anomaly's key")),
    request_body = MuteRequest,
    responses(
        (status = OK, description = "The anomaly as it is now", body = Model),
        (status = CONFLICT, description = "Neither `for` nor `until` is given, or both are; the end is in the past \
            or more than 30 days away"),
    ),
)]
pub(super) async fn mute(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<Model>, Problem> {
    let request: MuteRequest = body::json(body).await?;
    let ends = mute::ends(request.r#for.map(|span| span.0), request.until)?;
    let why = request.why.map(String::from);
    let why = why.filter(|why| !why.trim().is_empty());
    let actor = caller.named(request.operator);
    let wanted = NewMute { ends, why };
    Ok(Json(
        mute::mute(&ingress.context, &actor, &key, wanted).await?,
    ))
}

/// Unmutes an anomaly.
#[utoipa::path(
    delete,
    path = "/anomalies/{key}/mute",
    operation_id = "unmute_anomaly",
    tag = "anomalies",
    params(("key" = String, Path, pattern = "^[0-9a-f]{32}$", description = "The anomaly's key")),
    request_body = Option<By>,
    responses((status = OK, description = "The anomaly as it is now", body = Model)),
)]
pub(super) async fn unmute(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<Model>, Problem> {
    let By { operator } = body::json(body).await?;
    let actor = caller.named(operator);
    Ok(Json(mute::unmute(&ingress.context, &actor, &key).await?))
}
