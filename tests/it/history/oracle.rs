//! What must come of a history, worked out by one thread with nothing but lists: written from the
//! rules in words, and sharing no line with the program. Slow, and easy to believe.
//!
//! Times are milliseconds. An oracle hears what was told in the order in which it is processed.

mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

pub use verdicts::{Tried, Windows};

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// Starts of one firing lie within this.
pub const SKEW: i64 = 60 * SECOND;
/// So long an incident can be joined, from its first alert.
const WINDOW: i64 = 10 * MINUTE;
const IGNORED: [&str; 2] = ["Watchdog", "InfoInhibitor"];

pub type Labels = BTreeMap<String, String>;

/// One alert of one delivery.
#[derive(Clone, Debug)]
pub struct Told {
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
    /// The start that it goes by: the first that was told, else its first receipt.
    pub began: i64,
    /// Every start that was told of it.
    pub starts: Vec<i64>,
    /// Every receipt.
    pub received: Vec<i64>,
    /// Every end that was told of it.
    pub ends: Vec<i64>,
    pub ended_at: Option<i64>,
    /// Whether it was ever told as firing.
    pub fired: bool,
    /// When it was last seen firing while it was open.
    pub last_firing: Option<i64>,
    pub incident: Option<usize>,
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
    resolved_by_person_at: Option<i64>,
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

pub struct Oracle {
    pub unit: Unit,
    /// An alert seen firing so long after its incident opened escalates.
    pub open_for: i64,
    pub episodes: Vec<Episode>,
    pub incidents: Vec<Incident>,
    /// Alerts that cannot be used.
    pub unusable: usize,
    deliveries: Vec<(Anomaly, i64)>,
    repairs: BTreeMap<String, (Anomaly, String, bool)>,
    fixed_at: BTreeMap<Anomaly, i64>,
}

impl Oracle {
    pub fn new(unit: Unit, open_for: i64) -> Self {
        Self {
            unit,
            open_for,
            episodes: Vec::new(),
            incidents: Vec::new(),
            unusable: 0,
            deliveries: Vec::new(),
            repairs: BTreeMap::new(),
            fixed_at: BTreeMap::new(),
        }
    }

    pub fn hear(&mut self, told: &Told) {
        let label = |name: &str| told.labels.get(name).map_or("", String::as_str);
        if label("alertname").is_empty() {
            self.unusable += 1;
            return;
        }
        if IGNORED.contains(&label("alertname")) || label("testalert") == "true" {
            return;
        }
        let anomaly = anomaly(&told.labels);
        let series = match &told.fingerprint {
            Some(name) => Series::Named(name.clone()),
            None => Series::Labelled(said(&told.labels)),
        };
        self.deliveries.push((anomaly.clone(), told.received_at));
        match self.known(&anomaly, &series, told.starts_at) {
            Some(episode) => self.hear_again(episode, told),
            None => self.hear_first(anomaly, series, told),
        }
    }

    /// The episode that this start means.
    fn known(&self, anomaly: &Anomaly, series: &Series, starts_at: Option<i64>) -> Option<usize> {
        self.episodes.iter().position(|episode| {
            let is_meant = match starts_at {
                None => episode.ended_at.is_none(),
                Some(start) => {
                    let near = (start - episode.began).abs() <= SKEW;
                    near && episode.ended_at.is_none_or(|end| start <= end)
                }
            };
            is_meant && episode.anomaly == *anomaly && episode.series == *series
        })
    }

    fn hear_again(&mut self, index: usize, told: &Told) {
        let episode = &mut self.episodes[index];
        episode.received.push(told.received_at);
        episode.starts.extend(told.starts_at);
        episode.fired |= !told.resolved;
        let incident = episode.incident;
        if told.resolved {
            episode.ends.extend(told.ends_at);
            let end = told.ends_at.unwrap_or(told.received_at);
            self.close(index, end);
        } else if episode.ended_at.is_none() {
            episode.last_firing = episode.last_firing.max(Some(told.received_at));
            if let Some(incident) = incident {
                self.incidents[incident].seen_firing(told.received_at);
            }
        }
    }

    fn hear_first(&mut self, anomaly: Anomaly, series: Series, told: &Told) {
        let start = told.starts_at.unwrap_or(told.received_at);
        let end = told.ends_at.unwrap_or(told.received_at);
        let mut episode = Episode {
            anomaly,
            series,
            began: start,
            starts: told.starts_at.into_iter().collect(),
            received: vec![told.received_at],
            ends: told.ends_at.into_iter().collect(),
            ended_at: told.resolved.then_some(end),
            fired: !told.resolved,
            last_firing: (!told.resolved).then_some(told.received_at),
            incident: None,
        };
        let of_series =
            |other: &Episode| other.anomaly == episode.anomaly && other.series == episode.series;
        let (mut older, mut newer) = (Vec::new(), None);
        for (index, other) in self.episodes.iter().enumerate() {
            if !of_series(other) {
                continue;
            }
            if other.began > start {
                newer = Some(newer.map_or(other.began, |n: i64| n.min(other.began)));
            } else if other.ended_at.is_none() {
                older.push(index);
            }
        }
        // What is over when it is first heard of is written and counted, and nobody's concern.
        episode.ended_at = episode.ended_at.or(newer);
        if episode.ended_at.is_none() {
            episode.incident = Some(self.place(&episode.anomaly, told.received_at));
        }
        let index = self.episodes.len();
        self.episodes.push(episode);
        for older in older {
            self.close(older, start);
        }
        self.resolve_if_over(index);
    }

    /// The incident that a new episode joins, or one that it opens.
    fn place(&mut self, anomaly: &Anomaly, at: i64) -> usize {
        let newest = self.incidents.iter().rposition(|i| i.anomaly == *anomaly);
        if let Some(newest) = newest {
            let incident = &mut self.incidents[newest];
            let is_in_time = at - incident.opened_at <= WINDOW;
            if is_in_time && incident.status != Status::ResolvedByPerson {
                incident.episodes += 1;
                if incident.status == Status::ResolvedByItself {
                    incident.status = Status::Open;
                }
                return newest;
            }
        }
        self.incidents.push(Incident {
            anomaly: anomaly.clone(),
            number: newest.map_or(1, |newest| self.incidents[newest].number + 1),
            opened_at: at,
            status: Status::Open,
            episodes: 1,
            reopened: 0,
            resolved_by_person_at: None,
        });
        self.incidents.len() - 1
    }

    fn close(&mut self, index: usize, end: i64) {
        let episode = &mut self.episodes[index];
        if episode.ended_at.is_none() {
            episode.ended_at = Some(end);
            self.resolve_if_over(index);
        }
    }

    /// An incident whose episodes are all closed resolves by itself.
    fn resolve_if_over(&mut self, episode: usize) {
        let Some(incident) = self.episodes[episode].incident else {
            return;
        };
        if self.open_episodes(incident) == 0 {
            let incident = &mut self.incidents[incident];
            if incident.status != Status::ResolvedByPerson {
                incident.status = Status::ResolvedByItself;
            }
        }
    }

    pub fn open_episodes(&self, incident: usize) -> i64 {
        let open = |e: &&Episode| e.incident == Some(incident) && e.ended_at.is_none();
        self.episodes.iter().filter(open).count() as i64
    }

    /// How many of its series began before it, and how many there are.
    pub fn place_of(&self, episode: &Episode) -> (usize, usize) {
        let is_series =
            |other: &&Episode| other.anomaly == episode.anomaly && other.series == episode.series;
        let series = self.episodes.iter().filter(is_series);
        let before = series.clone().filter(|other| other.began < episode.began);
        (before.count(), series.count())
    }

    /// The anomaly's newest incident.
    pub fn newest(&self, anomaly: &Anomaly) -> Option<usize> {
        self.incidents.iter().rposition(|i| i.anomaly == *anomaly)
    }

    pub fn anomalies(&self) -> BTreeSet<Anomaly> {
        let of_episodes = self.episodes.iter().map(|e| e.anomaly.clone());
        of_episodes.collect()
    }

    /// A person acknowledges an incident that is open.
    pub fn acknowledge(&mut self, incident: usize) {
        self.incidents[incident].status = Status::Acknowledged;
    }

    /// A person resolves an incident.
    pub fn resolve(&mut self, incident: usize, at: i64) {
        let incident = &mut self.incidents[incident];
        incident.status = Status::ResolvedByPerson;
        incident.resolved_by_person_at = Some(at);
    }

    /// A permanent fix was applied.
    pub fn fix(&mut self, anomaly: &Anomaly, at: i64) {
        self.fixed_at.insert(anomaly.clone(), at);
    }

    /// A repair was tried; the same key is the same repair.
    pub fn repair(&mut self, key: &str, anomaly: &Anomaly, action: &str, success: bool) {
        let repair = (anomaly.clone(), action.to_owned(), success);
        self.repairs.insert(key.to_owned(), repair);
    }
}

impl Incident {
    /// One that a person resolved opens again, if it is still seen firing more than a window later.
    fn seen_firing(&mut self, at: i64) {
        if self.status == Status::ResolvedByPerson
            && self
                .resolved_by_person_at
                .is_some_and(|resolved| at - resolved > WINDOW)
        {
            self.status = Status::Open;
            self.reopened += 1;
        }
    }
}

/// The labels that say something: an empty one is as if it were missing.
fn said(labels: &Labels) -> Labels {
    let mut said = labels.clone();
    said.retain(|_, value| !value.is_empty());
    said
}

fn anomaly(labels: &Labels) -> Anomaly {
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
