//! Sources: whether each is on, and what it delivered lately.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::store::source_tallies;
use crate::web::paging::{self, Page};
use crate::web::query::Query;
use crate::web::source_states::{SourceState, states};
use crate::web::{Ingress, Problem};

/// Query of the sources.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SourceQuery {
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([a-z]+(/[a-z0-9_-]+)?)?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists sources, with their addresses and what they delivered in the last 24 hours.
#[utoipa::path(
    get,
    path = "/sources",
    operation_id = "list_sources",
    tag = "sources",
    params(SourceQuery),
    responses((status = OK, description = "A page of sources", body = Page<SourceState>)),
)]
pub(super) async fn list(
    State(ingress): State<Ingress>,
    Query(query): Query<SourceQuery>,
) -> Result<Json<Page<SourceState>>, Problem> {
    let context = &ingress.context;
    let limit = paging::limit(query.limit)?;
    let stored = source_tallies::lately(context.db.view(), context.clock.now()).await?;
    let tallies = ingress.refusals.tallies();
    let all = states(context, &ingress.sources, stored, tallies);
    let place = |cursor: &str| all.iter().position(|one| one.name == cursor);
    let before = paging::cursor(query.cursor.as_deref(), place)?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX) + 1;
    let rest = all.into_iter().skip(before.map_or(0, |place| place + 1));
    let page = rest.take(most).collect();
    Ok(Json(Page::new(page, limit, |one| one.name.clone())))
}
