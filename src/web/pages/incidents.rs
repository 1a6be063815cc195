//! The list of incidents, worst first.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use maud::{Markup, html};

use super::address::PageQuery;
use super::incident_query::IncidentQuery;
use super::layout::{self, Frame, Section};
use super::list_filters::{chips, filters, levels};
use super::{PageError, PageRequest, Pages, bulk, charts, mute, parts, stale};
use crate::domain::aggregation::Status;
use crate::domain::frequency::Window;
use crate::entity::incidents::Model as Incident;
use crate::store::views::hourly_counts::{self, Day};
use crate::store::views::incident_list::{self, Entry, Mark, Names, Overview, Sort};
use crate::text::{Text, fill, plural, words};

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/incidents",
    name: |text| text.incidents,
};

/// Cards of a page.
const CARDS: usize = 50;
/// How old what all pages show alike may be.
const OVERVIEW: Duration = Duration::from_millis(500);
const NAMES: Duration = Duration::from_secs(30);
const HOURS: Duration = Duration::from_secs(2);

/// What a page shows.
struct ListData {
    entries: Vec<Entry>,
    days: Vec<Day>,
    next: Option<Mark>,
    overview: Overview,
    names: std::sync::Arc<Names>,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    PageQuery(query): PageQuery<IncidentQuery>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    query.check()?;
    let found = load(&pages, &visit, &query).await?;
    let refused = bulk::Refused::read(&pages, &query).await?;
    let text = visit.text();
    let ids: Vec<String> = found
        .entries
        .iter()
        .map(|(incident, _)| incident.id.simple().to_string())
        .collect();
    let frame = Frame {
        section: SECTION,
        title: text.incidents,
        watch: format!("new={}&ids={}", query.after.is_empty(), ids.join(",")),
    };
    let unit = pages.context.config.counting.unit;
    let may_select = visit.may_act();
    let list = html! {
        section #list data-live aria-label=(text.incidents) {
            @if found.entries.is_empty() {
                (nothing(text, &query, &found.overview, pages.context.config.listen))
            } @else {
                p.hint { (fill(text.card_figures, &[("counted", words::counted(text, unit))])) }
                ol.cards {
                    @for (entry, day) in found.entries.iter().zip(&found.days) {
                        (card(&visit, entry, day, may_select))
                    }
                }
            }
            (pager(text, &query, found.next))
        }
    };
    let content = html! {
        div.head {
            h1 { (text.incidents) }
            (levels(text, &query, &found.overview))
        }
        (filters(text, &query, &found.names))
        (chips(text, &query, &found.overview))
        (bulk::result(text, &query, &refused))
        @if may_select {
            // Off: a browser must not tick again what was ticked before a page was loaded again.
            form method="post" action=(query.here()) autocomplete="off" { (list) (bulk::bar(&visit)) }
        } @else { (list) }
    };
    Ok(layout::page(&visit, &frame, &content))
}

async fn load(
    pages: &Pages,
    visit: &PageRequest,
    query: &IncidentQuery,
) -> Result<ListData, PageError> {
    let db = pages.context.db.view();
    let sort = query.sort().unwrap_or_default();
    // A link of before an upgrade may have a mark of another order: it leads to the first page.
    let after = Mark::read(&query.after).filter(|mark| mark.is_of(sort));
    let overview = pages
        .shared
        .overview
        .get(OVERVIEW, incident_list::overview(db));
    let names = async {
        let read = async { incident_list::names(db).await.map(std::sync::Arc::new) };
        pages.shared.names.get(NAMES, read).await
    };
    let filter = query.filter(visit.now);
    let entries = async {
        // These orders look at all that matches.
        let is_search = filter.text.is_some() || matches!(sort, Sort::Often | Sort::Fired);
        let db = pages.context.db.view_for(is_search).await?;
        incident_list::incidents(&*db, &filter, sort, after, CARDS as u64 + 1).await
    };
    let (overview, names, entries) = tokio::join!(overview, names, entries);
    let mut entries = entries?;
    let more = entries.len() > CARDS;
    entries.truncate(CARDS);
    let next = entries
        .last()
        .filter(|_| more)
        .map(|entry| incident_list::mark(sort, entry));
    let keys: Vec<String> = entries
        .iter()
        .map(|(_, anomaly)| anomaly.key.clone())
        .collect();
    Ok(ListData {
        days: days(pages, visit, &keys).await?,
        entries,
        next,
        overview: overview?,
        names: names?,
    })
}

/// Firings per hour in the last 24 hours of each anomaly, in one query for those that are not cached.
pub(super) async fn days(
    pages: &Pages,
    visit: &PageRequest,
    keys: &[String],
) -> Result<Vec<Day>, sea_orm::DbErr> {
    let (db, unit) = (pages.context.db.view(), pages.context.config.counting.unit);
    let read = async |keys| hourly_counts::last_day(db, unit, keys, visit.now).await;
    pages.shared.hours.get(keys, HOURS, [0; 24], read).await
}

/// One incident of a list, in which it may be selected.
pub(super) fn card(
    visit: &PageRequest,
    (incident, anomaly): &Entry,
    day: &Day,
    may_select: bool,
) -> Markup {
    let text = visit.text();
    let (id, name) = (incident.id, anomaly.alert_name.as_str());
    let title = parts::title(incident, name);
    // Of what is not over, it goes without saying that its only alert fires.
    let is_over = incident.status == Status::Resolved;
    html! {
        li.card.(parts::severity_class(&incident.severity)) id=(format!("i{}", id.simple())) {
            @if may_select { (bulk::tick(text, id)) }
            h2 {
                a href=(format!("/incidents/{}", id.simple())) { (title) }
                @if !says(title, name) { " " code { (name) } }
            }
            p {
                // The card has its colour.
                @if !incident.severity.is_empty() { b.sev { (incident.severity) } " " }
                (parts::level(text, anomaly.level)) " " (parts::incident_state(text, incident)) " "
                (parts::taken_by(text, incident)) " "
                (mute::brief(visit, anomaly)) " " (stale::brief(visit, incident)) " "
                // In few bytes.
                @if let Some(to) = parts::service_path(&anomaly.service) { a href=(to) { (anomaly.service) } " " }
                @if !anomaly.namespace.is_empty() { i { (anomaly.namespace) } } }
            p {
                b { (parts::tier(text, incident.tier)) } " · "
                (plural(text.aggregated, incident.aggregated_count))
                @if incident.open_episodes > 0 && incident.unheard_since.is_none() && (incident.aggregated_count > 1 || is_over) {
                    " · " (fill(text.still_firing, &[("n", &incident.open_episodes.to_string())]))
                }
                " · " (parts::around(text.opened_ago, "age", &parts::age(visit, incident.opened_at)))
            }
            (parts::windows(text, counts(incident)))
            (charts::spark(text, day))
        }
    }
}

/// Whether a title has the alert's name as a word of its own.
fn says(title: &str, name: &str) -> bool {
    let is_end = |next: Option<char>| next.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let is_word = |at: usize| {
        is_end(title[..at].chars().next_back()) && is_end(title[at + name.len()..].chars().next())
    };
    title.match_indices(name).any(|(at, _)| is_word(at))
}

/// Service and namespace, as far as they are known.
pub(super) fn place(service: &str, namespace: &str) -> Markup {
    html! {
        @if !service.is_empty() { (parts::service(service)) " " }
        @if !namespace.is_empty() { b.ns { (namespace) } }
    }
}

/// The four windows' figures.
pub(super) fn counts(incident: &Incident) -> [i64; 4] {
    let Some(stats) = &incident.frequency_stats else {
        return [0; 4];
    };
    Window::ALL.map(|window| match window {
        Window::Hour => stats.count_1h,
        Window::Day => stats.count_24h,
        Window::Week => stats.count_7d,
        Window::Month => stats.count_30d,
    })
}

fn nothing(text: &Text, query: &IncidentQuery, overview: &Overview, listen: SocketAddr) -> Markup {
    if query.is_narrow() || !query.after.is_empty() {
        return layout::empty(text.nothing_here, text.nothing_here_lead);
    }
    if overview.any {
        return layout::empty(text.all_quiet, text.all_quiet_lead);
    }
    html! {
        div.empty {
            h2 { (text.first_steps) }
            p { (text.first_steps_lead) }
            pre tabindex="0" { "curl http://" (listen) "/api/v1/alertmanager -d '{\"alerts\": [{\"status\": \"firing\",\n  \"labels\": {\"alertname\": \"HighErrorRate\", \"service\": \"checkout\", \"severity\": \"critical\"}}]}'" }
        }
    }
}

fn pager(text: &Text, query: &IncidentQuery, next: Option<Mark>) -> Markup {
    html! {
        nav.pager aria-label=(text.more_next) {
            @if !query.after.is_empty() { a href=(query.from("")) { (text.first_page) } }
            @if let Some(next) = next {
                a rel="next" href=(query.from(&next.text())) { (text.more_next) " →" }
            }
        }
    }
}
