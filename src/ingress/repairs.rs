//! Repairs: what was tried on an incident, and whether it helped.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::Caller;
use super::incidents::{parse, unknown};
use super::words::{Words, whole};
use super::{Ingress, Problem, body, once};
use crate::deeds::repair;
use crate::jobs::RecordRepair;
use crate::store::incidents::find;

/// A repair as it is reported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RepairReport)]
pub(super) struct Report {
    /// What was done, for instance `restart_pod`.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    action: Words,
    /// Whether it helped.
    success: bool,
    /// Who did it.
    operator: Option<Words>,
    /// What else there is to say.
    note: Option<Words>,
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

/// Records what was tried on an incident, and whether it helped.
///
/// It is recorded by a job: the answer has its id, which is that of the repair, too.
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
    check(&report)?;
    let (context, id) = (&ingress.context, parse(&id)?);
    find(context.db.read(), id).await?.ok_or_else(unknown)?;
    let job = once::job(&headers, &["repair", &id.to_string()])?;
    let job = job.unwrap_or_else(Uuid::now_v7);
    let actor = caller.named(report.operator);
    let repair = RecordRepair {
        incident: id,
        action: report.action.into(),
        success: report.success,
        operator: actor.operator.clone(),
        note: report.note.and_then(Words::said),
        duration_ms: report.duration_ms,
        at: context.clock.now(),
    };
    repair::note(context.db.write(), job, &repair, &actor).await?;
    repair::push(context, job, &repair).await?;
    Ok((StatusCode::ACCEPTED, Json(Queued { job })))
}

fn check(report: &Report) -> Result<(), Problem> {
    if String::from(report.action.clone()).trim().is_empty() {
        return Err(Problem::bad_request("action must not be empty"));
    }
    if report.duration_ms.is_some_and(|took| took < 0) {
        return Err(Problem::bad_request("duration_ms must not be negative"));
    }
    Ok(())
}
