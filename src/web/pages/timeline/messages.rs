//! Entries of messages, and of what they say of the level and the status of the incident.

use std::collections::BTreeMap;

use maud::html;

use super::Entry;
use crate::domain::escalation::Level;
use crate::domain::notification::{Kind, SuppressedBy};
use crate::entity::anomalies;
use crate::entity::notifications::{self, State};
use crate::probe::Paused;
use crate::text::{Text, fill};
use crate::time::Timestamp;
use crate::web::pages::{parts, paused};

/// What recorded messages say of how the incident went: when its level rose, and when it
/// opened again. Each message has one for each of its channels.
pub(super) fn turns(
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
            Kind::Flapping => ("flapping", text.ev_flapping.to_owned()),
            Kind::Steady => ("steady", text.ev_steady.to_owned()),
            Kind::Opened | Kind::Resolved | Kind::Digest | Kind::Report | Kind::Playbook => {
                continue;
            }
        };
        let at = decided_at(message);
        let turn = turns.entry((kind, message.sequence)).or_insert((at, what));
        turn.0 = turn.0.min(at);
    }
    let entry = |(at, what): (Timestamp, String)| turn(at, &what);
    turns.into_values().map(entry).collect()
}

pub(super) fn turn(at: Timestamp, what: &str) -> Entry {
    Entry {
        at,
        class: "t-open",
        symbol: "▲",
        what: html! { (what) },
        more: None,
    }
}

/// When a message was decided: a rise is pending from the moment when its incident has settled, and has its id
/// before that.
fn decided_at(message: &notifications::Model) -> Timestamp {
    let made = message.id.get_timestamp().map(|made| made.to_unix());
    let made = made.and_then(|(seconds, nanos)| {
        let ms = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        Some(Timestamp(ms + i64::from(nanos / 1_000_000)))
    });
    made.map_or(message.owed_since, |made| made.min(message.owed_since))
}

/// A message; where it is pending and nothing is sent, with why.
pub(super) fn message_entry(
    text: &Text,
    message: &notifications::Model,
    is_paused: Option<&Paused>,
) -> Entry {
    let kind = match message.kind {
        Kind::Opened => text.kind_opened,
        Kind::Escalated => text.kind_escalated,
        Kind::Reopened => text.kind_reopened,
        Kind::Worsened => text.kind_worsened,
        Kind::Resolved => text.kind_resolved,
        Kind::Repeated => text.kind_repeated,
        Kind::Flapping => text.kind_flapping,
        Kind::Steady => text.kind_steady,
        Kind::Digest => text.kind_digest,
        Kind::Report => text.kind_report,
        Kind::Playbook => text.kind_playbook,
    };
    let state = match message.state {
        State::Pending => text.state_pending.to_owned(),
        State::Sending => text.state_sending.to_owned(),
        State::Sent => text.state_sent.to_owned(),
        State::Failed => text.state_failed.to_owned(),
        State::Digested => text.state_digested.to_owned(),
        State::Suppressed => suppressed(text, message),
    };
    let places = [
        ("kind", kind),
        ("channel", &message.channel),
        ("state", &state),
    ];
    Entry {
        at: message.sent_at.unwrap_or(message.owed_since),
        class: if message.state == State::Failed {
            "t-bad"
        } else {
            "t-told"
        },
        symbol: "✉",
        what: html! { (fill(text.ev_message, &places)) },
        more: match is_paused.filter(|_| matches!(message.state, State::Pending | State::Sending)) {
            Some(of) => Some(paused::warning(text, of)),
            None => message.error.as_ref().map(|error| html! { (error) }),
        },
    }
}

/// Why a message is suppressed.
fn suppressed(text: &Text, message: &notifications::Model) -> String {
    match (message.suppressed_by, message.card_number) {
        (Some(SuppressedBy::Card), Some(n)) => fill(text.state_on_card, &[("n", &n.to_string())]),
        (Some(SuppressedBy::Flapping), _) => text.state_flapping.to_owned(),
        (Some(SuppressedBy::Maintenance), _) => text.state_maintenance.to_owned(),
        _ => text.state_suppressed.to_owned(),
    }
}
