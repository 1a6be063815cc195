//! What helped last time: repairs of an anomaly's former incidents.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::View;
use crate::operations::{OperationError, Resource};
use crate::store::incidents::find;
use crate::store::views::past::{self, Past};
use crate::time::Timestamp;
use crate::web::api::incidents::parse;
use crate::web::{Ingress, Problem};

/// What was tried on the last incidents of an anomaly.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct LastTime {
    /// The last three incidents before this one, the newest first.
    items: Vec<PastIncident>,
}

/// An earlier incident of the anomaly.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct PastIncident {
    /// Its id.
    incident_id: Uuid,
    /// Its number within the anomaly, from 1.
    number: i64,
    /// When it opened.
    opened_at: Timestamp,
    /// When it was resolved.
    resolved_at: Option<Timestamp>,
    /// How long it lasted, in milliseconds.
    lasted_ms: Option<i64>,
    /// What was tried on it, in order.
    repairs: Vec<View>,
}

/// Shows what helped last time.
///
/// The last three incidents of the same anomaly before this one: what was tried, what held, how long it took, and the
/// notes.
#[utoipa::path(
    get,
    path = "/incidents/{id}/last-time",
    operation_id = "show_last_time",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    responses((status = OK, description = "What was tried", body = LastTime)),
)]
pub(in crate::web::api) async fn last_time(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
) -> Result<Json<LastTime>, Problem> {
    let (context, db) = (&ingress.context, ingress.context.db.view());
    let incident = find(db, parse(&id)?).await?;
    let incident = incident.ok_or(OperationError::NotFound(Resource::Incident))?;
    let now = context.clock.now();
    let item = |Past { incident, repairs }| PastIncident {
        incident_id: incident.id,
        number: incident.number,
        opened_at: incident.opened_at,
        resolved_at: incident.resolved_at,
        lasted_ms: incident.resolved_at.map(|at| at.0 - incident.opened_at.0),
        repairs: repairs
            .into_iter()
            .map(|repair| View::of(context, repair, now))
            .collect(),
    };
    let found = past::before(db, &incident).await?;
    Ok(Json(LastTime {
        items: found.into_iter().map(item).collect(),
    }))
}
