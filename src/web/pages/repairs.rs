//! Repairs: what was tried on what, by whom, and what each action was worth.

use std::collections::HashMap;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

use super::address::PageQuery;
use super::layout::{self, Frame, Section};
use super::topics::Topic;
use super::{PageError, PageRequest, Pages, address, charts, parts};
use crate::domain::id::ShortId;
use crate::entity::{anomalies, repairs};
use crate::store::views::lists;
use crate::store::views::timeline::{self, RepairFilter};
use crate::store::views::top_anomalies::{ActionStats, by_action};
use crate::text::Text;
use crate::web::{repair_cursor, repair_position};

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/repairs",
    name: |text| text.repairs,
};

/// Repairs of a page, and actions.
const SHOWN: usize = 50;
const ACTIONS: u64 = 20;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RepairQuery {
    after: String,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    PageQuery(query): PageQuery<RepairQuery>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let db = pages.context.db.view();
    let before = repair_position(&query.after);
    address::check([("after", &*query.after, before.is_some())])?;
    let all = RepairFilter::default();
    let (mut newest, worth) = tokio::try_join!(
        timeline::newest_repairs(db, &all, before, SHOWN as u64 + 1),
        by_action(db, None, ACTIONS),
    )?;
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
        div #repairs data-live { @if worth.is_empty() && newest.is_empty() {
            (layout::empty(text.no_repairs, text.no_repairs_lead))
        } @else {
            section aria-labelledby="by-action" {
                h2 #by-action { (text.by_action) }
                div.wide tabindex="0" role="region" aria-labelledby="by-action" {
                    (actions(text, &worth))
                }
            }
            section aria-labelledby="newest" {
                h2 #newest { (text.newest_repairs) }
                div.wide tabindex="0" role="region" aria-labelledby="newest" {
                    (table(&visit, &newest, Some(&anomalies)))
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

fn actions(text: &Text, worth: &[ActionStats]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { (text.action) }
                th.n scope="col" { (text.attempts) }
                th.n scope="col" { (text.successes) }
                th scope="col" { (text.success_rate) }
                th.n scope="col" { (text.anomalies) }
                th scope="col" { (text.last_time) }
            } }
            tbody {
                @for action in worth {
                    tr {
                        th scope="row" { code { (action.action) } }
                        td.n { (action.attempts) }
                        td.n { (action.successes) }
                        td { (charts::share(action.successes, action.attempts)) }
                        td.n { (action.anomalies) }
                        td { (parts::at(action.last_at)) }
                    }
                }
            }
        }
    }
}

/// Repairs one by one; with the anomalies that they were tried on, where there are several.
pub(super) fn table(
    visit: &PageRequest,
    repairs: &[repairs::Model],
    anomalies: Option<&HashMap<String, anomalies::Model>>,
) -> Markup {
    let text = visit.text();
    html! {
        table {
            thead { tr {
                th scope="col" { (text.when) }
                th scope="col" { (text.action) }
                th scope="col" { (text.outcome) }
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
                        td { code { (repair.action) } }
                        td { (outcome(text, repair.success)) }
                        @if let Some(anomalies) = anomalies {
                            td { @if let Some(anomaly) = anomalies.get(&repair.anomaly_key) {
                                a href=(format!("/anomalies/{}", anomaly.key)) { (parts::or_dash(&anomaly.alert_name)) }
                                " " span.svc { (anomaly.service) }
                            } }
                        }
                        td { a href=(format!("/incidents/{}", repair.incident_id)) {
                            code { (ShortId::of(repair.incident_id)) } } }
                        td { (parts::or_dash(repair.operator.as_deref().unwrap_or_default())) }
                        td.n { @if let Some(ms) = repair.duration_ms {
                            (visit.lang.age(std::time::Duration::from_millis(ms.unsigned_abs()))) } }
                        td.note { (repair.note.as_deref().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

fn outcome(text: &Text, success: bool) -> Markup {
    html! {
        @if success { span.good { span aria-hidden="true" { "✓" } " " (text.helped) } }
        @else { span.bad { span aria-hidden="true" { "✗" } " " (text.helped_not) } }
    }
}
