//! Entries of what people did: acknowledge, resolve, mute, repair.

use maud::{Markup, html};

use super::messages::turn;
use super::{Entry, Parts};
use crate::domain::aggregation::ResolvedBy;
use crate::entity::{audit, notes, repairs};
use crate::store::audit::{Action, did_something};
use crate::text::repairs::verdict_word;
use crate::text::{Text, fill};
use crate::time::Timestamp;
use crate::web::pages::parts;

/// Opened, acknowledged, resolved, fixed.
pub(super) fn standing(text: &Text, parts: &Parts<'_>, entries: &mut Vec<Entry>) {
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
            Some(Action::TakeOverIncident) => {
                let from = operation.detail["from"].as_str().unwrap_or("–");
                let what = fill(text.ev_taken_over, &[("name", from)]);
                ("t-ack", "◔", what)
            }
            Some(Action::ResolveIncident) => ("t-done", "✓", text.ev_resolved.to_owned()),
            Some(Action::AnalyzeIncident) => ("", "·", text.ev_analyze.to_owned()),
            // It has a row of its own.
            Some(
                Action::NoteIncident
                | Action::RecordRepair
                | Action::StartRepair
                | Action::FinishRepair
                | Action::StartExecution
                | Action::FinishExecution,
            ) => continue,
            Some(Action::AskExecution) => ("", "▶", execution(text.ev_asked, &operation.detail)),
            Some(Action::FailExecution) => (
                "t-bad",
                "▶",
                execution(text.ev_not_asked, &operation.detail),
            ),
            Some(Action::RefusePress) => ("", "·", text.ev_stranger.to_owned()),
            // Not done to incidents; or by a newer version.
            Some(
                Action::AllowAction
                | Action::MarkFix
                | Action::WithdrawFix
                | Action::Mute
                | Action::Unmute
                | Action::PlanMaintenance
                | Action::EndMaintenance
                | Action::PauseQueue
                | Action::ResumeQueue
                | Action::ReplayDeadLetter
                | Action::DiscardDeadLetter
                | Action::PushRecount
                | Action::RepairFigures
                | Action::TestChannel
                | Action::SendCanary
                | Action::SetPlaybook
                | Action::WithdrawPlaybook
                | Action::RestorePlaybook
                | Action::AcceptProposal
                | Action::RejectProposal,
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
    // Who has it now may have taken it over. Entries are newest first: the last take-over was from who acknowledged it.
    let mut taken = parts.entries.iter().filter(|operation| {
        operation.action == Action::TakeOverIncident.as_str() && did_something(operation)
    });
    let acknowledged_by = match taken.next_back() {
        Some(first) => first.detail["from"].as_str(),
        None => operator,
    };
    if let Some(at) = incident
        .acknowledged_at
        .filter(|at| !is_told(Action::AcknowledgeIncident, *at))
    {
        entries.push(Entry {
            at,
            class: "t-ack",
            symbol: "◔",
            what: html! { (text.ev_acknowledged) },
            more: by(text, acknowledged_by),
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

/// What an executor was asked for, or was not.
fn execution(form: &str, detail: &serde_json::Value) -> String {
    let said = |field: &str| detail[field].as_str().unwrap_or_default();
    fill(form, &[("action", said("action")), ("name", said("hook"))])
}

/// Until when an audit entry muted; empty where it ended a mute.
fn muted_until(operation: &audit::Model) -> Option<Timestamp> {
    operation.detail["until"]
        .as_str()
        .and_then(Timestamp::parse)
}

/// Whether it changed something: who ends a mute that there is not, does nothing.
pub(in crate::web::pages) fn did_mute(operation: &audit::Model) -> bool {
    operation.detail["was_muted"].as_bool() != Some(false)
}

/// What was done about mutes since `since`, and the mute that held then. `entries` are newest first.
pub(super) fn mutes_since(
    entries: &[audit::Model],
    since: Timestamp,
) -> impl Iterator<Item = &audit::Model> {
    let done = entries.iter().filter(|operation| did_mute(operation));
    let later = done.clone().filter(move |operation| operation.at >= since);
    let before = done.clone().find(|operation| operation.at < since);
    let held = before.filter(|operation| muted_until(operation).is_some_and(|until| until > since));
    later.chain(held)
}

/// Its anomaly was muted or unmuted.
pub(in crate::web::pages) fn muted(text: &Text, operation: &audit::Model) -> Entry {
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

/// A note.
pub(super) fn noted(text: &Text, note: &notes::Model) -> Entry {
    Entry {
        at: note.at,
        class: "t-note",
        symbol: "✎",
        what: html! { span.said { (note.note) } },
        more: by(text, note.operator.as_deref()),
    }
}

pub(super) fn tried(text: &Text, repair: &repairs::Model) -> Entry {
    let (what, class, symbol) = match (repair.unfinished, repair.success) {
        (true, _) => (text.ev_repair_started, "", "⚒"),
        (false, true) => (text.ev_repair_ok, "t-done", "⚒"),
        (false, false) => (text.ev_repair_failed, "t-bad", "⚒"),
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
        what: html! {
            (fill(what, &[("action", &repair.action)]))
            @if let Some(verdict) = repair.verdict { " · " (verdict_word(text, verdict)) }
        },
        more,
    }
}
