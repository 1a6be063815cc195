//! The policy of messages from the settings: kinds, routes, quiet hours.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::escalation::Level;
use crate::domain::notification::Kind;
use crate::domain::routing::{self, Quiet, Route, RoutingKey};
use crate::domain::severity;
use crate::time::Timestamp;

/// What can be sent as a message of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tell {
    /// An incident opened.
    Opened,
    /// Its anomaly rose to `ESCALATE` or `PERMANENT_FIX`, or the severity of its alerts to one that the settings name.
    Escalated,
    /// It was resolved, and it still fires.
    Reopened,
    /// It is resolved.
    Resolved,
    /// Its anomaly rose to `REPEAT`.
    Repeat,
}

impl Tell {
    /// What is sent unless the settings say otherwise.
    pub const USUAL: [Self; 3] = [Self::Opened, Self::Escalated, Self::Reopened];

    /// The same, as a setting.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        Self::USUAL.to_vec()
    }

    /// What messages of this kind are; none for a digest, which is sent wherever there are storms, and
    /// for notices, which have channels of their own.
    const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Opened | Kind::Flapping | Kind::Steady => Some(Self::Opened),
            Kind::Escalated | Kind::Worsened => Some(Self::Escalated),
            Kind::Reopened => Some(Self::Reopened),
            Kind::Resolved => Some(Self::Resolved),
            Kind::Repeated => Some(Self::Repeat),
            Kind::Digest | Kind::Report | Kind::Playbook => None,
        }
    }
}

/// What the settings say of messages.
#[derive(Clone, Debug)]
pub struct Policy<'a> {
    /// Where messages go.
    pub routes: &'a [Route],
    /// Where those go that no route matches.
    pub otherwise: Vec<String>,
    /// What is sent to each channel; others get what is usual.
    pub tells: Vec<(String, &'a [Tell])>,
    /// Hours in which messages make no sound, unless a route has its own.
    pub quiet: Option<&'a Quiet>,
    /// How long after its opening an incident collects rises into one message (`notify.settle`).
    pub settle: Duration,
    /// The severities that a rise to is sent of (`notify.severities`).
    pub severities: &'a [String],
    /// The kinds of channels that there are and whose messages are kept up to date.
    pub edits: Vec<&'static str>,
    /// The kinds of channels whose cards incidents continue on.
    pub cards: Vec<&'static str>,
    /// How long after its last notification an anomaly continues on its card (`telegram.again`). `None`: never.
    pub again: Option<Duration>,
    /// The channel of comments in Sentry, if they are set up. They follow no route: an incident that is about an
    /// issue there is commented on there, and no other.
    pub comments: Option<&'static str>,
}

/// Whether a message of this kind is a comment: those that say what is to be done, and the last.
const fn is_commented(kind: Kind) -> bool {
    matches!(kind, Kind::Opened | Kind::Escalated | Kind::Resolved)
}

impl Policy<'_> {
    /// Whether a channel gets messages of this kind.
    #[must_use]
    pub fn sends(&self, channel: &str, kind: Kind) -> bool {
        if self.comments == Some(channel) {
            return is_commented(kind);
        }
        let mut tells = self.tells.iter();
        let kinds = tells.find(|(name, _)| name == channel);
        let kinds = kinds.map_or(&Tell::USUAL[..], |(_, kinds)| kinds);
        Tell::of(kind).is_none_or(|tell| kinds.contains(&tell))
    }

    /// Whether incidents continue on the cards of this channel.
    #[must_use]
    pub fn goes_on_in(&self, channel: &str) -> bool {
        let kind = channel.split_once(':').map_or(channel, |(kind, _)| kind);
        self.again.is_some() && self.cards.contains(&kind)
    }

    /// Whether some channel may get messages of this kind.
    #[must_use]
    pub fn sends_anywhere(&self, kind: Kind) -> bool {
        let is_sent = |tell| {
            let mut tells = self.tells.iter();
            Tell::USUAL.contains(&tell) || tells.any(|(_, kinds)| kinds.contains(&tell))
        };
        Tell::of(kind).is_none_or(is_sent) || (self.comments.is_some() && is_commented(kind))
    }

    /// Whether it is sent that an incident's severity rose to this.
    #[must_use]
    pub fn sends_rise_to(&self, severity: &str) -> bool {
        let rank = severity::rank(severity);
        rank.is_some()
            && self
                .severities
                .iter()
                .any(|word| severity::rank(word) == rank)
    }

    /// Where a message of this kind about such an incident goes.
    #[must_use]
    pub fn channels(&self, incident: &RoutingKey, kind: Kind) -> Vec<String> {
        let mut channels = routing::channels(self.routes, &self.otherwise, incident);
        let comments = self.comments.filter(|_| incident.has_sentry_issue);
        channels.extend(comments.map(str::to_owned));
        channels.retain(|channel| self.sends(channel, kind));
        channels
    }

    /// Whether a message about such an incident makes no sound in this channel now: by the quiet hours
    /// of a route that leads there, else by those of all.
    #[must_use]
    pub fn is_quiet(&self, channel: &str, incident: &RoutingKey, now: Timestamp) -> bool {
        let of_route = routing::taken(self.routes, incident)
            .filter(|route| route.leads_to(channel))
            .find_map(|route| route.quiet.as_ref());
        let quiet = of_route.or(self.quiet);
        quiet.is_some_and(|quiet| quiet.silences(incident.level, now))
    }

    /// Whether a digest makes no sound in this channel now, in which nothing has a higher level: it may
    /// report anything that is led there, so it is quiet if all of that is.
    #[must_use]
    pub fn is_digest_quiet(&self, channel: &str, level: Level, now: Timestamp) -> bool {
        let of_routes = self.routes.iter().filter(|route| route.leads_to(channel));
        let mut quiet: Vec<Option<&Quiet>> = of_routes
            .map(|route| route.quiet.as_ref().or(self.quiet))
            .collect();
        // What no route matches may come here, too.
        if quiet.is_empty() || self.otherwise.iter().any(|other| other == channel) {
            quiet.push(self.quiet);
        }
        let silences =
            |quiet: Option<&Quiet>| quiet.is_some_and(|quiet| quiet.silences(level, now));
        quiet.into_iter().all(silences)
    }
}
