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
    #[param(pattern = "^([a-z]{1,40}(/[a-z0-9_-]{1,40})?)?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists sources by name, with their addresses and what they delivered in the last 24 hours.
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
    let name = |cursor: &str| is_name(cursor).then(|| cursor.to_owned());
    let before = paging::cursor(query.cursor.as_deref(), name)?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX) + 1;
    let is_later = |one: &SourceState| before.as_ref().is_none_or(|before| one.name > *before);
    let page = all.into_iter().filter(is_later).take(most).collect();
    Ok(Json(Page::new(page, limit, |one| one.name.clone())))
}

/// Whether a source may be called so.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 40;
    let (kind, name) = text.split_once('/').unwrap_or((text, "x"));
    let fits = |text: &str, fits: fn(u8) -> bool| {
        (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits)
    };
    let is_kind = fits(kind, |byte| byte.is_ascii_lowercase());
    is_kind
        && fits(name, |byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        })
}
