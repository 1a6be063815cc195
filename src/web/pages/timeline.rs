//! What happened to an incident, in order: firings, messages, repairs, entries of people.

use std::collections::BTreeMap;

use maud::{Markup, html};
use uuid::Uuid;

use super::parts;
use super::request::PageRequest;
use crate::domain::aggregation::ResolvedBy;
use crate::domain::alert::series_name;
use crate::domain::episode::EndedBy;
use crate::domain::escalation::Level;
use crate::entity::notifications::{Kind, State};
use crate::entity::{anomalies, audit, incidents, notifications, occurrences, reopenings, repairs};
use crate::store::audit::{Action, did_something};
use crate::text::{Text, fill, plural};
use crate::time::Timestamp;

/// Entries that are shown.
const SHOWN: usize = 200;

/// What a timeline is made of, each newest first.
pub(super) struct Parts<'a> {
    pub(super) incident: &'a incidents::Model,
    pub(super) anomaly: &'a anomalies::Model,
    pub(super) occurrences: &'a [occurrences::Model],
    pub(super) messages: &'a [notifications::Model],
    pub(super) repairs: &'a [repairs::Model],
    pub(super) entries: &'a [audit::Model],
    /// When the incident opened again.
    pub(super) reopenings: &'a [reopenings::Model],
    /// What people did about muting its anomaly.
    pub(super) mutes: &'a [audit::Model],
    /// Whether there is more of one of them than is here.
    pub(super) is_cut: bool,
    /// Firings that are not here.
    pub(super) more: MoreFirings,
}

/// Firings of an incident that a part of its page does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MoreFirings {
    None,
    /// So many.
    Known(i64),
    /// How many is not known.
    Some,
}

pub(super) struct Entry {
    at: Timestamp,
    /// Colours the entry's mark.
    class: &'static str,
    symbol: &'static str,
    what: Markup,
    more: Option<Markup>,
}

/// Newest first.
pub(super) fn timeline(visit: &PageRequest, parts: &Parts<'_>) -> Markup {
    let text = visit.text();
    let mut entries = Vec::new();
    standing(text, parts, &mut entries);
    // What opened again before that was written down is known from what was told of it.
    let known = parts.reopenings.iter().map(|again| again.reopened_at).min();
    entries.extend(turns(text, parts.anomaly, parts.messages, known));
    entries.extend(parts.occurrences.iter().flat_map(|o| firing(text, o)));
    entries.extend(parts.messages.iter().map(|message| told(text, message)));
    let since = parts.incident.opened_at;
    entries.extend(mutes_since(parts.mutes, since).map(|operation| muted(text, operation)));
    let repairs = parts.repairs.iter();
    let of_this = repairs.filter(|r| r.incident_id == parts.incident.id || r.repaired_at >= since);
    entries.extend(of_this.map(|repair| tried(text, repair)));
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    let is_cut = parts.is_cut || entries.len() > SHOWN;
    entries.truncate(SHOWN);
    html! {
        (list(entries))
        (all_firings(text, parts.incident.id, parts.more))
        @if is_cut { p.hint { (text.timeline_cut) } }
    }
}

/// Entries in the order in which they come.
pub(super) fn list(entries: impl IntoIterator<Item = Entry>) -> Markup {
    html! {
        ol.timeline {
            @for entry in entries {
                li.(entry.class) {
                    span.mark aria-hidden="true" { (entry.symbol) }
                    div {
                        span.did { (entry.what) } " " (parts::at(entry.at))
                        @if let Some(more) = &entry.more { div.more { (more) } }
                    }
                }
            }
        }
    }
}

/// Where the firings are that are not here.
pub(super) fn all_firings(text: &Text, incident: Uuid, more: MoreFirings) -> Markup {
    let words = match more {
        MoreFirings::None => return html! {},
        MoreFirings::Known(n) => plural(text.more_firings, n),
        MoreFirings::Some => text.all_firings.to_owned(),
    };
    html! { p { a href=(format!("/incidents/{incident}/firings")) { (words) " →" } } }
}

/// What the messages that were owed say of how the incident went: when its level rose, and when it
/// opened again. Each message has one for each of its channels.
fn turns(
    text: &Text,
    anomaly: &anomalies::Model,
    messages: &[notifications::Model],
    known: Option<Timestamp>,
) -> Vec<Entry> {
    let mut turns: BTreeMap<(&str, i64), (Timestamp, String)> = BTreeMap::new();
    for message in messages {
        let (kind, what) = match message.kind {
            Kind::Escalated | Kind::Repeated => {
                // Of an earlier rise it is not known how far it went.
                let is_newest = message.sequence == anomaly.level_seq;
                let level = match message.kind {
                    Kind::Repeated => Some(Level::Repeat),
                    _ => Some(anomaly.level).filter(|l| is_newest && *l >= Level::Escalate),
                };
                let to = |level| {
                    fill(
                        text.ev_rose_to,
                        &[("level", parts::level_word(text, level))],
                    )
                };
                ("rose", level.map_or_else(|| text.ev_rose.to_owned(), to))
            }
            Kind::Reopened if known.is_some_and(|known| known <= decided_at(message)) => continue,
            Kind::Reopened => ("reopened", text.ev_reopened.to_owned()),
            Kind::Worsened => ("worsened", text.ev_worsened.to_owned()),
            Kind::Opened | Kind::Resolved | Kind::Digest => continue,
        };
        let at = decided_at(message);
        let turn = turns.entry((kind, message.sequence)).or_insert((at, what));
        turn.0 = turn.0.min(at);
    }
    let entry = |(at, what): (Timestamp, String)| turn(at, &what);
    turns.into_values().map(entry).collect()
}

fn turn(at: Timestamp, what: &str) -> Entry {
    Entry {
        at,
        class: "t-open",
        symbol: "▲",
        what: html! { (what) },
        more: None,
    }
}

/// When a message was decided: a rise is owed for a moment when its incident has settled, and has its id
/// before that.
fn decided_at(message: &notifications::Model) -> Timestamp {
    let made = message.id.get_timestamp().map(|made| made.to_unix());
    let made = made.and_then(|(seconds, nanos)| {
        let ms = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        Some(Timestamp(ms + i64::from(nanos / 1_000_000)))
    });
    made.map_or(message.owed_since, |made| made.min(message.owed_since))
}

/// Opened, acknowledged, resolved, fixed.
fn standing(text: &Text, parts: &Parts<'_>, entries: &mut Vec<Entry>) {
    let incident = parts.incident;
    entries.push(Entry {
        at: incident.opened_at,
        class: "t-open",
        symbol: "●",
        what: html! { (text.ev_opened) },
        more: None,
    });
    for operation in parts
        .entries
        .iter()
        .filter(|operation| did_something(operation))
    {
        let (class, symbol, what) = match Action::read(&operation.action) {
            Some(Action::AcknowledgeIncident) => ("t-ack", "◔", text.ev_acknowledged.to_owned()),
            Some(Action::ResolveIncident) => ("t-done", "✓", text.ev_resolved.to_owned()),
            // It has a row of its own.
            Some(Action::RecordRepair) => continue,
            Some(Action::RefusePress) => ("", "·", text.ev_stranger.to_owned()),
            // Not done to incidents; or by a newer version.
            Some(
                Action::MarkFix
                | Action::WithdrawFix
                | Action::Mute
                | Action::Unmute
                | Action::PauseQueue
                | Action::ResumeQueue
                | Action::ReplayDeadLetter
                | Action::DiscardDeadLetter
                | Action::PushRecount
                | Action::RepairFigures,
            )
            | None => {
                let action = [("action", operation.action.as_str())];
                ("", "·", fill(text.ev_deed, &action))
            }
        };
        entries.push(Entry {
            at: operation.at,
            class,
            symbol,
            what: html! { (what) },
            more: by(text, operation.operator.as_deref()),
        });
    }
    // An incident may have been acknowledged and resolved more than once, and not by a person each time.
    let is_told = |action: Action, at: Timestamp| {
        let mut entries = parts
            .entries
            .iter()
            .filter(|operation| did_something(operation));
        entries.any(|operation| operation.action == action.as_str() && operation.at == at)
    };
    let operator = incident.operator.as_deref();
    if let Some(at) = incident
        .acknowledged_at
        .filter(|at| !is_told(Action::AcknowledgeIncident, *at))
    {
        entries.push(Entry {
            at,
            class: "t-ack",
            symbol: "◔",
            what: html! { (text.ev_acknowledged) },
            more: by(text, operator),
        });
    }
    let last = incident.resolved_at;
    let last = last.map(|at| (at, incident.resolved_by, operator));
    let undone = parts.reopenings.iter();
    let undone = undone.map(|r| (r.resolved_at, r.resolved_by, r.operator.as_deref()));
    let resolves = undone
        .chain(last)
        .filter(|(at, ..)| !is_told(Action::ResolveIncident, *at));
    entries.extend(resolves.map(|(at, by, operator)| resolved(text, at, by, operator)));
    let again = parts.reopenings.iter().map(|again| again.reopened_at);
    entries.extend(again.map(|at| turn(at, text.ev_reopened)));
    let fixed = parts.anomaly.permanent_fix_at;
    if let Some(at) = fixed.filter(|at| *at >= incident.opened_at) {
        let reference = parts.anomaly.permanent_fix_reference.as_deref();
        entries.push(Entry {
            at,
            class: "t-repair",
            symbol: "⚒",
            what: html! { (text.ev_fix) },
            more: reference.map(|reference| html! { (reference) }),
        });
    }
}

fn resolved(
    text: &Text,
    at: Timestamp,
    resolved_by: Option<ResolvedBy>,
    operator: Option<&str>,
) -> Entry {
    let more = match resolved_by {
        Some(ResolvedBy::Itself) => Some(html! { (text.resolved_itself) }),
        Some(ResolvedBy::Unseen) => Some(html! { (text.unseen_why) }),
        Some(ResolvedBy::Person) | None => by(text, operator),
    };
    let what = match resolved_by {
        Some(ResolvedBy::Unseen) => text.ev_closed_unseen,
        _ => text.ev_resolved,
    };
    Entry {
        at,
        class: "t-done",
        symbol: "✓",
        what: html! { (what) },
        more,
    }
}

/// Until when a deed of the audit muted; nothing where it ended a mute.
fn muted_until(operation: &audit::Model) -> Option<Timestamp> {
    operation.detail["until"]
        .as_str()
        .and_then(Timestamp::parse)
}

/// Whether it changed something: who ends a mute that there is not, does nothing.
pub(super) fn did_mute(operation: &audit::Model) -> bool {
    operation.detail["was_muted"].as_bool() != Some(false)
}

/// What was done about mutes since `since`, and the mute that held then. `entries` are newest first.
fn mutes_since(entries: &[audit::Model], since: Timestamp) -> impl Iterator<Item = &audit::Model> {
    let done = entries.iter().filter(|operation| did_mute(operation));
    let later = done.clone().filter(move |operation| operation.at >= since);
    let before = done.clone().find(|operation| operation.at < since);
    let held = before.filter(|operation| muted_until(operation).is_some_and(|until| until > since));
    later.chain(held)
}

/// Its anomaly was muted, or somebody ended that.
pub(super) fn muted(text: &Text, operation: &audit::Model) -> Entry {
    let what = match muted_until(operation) {
        Some(until) => parts::around(text.ev_muted, "time", &parts::at(until)),
        None => html! { (text.ev_unmuted) },
    };
    let why = operation.detail["why"].as_str();
    let by = by(text, operation.operator.as_deref());
    Entry {
        at: operation.at,
        class: "t-told",
        symbol: "◌",
        what,
        more: (by.is_some() || why.is_some()).then(|| {
            html! {
                @if let Some(by) = &by { (by) }
                @if by.is_some() && why.is_some() { (text.colon) }
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
        parts::around(&resent, "time", &parts::at(occurrence.last_seen_at))
    });
    let began = Entry {
        at: occurrence.occurred_at,
        class: "t-fire",
        symbol: "▸",
        what: html! { (fill(text.ev_firing, &[("what", &what)])) },
        more: resent,
    };
    let ending = match occurrence.ended_by {
        Some(EndedBy::Unseen) => text.ev_unseen,
        _ => text.ev_ended,
    };
    let ended = occurrence.ended_at.map(|at| Entry {
        at,
        class: "",
        symbol: "▫",
        what: html! { (fill(ending, &[("what", &what)])) },
        more: None,
    });
    [Some(began), ended].into_iter().flatten()
}

/// What a series is told from others by.
pub(super) fn series(occurrence: &occurrences::Model) -> String {
    let label = |name: &str| occurrence.labels.get(name)?.as_str();
    series_name(label, &occurrence.fingerprint)
}

fn told(text: &Text, message: &notifications::Model) -> Entry {
    let kind = match message.kind {
        Kind::Opened => text.kind_opened,
        Kind::Escalated => text.kind_escalated,
        Kind::Reopened => text.kind_reopened,
        Kind::Worsened => text.kind_worsened,
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
        what: html! { (fill(text.ev_message, &places)) },
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
            @if who.is_some() && note.is_some() { (text.colon) }
            @if let Some(note) = note { (note) }
        }
    });
    Entry {
        at: repair.repaired_at,
        class,
        symbol,
        what: html! { (fill(what, &[("action", &repair.action)])) },
        more,
    }
}
