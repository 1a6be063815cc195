//! What operators did: listed.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::pages::{self, Page};
use super::{Ingress, Problem};
use crate::entity::audit::Model;
use crate::store::audit::{self, Filter};

/// What the list can be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    actor: Option<String>,
    action: Option<String>,
    target: Option<String>,
    cursor: Option<String>,
    limit: Option<u64>,
}

pub(super) async fn list(
    State(ingress): State<Ingress>,
    asking: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page<Model>>, Problem> {
    let Query(asked) = asking.map_err(|error| Problem::bad_request(error.body_text()))?;
    let filter = Filter {
        actor: asked.actor,
        action: asked.action,
        target: asked.target,
    };
    let part = pages::Asked {
        cursor: asked.cursor,
        limit: asked.limit,
        ..pages::Asked::default()
    };
    let (limit, before) = (part.limit()?, part.cursor(|id| id.parse().ok())?);
    let found = audit::list(ingress.context.db.read(), &filter, before, limit + 1).await?;
    Ok(Json(Page::new(found, limit, |deed| deed.id.to_string())))
}
