//! Repairs: what was tried on what, by whom, and what each action was worth.

use std::collections::HashMap;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

use super::address::PageQuery;
use super::layout::{self, Frame, Section};
use super::topics::Topic;
use super::{PageError, PageRequest, Pages, address, parts};
use crate::config::{QuietOf, RepairSettings};
use crate::domain::id::ShortId;
use crate::domain::verdict::Verdict;
use crate::entity::{anomalies, repairs};
use crate::store::repairs::figures::Scope;
use crate::store::views::lists;
use crate::store::views::past::Past;
use crate::store::views::timeline::{self, RepairFilter};
use crate::store::views::top_anomalies::{ActionStats, by_action};
use crate::text::repairs::{class_name, verdict_word, why_verdict};
use crate::text::{Lang, Text, fill};
use crate::web::worth::{self, Table};
use crate::web::{RepairState, repair_cursor, repair_position};

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/repairs",
    name: |text| text.repairs,
};

/// Repairs of a page, and actions.
const SHOWN: usize = 50;
const ACTIONS: u64 = 20;
/// All anomalies have no name.
const NOBODY: QuietOf<'static> = QuietOf {
    alert_name: "",
    service: "",
    namespace: "",
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RepairQuery {
    after: String,
    alert_name: String,
    service: String,
}

impl RepairQuery {
    /// What figures are asked for, of each with the name of what it is.
    fn of<'a>(&'a self, text: &Text) -> Vec<(Scope, &'static str, &'a str)> {
        let all = [
            (Scope::AlertName, text.alert_name, self.alert_name.trim()),
            (Scope::Service, text.service, self.service.trim()),
        ];
        let given = all.into_iter().filter(|(.., name)| !name.is_empty());
        given.collect()
    }
}

pub(super) async fn page(
    State(pages): State<Pages>,
    PageQuery(query): PageQuery<RepairQuery>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let db = pages.context.db.view();
    let before = repair_position(&query.after);
    address::check([
        ("after", &*query.after, before.is_some()),
        address::text("alert_name", &query.alert_name),
        address::text("service", &query.service),
    ])?;
    let of = query.of(visit.text());
    if !of.is_empty() {
        return narrowed(&pages, &visit, &query, &of).await;
    }
    let all = RepairFilter::default();
    let (mut newest, worth) = tokio::try_join!(
        timeline::newest_repairs(db, &all, before, SHOWN as u64 + 1),
        by_action(db, None, ACTIONS),
    )?;
    let all = worth::table(&pages.context, (Scope::All, ""), NOBODY, visit.now).await?;
    let more = newest.len() > SHOWN;
    newest.truncate(SHOWN);
    let keys = newest.iter().map(|repair| repair.anomaly_key.clone());
    let anomalies = lists::anomalies_of(db, keys).await?;
    let text = visit.text();
    let frame = Frame {
        section: SECTION,
        title: text.repairs,
        watch: Topic::Repairs.watch(),
    };
    let content = html! {
        h1 { (text.repairs) }
        p.hint { (text.repairs_lead) }
        (filters(text, &query))
        div #repairs data-live { @if worth.is_empty() && newest.is_empty() {
            (layout::empty(text.no_repairs, text.no_repairs_lead))
        } @else {
            section aria-labelledby="by-action" {
                h2 #by-action { (text.by_action) }
                p.hint { (text.effectiveness_lead) }
                div.wide tabindex="0" role="region" aria-labelledby="by-action" {
                    (actions(&visit, &all, &worth))
                }
            }
            section aria-labelledby="newest" {
                h2 #newest { (text.newest_repairs) }
                div.wide tabindex="0" role="region" aria-labelledby="newest" {
                    (table(&visit, &pages.context.config.repairs, &newest, Some(&anomalies)))
                }
                nav.pager aria-label=(text.more_next) {
                    @if before.is_some() { a href="/repairs" { (text.first_page) } }
                    @if let Some(last) = newest.last().filter(|_| more) {
                        a rel="next" href=(format!("/repairs?after={}", repair_cursor(last))) { (text.more_next) " →" }
                    }
                }
            }
        } }
    };
    Ok(layout::page(&visit, &frame, &content))
}

/// How often each action held on an alert name, on a service, or both.
async fn narrowed(
    pages: &Pages,
    visit: &PageRequest,
    query: &RepairQuery,
    of: &[(Scope, &'static str, &str)],
) -> Result<Markup, PageError> {
    let text = visit.text();
    let mut tables = Vec::with_capacity(of.len());
    for &(scope, label, name) in of {
        let names = QuietOf {
            alert_name: if scope == Scope::AlertName { name } else { "" },
            service: if scope == Scope::Service { name } else { "" },
            namespace: "",
        };
        let table = worth::table(&pages.context, (scope, name), names, visit.now).await?;
        tables.push((label, name, table));
    }
    let frame = Frame {
        section: SECTION,
        title: text.repairs,
        watch: Topic::Repairs.watch(),
    };
    let content = html! {
        h1 { (text.repairs) }
        p.hint { (text.effectiveness_lead) }
        (filters(text, query))
        p { a href="/repairs" { (text.all_repairs) } }
        div #repairs data-live {
            @for (at, (label, name, table)) in tables.iter().enumerate() {
                @let id = format!("of-{at}");
                section aria-labelledby=(id) {
                    h2 id=(id) { (text.effectiveness) (text.colon) (label) " " code { (name) } }
                    @if table.actions.is_empty() { p { (text.no_repairs) } } @else {
                        div.wide tabindex="0" role="region" aria-labelledby=(id) {
                            (super::worth::table(visit, table))
                        }
                    }
                }
            }
        }
    };
    Ok(layout::page(visit, &frame, &content))
}

fn filters(text: &Text, query: &RepairQuery) -> Markup {
    html! {
        form.filters role="search" method="get" action="/repairs" {
            label { span { (text.alert_name) } input name="alert_name" value=(query.alert_name); }
            label { span { (text.service) } input name="service" value=(query.service); }
            button { (text.apply) }
        }
    }
}

/// Where figures of an anomaly's alert name and of its service are.
pub(super) fn wider(text: &Text, anomaly: &anomalies::Model) -> Markup {
    let all = [
        ("alert_name", text.of_alert_name, &anomaly.alert_name),
        ("service", text.of_service, &anomaly.service),
    ];
    html! {
        p.hint {
            @for (at, (name, said, value)) in all.iter().filter(|(.., value)| !value.is_empty()).enumerate() {
                @if at > 0 { " · " }
                a href=(format!("/repairs?{name}={}", parts::encoded(value))) { (said) }
            }
        }
    }
}

/// The actions that were tried most, with their figures.
fn actions(visit: &PageRequest, all: &Table, worth: &[ActionStats]) -> Markup {
    let mut shown = all.clone();
    let is_shown = |action: &str| worth.iter().any(|worth| worth.action == action);
    shown.actions.retain(|figures| is_shown(&figures.action));
    super::worth::table(visit, &shown)
}

/// Repairs one by one; with the anomalies that they were tried on, where there are several.
pub(super) fn table(
    visit: &PageRequest,
    settings: &RepairSettings,
    repairs: &[repairs::Model],
    anomalies: Option<&HashMap<String, anomalies::Model>>,
) -> Markup {
    let text = visit.text();
    html! {
        table {
            thead { tr {
                th scope="col" { (text.when) }
                th scope="col" { (text.action) }
                th scope="col" { (text.claim) }
                th scope="col" { (text.verdict) }
                @if anomalies.is_some() { th scope="col" { (text.anomaly) } }
                th scope="col" { (text.incident) }
                th scope="col" { (text.operator) }
                th.n scope="col" { (text.took) }
                th scope="col" { (text.note) }
            } }
            tbody {
                @for repair in repairs {
                    tr {
                        td { (parts::since(visit, repair.repaired_at)) }
                        td { code { (repair.action) } " "
                            small { (class_name(text, settings.actions.of(&repair.action))) } }
                        td { (claim(visit, settings, repair)) }
                        td { (verdict(text, repair)) }
                        @if let Some(anomalies) = anomalies {
                            td { @if let Some(anomaly) = anomalies.get(&repair.anomaly_key) {
                                a href=(format!("/anomalies/{}", anomaly.key)) { (parts::or_dash(&anomaly.alert_name)) }
                                " " span.svc { (anomaly.service) }
                            } }
                        }
                        td { a href=(format!("/incidents/{}", repair.incident_id)) {
                            code { (ShortId::of(repair.incident_id)) } } }
                        td { (parts::or_dash(repair.operator.as_deref().unwrap_or_default())) }
                        td.n { @if let Some(ms) = repair.duration_ms { (took(visit, ms)) } }
                        td.note { (repair.note.as_deref().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

/// What was reported: whether it helped, or that it is not finished.
fn claim(visit: &PageRequest, settings: &RepairSettings, repair: &repairs::Model) -> Markup {
    let text = visit.text();
    match RepairState::of(repair, settings, visit.now) {
        RepairState::Finished => outcome(text, repair.success),
        RepairState::Started => html! { (text.repair_started) },
        RepairState::Unfinished => html! { span.bad { (text.repair_unfinished) } },
    }
}

/// What silence says, and why.
fn verdict(text: &Text, repair: &repairs::Model) -> Markup {
    let why = repair
        .verdict_reason
        .map(|reason| why_verdict(text, reason));
    html! {
        @match repair.verdict {
            None if repair.unfinished => {}
            None => { (text.verdict_pending) }
            Some(verdict) => {
                span.good[verdict == Verdict::Verified].bad[verdict == Verdict::Disproved] title=[why] {
                    (verdict_word(text, verdict))
                }
                @if let Some(why) = why { " " small { (why) } }
                @if let Some(ms) = repair.quiet_after_ms { " · " (spanned(text, text.quiet_after, ms)) }
            }
        }
    }
}

/// One repair in a line: what was done, whether it held, how long it took, who did it, and the note.
fn in_short(visit: &PageRequest, settings: &RepairSettings, repair: &repairs::Model) -> Markup {
    let text = visit.text();
    html! {
        code { (repair.action) } ": " (verdict(text, repair))
        " · " (text.claim) (text.colon) (claim(visit, settings, repair))
        @if let Some(ms) = repair.duration_ms { " · " (spanned(text, text.took_age, ms)) }
        @if let Some(who) = &repair.operator { " · " (who) }
        @if let Some(note) = &repair.note { " · " q { (note) } }
    }
}

/// The last incidents of the anomaly: what was tried on each, what held, how long it took, and the notes.
pub(super) fn past(visit: &PageRequest, settings: &RepairSettings, past: &[Past]) -> Markup {
    let text = visit.text();
    html! {
        @if past.is_empty() { p { (text.no_past) } }
        @for Past { incident, repairs } in past {
            div.past {
                p {
                    a href=(format!("/incidents/{}", incident.id)) { code { (ShortId::of(incident.id)) } }
                    " · " (parts::since(visit, incident.opened_at))
                    @if let Some(resolved) = incident.resolved_at {
                        " · " (visit.lang.age(resolved.since(incident.opened_at)))
                    }
                }
                @if repairs.is_empty() { p { (text.nothing_tried) } } @else {
                    ul { @for repair in repairs { li { (in_short(visit, settings, repair)) } } }
                }
            }
        }
    }
}

fn took(visit: &PageRequest, ms: i64) -> String {
    visit
        .lang
        .age(std::time::Duration::from_millis(ms.max(0).unsigned_abs()))
}

/// How long something took, in words.
fn spanned(text: &Text, form: &str, ms: i64) -> String {
    let age = std::time::Duration::from_millis(ms.max(0).unsigned_abs());
    fill(form, &[("age", &Lang::of(text).age(age))])
}

fn outcome(text: &Text, success: bool) -> Markup {
    html! {
        @if success { span.good { span aria-hidden="true" { "✓" } " " (text.helped) } }
        @else { span.bad { span aria-hidden="true" { "✗" } " " (text.helped_not) } }
    }
}
