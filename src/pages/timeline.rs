//! What happened to an incident, in order: firings, messages, repairs, deeds of people.

use maud::{Markup, html};

use super::visit::Visit;
use super::words;
use crate::entity::notifications::{Kind, State};
use crate::entity::{anomalies, audit, incidents, notifications, occurrences, repairs};
use crate::text::{Text, fill};
use crate::time::Timestamp;

/// Entries that are shown.
const SHOWN: usize = 100;

/// What a timeline is made of, each newest first.
pub(super) struct Parts<'a> {
    pub(super) incident: &'a incidents::Model,
    pub(super) anomaly: &'a anomalies::Model,
    pub(super) occurrences: &'a [occurrences::Model],
    pub(super) messages: &'a [notifications::Model],
    pub(super) repairs: &'a [repairs::Model],
    pub(super) deeds: &'a [audit::Model],
    /// What people did about muting its anomaly.
    pub(super) mutes: &'a [audit::Model],
}

struct Entry {
    at: Timestamp,
    /// Colours the entry's mark.
    class: &'static str,
    symbol: &'static str,
    what: String,
    more: Option<Markup>,
}

/// Newest first.
pub(super) fn timeline(visit: &Visit, parts: &Parts<'_>) -> Markup {
    let text = visit.text();
    let mut entries = Vec::new();
    standing(text, parts, &mut entries);
    entries.extend(parts.occurrences.iter().flat_map(|o| firing(text, o)));
    entries.extend(parts.messages.iter().map(|message| told(text, message)));
    let since = parts.incident.opened_at;
    let mutes = parts.mutes.iter().filter(|deed| deed.at >= since);
    entries.extend(mutes.map(|deed| muted(text, deed)));
    let repairs = parts.repairs.iter();
    let of_this = repairs.filter(|r| r.incident_id == parts.incident.id || r.repaired_at >= since);
    entries.extend(of_this.map(|repair| tried(text, repair)));
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    let cut = entries.len() > SHOWN;
    entries.truncate(SHOWN);
    html! {
        ol.timeline {
            @for entry in &entries {
                li.(entry.class) {
                    span.mark aria-hidden="true" { (entry.symbol) }
                    div {
                        span.did { (entry.what) } " " (words::at(entry.at))
                        @if let Some(more) = &entry.more { div.more { (more) } }
                    }
                }
            }
        }
        @if cut { p.hint { (fill(text.timeline_cut, &[("n", &SHOWN.to_string())])) } }
    }
}

/// Opened, acknowledged, resolved, fixed.
fn standing(text: &Text, parts: &Parts<'_>, entries: &mut Vec<Entry>) {
    let incident = parts.incident;
    entries.push(Entry {
        at: incident.opened_at,
        class: "t-open",
        symbol: "●",
        what: text.ev_opened.to_owned(),
        more: None,
    });
    let mut seen = [false; 2];
    for deed in parts.deeds {
        let (class, symbol, what) = match deed.action.as_str() {
            "incident.acknowledge" => {
                seen[0] = true;
                ("t-ack", "◔", text.ev_acknowledged.to_owned())
            }
            "incident.resolve" => {
                seen[1] = true;
                ("t-done", "✓", text.ev_resolved.to_owned())
            }
            other => ("", "·", fill(text.ev_deed, &[("action", other)])),
        };
        entries.push(Entry {
            at: deed.at,
            class,
            symbol,
            what,
            more: by(text, deed.operator.as_deref()),
        });
    }
    let operator = incident.operator.as_deref();
    if let Some(at) = incident.acknowledged_at.filter(|_| !seen[0]) {
        entries.push(Entry {
            at,
            class: "t-ack",
            symbol: "◔",
            what: text.ev_acknowledged.to_owned(),
            more: by(text, operator),
        });
    }
    if let Some(at) = incident.resolved_at.filter(|_| !seen[1]) {
        let itself = incident.resolved_by == Some(crate::domain::aggregation::ResolvedBy::Itself);
        let more = if itself {
            Some(html! { (text.resolved_itself) })
        } else {
            by(text, operator)
        };
        entries.push(Entry {
            at,
            class: "t-done",
            symbol: "✓",
            what: text.ev_resolved.to_owned(),
            more,
        });
    }
    let fixed = parts.anomaly.permanent_fix_at;
    if let Some(at) = fixed.filter(|at| *at >= incident.opened_at) {
        let reference = parts.anomaly.permanent_fix_reference.as_deref();
        entries.push(Entry {
            at,
            class: "t-repair",
            symbol: "⚒",
            what: text.ev_fix.to_owned(),
            more: reference.map(|reference| html! { (reference) }),
        });
    }
}

/// Its anomaly was muted, or somebody ended that.
fn muted(text: &Text, deed: &audit::Model) -> Entry {
    let until = deed.detail["until"].as_str().and_then(Timestamp::parse);
    let what = match until {
        Some(until) => {
            let until = format!("{} UTC", words::moment(until));
            fill(text.ev_muted, &[("time", &until)])
        }
        None => text.ev_unmuted.to_owned(),
    };
    let why = deed.detail["why"].as_str();
    let by = by(text, deed.operator.as_deref());
    Entry {
        at: deed.at,
        class: "t-told",
        symbol: "◌",
        what,
        more: (by.is_some() || why.is_some()).then(|| {
            html! {
                @if let Some(by) = &by { (by) }
                @if by.is_some() && why.is_some() { ": " }
                @if let Some(why) = why { (why) }
            }
        }),
    }
}

fn by(text: &Text, operator: Option<&str>) -> Option<Markup> {
    operator.map(|name| html! { (fill(text.by_person, &[("name", name)])) })
}

/// The begin of a firing, its re-sends, and its end.
fn firing(text: &Text, occurrence: &occurrences::Model) -> impl Iterator<Item = Entry> {
    let what = series(occurrence);
    let resent = (occurrence.deliveries > 1).then(|| {
        let n = occurrence.deliveries.to_string();
        let resent = fill(text.ev_resent, &[("n", &n), ("time", "{time}")]);
        words::around(&resent, "time", &words::at(occurrence.last_seen_at))
    });
    let began = Entry {
        at: occurrence.occurred_at,
        class: "t-fire",
        symbol: "▸",
        what: fill(text.ev_firing, &[("what", &what)]),
        more: resent,
    };
    let ended = occurrence.ended_at.map(|at| Entry {
        at,
        class: "",
        symbol: "▫",
        what: fill(text.ev_ended, &[("what", &what)]),
        more: None,
    });
    [Some(began), ended].into_iter().flatten()
}

/// Labels that tell one series of an anomaly from another, the most telling first.
const TELLING: [&str; 6] = ["pod", "instance", "container", "node", "device", "host"];

/// What a series is told from others by.
pub(super) fn series(occurrence: &occurrences::Model) -> String {
    let label = |name: &&str| {
        let value = occurrence.labels.get(*name)?.as_str()?;
        (!value.is_empty()).then(|| format!("{name}={value}"))
    };
    let fingerprint = || occurrence.fingerprint.clone();
    TELLING.iter().find_map(label).unwrap_or_else(fingerprint)
}

fn told(text: &Text, message: &notifications::Model) -> Entry {
    let kind = match message.kind {
        Kind::Opened => text.kind_opened,
        Kind::Escalated => text.kind_escalated,
        Kind::Reopened => text.kind_reopened,
        Kind::Resolved => text.kind_resolved,
        Kind::Repeated => text.kind_repeated,
        Kind::Digest => text.kind_digest,
    };
    let state = match message.state {
        State::Owed => text.state_owed,
        State::Sending => text.state_sending,
        State::Sent => text.state_sent,
        State::GivenUp => text.state_given_up,
        State::Digested => text.state_digested,
        State::Muted => text.state_muted,
    };
    let places = [
        ("kind", kind),
        ("channel", &message.channel),
        ("state", state),
    ];
    Entry {
        at: message.sent_at.unwrap_or(message.owed_since),
        class: if message.state == State::GivenUp {
            "t-bad"
        } else {
            "t-told"
        },
        symbol: "✉",
        what: fill(text.ev_message, &places),
        more: message.error.as_ref().map(|error| html! { (error) }),
    }
}

fn tried(text: &Text, repair: &repairs::Model) -> Entry {
    let (what, class, symbol) = if repair.success {
        (text.ev_repair_ok, "t-done", "⚒")
    } else {
        (text.ev_repair_failed, "t-bad", "⚒")
    };
    let who = repair.operator.as_deref().filter(|who| !who.is_empty());
    let note = repair.note.as_deref().filter(|note| !note.is_empty());
    let more = (who.is_some() || note.is_some()).then(|| {
        html! {
            @if let Some(who) = who { (fill(text.by_person, &[("name", who)])) }
            @if who.is_some() && note.is_some() { ": " }
            @if let Some(note) = note { (note) }
        }
    });
    Entry {
        at: repair.repaired_at,
        class,
        symbol,
        what: fill(what, &[("action", &repair.action)]),
        more,
    }
}
