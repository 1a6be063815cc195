//! The oracle's model: what was delivered, and the firings and incidents that follow.

use std::collections::BTreeMap;

use super::WINDOW;

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// Starts of one firing lie within this.
pub const SKEW: i64 = 60 * SECOND;

pub type Labels = BTreeMap<String, String>;

/// One alert of one delivery.
#[derive(Clone, Debug)]
pub struct Received {
    pub resolved: bool,
    pub labels: Labels,
    pub fingerprint: Option<String>,
    pub starts_at: Option<i64>,
    pub ends_at: Option<i64>,
    pub received_at: i64,
}

/// Alert name, service, namespace, kind of error.
pub type Anomaly = [String; 4];

/// Which series within its anomaly: by the sender's name for it, or by all its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    Named(String),
    Labelled(Labels),
}

/// One uninterrupted firing of one series.
#[derive(Clone, Debug)]
pub struct Episode {
    pub anomaly: Anomaly,
    pub series: Series,
    /// The earliest start that was received, else its first receipt.
    pub began: i64,
    /// Every start that was received for it and is possible.
    pub starts: Vec<i64>,
    /// Every receipt.
    pub received: Vec<i64>,
    /// Every end that was received for it.
    pub ends: Vec<i64>,
    pub ended: Option<Ended>,
    /// Whether it was ever received as firing.
    pub fired: bool,
    /// When it was last received as firing.
    pub last_firing: Option<i64>,
    pub incident: Option<usize>,
}

/// How an episode ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub at: i64,
    /// When somebody last said so.
    pub heard_at: i64,
    pub by: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At a time that the sender gave.
    Received,
    /// By the time at which the sender said so.
    Heard,
    /// By the time at which the next one began.
    Next,
}

/// What people see of one thing that is broken.
#[derive(Clone, Debug)]
pub struct Incident {
    pub anomaly: Anomaly,
    pub number: i64,
    pub opened_at: i64,
    pub status: Status,
    pub episodes: i64,
    pub reopened: i64,
    pub joined_at: i64,
    pub(super) is_taken: bool,
    pub(super) resolved_by_person_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Open,
    Acknowledged,
    ResolvedByItself,
    ResolvedByPerson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Episode,
    Delivery,
    Incident,
}

impl Received {
    /// When it began, if the sender's clock can be right.
    pub(super) fn start(&self) -> Option<i64> {
        const YEAR_2000: i64 = 946_684_800 * SECOND;
        self.starts_at
            .filter(|at| *at >= YEAR_2000 && *at <= self.received_at + SKEW)
    }

    /// When it was over.
    pub(super) fn end(&self) -> Option<(i64, Ending)> {
        let told = self.ends_at.filter(|at| *at <= self.received_at);
        self.resolved.then_some(match told {
            Some(at) => (at, Ending::Received),
            None => (self.received_at, Ending::Heard),
        })
    }
}

impl Episode {
    /// The next one began at `start` already: so this was over then, unless somebody said until when it
    /// went on.
    pub(super) fn makes_room(&mut self, start: i64) {
        let began = self.began;
        if let Some(ended) = self
            .ended
            .as_mut()
            .filter(|ended| ended.by != Ending::Received)
        {
            ended.at = ended.at.min(start.max(began));
        }
    }

    pub(super) fn until(&self) -> i64 {
        let heard = self.received.iter().copied().max().unwrap();
        self.ended.map_or(heard, |ended| ended.at)
    }
}

impl Incident {
    /// One that was resolved opens again if it is still seen firing; if a person resolved it, a window
    /// later.
    pub(super) fn seen_firing(&mut self, at: i64) {
        let is_open_again = match self.status {
            Status::Open | Status::Acknowledged => false,
            Status::ResolvedByItself => true,
            Status::ResolvedByPerson => self
                .resolved_by_person_at
                .is_some_and(|resolved| at - resolved > WINDOW),
        };
        if is_open_again {
            self.status = Status::Open;
            self.is_taken = false;
            self.reopened += 1;
        }
    }
}

/// The labels that say something: an empty one is as if it were missing.
pub(super) fn said(labels: &Labels) -> Labels {
    let mut said = labels.clone();
    said.retain(|_, value| !value.is_empty());
    said
}

pub(super) fn anomaly(labels: &Labels) -> Anomaly {
    let first = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| labels.get(*name));
        found
            .find(|value| !value.is_empty())
            .cloned()
            .unwrap_or_default()
    };
    [
        first(&["alertname"]),
        first(&["job", "service", "service.name"]),
        first(&["namespace", "k8s.namespace.name"]),
        first(&["reason", "error_type"]),
    ]
}
