//! Reporting repairs: of an incident, of an anomaly, or by an alert's labels; at once, or in two steps.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::View;
use crate::operations::repair::{self, Reported, Target};
use crate::operations::{OperationError, Resource};
use crate::store::audit::Actor;
use crate::store::repairs::find;
use crate::time::Timestamp;
use crate::web::api::incidents::parse;
use crate::web::auth::Caller;
use crate::web::bounded_text::{BoundedText, whole};
use crate::web::{Ingress, Problem, body, idempotency};

/// A repair as it is reported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RepairReport)]
pub(in crate::web::api) struct Report {
    /// What was done, for instance `restart_pod`. It is recorded in lower case, with `_` for spaces and dashes.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    action: BoundedText,
    /// Whether it helped. Without it, and with `started_at`, the repair is recorded as started, and its end is to be
    /// said later.
    success: Option<bool>,
    /// Who did it.
    operator: Option<BoundedText>,
    /// Note.
    note: Option<BoundedText>,
    /// How long it took, in milliseconds. By default from `started_at` to its end, where that is known.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 0)]
    duration_ms: Option<i64>,
    /// When it started.
    started_at: Option<Timestamp>,
    /// When it finished; now by default.
    finished_at: Option<Timestamp>,
}

/// A repair as it is reported by who knows an alert and no ID.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertRepairReport)]
pub(in crate::web::api) struct AlertReport {
    /// The alert's labels, as its source sends them: they say which anomaly it is. `alertname` is one of them.
    labels: BTreeMap<String, BoundedText>,
    /// The alert's source, for example `alertmanager`: of the anomaly's incidents, the newest of that source's family
    /// is taken.
    source: Option<BoundedText>,
    /// What was done, for instance `restart_pod`. It is recorded in lower case, with `_` for spaces and dashes.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    action: BoundedText,
    /// Whether it helped. Without it, and with `started_at`, the repair is recorded as started.
    success: Option<bool>,
    /// Who did it.
    operator: Option<BoundedText>,
    /// Note.
    note: Option<BoundedText>,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 0)]
    duration_ms: Option<i64>,
    /// When it started.
    started_at: Option<Timestamp>,
    /// When it finished; now by default.
    finished_at: Option<Timestamp>,
}

/// A job that was pushed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct Queued {
    /// Its id.
    pub(in crate::web::api) job: Uuid,
}

/// A repair that was reported.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportedRepair)]
pub(in crate::web::api) struct Answer {
    /// Its id.
    repair: Uuid,
    /// The job that records it, under the same id; null of one that has only started: that is recorded.
    job: Option<Uuid>,
}

impl From<Reported> for Answer {
    fn from(reported: Reported) -> Self {
        match reported {
            Reported::Queued(job) => Self {
                repair: job,
                job: Some(job),
            },
            Reported::Started(repair) => Self { repair, job: None },
        }
    }
}

impl Report {
    /// The report, and who makes it.
    fn read(self, caller: &Caller) -> (repair::Report, Actor) {
        let report = repair::Report {
            action: String::from(self.action),
            success: self.success,
            note: self.note.and_then(BoundedText::said),
            duration_ms: self.duration_ms,
            started_at: self.started_at,
            finished_at: self.finished_at,
        };
        (report, caller.clone().named(self.operator))
    }
}

impl AlertReport {
    fn split(self) -> (Target, Report) {
        let labels = self.labels.into_iter();
        let target = Target::Alert {
            labels: labels.map(|(name, value)| (name, value.into())).collect(),
            source: self.source.and_then(BoundedText::said),
        };
        let report = Report {
            action: self.action,
            success: self.success,
            operator: self.operator,
            note: self.note,
            duration_ms: self.duration_ms,
            started_at: self.started_at,
            finished_at: self.finished_at,
        };
        (target, report)
    }
}

type Recorded = Result<(StatusCode, Json<Answer>), Problem>;

async fn report(
    ingress: &Ingress,
    caller: &Caller,
    headers: &HeaderMap,
    report: Report,
    target: impl FnOnce() -> Result<Target, Problem>,
) -> Recorded {
    let (report, actor) = report.read(caller);
    let key = idempotency::key(headers)?;
    // What is wrong with it is said before what it is of.
    report.check(ingress.context.clock.now())?;
    let reported = repair::record(&ingress.context, &actor, &target()?, report, key).await?;
    let status = match reported {
        Reported::Queued(_) => StatusCode::ACCEPTED,
        Reported::Started(_) => StatusCode::CREATED,
    };
    Ok((status, Json(reported.into())))
}

/// Records a repair of an incident.
///
/// A job records it, and the response has its ID, which is also that of the job. One without `success` and with
/// `started_at` is recorded as started at once: finish it with `PATCH /api/v1/repairs/{id}`.
#[utoipa::path(
    post,
    path = "/incidents/{id}/repairs",
    operation_id = "record_repair",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    request_body = Report,
    responses(
        (status = ACCEPTED, description = "A job records it", body = Answer),
        (status = CREATED, description = "It is recorded as started", body = Answer),
    ),
)]
pub(in crate::web::api) async fn record(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Recorded {
    let request: Report = body::json(body).await?;
    let target = || Ok(Target::Incident(parse(&id)?));
    report(&ingress, &caller, &headers, request, target).await
}

/// Records a repair of an anomaly.
///
/// It is recorded on the anomaly's newest incident.
#[utoipa::path(
    post,
    path = "/anomalies/{key}/repairs",
    operation_id = "record_repair_of_anomaly",
    tag = "anomalies",
    params(("key" = String, Path, pattern = "^[0-9a-f]{32}$", description = "The anomaly's key")),
    request_body = Report,
    responses(
        (status = ACCEPTED, description = "A job records it", body = Answer),
        (status = CREATED, description = "It is recorded as started", body = Answer),
    ),
)]
pub(in crate::web::api) async fn record_of_anomaly(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Recorded {
    let request: Report = body::json(body).await?;
    let target = || Ok(Target::Anomaly(key));
    report(&ingress, &caller, &headers, request, target).await
}

/// Records a repair of an alert.
///
/// For robots that know an alert and no ID: the anomaly is that which an alert with these labels belongs to, and the
/// repair is recorded on its newest incident.
#[utoipa::path(
    post,
    path = "/repairs",
    operation_id = "record_repair_of_alert",
    tag = "repairs",
    request_body = AlertReport,
    responses(
        (status = ACCEPTED, description = "A job records it", body = Answer),
        (status = CREATED, description = "It is recorded as started", body = Answer),
        (status = NOT_FOUND, description = "No such alert was received", body = crate::web::problem::ErrorResponse),
    ),
)]
pub(in crate::web::api) async fn record_of_alert(
    State(ingress): State<Ingress>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Recorded {
    let request: AlertReport = body::json(body).await?;
    let (target, request) = request.split();
    report(&ingress, &caller, &headers, request, || Ok(target)).await
}

/// Shows one repair, with its verdict.
#[utoipa::path(
    get,
    path = "/repairs/{id}",
    operation_id = "show_repair",
    tag = "repairs",
    params(("id" = Uuid, Path, description = "The repair's id")),
    responses((status = OK, description = "The repair", body = View)),
)]
pub(in crate::web::api) async fn show(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    let context = &ingress.context;
    let missing = || Problem::from(OperationError::NotFound(Resource::Repair));
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let found = find(context.db.view(), id).await?.ok_or_else(missing)?;
    Ok(Json(View::of(context, found, context.clock.now())))
}

/// How a repair has finished.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RepairFinish)]
pub(in crate::web::api) struct Finish {
    /// Whether it helped.
    success: bool,
    /// Who did it; by default who started it.
    operator: Option<BoundedText>,
    /// Note; by default that of its start.
    note: Option<BoundedText>,
    /// How long it took, in milliseconds; by default since its start.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 0)]
    duration_ms: Option<i64>,
    /// When it finished; now by default.
    finished_at: Option<Timestamp>,
}

/// Finishes a repair that was started.
///
/// Its verdict counts from its end. Finished again with the same outcome, it stays as it is.
#[utoipa::path(
    patch,
    path = "/repairs/{id}",
    operation_id = "finish_repair",
    tag = "repairs",
    params(("id" = Uuid, Path, description = "The repair's id")),
    request_body = Finish,
    responses(
        (status = OK, description = "The repair as it is now", body = View),
        (status = CONFLICT, description = "It has finished with another outcome", body = crate::web::problem::ErrorResponse),
    ),
)]
pub(in crate::web::api) async fn finish(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let request: Finish = body::json(body).await?;
    let context = &ingress.context;
    let missing = || Problem::from(OperationError::NotFound(Resource::Repair));
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let actor = caller.named(request.operator);
    let finish = repair::Finish {
        success: request.success,
        note: request.note.and_then(BoundedText::said),
        duration_ms: request.duration_ms,
        finished_at: request.finished_at,
    };
    let finished = repair::finish(context, &actor, id, finish).await?;
    Ok(Json(View::of(context, finished, context.clock.now())))
}
