//! The system: what is connected, what it may lose, and whether what came in is accounted for.

mod chain;
mod connected;
mod load;
mod refused;
mod sources;
mod warnings;

use std::collections::BTreeSet;

use axum::extract::State;
use maud::{Markup, html};

use super::accounting::accounting;
use super::layout::{self, Frame, Section};
use super::topics::Topic;
use super::{PageError, PageRequest, Pages, charts, parts};
use crate::config::channel_kind;
use crate::domain::aggregation::Unit;
use crate::jobs::QUEUES;
use crate::store::views::stats::StoredTotals;
use crate::telemetry::metrics::{ByMessage, ByOutcome, ByQueue};
use crate::text::{Text, fill, plural};
use connected::{JUST_NOW, parts};
use load::{SystemData, load};
use refused::refused;
use sources::sources;

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/system",
    name: |text| text.system,
};

pub(super) async fn page(
    State(pages): State<Pages>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let text = visit.text();
    let found = load(&pages, text).await;
    let frame = Frame {
        section: SECTION,
        title: text.system,
        watch: Topic::System.watch(),
    };
    let content = html! {
        h1 { (text.system) }
        div #system data-live {
            section aria-labelledby="connected" {
                h2 #connected { (text.connected) }
                (parts(&visit, &found.parts))
            }
            @if !found.warnings.is_empty() || visit.paused.is_empty() { section aria-labelledby="warnings" {
                h2 #warnings { (text.warnings) }
                @for warning in &found.warnings { p.warn { span aria-hidden="true" { "⚠ " } (warning) } }
                @if found.warnings.is_empty() {
                    p.good { span aria-hidden="true" { "✓ " } (text.no_warnings) }
                }
            } }
            section aria-labelledby="chain" {
                h2 #chain { (text.chain) }
                p.hint { (text.chain_lead) }
                (chain::chain(&visit, pages.context.config.canary.every.is_some(), found.canary.as_ref()))
            }
            section aria-labelledby="sources" {
                h2 #sources { (text.sources) }
                p.hint { (text.sources_lead) }
                (sources(&visit, found.sources.as_deref()))
            }
            section aria-labelledby="refused" {
                h2 #refused { (text.refused) }
                p.hint { (text.refused_lead) }
                (refused(&visit, &found.refused))
            }
            div.cols {
                section aria-labelledby="accounting" {
                    h2 #accounting { (text.accounting) }
                    p.hint { (text.accounting_lead) }
                    (accounting(text, &pages, found.balance))
                }
                section aria-labelledby="books" {
                    h2 #totals { (text.acc_books) }
                    (totals(&visit, &found))
                }
                section aria-labelledby="metrics" {
                    h2 #metrics { (text.metrics) }
                    p.hint { (text.metrics_lead) }
                    (metrics(text, &pages))
                }
                section aria-labelledby="settings" {
                    h2 #settings { (text.settings) }
                    (settings(&pages, text))
                }
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content))
}

fn totals(visit: &PageRequest, found: &SystemData) -> Markup {
    let text = visit.text();
    let or_dash = |n: Option<String>| n.unwrap_or_else(|| "–".to_owned());
    let counted = |of: fn(&StoredTotals) -> i64| {
        let totals = found.totals.as_ref();
        or_dash(totals.map(|(_, totals)| of(totals).to_string()))
    };
    let rows = [
        (text.acc_counted, counted(|totals| totals.counted)),
        (text.acc_occurrences, counted(|totals| totals.occurrences)),
        (text.acc_incidents, counted(|totals| totals.incidents)),
        (text.acc_anomalies, counted(|totals| totals.anomalies)),
        (
            text.acc_queued,
            or_dash(found.queued.map(|n| n.to_string())),
        ),
        (text.acc_dead, or_dash(found.dead.map(|n| n.to_string()))),
    ];
    html! {
        (charts::figures(&rows.map(|(name, n)| (name.to_owned(), n))))
        @if let Some((at, _)) = &found.totals {
            @if visit.now.since(*at) < JUST_NOW { p.hint { (text.acc_counted_now) } }
            @else { p.hint { (parts::around(text.acc_counted_at, "time", &parts::ago(visit, *at))) } }
        }
    }
}

/// The counters that should stay zero, where they are not.
fn metrics(text: &Text, pages: &Pages) -> Markup {
    let m = &pages.context.metrics;
    let mut rows = Vec::new();
    for queue in QUEUES {
        for outcome in ["done", "failed", "delayed", "dead", "stale"] {
            let n = m.jobs.get_or_create(&ByOutcome { queue, outcome }).get();
            rows.push((format!("tocsin_jobs_total {queue} {outcome}"), n));
        }
        let n = m.store_errors.get_or_create(&ByQueue { queue }).get();
        rows.push((format!("tocsin_store_errors_total {queue}"), n));
    }
    let channels = pages.context.config.all_channels();
    let kinds = channels.iter().map(|channel| channel_kind(channel));
    let kinds: BTreeSet<&str> = kinds.chain([""]).collect();
    for outcome in [
        "sent",
        "delayed",
        "failed",
        "given_up",
        "muted",
        "maintenance",
    ] {
        for channel in kinds.iter().copied() {
            let by = ByMessage { channel, outcome };
            let n = m.messages.get_or_create(&by).get();
            rows.push((format!("tocsin_messages_total {channel} {outcome}"), n));
        }
    }
    rows.retain(|(_, n)| *n > 0);
    let rows: Vec<_> = rows.into_iter().map(|(k, n)| (k, n.to_string())).collect();
    html! { @if rows.is_empty() { p { (text.nothing_here) } } @else { (charts::figures(&rows)) } }
}

/// The settings that decide what becomes an incident and a level.
fn settings(pages: &Pages, text: &Text) -> Markup {
    let config = &pages.context.config;
    let span = |span: crate::config::Span| {
        let json = serde_json::to_value(span).unwrap_or_default();
        json.as_str().unwrap_or_default().to_owned()
    };
    let mut rows = vec![
        (
            "counting.unit".to_owned(),
            config.counting.unit.name().to_owned(),
        ),
        (
            "aggregation.window".to_owned(),
            span(config.aggregation.window),
        ),
        (
            "escalation.open_for".to_owned(),
            span(config.escalation.open_for),
        ),
    ];
    for rule in &config.escalation.rules {
        let counted = match config.counting.unit {
            Unit::Episode => text.n_firings,
            Unit::Delivery => text.n_deliveries,
            Unit::Incident => text.n_incidents,
        };
        let (counts, incidents) = (
            plural(counted, rule.count),
            plural(text.n_incidents, rule.incidents),
        );
        let sentence = match rule.incidents {
            ..=1 => text.rule_counts,
            _ => text.rule_spread,
        };
        let places = [
            ("counts", &*counts),
            ("window", parts::window(text, rule.window)),
            ("incidents", &*incidents),
        ];
        let rule = (rule.level.name().to_owned(), fill(sentence, &places));
        rows.push(rule);
    }
    rows.push((
        "retention.occurrences".to_owned(),
        span(config.retention.occurrences),
    ));
    rows.push(("retention.rest".to_owned(), span(config.retention.rest)));
    charts::figures(&rows)
}
