//! Repairs: what was tried on an incident, and whether it helped.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::Caller;
use super::incidents::{parse, unknown};
use super::{Ingress, Problem, body};
use crate::deeds::repair;
use crate::jobs::{RecordRepair, derived_id};
use crate::store::incidents::find;

/// Bytes of a text in a repair.
const TEXT_BYTES: usize = 4096;

/// A repair as it is reported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    action: String,
    success: bool,
    operator: Option<String>,
    note: Option<String>,
    duration_ms: Option<i64>,
}

/// The job that will record it.
#[derive(Debug, Serialize)]
pub(super) struct Queued {
    job: Uuid,
}

pub(super) async fn record(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    Caller(mut actor): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Queued>), Problem> {
    let report: Report = body::json(body).await?;
    check(&report)?;
    let (context, id) = (&ingress.context, parse(&id)?);
    find(context.db.read(), id).await?.ok_or_else(unknown)?;
    let job = headers
        .get("idempotency-key")
        .map_or_else(Uuid::now_v7, |key| {
            let key = String::from_utf8_lossy(key.as_bytes());
            derived_id(&["repair", &id.to_string(), &key])
        });
    let repair = RecordRepair {
        incident: id,
        action: report.action,
        success: report.success,
        operator: report.operator,
        note: report.note,
        duration_ms: report.duration_ms,
        at: context.clock.now(),
    };
    actor.operator.clone_from(&repair.operator);
    repair::note(context.db.write(), job, &repair, &actor).await?;
    repair::push(context, job, &repair).await?;
    Ok((StatusCode::ACCEPTED, Json(Queued { job })))
}

fn check(report: &Report) -> Result<(), Problem> {
    if report.action.trim().is_empty() {
        return Err(Problem::bad_request("action must not be empty"));
    }
    let texts = [
        Some(&report.action),
        report.operator.as_ref(),
        report.note.as_ref(),
    ];
    for text in texts.into_iter().flatten() {
        if text.len() > TEXT_BYTES || text.contains('\0') {
            let detail = format!("a text must be at most {TEXT_BYTES} bytes, without NUL");
            return Err(Problem::bad_request(detail));
        }
    }
    Ok(())
}
