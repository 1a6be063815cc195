//! The small parts that pages are made of: levels, states, tiers, times, figures, addresses.

use maud::{Markup, html};

use super::request::PageRequest;
use crate::domain::aggregation::{ResolvedBy, Status};
use crate::domain::escalation::{Level, Rule, RuleInputs, assess};
use crate::domain::frequency::{Counts, Window, figure};
use crate::domain::reason::{LevelRule, Reason};
use crate::domain::refusal::Refusal;
use crate::domain::severity::rank;
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::incidents::Model as Incident;
pub(super) use crate::text::words::{
    level_word, moment, status_word, tier_deed, tier_name, why_tier, window, within,
};
use crate::text::{Text, fill, refusal, words};
use crate::time::Timestamp;

/// A level's class.
pub(super) const fn level_class(level: Level) -> &'static str {
    match level {
        Level::None => "l0",
        Level::Repeat => "l1",
        Level::Escalate => "l2",
        Level::PermanentFix => "l3",
    }
}

/// A level: colour, symbol and word. The style sheet draws the symbol: a list says it fifty times.
pub(super) fn level(text: &Text, level: Level) -> Markup {
    html! { b.lv.(level_class(level)) { (level_word(text, level)) } }
}

/// A severity's class, by its rank; one that nobody knows has a class of its own.
pub(super) fn severity_class(severity: &str) -> &'static str {
    match rank(severity) {
        Some(0) => "v0",
        Some(1) => "v1",
        Some(2) => "v2",
        Some(3) => "v3",
        Some(4) => "v4",
        Some(_) => "v5",
        None => "vx",
    }
}

/// A severity as its source wrote it, in its rank's colour; nothing if there is none.
pub(super) fn severity(incident: &Incident) -> Markup {
    let severity = incident.severity.as_str();
    html! { @if !severity.is_empty() { span.sev.(severity_class(severity)) { (severity) } } }
}

/// A state: symbol and word, likewise.
pub(super) fn status(text: &Text, status: Status) -> Markup {
    let class = match status {
        Status::Open => "s1",
        Status::Analyzing => "s2",
        Status::Acknowledged => "s3",
        Status::Resolved => "s4",
    };
    html! { b.(class) { (status_word(text, status)) } }
}

/// Where an incident stands: one that was closed as unseen is not known to be over.
pub(super) fn incident_state(text: &Text, incident: &Incident) -> Markup {
    match incident.resolved_by {
        Some(ResolvedBy::Unseen) if incident.status == Status::Resolved => {
            html! { b.mu { (text.unseen) } }
        }
        _ => status(text, incident.status),
    }
}

/// What a person reads first of an incident.
pub(super) fn title<'a>(incident: &'a Incident, alert_name: &'a str) -> &'a str {
    if incident.title.trim().is_empty() {
        alert_name
    } else {
        &incident.title
    }
}

/// A service's name, with a link to its page.
pub(super) fn service(name: &str) -> Markup {
    html! {
        @match service_path(name) {
            Some(path) => a.svc href=(path) { (name) },
            None => b.svc { (name) },
        }
    }
}

/// Where a service's page is. Browsers take two names for a way up, however they are written.
pub(super) fn service_path(name: &str) -> Option<String> {
    let has_page = !matches!(name, "" | "." | "..");
    has_page.then(|| format!("/services/{}", encoded(name)))
}

/// Who has taken an incident that is acknowledged, if they said who they are.
pub(super) fn taken_by(text: &Text, incident: &Incident) -> Markup {
    let is_taken = incident.status == Status::Acknowledged;
    let who = incident.operator.as_deref().filter(|_| is_taken);
    html! { @if let Some(name) = who { (fill(text.by_person, &[("name", name)])) } }
}

/// A tier, with its number and its name.
pub(super) fn tier(text: &Text, tier: Option<i32>) -> String {
    match tier {
        Some(n @ 1..=4) => fill(
            text.tier_n,
            &[("n", &n.to_string()), ("name", tier_name(text, n))],
        ),
        _ => text.tier_unknown.to_owned(),
    }
}

/// The four windows side by side.
pub(super) fn windows(text: &Text, counts: [i64; 4]) -> Markup {
    html! {
        dl.w {
            @for (at, count) in Window::ALL.into_iter().zip(counts) {
                dt { (window(text, at)) } dd { (figure(count)) }
            }
        }
    }
}

/// Why an anomaly has its level, beside the counts that are shown with it; and why it has no higher one
/// where what was `seen` would be enough for that and no check is due.
pub(super) fn why_level(
    text: &Text,
    anomaly: &Anomaly,
    counts: Option<&Counts>,
    (seen, rules): (Option<&RuleInputs>, &[Rule]),
    is_due: bool,
) -> Markup {
    let (level, reason) = (anomaly.level, anomaly.reason.as_ref());
    let enough = seen.map_or(Level::None, |seen| assess(seen, None, rules).level);
    let over = (enough > level && !is_due)
        .then(|| fill(text.reason_over, &[("level", level_word(text, enough))]));
    let sentence = match reason {
        None if over.is_some() => html! {},
        Some(Reason::Rule(LevelRule::Lasts(lasting))) => {
            let sentence = words::why_lasts(text, level_word(text, level), lasting, "{since}");
            around(&sentence, "since", &at(lasting.since))
        }
        _ => html! { (words::why_level(text, level, reason, counts)) },
    };
    html! { (sentence) @if let Some(over) = over { " " (over) } }
}

/// A text in which something that is marked up takes a place.
pub(super) fn around(text: &str, place: &str, inner: &Markup) -> Markup {
    let (before, after) = text
        .split_once(&format!("{{{place}}}"))
        .unwrap_or((text, ""));
    html! { (before) (inner) (after) }
}

/// How long ago it was; the exact time on hover. The script keeps it right.
pub(super) fn ago(visit: &PageRequest, at: Timestamp) -> Markup {
    let exact = at.to_rfc3339();
    let age = visit.lang.age(visit.now.since(at));
    html! { time.ago datetime=(exact) title=(exact) { (age) } }
}

/// The same for a list, in few bytes: the script adds the exact time.
pub(super) fn age(visit: &PageRequest, at: Timestamp) -> Markup {
    let exact = at.to_rfc3339();
    // Nobody reads the thousandths of a second.
    let second = exact.split('.').next().unwrap_or_default();
    html! { time.ago datetime={ (second) "Z" } { (visit.lang.age(visit.now.since(at))) } }
}

/// How long ago it was, with the words for that.
pub(super) fn since(visit: &PageRequest, at: Timestamp) -> Markup {
    around(visit.text().ago, "age", &ago(visit, at))
}

/// When it was: UTC, which the script turns into the reader's zone; the exact time on hover.
pub(super) fn at(at: Timestamp) -> Markup {
    let exact = at.to_rfc3339();
    html! { time.at datetime=(exact) title=(exact) { (moment(at)) " UTC" } }
}

/// When it was, if it was.
pub(super) fn at_or_dash(moment: Option<Timestamp>) -> Markup {
    html! { @match moment { Some(moment) => (at(moment)), None => "–" } }
}

/// What stands for a text that is empty.
pub(super) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

/// A text as a part of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Why something was refused, in the reader's language if that is known.
pub(super) fn refusal_paragraph(text: &Text, refused: &Refusal) -> Markup {
    html! {
        @match refusal(text, refused) {
            Some(sentence) => p { (sentence) },
            // In the words of the refusal.
            None => p lang="en" { (refused.detail()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_a_query_is_itself_again() {
        assert_eq!(
            encoded("/incidents?q=a b&c"),
            "%2Fincidents%3Fq%3Da%20b%26c"
        );
    }
}
