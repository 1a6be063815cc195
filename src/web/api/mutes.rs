//! Mutes: an anomaly that tells nothing for a while.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::incidents::By;
use crate::config::Span;
use crate::domain::mute::Ends;
use crate::domain::refusal::Code;
use crate::entity::anomalies::Model;
use crate::operations::mute;
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body};

/// A mute, as it is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Mute)]
pub(super) struct Asked {
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

impl Asked {
    fn ends(&self) -> Result<Ends, Problem> {
        match (self.r#for, self.until) {
            (Some(span), None) => Ok(Ends::After(span.0)),
            (None, Some(moment)) => Ok(Ends::At(moment)),
            (None, None) => Err(Problem::new(
                Code::MuteEndMissing,
                "give a duration, as in {\"for\": \"1h\"}, or an end, as in \
                 {\"until\": \"2026-01-31T18:00:00Z\"}",
            )),
            (Some(_), Some(_)) => Err(Problem::new(
                Code::MuteEndAmbiguous,
                "give either `for` or `until`, not both",
            )),
        }
    }
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
    request_body = Asked,
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
    let context = &ingress.context;
    let tx = context.db.begin().await?;
    let (anomaly, due) = mute::unmute(&tx, context, &key, None, &actor).await?;
    tx.commit().await?;
    due.push(context).await;
    Ok(Json(anomaly))
}
