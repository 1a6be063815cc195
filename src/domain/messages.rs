//! Which messages exist: what a change of incidents calls for, where it goes, and what is not sent
//! because another message says it, or because the anomaly is muted.
//!
//! [`of_batch`], [`of_tier`] and [`of_resolved`] say what a change calls for, [`route`] where it goes,
//! and [`plan`] what is left when it is known which messages there are.

mod policy;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

pub use policy::{Policy, Tell};

use super::again::CardRef;
use super::aggregation::{Batch, Incident, Status};
use super::escalation::Level;
use super::notification::{Kind, SuppressedBy};
use super::routing::RoutingKey;
use super::settle;
use crate::time::Timestamp;

/// A message that a change calls for, before it is known where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The incident it is about.
    pub incident: Uuid,
    /// What it says.
    pub kind: Kind,
    /// What distinguishes it from others of its kind.
    pub sequence: i64,
    /// From when on it may go out.
    pub since: Timestamp,
    /// Which channels need it.
    pub needed: Needed,
    /// Whether the tier of its incident, which is due, pushes it: what it says depends on that.
    pub by_tier: bool,
}

/// Which of the channels that a message is routed to need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// All of them.
    Everywhere,
    /// Those whose last word of it is that the incident is resolved.
    WhereResolved,
    /// Those with a message about the incident: elsewhere the card that it continues on says it.
    UnlessOnCard,
    /// Those with no pending message that will say the level.
    WhereLevelUnsaid,
    /// Those with no pending message that will say the severity, if there is a message about the
    /// incident at all: else the one that it opened says it.
    WhereSeverityUnsaid,
}

/// A message that there is about an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingMessage {
    /// The incident.
    pub incident: Uuid,
    /// Where it goes.
    pub channel: String,
    /// What it says.
    pub kind: Kind,
    /// Whether its text is still to be fixed, or that of the digest that contains it: it will say what
    /// holds then.
    pub is_pending: bool,
    /// Whether it went out, by itself or in a digest.
    pub is_out: bool,
    /// Whether the card of an incident before says it.
    pub is_on_card: bool,
}

/// A message to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The incident it is about.
    pub incident: Uuid,
    /// What it says.
    pub kind: Kind,
    /// What distinguishes it from others of its kind.
    pub sequence: i64,
    /// Where it goes: one row for each channel.
    pub channels: Vec<String>,
    /// Why it is suppressed, if it is.
    pub suppressed: Option<Suppression>,
    /// From when on it may go out.
    pub since: Timestamp,
    /// Whether the tier of its incident, which is due, pushes it.
    pub by_tier: bool,
}

/// Why a message is never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// Its anomaly is muted.
    Muted,
    /// Its incident continues on this card.
    OnCard(CardRef),
    /// Its anomaly is flapping.
    Flapping,
    /// Its anomaly is in maintenance.
    Maintenance,
}

impl Suppression {
    /// As it is stored.
    #[must_use]
    pub const fn by(self) -> SuppressedBy {
        match self {
            Self::Muted => SuppressedBy::Mute,
            Self::OnCard(_) => SuppressedBy::Card,
            Self::Flapping => SuppressedBy::Flapping,
            Self::Maintenance => SuppressedBy::Maintenance,
        }
    }

    /// The card that says what the message would.
    #[must_use]
    pub const fn card(self) -> Option<CardRef> {
        match self {
            Self::OnCard(card) => Some(card),
            Self::Muted | Self::Flapping | Self::Maintenance => None,
        }
    }
}

/// Whether a batch changes nothing that calls for a notification.
#[must_use]
pub fn is_quiet(batch: &Batch) -> bool {
    batch.reopenings.is_empty()
        && batch.worsened.is_empty()
        && batch.transitions().next().is_none()
        && batch.heard_again().next().is_none()
}

/// What a batch calls for: its incidents opened again, were resolved, or have a higher severity, of those that the
/// settings name. That they opened, and rises, are for [`of_tier`].
#[must_use]
pub fn of_batch(batch: &Batch, policy: &Policy<'_>, now: Timestamp) -> Vec<Candidate> {
    let reopened = batch.reopenings.iter().map(|(id, number)| Candidate {
        by_tier: true,
        ..Candidate::new(*id, Kind::Reopened, *number, now)
    });
    let mut all: Vec<Candidate> = reopened.collect();
    if policy.sends_anywhere(Kind::Resolved) {
        let resolved = batch.transitions().filter(is_resolved);
        all.extend(resolved.map(|incident| of_resolved(incident.id, incident.resolved_at, now)));
        // An incident opens again within its window without a message, but where it was said to be
        // resolved: there that would be believed still.
        let reopened: HashSet<Uuid> = batch.reopenings.iter().map(|(id, _)| *id).collect();
        let is_back = |incident: &&Incident| {
            incident.previous_status == Status::Resolved && !reopened.contains(&incident.id)
        };
        // No reopening has a number like a moment's.
        let returned = batch.transitions().filter(is_back).map(|i| Candidate {
            needed: Needed::WhereResolved,
            ..Candidate::new(i.id, Kind::Reopened, now.0, now)
        });
        all.extend(returned);
    }
    // Of several rises the last one says how bad it is.
    let worsened: HashMap<Uuid, i64> = batch.worsened.iter().copied().collect();
    all.extend(worsened.into_iter().filter_map(|(id, number)| {
        let incident = batch.incidents.get(&id)?;
        policy.sends_rise_to(&incident.severity).then(|| Candidate {
            since: settle::over(incident.opened_at, policy.settle, now),
            needed: Needed::WhereSeverityUnsaid,
            by_tier: true,
            ..Candidate::new(id, Kind::Worsened, number, now)
        })
    }));
    all
}

/// The incidents whose cards do not show what a batch changed.
#[must_use]
pub fn changed_cards(batch: &Batch) -> Vec<Uuid> {
    let worse = batch.worsened.iter().map(|(id, _)| *id);
    let changed = batch.transitions().chain(batch.heard_again());
    let changed: BTreeSet<Uuid> = changed.map(|incident| incident.id).chain(worse).collect();
    changed.into_iter().collect()
}

fn is_resolved(incident: &&Incident) -> bool {
    incident.status == Status::Resolved
}

/// That an incident is resolved.
#[must_use]
pub fn of_resolved(incident: Uuid, resolved_at: Option<Timestamp>, now: Timestamp) -> Candidate {
    let at = resolved_at.unwrap_or(now);
    Candidate {
        needed: Needed::UnlessOnCard,
        ..Candidate::new(incident, Kind::Resolved, at.0, now)
    }
}

/// That an anomaly flaps since that moment, said of this incident.
#[must_use]
pub const fn of_flapping(incident: Uuid, since: Timestamp) -> Candidate {
    Candidate::new(incident, Kind::Flapping, since.0, since)
}

/// That an anomaly flaps no more since that moment, said of this incident.
#[must_use]
pub const fn of_steady(incident: Uuid, since: Timestamp) -> Candidate {
    Candidate::new(incident, Kind::Steady, since.0, since)
}

/// The rise of an anomaly's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rise {
    /// The incident that it is said of: the newest that is due.
    pub incident: Uuid,
    /// The level now.
    pub level: Level,
    /// The number of the rise.
    pub sequence: i64,
    /// When the incident opened.
    pub opened_at: Option<Timestamp>,
}

/// What a tier pass over these incidents calls for: that each opened, once, and rises, not before the
/// burst is over with which the incident opened. A rise is said by a pending message that says the level,
/// where there is one.
#[must_use]
pub fn of_tier(
    incidents: &[Uuid],
    existing: &[ExistingMessage],
    rises: &[Rise],
    settle: Duration,
    now: Timestamp,
) -> Vec<Candidate> {
    let is_opening = |message: &&ExistingMessage| message.kind == Kind::Opened;
    let opened = existing.iter().filter(is_opening);
    let opened: HashSet<Uuid> = opened.map(|message| message.incident).collect();
    let new = incidents.iter().filter(|id| !opened.contains(id));
    let opened = new.map(|id| Candidate::new(*id, Kind::Opened, 0, now));
    let rises = rises.iter().filter_map(|rise| {
        let kind = match rise.level {
            Level::None => return None,
            Level::Repeat => Kind::Repeated,
            Level::Escalate | Level::PermanentFix => Kind::Escalated,
        };
        let settled = |opened_at| settle::over(opened_at, settle, now);
        Some(Candidate {
            since: rise.opened_at.map_or(now, settled),
            needed: Needed::WhereLevelUnsaid,
            ..Candidate::new(rise.incident, kind, rise.sequence, now)
        })
    });
    opened.chain(rises).collect()
}

/// Where what is called for goes. What goes nowhere is left out.
#[must_use]
pub fn route(
    candidates: Vec<Candidate>,
    policy: &Policy<'_>,
    keys: &HashMap<Uuid, RoutingKey>,
) -> Vec<(Candidate, Vec<String>)> {
    let routed = candidates.into_iter().filter_map(|candidate| {
        let channels = policy.channels(keys.get(&candidate.incident)?, candidate.kind);
        (!channels.is_empty()).then_some((candidate, channels))
    });
    routed.collect()
}

/// What is written, beside the messages that there are: each is planned as if those before it were
/// written. `suppressed` says why a message to a channel is suppressed; what is suppressed says nothing.
#[must_use]
pub fn plan(
    routed: Vec<(Candidate, Vec<String>)>,
    existing: Vec<ExistingMessage>,
    suppressed: impl Fn(&Candidate, &str) -> Option<Suppression>,
) -> Vec<Message> {
    let mut known: HashMap<Uuid, Vec<ExistingMessage>> = HashMap::new();
    for message in existing {
        known.entry(message.incident).or_default().push(message);
    }
    let mut planned = Vec::with_capacity(routed.len());
    for (candidate, mut channels) in routed {
        let known = known.entry(candidate.incident).or_default();
        channels.retain(|channel| candidate.needed.holds(known, channel));
        let mut alike: Vec<(Option<Suppression>, Vec<String>)> = Vec::new();
        for channel in channels {
            let why = suppressed(&candidate, &channel);
            known.push(ExistingMessage {
                incident: candidate.incident,
                channel: channel.clone(),
                kind: candidate.kind,
                is_pending: why.is_none(),
                is_out: false,
                is_on_card: why.and_then(Suppression::card).is_some(),
            });
            match alike.iter_mut().find(|(other, _)| *other == why) {
                Some((_, channels)) => channels.push(channel),
                None => alike.push((why, vec![channel])),
            }
        }
        let messages = alike.into_iter();
        planned.extend(messages.map(|(why, channels)| candidate.to_message(channels, why)));
    }
    planned
}

impl Needed {
    /// Whether this channel needs it, beside the messages that there are about the incident.
    fn holds(self, known: &[ExistingMessage], channel: &str) -> bool {
        let mut here = known.iter().filter(|message| message.channel == channel);
        match self {
            Self::Everywhere => true,
            Self::WhereResolved => {
                let says_status = |message: &&ExistingMessage| match message.kind {
                    Kind::Resolved => message.is_out,
                    Kind::Reopened => message.is_out || message.is_pending,
                    _ => false,
                };
                let last = here.rfind(says_status);
                last.is_some_and(|message| message.kind == Kind::Resolved)
            }
            Self::UnlessOnCard => {
                let (mut says, mut is_on_card) = (false, false);
                for message in here {
                    says |= message.is_out || message.is_pending;
                    is_on_card |= message.is_on_card;
                }
                says || !is_on_card
            }
            Self::WhereLevelUnsaid => {
                !here.any(|message| message.is_pending && says_level(message.kind))
            }
            Self::WhereSeverityUnsaid => {
                let says_it = |m: &ExistingMessage| m.is_pending && m.kind != Kind::Resolved;
                !known.is_empty() && !here.any(says_it)
            }
        }
    }
}

/// Whether a message of this kind says the level, so that it reports a rise as well.
const fn says_level(kind: Kind) -> bool {
    match kind {
        Kind::Opened | Kind::Escalated | Kind::Reopened | Kind::Worsened => true,
        Kind::Flapping | Kind::Steady => true,
        Kind::Resolved | Kind::Repeated | Kind::Digest | Kind::Report | Kind::Playbook => false,
    }
}

impl Candidate {
    /// A message to every channel, due now, which is pushed after the commit that writes it.
    const fn new(incident: Uuid, kind: Kind, sequence: i64, now: Timestamp) -> Self {
        Self {
            incident,
            kind,
            sequence,
            since: now,
            needed: Needed::Everywhere,
            by_tier: false,
        }
    }

    const fn to_message(&self, channels: Vec<String>, suppressed: Option<Suppression>) -> Message {
        Message {
            incident: self.incident,
            kind: self.kind,
            sequence: self.sequence,
            channels,
            suppressed,
            since: self.since,
            by_tier: self.by_tier,
        }
    }
}

#[cfg(test)]
mod tests;
