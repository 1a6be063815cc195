//! The list of incidents.

use std::fmt;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::View;
use crate::domain::aggregation::{ResolvedBy, Status};
use crate::domain::escalation::Level;
use crate::store::views::incident_list::{self, Entry, Mark, Sort};
use crate::store::views::lists::Filter;
use crate::time::Timestamp;
use crate::web::bounded_text::BoundedText;
use crate::web::moment::Moment;
use crate::web::paging::{self, Gathered, Page};
use crate::web::query::Query;
use crate::web::{Ingress, Problem};

/// Query of the incidents.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::web) struct IncidentQuery {
    /// With this status. `OPEN` includes `ANALYZING`.
    status: Option<Status>,
    /// Only those that are not resolved.
    unresolved: bool,
    /// Whose anomaly is at this level.
    level: Option<Level>,
    /// Of this service.
    service: Option<BoundedText>,
    /// In this namespace.
    namespace: Option<BoundedText>,
    /// Of this severity: one that Tocsin knows in whatever word for it (`critical` finds `page` and `P1`, too),
    /// another as the source wrote it.
    severity: Option<BoundedText>,
    /// With this text in title, alert name, service, namespace or error type, in whatever case. An
    /// incident's id, or the last eight digits of it, as messages have them, finds that incident, too.
    q: Option<BoundedText>,
    /// Muted now, or not.
    muted: Option<bool>,
    /// Stale (unresolved, and not received within `counting.unheard`), or not.
    unheard: Option<bool>,
    /// Resolved in this way.
    resolved_by: Option<ResolvedBy>,
    /// Opened at this time or later: a time (RFC 3339), or how long ago, for instance `24h`.
    #[param(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w)|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    since: Option<Moment>,
    /// Opened at this time or earlier, likewise.
    #[param(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w)|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    until: Option<Moment>,
    /// In which order; the newest first if none is given.
    #[param(inline)]
    sort: Option<Sort>,
    /// Start of the page: `next_cursor` of the previous page. That of another order leads to the first page.
    #[param(pattern = "^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{1,19}\\.[0-9a-f]{32})?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists incidents, newest first unless `sort` says otherwise.
#[utoipa::path(
    get,
    path = "/incidents",
    operation_id = "list_incidents",
    tag = "incidents",
    params(IncidentQuery),
    responses((status = OK, description = "A page of incidents", body = Page<View>)),
)]
pub(in crate::web) async fn list(
    State(ingress): State<Ingress>,
    Query(query): Query<IncidentQuery>,
) -> Result<Json<Page<View>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let sort = query.sort.unwrap_or(Sort::Newest);
    let start = paging::cursor(query.cursor.as_deref(), |cursor| start(sort, cursor))?;
    let before = start.and_then(|Start(place)| place);
    let now = ingress.context.clock.now();
    let filter = query.filter(now);
    // These orders look at all that matches.
    let is_search = filter.text.is_some() || matches!(sort, Sort::Often | Sort::Fired);
    let db = ingress.context.db.view_for(is_search).await?;
    let of = |entry: &Entry| {
        let incident = &entry.0;
        let carries = paging::bytes(&incident.labels) + paging::bytes(&incident.annotations);
        (Place(sort, incident_list::mark(sort, entry)), carries)
    };
    let mut found = Gathered::new(limit, before);
    while let Some((before, some)) = found.wants() {
        let after = before.map(|Place(_, mark)| mark);
        let entries = incident_list::incidents(&*db, &filter, sort, after, some).await?;
        found.add(some, entries, of);
    }
    Ok(Json(found.page(|entry| View::of(now, entry), of)))
}

impl IncidentQuery {
    fn filter(self, now: Timestamp) -> Filter {
        Filter {
            muted: self.muted.map(|muted| (muted, now)),
            status: self.status,
            unresolved: self.unresolved,
            level: self.level,
            service: self.service.map(String::from),
            namespace: self.namespace.map(String::from),
            severity: self.severity.and_then(BoundedText::said),
            text: self.q.and_then(BoundedText::said),
            unheard: self.unheard,
            resolved_by: self.resolved_by,
            opened_since: self.since.map(|since| since.at(now)),
            opened_until: self.until.map(|until| until.at(now)),
        }
    }
}

/// Where a page begins, in an order.
#[derive(Clone, Copy)]
struct Place(Sort, Mark);

impl Place {
    /// Whether an id alone says it.
    const fn is_id(sort: Sort) -> bool {
        matches!(sort, Sort::Newest | Sort::Oldest)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(sort, mark) = self;
        match Self::is_id(*sort) {
            true => mark.1.fmt(f),
            false => f.write_str(&mark.text()),
        }
    }
}

/// Where a page begins: behind a place, or at the first incident.
struct Start(Option<Place>);

/// Reads what a [`Place`] was written as; one of another order leads to the first page.
fn start(sort: Sort, cursor: &str) -> Option<Start> {
    let mark = match (paging::uuid(cursor), Mark::read(cursor)) {
        (None, None) => return None,
        (Some(id), _) => Place::is_id(sort).then_some(Mark(0, id)),
        (None, mark) => mark.filter(|mark| !Place::is_id(sort) && mark.is_of(sort)),
    };
    Some(Start(mark.map(|mark| Place(sort, mark))))
}
