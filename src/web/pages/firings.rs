//! All firings of an incident, page by page.

use axum::extract::{Path, State};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::address::PageQuery;
use super::layout::{self, Frame};
use super::timeline::series;
use super::{PageError, PageRequest, Pages, address, parts, stale};
use crate::config::Config;
use crate::entity::occurrences::Model;
use crate::store::views::lists;
use crate::text::plural;

/// Firings of a page.
const SHOWN: usize = 100;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FiringQuery {
    /// The firing that the page before ended with.
    after: String,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    PageQuery(query): PageQuery<FiringQuery>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let id: Uuid = id.parse().map_err(|_| PageError::NotFound)?;
    let after: Option<Uuid> = query.after.parse().ok();
    address::check([("after", &*query.after, after.is_some())])?;
    let db = pages.context.db.view();
    let (incident, anomaly) = lists::incident(db, id).await?.ok_or(PageError::NotFound)?;
    let mut found = lists::occurrences(db, &incident, after, SHOWN as u64 + 1).await?;
    let more = found.len() > SHOWN;
    found.truncate(SHOWN);
    let text = visit.text();
    let title = parts::title(&incident, &anomaly.alert_name);
    let frame = Frame {
        section: super::incidents::SECTION,
        title,
        watch: String::new(),
    };
    let (one, here) = (
        format!("/incidents/{id}"),
        format!("/incidents/{id}/firings"),
    );
    let content = html! {
        h1 #title { (text.occurrences) }
        p { a href=(one) { (title) } " · " (plural(text.aggregated, incident.aggregated_count)) }
        div.wide tabindex="0" role="region" aria-labelledby="title" {
            @if found.is_empty() { p { (text.nothing_here) } } @else { (table(&visit, &pages.context.config, &found)) }
        }
        nav.pager aria-label=(text.more_next) {
            @if after.is_some() { a href=(here) { (text.first_page) } }
            @if let Some(last) = found.last().filter(|_| more) {
                a rel="next" href=(format!("{here}?after={}", last.id)) { (text.more_next) " →" }
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content))
}

/// Firings, one line each.
pub(super) fn table(visit: &PageRequest, config: &Config, firings: &[Model]) -> Markup {
    let text = visit.text();
    html! {
        table {
            thead { tr {
                th scope="col" { (text.series) }
                th scope="col" { (text.started) }
                th scope="col" { (text.ended) }
                th scope="col" { (text.last_received) }
                th.n scope="col" { (text.deliveries) }
            } }
            tbody {
                @for occurrence in firings {
                    tr {
                        td { (series(occurrence)) }
                        td { (parts::at(occurrence.starts_at)) }
                        td { (stale::ending(visit, config, occurrence)) }
                        td { (parts::at(occurrence.last_seen_at)) }
                        td.n { (occurrence.deliveries) }
                    }
                }
            }
        }
    }
}
