//! What narrows the list of incidents: how many there are of each level and severity, and the form.

use maud::{Markup, html};

use super::incident_query::{IncidentQuery, LEVELS, STATUSES, UNHEARD, UNSEEN, status_name};
use super::parts;
use crate::domain::severity;
use crate::store::views::incident_list::{Names, Overview, Sort};
use crate::text::{Text, plural};

/// How long ago an incident opened, as it is offered.
const AGES: [&str; 4] = ["1h", "24h", "7d", "30d"];

/// The commonest word of each severity, the most severe first.
fn words() -> Vec<&'static str> {
    let words = severity::WORDS.iter().skip(1);
    words
        .rev()
        .filter_map(|words| words.first().copied())
        .collect()
}

/// How many are unresolved at each level; each leads to them.
pub(super) fn levels(text: &Text, query: &IncidentQuery, overview: &Overview) -> Markup {
    let all: i64 = overview.unresolved.iter().sum();
    html! {
        p.counts #counts data-live {
            strong { (plural(text.unresolved_now, all)) }
            @for level in LEVELS {
                @let n = overview.unresolved[level as usize];
                @let here = query.level() == Some(level);
                " "
                a.count.(parts::level_class(level))
                    href=(query.by("level", if here { "" } else { level.name() }))
                    aria-current=[here.then_some("true")] {
                    (parts::level(text, level)) " " b { (n) }
                }
            }
        }
    }
}

/// How many are unresolved of each severity; each leads to them. What else the list is narrowed by can be taken away.
pub(super) fn chips(text: &Text, query: &IncidentQuery, overview: &Overview) -> Markup {
    let asked = severity::rank(query.severity.trim()).filter(|_| !query.severity.trim().is_empty());
    let is_here = |rank: usize| asked.map(usize::from) == Some(rank);
    let ranks = (0..severity::WORDS.len()).rev();
    let shown = ranks.filter(|rank| overview.severities[*rank] > 0 || is_here(*rank));
    let by_name = [
        ("service", text.service, &query.service),
        ("namespace", text.namespace, &query.namespace),
        ("since", text.opened_since, &query.since),
        ("until", text.opened_until, &query.until),
        ("q", text.search, &query.q),
    ];
    let by_name = by_name
        .into_iter()
        .filter(|(_, _, value)| !value.trim().is_empty());
    html! {
        p.chips #chips data-live {
            @for rank in shown {
                @let word = if rank == 0 { "none" } else { severity::WORDS[rank][0] };
                @let here = is_here(rank);
                a.count.(format!("v{rank}")) href=(query.by("severity", if here { "" } else { word }))
                    aria-current=[here.then_some("true")] {
                    span.sev { (if rank == 0 { text.severity_none } else { word }) } " "
                    b { (overview.severities[rank]) }
                }
                " "
            }
            @for (name, label, value) in by_name {
                a.chip href=(query.by(name, "")) title=(text.clear) {
                    (label) (text.colon) b { (value.trim()) } " ✕"
                }
                " "
            }
        }
    }
}

pub(super) fn filters(text: &Text, query: &IncidentQuery, names: &Names) -> Markup {
    let states = STATUSES.map(|s| (status_name(s), parts::status_word(text, s)));
    let sorts = [
        text.sort_worst,
        text.sort_level,
        text.sort_newest,
        text.sort_oldest,
        text.sort_often,
        text.sort_fired,
    ];
    html! {
        form.filters role="search" method="get" action="/incidents" {
            label { span { (text.search) }
                input #search type="search" name="q" value=(query.q) placeholder=(text.search_hint); }
            label { span { (text.status) }
                select name="status" {
                    option value="" { (text.unresolved) }
                    @for (name, word) in states {
                        option value=(name) selected[query.status().map(status_name) == Some(name)] { (word) }
                    }
                    option value=(UNHEARD) selected[query.says_unheard()] { (text.unheard) }
                    option value=(UNSEEN) selected[query.says_unseen()] { (text.unseen) }
                    option value="all" selected[query.says_all()] { (text.all_states) }
                } }
            label { span { (text.level) }
                select name="level" {
                    option value="" { (text.all_levels) }
                    @for level in LEVELS {
                        option value=(level.name()) selected[query.level() == Some(level)] {
                            (parts::level_word(text, level))
                        }
                    }
                } }
            label { span { (text.sort) }
                select name="sort" {
                    @for (sort, word) in Sort::ALL.into_iter().zip(sorts) {
                        option value=(sort.name()) selected[query.sort().unwrap_or_default() == sort] { (word) }
                    }
                } }
            button { (text.apply) }
            @if query.is_narrow() { a.clear href="/incidents" { (text.clear) } }
            details open[query.is_in_detail()] {
                summary { (text.filter_more) }
                div {
                    (named(text.service, "service", &query.service, &names.services))
                    (named(text.namespace, "namespace", &query.namespace, &names.namespaces))
                    (named(text.severity, "severity", &query.severity, &words()))
                    (named(text.opened_since, "since", &query.since, &AGES))
                    (named(text.opened_until, "until", &query.until, &AGES))
                }
            }
        }
    }
}

fn named<T: AsRef<str>>(label: &str, name: &str, value: &str, names: &[T]) -> Markup {
    let list = format!("{name}s");
    html! {
        label { span { (label) }
            input type="text" name=(name) value=(value) autocomplete="off"
                list=[(!names.is_empty()).then_some(&list)]; }
        @if !names.is_empty() {
            datalist #(list) { @for name in names { option value=(name.as_ref()) {} } }
        }
    }
}
