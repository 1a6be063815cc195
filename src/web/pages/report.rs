//! The report of a period: figures, days and what came back, for the week in review.

mod plots;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

use super::address::{self, PageQuery};
use super::layout::{self, Frame, Section};
use super::{PageError, PageRequest, Pages, charts, parts};
use crate::report::said::{self, sentences};
use crate::report::{self, Period, Report, fix_says};
use crate::text::fill;
use crate::text::words::counted;
use crate::time::Timestamp;

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/report",
    name: |text| text.report,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReportQuery {
    from: String,
    to: String,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    PageQuery(query): PageQuery<ReportQuery>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let [from, to] = [&query.from, &query.to].map(|text| Timestamp::parse(text));
    address::check([
        ("from", &*query.from, from.is_some()),
        ("to", &*query.to, to.is_some()),
    ])?;
    let period = Period::between(from, to, visit.now);
    let period = period.map_err(PageError::BadRequest)?;
    let report = report::make(&pages.context, period).await?;
    let text = visit.text();
    let frame = Frame {
        section: SECTION,
        title: text.report,
        watch: String::new(),
    };
    let content = html! {
        h1 { (text.report) }
        p.hint { (text.rp_lead) }
        p { (between(&visit, &report)) }
        (pager(&visit, period, visit.now.before(pages.context.config.retention.occurrences.0)))
        @for sentence in said::incomplete(&report, visit.lang) { p.warn { (sentence) } }
        div.cols.even {
            section aria-labelledby="figures" {
                h2 #figures { (text.rp_figures) }
                dl.facts { @for one in sentences(&report, visit.lang) {
                    (charts::fact(&one.name, &html! { (one.says) }))
                } }
            }
            section aria-labelledby="days" {
                h2 #days { (text.rp_days) }
                (plots::days(text, &report))
            }
        }
        (returning(&visit, &report))
        (new_anomalies(&visit, &report))
        (repairs(&visit, &report))
        (failed_fixes(&visit, &report))
        p.hint { (text.rp_commands) }
    };
    Ok(layout::page(&visit, &frame, &content))
}

fn between(visit: &PageRequest, report: &Report) -> Markup {
    let period = visit.text().rp_period.replace(" UTC", "");
    let (before, rest) = period.split_once("{from}").unwrap_or((&period, ""));
    let (middle, after) = rest.split_once("{to}").unwrap_or((rest, ""));
    html! { (before) (parts::at(report.from)) (middle) (parts::at(report.to)) (after) }
}

/// The way to the period before, if firings of it are kept, since `kept`; and to the one after, if that is over.
fn pager(visit: &PageRequest, period: Period, kept: Timestamp) -> Markup {
    let text = visit.text();
    let link = |period: Period| {
        let [from, to] = [period.from, period.to].map(|at| parts::encoded(&at.to_rfc3339()));
        format!("{}?from={from}&to={to}", SECTION.path)
    };
    let later = Some(period.after()).filter(|later| later.to <= visit.now);
    html! {
        nav.pager aria-label=(text.report) {
            @if period.from > kept { a rel="prev" href=(link(period.before())) { "← " (text.rp_earlier) } }
            @if let Some(later) = later { a rel="next" href=(link(later)) { (text.rp_later) " →" } }
        }
    }
}

/// What an anomaly is called, with a link to it.
fn anomaly(key: &str, alert_name: &str, service: &str, namespace: &str) -> Markup {
    html! {
        a href=(format!("/anomalies/{key}")) { (parts::or_dash(alert_name)) }
        @if !service.is_empty() { " " (parts::service(service)) }
        @if !namespace.is_empty() { " " span.ns { (namespace) } }
    }
}

fn returning(visit: &PageRequest, report: &Report) -> Markup {
    let text = visit.text();
    html! {
        section aria-labelledby="returning" {
            h2 #returning { (text.rp_returning) }
            @if report.returning.is_empty() { p { (text.rp_returning_none) } } @else {
                div.wide.names tabindex="0" role="region" aria-labelledby="returning" { table {
                    thead { tr {
                        th scope="col" { (text.anomaly) }
                        th scope="col" { (text.level) }
                        th.n scope="col" { (fill(text.rp_occurrences, &[("counted", counted(text, report.unit))])) }
                        th.n scope="col" { (text.rp_before) }
                        th scope="col" { (text.rp_trend) }
                        th scope="col" { (text.rp_days) }
                    } }
                    tbody { @for one in &report.returning { tr {
                        th scope="row" { (anomaly(&one.key, &one.alert_name, &one.service, &one.namespace)) }
                        td { (parts::level(text, one.level)) }
                        td.n { (said::number(one.occurrences.count)) }
                        td.n { @match one.occurrences.before { Some(n) => (said::number(n)), None => "–" } }
                        td { @match one.occurrences.before {
                            Some(0) => (text.rp_none_before),
                            Some(before) => (charts::trend(text, one.occurrences.count, before)),
                            None => (text.rp_no_trend),
                        } }
                        td.bars { (plots::spark(text, report, &one.days)) }
                    } } }
                } }
            }
        }
    }
}

fn new_anomalies(visit: &PageRequest, report: &Report) -> Markup {
    let text = visit.text();
    let lead = fill(text.rp_new_lead, &[("counted", counted(text, report.unit))]);
    html! {
        section aria-labelledby="new" {
            h2 #new { (text.rp_new) }
            @if report.newest.is_empty() { p { (text.rp_new_none) } } @else {
                p.hint { (lead) }
                div.wide.names tabindex="0" role="region" aria-labelledby="new" { table {
                    thead { tr {
                        th scope="col" { (text.anomaly) }
                        th scope="col" { (text.first_seen) }
                        th.n scope="col" { (text.count) }
                    } }
                    tbody { @for one in &report.newest { tr {
                        th scope="row" { (anomaly(&one.key, &one.alert_name, &one.service, &one.namespace)) }
                        td { (parts::at(one.first_seen)) }
                        td.n { (said::number(one.count)) }
                    } } }
                } }
            }
        }
    }
}

fn repairs(visit: &PageRequest, report: &Report) -> Markup {
    let text = visit.text();
    html! {
        section aria-labelledby="repairs" {
            h2 #repairs { (text.repairs) }
            @if report.repairs.actions.is_empty() { p { (text.rp_repairs_none) } } @else {
                div.wide tabindex="0" role="region" aria-labelledby="repairs" { table {
                    thead { tr {
                        th scope="col" { (text.action) }
                        th.n scope="col" { (text.attempts) }
                        th.n scope="col" { (text.held) }
                        th.n scope="col" { (text.rp_did_not_hold) }
                        th.n scope="col" { (text.not_counted) }
                    } }
                    tbody { @for one in &report.repairs.actions {
                        @let of = one.outcomes;
                        @let judged = of.verified + of.disproved + of.superseded + of.unknown;
                        tr {
                            th scope="row" { code { (one.action) } }
                            td.n { (said::number(of.attempts)) }
                            td.n { (said::number(of.verified)) }
                            td.n { (said::number(of.disproved)) }
                            td.n { (of.superseded) " / " (of.unknown) " / " (of.attempts - judged) }
                        }
                    } }
                } }
            }
        }
    }
}

fn failed_fixes(visit: &PageRequest, report: &Report) -> Markup {
    html! {
        @if !report.failed_fixes.is_empty() {
            section aria-labelledby="fixes" {
                h2 #fixes { (visit.text().rp_fixes) }
                ul.rows { @for fix in &report.failed_fixes { li {
                    (anomaly(&fix.key, &fix.alert_name, &fix.service, &fix.namespace))
                    " · " (fix_says(fix, visit.lang))
                    @if let Some(reference) = &fix.reference { " · " q { (reference) } }
                } } }
            }
        }
    }
}
