//! Mutes: an anomaly that tells nothing for a while.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::incidents::By;
use super::words::Words;
use super::{Ingress, Problem, body};
use crate::config::Span;
use crate::deeds::mute;
use crate::domain::mute::Ends;
use crate::entity::anomalies::Model;
use crate::time::Timestamp;

/// A mute, as it is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Mute)]
pub(super) struct Asked {
    /// For how long, at most 30 days; or say `until`.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,6}(ms|s|m|h|d|w)$")]
    r#for: Option<Span>,
    /// Until when, at most 30 days from now; or say `for`.
    until: Option<Timestamp>,
    /// Why.
    why: Option<Words>,
    /// Who it is, by their own account: for the audit.
    operator: Option<Words>,
}

impl Asked {
    fn ends(&self) -> Result<Ends, Problem> {
        match (self.r#for, self.until) {
            (Some(span), None) => Ok(Ends::After(span.0)),
            (None, Some(moment)) => Ok(Ends::At(moment)),
            (None, None) => Err(Problem::conflict(
                "say for how long, as in {\"for\": \"1h\"}, or until when, as in \
                 {\"until\": \"2026-01-31T18:00:00Z\"}",
            )),
            (Some(_), Some(_)) => Err(Problem::conflict("say either `for` or `until`")),
        }
    }
}

/// Mutes an anomaly: nothing is told of it for a while.
///
/// Asked again, the newer end and reason hold. What rises to `PERMANENT_FIX` is told all the same.
#[utoipa::path(
    post,
    path = "/anomalies/{key}/mute",
    operation_id = "mute_anomaly",
    tag = "anomalies",
    params(("key" = String, Path, pattern = "^[0-9a-f]{32}$", description = "The anomaly's key")),
    request_body = Asked,
    responses(
        (status = OK, description = "The anomaly as it is now", body = Model),
        (status = CONFLICT, description = "Neither `for` nor `until` is said, or both are; it would be over \
            already, or last longer than 30 days"),
    ),
)]
pub(super) async fn mute(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<Model>, Problem> {
    let asked: Asked = body::json(body).await?;
    let ends = asked.ends()?;
    let why = asked.why.map(String::from);
    let why = why.filter(|why| !why.trim().is_empty());
    let actor = caller.named(asked.operator);
    let context = &ingress.context;
    let tx = context.db.begin().await?;
    let (anomaly, due) = mute::mute(&tx, context, &key, (ends, why), None, &actor).await?;
    tx.commit().await?;
    due.push(context).await;
    Ok(Json(anomaly))
}

/// Ends the mute of an anomaly.
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
    let context = &ingress.context;
    let tx = context.db.begin().await?;
    let (anomaly, due) = mute::unmute(&tx, context, &key, None, &actor).await?;
    tx.commit().await?;
    due.push(context).await;
    Ok(Json(anomaly))
}
