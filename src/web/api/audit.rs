//! The list of audit entries.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::entity::audit::Model;
use crate::store::audit::{self, Filter};
use crate::web::bounded_text::BoundedText;
use crate::web::paging::{self, Page};
use crate::web::query::Query;
use crate::web::{Ingress, Problem};

/// Query of the audit entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// By this operator, or by this token as the list shows it.
    actor: Option<BoundedText>,
    /// With this action, for example `incident.resolve`.
    action: Option<BoundedText>,
    /// With this target: an incident's ID, an anomaly's key, a queue's name.
    target: Option<BoundedText>,
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists what operators did, newest first.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "list_audit",
    tag = "audit",
    params(AuditQuery),
    responses((status = OK, description = "A page of audit entries", body = Page<Model>)),
)]
pub(super) async fn list(
    State(ingress): State<Ingress>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<Model>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let before = paging::cursor(query.cursor.as_deref(), paging::uuid)?;
    let filter = Filter {
        actor: query.actor.map(String::from),
        action: query.action.map(String::from),
        target: query.target.map(String::from),
    };
    let found = audit::list(ingress.context.db.view(), &filter, before, limit + 1).await?;
    Ok(Json(Page::new(found, limit, |entry| entry.id.to_string())))
}
