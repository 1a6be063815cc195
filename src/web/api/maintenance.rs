//! Maintenance windows: planned, listed, and ended.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::incidents::By;
use crate::config::Span;
use crate::domain::mute::Ends;
use crate::domain::routing::{List, Pattern};
use crate::domain::window::{Matchers, Weekly};
use crate::entity::windows::Model;
use crate::operations::window::{self, NewWindow};
use crate::operations::{Invalid, OperationError, Resource};
use crate::store::{maintenance, windows};
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body, idempotency};

/// Whether a maintenance window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MaintenanceState)]
pub(super) enum Holds {
    /// It holds.
    Now,
    /// It will hold.
    Planned,
    /// It will not hold again.
    Over,
}

/// A maintenance window as it is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Maintenance)]
pub(super) struct View {
    #[serde(flatten)]
    window: Model,
    /// Whether it holds: `now`, `planned` or `over`.
    state: Holds,
    /// Since when it holds, or from when on it will next; null if it is over.
    since: Option<Timestamp>,
    /// Until when it holds then; null if it is over.
    until: Option<Timestamp>,
}

impl View {
    fn at(window: Model, now: Timestamp) -> Self {
        let next = window.next(now);
        let state = match next {
            Some(found) if found.holds(now) => Holds::Now,
            Some(_) => Holds::Planned,
            None => Holds::Over,
        };
        Self {
            window,
            state,
            since: next.map(|found| found.since),
            until: next.map(|found| found.until),
        }
    }
}

/// All that are listed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MaintenanceList)]
pub(super) struct Listed {
    /// The windows, newest first.
    items: Vec<View>,
}

/// A maintenance window to plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMaintenance)]
pub(super) struct PlanRequest {
    /// Why.
    #[schema(value_type = String, min_length = 1, max_length = 1000)]
    reason: BoundedText,
    /// A service or a list of them, with `*` for any part. At least one of `service`, `namespace` and `alert_name` is
    /// needed; what is not given matches.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    service: List<Pattern>,
    /// A namespace or a list of them.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    namespace: List<Pattern>,
    /// An alert's name or a list of them.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    alert_name: List<Pattern>,
    /// When it starts; now if it is not given.
    #[serde(default)]
    starts_at: Option<Timestamp>,
    /// When it ends: at most 30 days later, unless it is `weekly`; or give `for`.
    #[serde(default)]
    ends_at: Option<Timestamp>,
    /// Duration from its start; or give `ends_at`.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,6}(ms|s|m|h|d|w)$")]
    r#for: Option<Span>,
    /// The times of every week at which it holds between its start and its end, if it has one.
    #[serde(default)]
    weekly: Option<Weekly>,
    /// Operator name, for the audit entry.
    #[serde(default)]
    operator: Option<BoundedText>,
}

/// Lists the maintenance windows that are not over, and the 50 newest that are.
#[utoipa::path(
    get,
    path = "/maintenance",
    operation_id = "list_maintenance",
    tag = "maintenance",
    responses((status = OK, description = "The windows", body = Listed)),
)]
pub(super) async fn list(State(ingress): State<Ingress>) -> Result<Json<Listed>, Problem> {
    let (db, clock) = (ingress.context.db.view(), &ingress.context.clock);
    let now = clock.of_store(maintenance::now(db).await?);
    let found = windows::list(db, now).await?.into_iter();
    let items = found.map(|one| View::at(one, now)).collect();
    Ok(Json(Listed { items }))
}

/// Plans a maintenance window.
///
/// While it holds, no messages about the anomalies that it names are sent; they are counted all the same. The first rise
/// to `PERMANENT_FIX` in each is sent.
#[utoipa::path(
    post,
    path = "/maintenance",
    operation_id = "plan_maintenance",
    tag = "maintenance",
    request_body = PlanRequest,
    responses((status = CREATED, description = "The window", body = View)),
)]
pub(super) async fn plan(
    State(ingress): State<Ingress>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<View>), Problem> {
    let request: PlanRequest = body::json(body).await?;
    let (actor, key) = (caller.named(request.operator), idempotency::key(&headers)?);
    let ends = match (request.r#for, request.ends_at) {
        (Some(_), Some(_)) => return Err(two_ends().into()),
        (Some(span), None) => Some(Ends::After(span.0)),
        (None, ends_at) => ends_at.map(Ends::At),
    };
    let new = NewWindow {
        reason: request.reason.into(),
        matchers: Matchers {
            service: request.service,
            namespace: request.namespace,
            alert_name: request.alert_name,
        },
        starts_at: request.starts_at,
        ends,
        weekly: request.weekly,
    };
    let planned = window::plan(&ingress.context, &actor, new, key).await?;
    let now = ingress.context.clock.now();
    Ok((StatusCode::CREATED, Json(View::at(planned, now))))
}

fn two_ends() -> Invalid {
    Invalid::Window {
        field: "ends_at",
        why: "give ends_at or for, not both".to_owned(),
    }
}

/// Ends a maintenance window, or calls it off before it starts.
#[utoipa::path(
    delete,
    path = "/maintenance/{id}",
    operation_id = "end_maintenance",
    tag = "maintenance",
    params(("id" = Uuid, Path, description = "The window's ID")),
    request_body = Option<By>,
    responses((status = OK, description = "The window as it is now", body = View)),
)]
pub(super) async fn end(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let By { operator } = body::json(body).await?;
    let missing = OperationError::NotFound(Resource::Maintenance);
    let id: Uuid = id.parse().map_err(|_| missing)?;
    let actor = caller.named(operator);
    let ended = window::end(&ingress.context, &actor, id).await?;
    let now = ingress.context.clock.now();
    Ok(Json(View::at(ended, now)))
}
