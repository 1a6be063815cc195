//! Incidents: listed, shown, acknowledged and resolved.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sea_orm::{ConnectionTrait, DbErr};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::Caller;
use super::pages::{Asked, Asking, Page};
use super::{Ingress, Problem, body};
use crate::cards::push_after_deed;
use crate::context::Context;
use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::entity::notifications::Kind;
use crate::entity::{anomalies, incidents, occurrences};
use crate::store::cards::mark_edits;
use crate::store::incidents::{Deed, act, find};
use crate::store::ingest::owe;
use crate::store::{audit, lists};
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
}

impl From<(incidents::Model, anomalies::Model)> for View {
    fn from((incident, anomaly): (incidents::Model, anomalies::Model)) -> Self {
        Self {
            incident,
            alert_name: anomaly.alert_name,
            service: anomaly.service,
            namespace: anomaly.namespace,
            error_type: anomaly.error_type,
            escalation_level: anomaly.level,
            escalation_reason: anomaly.reason,
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
    let found = lists::incidents(db, &asked.filter(), before, limit + 1).await?;
    let views = found.into_iter().map(View::from).collect();
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
    Ok(Json(found.ok_or_else(unknown)?.into()))
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
    actor.operator.clone_from(&operator);
    let (context, id) = (&ingress.context, parse(id)?);
    let key = find(context.db.read(), id)
        .await?
        .ok_or_else(unknown)?
        .anomaly_key;
    let tx = context.db.begin().await?;
    let locked = crate::store::anomalies::lock(&tx, &key).await?;
    let (anomaly, now) = locked.ok_or_else(unknown)?;
    let incident = find(&tx, id).await?.ok_or_else(unknown)?;
    let now = context.clock.of_store(now);
    let stood = incident.status;
    let done = act(&tx, incident, deed, operator, now).await?;
    let turned = done.as_ref().filter(|incident| incident.status != stood);
    let (cards, messages) = tell(context, &tx, turned, now).await?;
    let target = id.to_string();
    let written = audit::Deed {
        action: deed.action(),
        target: &target,
        detail: serde_json::json!({"possible": done.is_some()}),
    };
    audit::record(&tx, &actor, written, now).await?;
    tx.commit().await?;
    push_after_deed(context, &cards, &messages).await;
    let detail = "the incident is resolved; it cannot be acknowledged any more";
    let incident = done.ok_or_else(|| Problem::new(StatusCode::CONFLICT, detail))?;
    Ok(Json((incident, anomaly).into()))
}

/// Marks the card of an incident that stands elsewhere now, and owes the message that it is resolved.
async fn tell(
    context: &Context,
    tx: &impl ConnectionTrait,
    turned: Option<&incidents::Model>,
    now: Timestamp,
) -> Result<(Vec<Uuid>, Vec<Uuid>), DbErr> {
    let Some(incident) = turned else {
        return Ok(Default::default());
    };
    let resolved = (incident.status == Status::Resolved).then_some((
        incident.id,
        Kind::Resolved,
        incident.resolved_at.unwrap_or(now).0,
    ));
    let messages = owe(tx, &context.config, resolved, now).await?;
    let cards = if context.config.edits() {
        mark_edits(tx, &[incident.id], now).await?
    } else {
        Vec::new()
    };
    Ok((cards, messages))
}

pub(super) fn parse(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| unknown())
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such incident")
}
