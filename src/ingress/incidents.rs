//! Incidents: listed, shown, acknowledged and resolved.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::Caller;
use super::pages::{Asked, Asking, Page};
use super::{Ingress, Problem, body};
use crate::deeds::incident;
use crate::domain::escalation::Level;
use crate::domain::mute;
use crate::entity::{incidents, occurrences};
use crate::store::incidents::{Deed, find};
use crate::store::listing::Entry;
use crate::store::lists;
use crate::time::Timestamp;

/// An incident as it is answered: its row, and what its anomaly says.
#[derive(Debug, Serialize)]
pub struct View {
    #[serde(flatten)]
    incident: incidents::Model,
    alert_name: String,
    service: String,
    namespace: String,
    error_type: String,
    escalation_level: Level,
    escalation_reason: Option<String>,
    muted_until: Option<Timestamp>,
    muted_by: Option<String>,
    muted_why: Option<String>,
}

impl View {
    /// As it is at `now`.
    pub(super) fn of(now: Timestamp, (incident, anomaly): Entry) -> Self {
        Self::from((incident, mute::as_of(now, anomaly)))
    }
}

/// As its rows have it: a mute that is over must have been taken from them.
impl From<Entry> for View {
    fn from((incident, anomaly): Entry) -> Self {
        Self {
            incident,
            alert_name: anomaly.alert_name,
            service: anomaly.service,
            namespace: anomaly.namespace,
            error_type: anomaly.error_type,
            escalation_level: anomaly.level,
            escalation_reason: anomaly.reason,
            muted_until: anomaly.muted_until,
            muted_by: anomaly.muted_by,
            muted_why: anomaly.muted_why,
        }
    }
}

pub(super) async fn list(
    State(ingress): State<Ingress>,
    asking: Asking,
) -> Result<Json<Page<View>>, Problem> {
    let asked = Asked::of(asking)?;
    let (limit, before) = (asked.limit()?, asked.cursor(|id| id.parse().ok())?);
    let db = ingress.context.db.read();
    let now = ingress.context.clock.now();
    let found = lists::incidents(db, &asked.filter(now), before, limit + 1).await?;
    let views = found.into_iter().map(|entry| View::of(now, entry));
    let views = views.collect();
    Ok(Json(Page::new(views, limit, |view: &View| {
        view.incident.id.to_string()
    })))
}

pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    let id = parse(&id)?;
    let found = lists::incident(ingress.context.db.read(), id).await?;
    let now = ingress.context.clock.now();
    Ok(Json(View::of(now, found.ok_or_else(unknown)?)))
}

pub(super) async fn occurrences(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    asking: Asking,
) -> Result<Json<Page<occurrences::Model>>, Problem> {
    let asked = Asked::of(asking)?;
    let (limit, before) = (asked.limit()?, asked.cursor(|id| id.parse().ok())?);
    let db = ingress.context.db.read();
    let incident = find(db, parse(&id)?).await?.ok_or_else(unknown)?;
    let found = lists::occurrences(db, &incident, before, limit + 1).await?;
    Ok(Json(Page::new(found, limit, |row: &occurrences::Model| {
        row.id.to_string()
    })))
}

/// Who does it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct By {
    pub(super) operator: Option<String>,
}

pub(super) async fn acknowledge(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    do_to(&ingress, &id, Deed::Acknowledge, caller, body).await
}

pub(super) async fn resolve(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    do_to(&ingress, &id, Deed::Resolve, caller, body).await
}

async fn do_to(
    ingress: &Ingress,
    id: &str,
    deed: Deed,
    Caller(mut actor): Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let By { operator } = body::json(body).await?;
    actor.operator = operator;
    let (context, id) = (&ingress.context, parse(id)?);
    let tx = context.db.begin().await?;
    let done = Box::pin(incident::turn(context, &tx, id, deed, &actor)).await?;
    tx.commit().await?;
    done.due.push(context).await;
    if !done.possible {
        let detail = "the incident is resolved; it cannot be acknowledged any more";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    Ok(Json(View::of(done.now, done.entry)))
}

pub(super) fn parse(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| unknown())
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such incident")
}
