//! The table of the parts: whether each answers, and what was done last.

use std::time::Duration;

use maud::{Markup, html};

use super::load::{Part, PartStatus, routine_words};
use crate::routines::Routine;
use crate::store::views::stats::ChannelHealth;
use crate::text::fill;
use crate::web::pages::{PageRequest, parts};

/// Maximum age that is shown as “just now”.
pub(super) const JUST_NOW: Duration = Duration::from_secs(1);

pub(super) fn parts(visit: &PageRequest, parts: &[Part]) -> Markup {
    let text = visit.text();
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="connected" { table {
            thead { tr {
                th scope="col" { (text.part) }
                th scope="col" { (text.version_or_name) }
                th scope="col" { (text.status) }
                th.n scope="col" { (text.answer_time) }
            } }
            tbody {
                tr {
                    th scope="row" { "Tocsin" } td { (crate::VERSION) }
                    td { span.good { span aria-hidden="true" { "✓" } " " (text.fine) } } td.n {}
                }
                @for part in parts {
                    tr {
                        th scope="row" { (part.name) }
                        td { (what(visit, part)) }
                        @match &part.is {
                            PartStatus::Fine(took) => {
                                td { span.good { span aria-hidden="true" { "✓" } " " (text.fine) } }
                                td.n { (format!("{:.1} ms", took.as_secs_f64() * 1000.0)) }
                            }
                            PartStatus::TakesNothing => {
                                td { span.bad { span aria-hidden="true" { "✗" } " " (text.takes_nothing) } }
                                td.n {}
                            }
                            PartStatus::Routine(routine, ago) => {
                                td { (last_done(visit, *routine, *ago)) }
                                td.n {}
                            }
                            PartStatus::Unreachable => {
                                td { span.bad { span aria-hidden="true" { "✗" } " " (text.no_answer) } }
                                td.n {}
                            }
                            PartStatus::Channel(standing) => {
                                td { (channel(visit, standing.as_ref())) }
                                td.n {}
                            }
                        }
                    }
                }
            }
        } }
    }
}

/// A version or a name; of what a schedule brings back, how often that is.
fn what(visit: &PageRequest, part: &Part) -> String {
    match part.is {
        PartStatus::Routine(routine, _) => {
            let every = visit.lang.age(routine.every());
            fill(visit.text().every, &[("time", &every)])
        }
        _ => part.what.clone(),
    }
}

/// When it was last done.
fn last_done(visit: &PageRequest, routine: Routine, ago: Option<Option<Duration>>) -> Markup {
    let text = visit.text();
    let Some(ago) = ago else {
        return html! { (text.not_known) };
    };
    let Some(ago) = ago else {
        return html! { (text.never_done) };
    };
    let time = parts::ago(visit, visit.now.before(ago));
    match routine.is_overdue(ago) {
        true => html! {
            span.bad { span aria-hidden="true" { "✗ " }
                (parts::around(routine_words(text, routine).1, "time", &time)) }
        },
        false => html! {
            span.good { span aria-hidden="true" { "✓ " } (parts::around(text.last_done, "time", &time)) }
        },
    }
}

/// What its newest messages say of a channel.
pub(super) fn channel(visit: &PageRequest, standing: Option<&ChannelHealth>) -> Markup {
    let text = visit.text();
    let Some(standing) = standing else {
        return html! { "–" };
    };
    // A failure is over when something was sent after it.
    let failed = standing.failed.as_ref();
    let failed = failed.filter(|(at, _)| standing.sent_at.is_none_or(|sent| sent <= *at));
    html! {
        @if let Some((at, error)) = failed {
            span.bad { span aria-hidden="true" { "✗" } " "
                (parts::around(text.channel_failed, "time", &parts::ago(visit, *at))) (text.colon)
                span lang="en" { (error) } }
            @if standing.sent_at.is_some() { " · " }
        }
        @if let Some(at) = standing.sent_at {
            span.good[failed.is_none()] {
                @if failed.is_none() { span aria-hidden="true" { "✓ " } }
                (parts::around(text.channel_sent, "time", &parts::ago(visit, at)))
            }
        }
        @if failed.is_none() && standing.sent_at.is_none() { (text.channel_untried) }
    }
}
