//! Resolving many incidents.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::Span;
use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::operations::incident::{self, Resolved, Selection};
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body};

/// Which incidents, and what else there is to say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Incidents)]
pub(in crate::web) struct BulkRequest {
    /// With this status, other than `RESOLVED`.
    status: Option<Status>,
    /// Whose anomaly is at this level.
    level: Option<Level>,
    /// Of this service.
    service: Option<BoundedText>,
    /// In this namespace.
    namespace: Option<BoundedText>,
    /// Of this severity, in whatever word for it.
    severity: Option<BoundedText>,
    /// With this text in title, alert name, service, namespace or error type, in whatever case.
    q: Option<BoundedText>,
    /// Muted now, or not.
    muted: Option<bool>,
    /// Stale (not received within `counting.unheard`), or not.
    unheard: Option<bool>,
    /// Opened longer ago than this, for instance `7d`.
    #[schema(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    older_than: Option<Span>,
    /// Every unresolved incident, if no filter is given.
    all: bool,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
    /// Incidents that opened later are skipped.
    as_of: Option<Timestamp>,
    /// Only count the matches.
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Resolved)]
pub(in crate::web) struct Done {
    /// Incidents that match, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<u64>,
    /// Incidents that this request resolved.
    changed: u64,
    /// Whether there may be more: repeat the request with `as_of`.
    more: bool,
    /// Incidents that opened later are skipped.
    as_of: Timestamp,
}

/// Resolves all unresolved incidents that match, up to 10,000 in one request.
///
/// Needs a filter of the list, an age, or `all`. If there may be more, `more` is true: repeat the request
/// with `as_of` of the response. Incidents that still fire more than `aggregation.window` later
/// reopen, as after any resolve.
#[utoipa::path(
    post,
    path = "/incidents/resolve",
    operation_id = "resolve_incidents",
    tag = "incidents",
    request_body = BulkRequest,
    responses((status = OK, description = "How many were resolved", body = Done)),
)]
pub(in crate::web) async fn resolve_many(
    State(ingress): State<Ingress>,
    caller: Caller,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let mut request: BulkRequest = body::json(body).await?;
    let actor = caller.named(request.operator.take());
    let selection = Selection::from(request);
    let resolved = incident::resolve_many(&ingress.context, &actor, selection).await?;
    Ok(Json(Done::from(resolved)))
}

impl From<BulkRequest> for Selection {
    fn from(request: BulkRequest) -> Self {
        Self {
            status: request.status,
            level: request.level,
            service: request.service.map(String::from),
            namespace: request.namespace.map(String::from),
            severity: request.severity.and_then(BoundedText::said),
            text: request.q.map(String::from),
            muted: request.muted,
            unheard: request.unheard,
            older_than: request.older_than,
            all: request.all,
            as_of: request.as_of,
            dry_run: request.dry_run,
        }
    }
}

impl From<Resolved> for Done {
    fn from(resolved: Resolved) -> Self {
        Self {
            matching: resolved.matching,
            changed: resolved.changed,
            more: resolved.more,
            as_of: resolved.as_of,
        }
    }
}
