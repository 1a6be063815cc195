//! Effectiveness of actions: on an anomaly, an alert name, a service, or in all.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::config::QuietOf;
use crate::domain::refusal::{Code, Refusal};
use crate::operations::{OperationError, Resource};
use crate::store::repairs::figures::Scope;
use crate::store::views::lists;
use crate::web::bounded_text::BoundedText;
use crate::web::query::Query;
use crate::web::worth::{self, OfAnomaly, Table};
use crate::web::{Ingress, Problem};

/// Shows how effective actions are on an anomaly.
///
/// By the verdicts of silence, beside what happens with nothing done. If no action has enough verdicts on it, the
/// figures of all anomalies with its alert name stand in.
#[utoipa::path(
    get,
    path = "/anomalies/{key}/effectiveness",
    operation_id = "show_effectiveness",
    tag = "anomalies",
    params(("key" = String, Path, pattern = "^[0-9a-f]{32}$", description = "The anomaly's key")),
    responses((status = OK, description = "What each action was worth", body = OfAnomaly)),
)]
pub(in crate::web::api) async fn of_anomaly(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
) -> Result<Json<OfAnomaly>, Problem> {
    let context = &ingress.context;
    let found = lists::anomaly(context.db.view(), &key).await?;
    let found = found.ok_or(OperationError::NotFound(Resource::Anomaly))?;
    let now = context.clock.now();
    Ok(Json(worth::of_anomaly(context, &found, now).await?))
}

/// Query of the effectiveness.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::web::api) struct WorthQuery {
    /// On all anomalies with this alert name.
    alert_name: Option<BoundedText>,
    /// On all anomalies of this service. Give one of the two, or none: then on all.
    service: Option<BoundedText>,
}

/// Shows how effective actions are on an alert name, a service, or in all.
#[utoipa::path(
    get,
    path = "/repairs/effectiveness",
    operation_id = "list_effectiveness",
    tag = "repairs",
    params(WorthQuery),
    responses((status = OK, description = "What each action was worth", body = Table)),
)]
pub(in crate::web::api) async fn effectiveness(
    State(ingress): State<Ingress>,
    Query(query): Query<WorthQuery>,
) -> Result<Json<Table>, Problem> {
    let context = &ingress.context;
    let (name, service) = (
        query.alert_name.map(String::from),
        query.service.map(String::from),
    );
    let (scope, subject) = match (&name, &service) {
        (Some(_), Some(_)) => {
            let detail = "give alert_name or service, not both";
            let refusal = Refusal::new(Code::InvalidParameter, detail);
            return Err(refusal.parameter("service").into());
        }
        (Some(name), None) => (Scope::AlertName, name.as_str()),
        (None, Some(service)) => (Scope::Service, service.as_str()),
        (None, None) => (Scope::All, ""),
    };
    let names = QuietOf {
        alert_name: name.as_deref().unwrap_or_default(),
        service: service.as_deref().unwrap_or_default(),
        namespace: "",
    };
    let now = context.clock.now();
    Ok(Json(
        worth::table(context, (scope, subject), names, now).await?,
    ))
}
