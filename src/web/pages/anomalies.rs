//! Anomalies: what comes back most, whether it comes back more than before, and what would be worth
//! fixing for good.

use std::collections::HashMap;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

use super::address::PageQuery;
use super::layout::{self, Frame, Section};
use super::topics::Topic;
use super::{PageError, PageRequest, Pages, charts, incidents, mute, parts};
use crate::domain::escalation::Level;
use crate::domain::frequency::{Counts, Window, figure};
use crate::store::views::hourly_counts::{self, Day};
use crate::store::views::top_anomalies::{TopAnomaly, worst};
use crate::text::fill;

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/anomalies",
    name: |text| text.anomalies,
};

/// Rows of the table.
const SHOWN: u64 = 25;
/// Anomalies that are read to find those worth fixing, and the most that are listed.
const LOOKED_AT: u64 = 200;
const NAMED: usize = 10;
/// Firings in 30 days from which an anomaly counts as frequent.
const OFTEN: i64 = 5;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnomalyQuery {
    window: String,
}

impl AnomalyQuery {
    fn window(&self) -> Result<Window, PageError> {
        let named = |window: &Window| window.name().eq_ignore_ascii_case(&self.window);
        let window = match self.window.as_str() {
            "" => Some(Window::Day),
            _ => Window::ALL.into_iter().find(named),
        };
        window.ok_or_else(|| PageError::no_such("window", &self.window))
    }
}

/// One line: an anomaly, its counts now, its count before, its day.
struct Row {
    offender: TopAnomaly,
    counts: Counts,
    before: i64,
    day: Day,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    PageQuery(query): PageQuery<AnomalyQuery>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let (text, window) = (visit.text(), query.window()?);
    let rows = load(&pages, &visit, window).await?;
    let worth = worth_fixing(&pages, &visit).await?;
    let frame = Frame {
        section: SECTION,
        title: text.anomalies,
        watch: Topic::Anomalies.watch(),
    };
    let within = parts::within(text, window);
    let content = html! {
        h1 { (text.anomalies) }
        section aria-labelledby="worth" {
            h2 #worth { (text.worth_fixing) }
            p.hint { (text.worth_fixing_lead) }
            div #worth-list data-live { (worth_list(&visit, &worth)) }
        }
        section aria-labelledby="offenders" {
            h2 #offenders { (text.offenders) }
            nav.tabs aria-label=(text.window) {
                @for other in Window::ALL {
                    a href=(format!("/anomalies?window={}", other.name()))
                        aria-current=[(other == window).then_some("page")] {
                        (parts::window(text, other))
                    }
                }
            }
            p.hint { (fill(text.offenders_lead, &[("window", within)])) }
            div #offender-list.wide data-live tabindex="0" role="region" aria-labelledby="offenders" {
                @if rows.is_empty() {
                    p.empty { (fill(text.no_offenders, &[("window", within)])) }
                } @else {
                    (table(&visit, window, &rows))
                }
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content))
}

async fn load(pages: &Pages, visit: &PageRequest, window: Window) -> Result<Vec<Row>, PageError> {
    let context = &pages.context;
    let (db, unit) = (context.db.view(), context.config.counting.unit);
    let offenders = worst(db, window, visit.now, SHOWN).await?;
    let keys: Vec<String> = offenders.iter().map(|o| o.anomaly.key.clone()).collect();
    let before = async {
        // Rows are kept for thirty days: there is nothing to compare the longest window with.
        if window == Window::Month {
            return Ok(HashMap::new());
        }
        hourly_counts::before(db, unit, keys.clone(), window.length(), visit.now).await
    };
    let counts = async {
        let counts = context.counter.counts(&keys, visit.now).await;
        counts.map_err(|error| {
            tracing::warn!("a page failed at the counter: {error}");
            PageError::Unavailable
        })
    };
    let days = incidents::days(pages, visit, &keys);
    let (before, counts, days) = tokio::join!(before, counts, days);
    let (before, counts, days) = (before?, counts?, days?);
    let rows = offenders.into_iter().zip(counts).zip(days);
    let mut rows: Vec<Row> = rows
        .map(|((offender, counts), day)| Row {
            before: before.get(&offender.anomaly.key).copied().unwrap_or(0),
            offender,
            counts,
            day,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.counts.of(window)));
    Ok(rows)
}

fn table(visit: &PageRequest, window: Window, rows: &[Row]) -> Markup {
    let text = visit.text();
    html! {
        table.offenders {
            thead { tr {
                th scope="col" { (text.anomaly) }
                th scope="col" { (text.level) }
                @for other in Window::ALL {
                    th.n scope="col" aria-sort=[(other == window).then_some("descending")] {
                        (parts::window(text, other))
                    }
                }
                @if window != Window::Month { th scope="col" { (text.trend) } }
                th scope="col" { (text.chart_24h) }
                th.n scope="col" { (text.repairs_helped) }
                th scope="col" { (text.last_seen) }
            } }
            tbody {
                @for row in rows {
                    @let anomaly = &row.offender.anomaly;
                    tr {
                        th scope="row" { (name(visit, &row.offender)) }
                        td { (parts::level(text, anomaly.level)) }
                        @for other in Window::ALL {
                            td.n.strong[other == window] { (figure(row.counts.of(other))) }
                        }
                        @if window != Window::Month {
                            td { (charts::trend(text, row.counts.of(window), row.before)) " "
                                small { (text.before) (text.colon) (row.before) } }
                        }
                        td.bars { (charts::spark(text, &row.day)) }
                        td.n { (row.offender.successes) "/" (row.offender.attempts) }
                        td { @if let Some(at) = anomaly.last_seen { (parts::since(visit, at)) } }
                    }
                }
            }
        }
    }
}

/// An anomaly's name with its place.
fn name(visit: &PageRequest, offender: &TopAnomaly) -> Markup {
    let anomaly = &offender.anomaly;
    html! {
        a href=(format!("/anomalies/{}", anomaly.key)) { (parts::or_dash(&anomaly.alert_name)) }
        " "
        @if !anomaly.service.is_empty() { (parts::service(&anomaly.service)) " " }
        @if !anomaly.namespace.is_empty() { span.ns { (anomaly.namespace) } }
        " " (mute::mark(visit, anomaly))
    }
}

/// Anomalies without a permanent fix that repairs do not cure, the most frequent first; and whether the
/// fix that there was held.
async fn worth_fixing(
    pages: &Pages,
    visit: &PageRequest,
) -> Result<Vec<(TopAnomaly, i64)>, PageError> {
    let context = &pages.context;
    let db = context.db.view();
    let mut offenders = worst(db, Window::Month, visit.now, LOOKED_AT).await?;
    offenders.retain(is_worth_fixing);
    offenders.truncate(NAMED);
    let keys: Vec<String> = offenders.iter().map(|o| o.anomaly.key.clone()).collect();
    let counts = context.counter.counts(&keys, visit.now).await;
    let counts = counts.map_err(|_| PageError::Unavailable)?;
    Ok(offenders
        .into_iter()
        .zip(counts.iter().map(|counts| counts.month))
        .filter(|(offender, n)| *n >= OFTEN || offender.anomaly.level == Level::PermanentFix)
        .collect())
}

fn is_worth_fixing(offender: &TopAnomaly) -> bool {
    let anomaly = &offender.anomaly;
    match anomaly.permanent_fix_at {
        Some(_) => fix_failed(offender),
        None => {
            let failed = offender.attempts - offender.successes;
            anomaly.level == Level::PermanentFix || (failed >= 2 && failed * 2 >= offender.attempts)
        }
    }
}

fn fix_failed(offender: &TopAnomaly) -> bool {
    let anomaly = &offender.anomaly;
    anomaly
        .permanent_fix_at
        .is_some_and(|at| anomaly.last_seen.is_some_and(|seen| seen > at))
}

fn worth_list(visit: &PageRequest, worth: &[(TopAnomaly, i64)]) -> Markup {
    let text = visit.text();
    html! {
        @if worth.is_empty() { p { (text.no_worth_fixing) } }
        ol.worth {
            @for (offender, n) in worth {
                @let failed = offender.attempts - offender.successes;
                li.(parts::level_class(offender.anomaly.level)) {
                    div { (name(visit, offender)) }
                    div {
                        (parts::level(text, offender.anomaly.level)) " "
                        (fill(text.worth_why_count, &[("n", &figure(*n))]))
                        @if failed > 0 {
                            " · " (fill(text.worth_why_failed, &[("failed", &failed.to_string()),
                                ("attempts", &offender.attempts.to_string())]))
                        }
                        @if let Some(at) = offender.anomaly.permanent_fix_at.filter(|_| fix_failed(offender)) {
                            " · " (parts::around(text.worth_why_fix, "time", &parts::at(at)))
                        }
                    }
                }
            }
        }
    }
}
