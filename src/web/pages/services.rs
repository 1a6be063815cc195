//! One service: its incidents that are not resolved, its anomalies with their counts, and what was tried on them.

use std::time::Duration;

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::incidents::card;
use super::layout::{self, Frame};
use super::topics::Topic;
use super::{PageError, PageRequest, Pages, charts, mute, parts, repairs, worth as worth_page};
use crate::config::QuietOf;
use crate::domain::frequency::{Counts, Window, figure};
use crate::entity::anomalies::Model as Anomaly;
use crate::store::repairs::figures::Scope;
use crate::store::views::hourly_counts::Day;
use crate::store::views::incident_list::{self, Entry, Sort};
use crate::store::views::lists::{self, Filter};
use crate::store::views::timeline;
use crate::text::{Text, fill, plural, words};
use crate::web::worth::{self, Table};

/// Cards, and rows of each table.
const INCIDENTS: usize = 20;
const ANOMALIES: usize = 25;
const REPAIRS: u64 = 30;
/// How old a repair that is listed may be.
const TRIED: Duration = Duration::from_secs(30 * 86_400);

/// What the page shows.
struct ServiceData {
    name: String,
    /// Those that are not resolved, worst first.
    incidents: Vec<Entry>,
    days: Vec<Day>,
    unresolved: u64,
    /// Those that were seen last, with their counts and their days.
    anomalies: Vec<(Anomaly, Counts, Day)>,
    has_more: bool,
    repairs: Vec<crate::entity::repairs::Model>,
    worth: Table,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    Path(name): Path<String>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let found = Box::pin(load(&pages, &visit, name)).await?;
    let shown = found.incidents.iter();
    let shown: Vec<String> = shown
        .map(|(incident, _)| incident.id.simple().to_string())
        .collect();
    let frame = Frame {
        section: super::anomalies::SECTION,
        title: &found.name,
        // Who acknowledges an incident changes no anomaly.
        watch: format!("{}&ids={}", Topic::Anomalies.watch(), shown.join(",")),
    };
    let (text, unit) = (visit.text(), pages.context.config.counting.unit);
    let all = |window| {
        let each = found.anomalies.iter();
        each.map(|(_, counts, _)| counts.of(window)).sum::<i64>()
    };
    let unresolved = i64::try_from(found.unresolved).unwrap_or(i64::MAX);
    let content = html! {
        article.one {
            div #head data-live {
                p.what { (text.service) " · " (plural(text.unresolved_now, unresolved)) }
                h1 { (found.name) }
                (parts::windows(text, Window::ALL.map(all)))
                (of_cut(text, &found))
                p.hint { (fill(text.card_figures, &[("counted", words::counted(text, unit))])) }
            }
            section aria-labelledby="open" {
                h2 #open { (text.service_open) }
                div #open-list data-live { (open(&visit, &found)) }
            }
            section aria-labelledby="anomalies" {
                h2 #anomalies { (text.anomalies) }
                @if found.has_more {
                    p.hint { (fill(text.service_cut, &[("n", &ANOMALIES.to_string())])) }
                }
                div #anomaly-list.wide data-live tabindex="0" role="region" aria-labelledby="anomalies" {
                    (table(&visit, &found.anomalies))
                }
            }
            section aria-labelledby="tried" {
                h2 #tried { (text.what_was_tried) }
                div #tried-list data-live { (tried(&pages, &visit, &found)) }
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content))
}

async fn load(pages: &Pages, visit: &PageRequest, name: String) -> Result<ServiceData, PageError> {
    // No name has a NUL, and PostgreSQL would refuse to look for one.
    if name.is_empty() || name.contains('\0') {
        return Err(PageError::NotFound);
    }
    let (context, db) = (&pages.context, pages.context.db.view());
    let of_service = Filter {
        service: Some(name.clone()),
        ..Filter::default()
    };
    let mut anomalies = lists::anomalies(db, &of_service, None, ANOMALIES as u64 + 1).await?;
    if anomalies.is_empty() {
        return Err(PageError::NotFound);
    }
    let has_more = anomalies.len() > ANOMALIES;
    anomalies.truncate(ANOMALIES);
    let keys: Vec<String> = anomalies.iter().map(|one| one.key.clone()).collect();
    let unresolved = Filter {
        unresolved: true,
        ..of_service
    };
    let names = QuietOf {
        alert_name: "",
        service: &name,
        namespace: "",
    };
    let (incidents, count, repairs, worth, days) = tokio::try_join!(
        incident_list::incidents(db, &unresolved, Sort::Worst, None, INCIDENTS as u64),
        lists::count_incidents(db, &unresolved),
        timeline::repairs_of(db, &keys, visit.now.before(TRIED), REPAIRS),
        worth::table(context, (Scope::Service, &name), names, visit.now),
        super::incidents::days(pages, visit, &keys),
    )?;
    let of_cards: Vec<String> = incidents.iter().map(|(_, one)| one.key.clone()).collect();
    let days_of_cards = super::incidents::days(pages, visit, &of_cards).await?;
    let counts = context.counter.counts(&keys, visit.now).await;
    let counts = counts.map_err(|error| {
        tracing::warn!("a page failed at the counter: {error}");
        PageError::Unavailable
    })?;
    let anomalies = anomalies.into_iter().zip(counts).zip(days);
    Ok(ServiceData {
        incidents,
        days: days_of_cards,
        unresolved: count,
        anomalies: anomalies
            .map(|((one, counts), day)| (one, counts, day))
            .collect(),
        has_more,
        repairs,
        worth,
        name,
    })
}

/// That figures are only of the anomalies that are shown, if there are others.
fn of_cut(text: &Text, found: &ServiceData) -> Markup {
    html! {
        @if found.has_more {
            p.hint { (fill(text.service_of_cut, &[("n", &ANOMALIES.to_string())])) }
        }
    }
}

fn open(visit: &PageRequest, found: &ServiceData) -> Markup {
    let text = visit.text();
    let list = format!("/incidents?service={}", parts::encoded(&found.name));
    html! {
        @if found.incidents.is_empty() { p { (text.service_none_open) } } @else {
            ol.cards {
                @for (entry, day) in found.incidents.iter().zip(&found.days) {
                    (card(visit, entry, day, false))
                }
            }
        }
        nav.pager aria-label=(text.incidents) {
            @if found.unresolved > found.incidents.len() as u64 {
                a href=(list) { (plural(text.unresolved_now, i64::try_from(found.unresolved).unwrap_or(i64::MAX))) " →" }
            }
            a href=(format!("{list}&status=all")) { (text.service_all) " →" }
        }
    }
}

fn table(visit: &PageRequest, anomalies: &[(Anomaly, Counts, Day)]) -> Markup {
    let text = visit.text();
    html! {
        table.offenders {
            thead { tr {
                th scope="col" { (text.anomaly) }
                th scope="col" { (text.level) }
                @for window in Window::ALL { th.n scope="col" { (parts::window(text, window)) } }
                th scope="col" { (text.chart_24h) }
                th scope="col" { (text.last_seen) }
            } }
            tbody {
                @for (anomaly, counts, day) in anomalies {
                    tr {
                        th scope="row" {
                            a href=(format!("/anomalies/{}", anomaly.key)) { (parts::or_dash(&anomaly.alert_name)) } " "
                            @if !anomaly.namespace.is_empty() { span.ns { (anomaly.namespace) } " " }
                            @if !anomaly.error_type.is_empty() { small { (anomaly.error_type) } " " }
                            (mute::mark(visit, anomaly))
                        }
                        td { (parts::level(text, anomaly.level)) }
                        @for window in Window::ALL { td.n { (figure(counts.of(window))) } }
                        td.bars { (charts::spark(text, day)) }
                        td { @if let Some(at) = anomaly.last_seen { (parts::since(visit, at)) } }
                    }
                }
            }
        }
    }
}

fn tried(pages: &Pages, visit: &PageRequest, found: &ServiceData) -> Markup {
    let text = visit.text();
    let names = found.anomalies.iter();
    let names = names
        .map(|(one, ..)| (one.key.clone(), one.clone()))
        .collect();
    html! {
        @if found.worth.actions.is_empty() && found.repairs.is_empty() { p { (text.no_repairs) } }
        @if !found.worth.actions.is_empty() {
            p.hint { (text.effectiveness_lead) }
            div.wide tabindex="0" role="region" aria-labelledby="tried" { (worth_page::table(visit, &found.worth)) }
        }
        @if !found.repairs.is_empty() {
            h3 #newest { (text.service_repairs) }
            (of_cut(text, found))
            div.wide tabindex="0" role="region" aria-labelledby="newest" {
                (repairs::table(visit, &pages.context.config.repairs, &found.repairs, Some(&names)))
            }
        }
    }
}
