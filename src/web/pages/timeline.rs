//! The timeline of an incident: firings, messages, repairs, entries of people, in order.

mod messages;
mod people;

use maud::{Markup, html};
use uuid::Uuid;

use super::parts;
use super::request::PageRequest;
use crate::domain::alert::series_name;
use crate::domain::episode::EndedBy;
use crate::entity::{
    anomalies, audit, incidents, notes, notifications, occurrences, reopenings, repairs,
};
use crate::jobs::{Job as _, Notify};
use crate::text::{Text, fill, plural};
use crate::time::Timestamp;
use messages::{message_entry, turns};
pub(super) use people::{did_mute, muted};
use people::{mutes_since, noted, standing, tried};

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
    pub(super) notes: &'a [notes::Model],
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
    /// This many.
    Exactly(i64),
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
    let mut paused = visit.paused.iter();
    let is_paused = paused.find(|paused| paused.queue == Notify::POLICY.queue);
    standing(text, parts, &mut entries);
    // Reopenings from before they were recorded are known from their messages.
    let known = parts.reopenings.iter().map(|again| again.reopened_at).min();
    entries.extend(turns(text, parts.anomaly, parts.messages, known));
    entries.extend(parts.occurrences.iter().flat_map(|o| firing(text, o)));
    entries.extend(
        parts
            .messages
            .iter()
            .map(|message| message_entry(text, message, is_paused)),
    );
    entries.extend(parts.notes.iter().map(|note| noted(text, note)));
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
        MoreFirings::Exactly(n) => plural(text.more_firings, n),
        MoreFirings::Some => text.all_firings.to_owned(),
    };
    html! { p { a href=(format!("/incidents/{incident}/firings")) { (words) " →" } } }
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

/// What identifies a series to a person.
pub(super) fn series(occurrence: &occurrences::Model) -> String {
    let label = |name: &str| occurrence.labels.get(name)?.as_str();
    series_name(label, &occurrence.fingerprint)
}
