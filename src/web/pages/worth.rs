//! Figures of actions, as pages show them.

use std::time::Duration;

use maud::{Markup, html};

use super::{PageRequest, charts, parts};
use crate::text::repairs::class_name;
use crate::text::{Text, fill};
use crate::web::worth::{ActionFigures, NothingDone, OfAnomaly, Table};

/// How often each action held, in a sentence or two; with those that stand in, and the baseline.
pub(super) fn summary(text: &Text, found: &OfAnomaly) -> Markup {
    let own = found.own.held(text);
    let nothing = &found.own.nothing;
    html! {
        p.worth {
            @if own.is_empty() { (text.none_judged) } @else { strong { (own) } (text.full_stop) }
            " " (by_itself(text, nothing))
        }
        @if let Some(wider) = &found.stand_in {
            p.worth { (fill(text.stands_in, &[
                ("name", wider.subject.as_str()), ("list", &wider.held(text)),
            ])) }
        }
    }
}

fn by_itself(text: &Text, nothing: &NothingDone) -> String {
    if nothing.episodes == 0 {
        return text.nothing_unknown.to_owned();
    }
    let (held, n) = (nothing.held.to_string(), nothing.episodes.to_string());
    fill(text.nothing_held, &[("held", &held), ("n", &n)])
}

/// Every action with its figures, and what happens with nothing done.
pub(super) fn table(visit: &PageRequest, found: &Table) -> Markup {
    let text = visit.text();
    html! {
        table {
            thead { tr {
                th scope="col" { (text.action) }
                th.n scope="col" { (text.held) }
                th scope="col" { (text.at_least) }
                th scope="col" { (text.assessment) }
                th.n scope="col" { (text.attempts) }
                th.n scope="col" { (text.claimed_only) }
                th.n scope="col" { (text.not_counted) }
                th scope="col" { (text.time_to_quiet) }
                th scope="col" { (text.last_time) }
            } }
            tbody {
                @for action in &found.actions { (row(visit, action)) }
                @let nothing = &found.nothing;
                @if nothing.episodes > 0 {
                    tr {
                        th scope="row" { em { (text.nothing_done) } }
                        td.n { (nothing.held) " / " (nothing.episodes) }
                        td {} td {} td.n {} td.n {} td.n {} td {} td {}
                    }
                }
            }
        }
    }
}

fn row(visit: &PageRequest, action: &ActionFigures) -> Markup {
    let text = visit.text();
    let assessment = match action.effective {
        Some(true) => html! { span.good { (text.effective_yes) } },
        Some(false) => html! { span.bad { (text.effective_no) } },
        None if action.is_judged => html! { (text.effective_unknown) },
        None => html! { (text.effective_few) },
    };
    html! {
        tr {
            th scope="row" { code { (action.action) } " " small { (class_name(text, action.class)) } }
            td.n {
                (action.verified) " / " (action.verdicts)
                @if let Some(n) = action.weighed() { " " small { (fill(text.weighed_n, &[("n", &n)])) } }
            }
            td { @if action.verdicts > 0 { (charts::share((action.lower_bound * 100.0) as i64, 100)) } }
            td { (assessment) }
            td.n { (action.attempts) }
            td.n { (action.claimed) " / " (action.claimed_only) }
            td.n { (action.superseded) " / " (action.unknown) " / " (action.unjudged) }
            td { @if let Some((median, p90)) = action.median_quiet_ms.zip(action.p90_quiet_ms) {
                (fill(text.median_p90, &[("median", &age(visit, median)), ("p90", &age(visit, p90))])) } }
            td { (parts::at(action.last_at)) }
        }
    }
}

fn age(visit: &PageRequest, ms: i64) -> String {
    visit
        .lang
        .age(Duration::from_millis(ms.max(0).unsigned_abs()))
}
