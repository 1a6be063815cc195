//! Aggregation: what one more sighting does to an anomaly's episodes and incidents.
//!
//! The [`Books`] hold what the store has about the anomalies of a batch, all of it locked;
//! [`Books::enter`] applies one sighting after the other; what came out is written in one go.
//! Entering the same sighting twice changes nothing that is counted.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::alert::{Alert, Labels};
use super::episode::{Episode, Sighting, episode_id, find};
use super::escalation::Level;
use super::frequency::Counted;
use crate::time::Timestamp;

/// What is counted: which id stands for one occurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Each firing counts once, however often it is sent.
    #[default]
    Episode,
    /// Every accepted delivery counts, re-sends included.
    Delivery,
    /// What fails together counts once.
    Incident,
}

impl Unit {
    /// As it is written in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Episode => "episode",
            Self::Delivery => "delivery",
            Self::Incident => "incident",
        }
    }
}

/// How long an incident can be joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// For a fixed window from its first alert.
    #[default]
    Window,
    /// For as long as it is open, too.
    Resolved,
}

/// Where an incident stands.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumIter,
    DeriveActiveEnum,
    utoipa::ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Nobody took it yet.
    #[sea_orm(string_value = "OPEN")]
    Open,
    /// It is being looked into.
    #[sea_orm(string_value = "ANALYZING")]
    Analyzing,
    /// Somebody took it.
    #[sea_orm(string_value = "ACKNOWLEDGED")]
    Acknowledged,
    /// It is over.
    #[sea_orm(string_value = "RESOLVED")]
    Resolved,
}

/// Who resolved an incident.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumIter,
    DeriveActiveEnum,
    utoipa::ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum ResolvedBy {
    /// All its episodes ended.
    #[sea_orm(string_value = "itself")]
    Itself,
    /// Somebody said so.
    #[sea_orm(string_value = "person")]
    Person,
    /// Nobody did: its sender told of its firings no more.
    #[sea_orm(string_value = "unseen")]
    Unseen,
}

/// The settings that aggregation obeys.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What is counted.
    pub unit: Unit,
    /// How far apart starts of one firing may lie.
    pub skew: Duration,
    /// How long an incident can be joined, from its first alert.
    pub window: Duration,
    /// Whether it can be joined for as long as it is open instead.
    pub until: Until,
    /// Whether an incident resolves when all its episodes are closed.
    pub auto_resolve: bool,
    /// How long an alert has to last to escalate.
    pub open_for: Duration,
}

/// One anomaly, locked.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// When the first of its firings was received.
    pub first_seen: Option<Timestamp>,
    /// When the last of its firings was first received; or the last delivery, where these are
    /// counted.
    pub last_seen: Option<Timestamp>,
    /// Counted in all.
    pub total: i64,
    /// Its level now.
    pub level: Level,
    /// Its newest incident.
    pub newest_incident: Option<Uuid>,
    /// That incident's number.
    pub newest_number: i64,
    /// Whether a sighting changed it.
    pub changed: bool,
}

/// One incident of a locked anomaly.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Its id.
    pub id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// Its number within the anomaly.
    pub number: i64,
    /// Where it stands.
    pub status: Status,
    /// Where it stood before.
    pub stood: Status,
    /// Who resolved it.
    pub resolved_by: Option<ResolvedBy>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When its aggregation window began.
    pub window_start: Timestamp,
    /// How many episodes it holds.
    pub aggregated_count: i64,
    /// How many of them are open.
    pub open_episodes: i64,
    /// When one of them was last seen firing.
    pub last_firing_at: Timestamp,
    /// How often it was opened again after a person resolved it.
    pub reopened: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Whether it was due for a tier before.
    pub was_due: bool,
    /// Whether a sighting made it due for a tier.
    pub tier_due: bool,
    /// Whether a sighting changed it.
    pub changed: bool,
    /// The alert that opened it, if it is new.
    pub opening: Option<Box<Opening>>,
}

/// What a new incident takes from the alert that opens it.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Which source it came from.
    pub source: String,
    /// The alert.
    pub alert: Alert,
}

/// A row that is new: an episode, or a delivery where deliveries are counted.
#[derive(Clone, Debug)]
pub struct NewOccurrence {
    /// The row as an episode; a delivery's is its episode's at that moment.
    pub episode: Episode,
    /// The row's id: the episode's, or the job's.
    pub id: Uuid,
    /// The id that is counted, if this row counts.
    pub counted: Option<Uuid>,
    /// Which source it came from.
    pub source: String,
    /// The sender's name for the series.
    pub fingerprint: String,
    /// The series' labels.
    pub labels: Labels,
}

/// What became of a sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// An episode that was not known before; where deliveries are counted, a delivery that was not.
    New,
    /// What was known before, once more.
    Resent,
}

/// What the store has about the anomalies of a batch, and what the batch makes of it.
#[derive(Debug, Default)]
pub struct Books {
    /// The anomalies, by key.
    pub anomalies: BTreeMap<String, Anomaly>,
    /// Their incidents, as far as the batch can touch them.
    pub incidents: HashMap<Uuid, Incident>,
    /// The episodes of each series, oldest first, as far as the batch can touch them.
    pub episodes: HashMap<i64, Vec<Episode>>,
    /// Jobs that were counted before (where deliveries are counted).
    pub delivered: HashSet<Uuid>,
    /// Deliveries of this batch, counted now or before (where deliveries are counted).
    pub deliveries: Vec<Counted>,
    /// Rows to insert.
    pub new: Vec<NewOccurrence>,
    /// Episodes that a sighting changed, new ones included: id and series.
    pub changed: HashMap<Uuid, i64>,
    /// Incidents that a person had resolved and that are open again, with the reopening's number.
    pub reopenings: Vec<(Uuid, i64)>,
    /// Anomalies whose last firing turned out to have been received before, so that another may be
    /// the last.
    pub last_unsure: BTreeSet<String>,
}

impl Books {
    /// Applies one sighting, whose anomaly must be in the books. Returns what became of it, and
    /// the incident that its episode belongs to.
    pub fn enter(&mut self, sighting: &Sighting, policy: &Policy) -> (Entered, Option<Uuid>) {
        let known = self
            .episodes
            .get(&sighting.series)
            .and_then(|episodes| find(episodes, sighting, policy.skew));
        let (mut entered, episode) = match known {
            Some(at) => (Entered::Resent, self.see_again(sighting, at, policy)),
            None => (Entered::New, self.see_first(sighting, policy)),
        };
        let incident = episode.incident;
        if policy.unit == Unit::Delivery {
            entered = self.count_delivery(sighting, episode);
        }
        (entered, incident)
    }

    /// An episode as the batch left it.
    #[must_use]
    pub fn episode(&self, id: Uuid, series: i64) -> Option<&Episode> {
        self.episodes
            .get(&series)?
            .iter()
            .find(|episode| episode.id == id)
    }

    /// Rows to insert, as the batch left them: an episode may have changed after it was new.
    pub fn new_rows(&self) -> impl Iterator<Item = (&NewOccurrence, &Episode)> {
        self.new.iter().map(|row| {
            let later = (row.id == row.episode.id)
                .then(|| self.episode(row.id, row.episode.series))
                .flatten();
            (row, later.unwrap_or(&row.episode))
        })
    }

    /// Rows to update: known episodes that changed.
    #[must_use]
    pub fn changed_rows(&self) -> Vec<&Episode> {
        let new: HashSet<Uuid> = self.new.iter().map(|row| row.id).collect();
        self.changed
            .iter()
            .filter(|(id, _)| !new.contains(id))
            .filter_map(|(id, series)| self.episode(*id, *series))
            .collect()
    }

    /// Every id that the batch touched and that is counted, new or known: whoever died between a
    /// commit and the count, the redelivery makes up for it.
    #[must_use]
    pub fn counted(&self, unit: Unit) -> Vec<Counted> {
        let counted = |key: &str, id, occurred_at| Counted {
            anomaly_key: key.to_owned(),
            id,
            occurred_at,
        };
        match unit {
            Unit::Episode => self
                .changed
                .iter()
                .filter_map(|(id, series)| self.episode(*id, *series))
                .map(|e| counted(&e.anomaly_key, e.id, e.occurred_at))
                .collect(),
            Unit::Delivery => self.deliveries.clone(),
            Unit::Incident => self
                .incidents
                .values()
                .map(|i| counted(&i.anomaly_key, i.id, i.opened_at))
                .collect(),
        }
    }

    /// Known incidents that a sighting opened again or resolved.
    pub fn turned(&self) -> impl Iterator<Item = &Incident> {
        let known = self.incidents.values().filter(|i| i.opening.is_none());
        known.filter(|incident| incident.status != incident.stood)
    }

    fn see_again(&mut self, sighting: &Sighting, at: usize, policy: &Policy) -> Episode {
        let Some(episode) = self
            .episodes
            .get_mut(&sighting.series)
            .and_then(|episodes| episodes.get_mut(at))
        else {
            unreachable!("the position was found in this list")
        };
        let first_before = episode.occurred_at;
        let overtaken = sighting.received_at < first_before;
        episode.deliveries += 1;
        episode.occurred_at = episode.occurred_at.min(sighting.received_at);
        episode.last_seen_at = episode.last_seen_at.max(sighting.received_at);
        let was_open = episode.ended_at.is_none();
        if !sighting.is_firing() {
            let end = end_of(sighting, episode.starts_at);
            episode.ended_at = Some(episode.ended_at.map_or(end, |known| known.min(end)));
        }
        let episode = episode.clone();
        self.changed.insert(episode.id, episode.series);
        if overtaken {
            self.touch_anomaly(sighting, 0);
            if self.anomaly(&sighting.key).last_seen == Some(first_before) {
                self.last_unsure.insert(sighting.key.clone());
            }
        }
        if let Some(incident) = episode.incident.filter(|_| was_open) {
            if sighting.is_firing() {
                self.still_fires(incident, sighting.received_at, policy);
            } else {
                self.episode_closed(incident, sighting.received_at, policy);
            }
        }
        episode
    }

    fn see_first(&mut self, sighting: &Sighting, policy: &Policy) -> Episode {
        let start = sighting.start();
        let newer = self.episodes.get(&sighting.series).and_then(|list| {
            list.iter()
                .map(|e| e.starts_at)
                .filter(|at| *at > start)
                .min()
        });
        let ended_at = if sighting.is_firing() {
            newer
        } else {
            Some(end_of(sighting, start))
        };
        let incident = ended_at
            .is_none()
            .then(|| self.join_or_open(sighting, policy));
        let episode = Episode {
            id: episode_id(sighting.series, start),
            anomaly_key: sighting.key.clone(),
            incident,
            series: sighting.series,
            starts_at: start,
            ended_at,
            occurred_at: sighting.received_at,
            last_seen_at: sighting.received_at,
            deliveries: 1,
        };
        let counted = (policy.unit == Unit::Episode).then_some(episode.id);
        self.touch_anomaly(sighting, i64::from(counted.is_some()));
        self.insert(sighting, episode.id, counted, episode.clone());
        self.changed.insert(episode.id, episode.series);
        self.close_older(sighting, start, policy);
        let list = self.episodes.entry(sighting.series).or_default();
        let at = list.partition_point(|e| e.starts_at <= start);
        list.insert(at, episode.clone());
        episode
    }

    /// A newer episode of a series ends those before it that nobody ended.
    fn close_older(&mut self, sighting: &Sighting, start: Timestamp, policy: &Policy) {
        let mut closed = Vec::new();
        for episode in self.episodes.entry(sighting.series).or_default() {
            if episode.ended_at.is_none() && episode.starts_at < start {
                episode.ended_at = Some(start);
                closed.push((episode.id, episode.series, episode.incident));
            }
        }
        for (id, series, incident) in closed {
            self.changed.insert(id, series);
            if let Some(incident) = incident {
                self.episode_closed(incident, sighting.received_at, policy);
            }
        }
    }

    fn join_or_open(&mut self, sighting: &Sighting, policy: &Policy) -> Uuid {
        let at = sighting.received_at;
        let anomaly = self.anomaly(&sighting.key);
        let (newest, number) = (anomaly.newest_incident, anomaly.newest_number);
        if let Some(incident) = newest.and_then(|id| self.incidents.get_mut(&id))
            && incident.can_be_joined(at, policy)
        {
            incident.aggregated_count += 1;
            incident.open_episodes += 1;
            incident.last_firing_at = incident.last_firing_at.max(at);
            incident.reopen_if_resolved();
            incident.touch(at);
            incident.tier_due = true;
            return incident.id;
        }
        let incident = Incident::open(sighting, number + 1);
        let id = incident.id;
        self.incidents.insert(id, incident);
        let anomaly = self.anomaly(&sighting.key);
        anomaly.newest_incident = Some(id);
        anomaly.newest_number = number + 1;
        if policy.unit == Unit::Incident {
            self.touch_anomaly(sighting, 1);
        }
        id
    }

    fn count_delivery(&mut self, sighting: &Sighting, episode: Episode) -> Entered {
        self.deliveries.push(Counted {
            anomaly_key: sighting.key.clone(),
            id: sighting.job,
            occurred_at: sighting.received_at,
        });
        if !self.delivered.insert(sighting.job) {
            return Entered::Resent;
        }
        if let Some(incident) = episode.incident.and_then(|id| self.incidents.get_mut(&id)) {
            incident.tier_due = true;
        }
        self.touch_anomaly(sighting, 1);
        let delivery = Episode {
            occurred_at: sighting.received_at,
            last_seen_at: sighting.received_at,
            deliveries: 1,
            ..episode
        };
        self.insert(sighting, sighting.job, Some(sighting.job), delivery);
        Entered::New
    }

    fn insert(&mut self, sighting: &Sighting, id: Uuid, counted: Option<Uuid>, episode: Episode) {
        self.new.push(NewOccurrence {
            episode,
            id,
            counted,
            source: sighting.source.clone(),
            fingerprint: sighting.alert.fingerprint.clone(),
            labels: sighting.alert.labels.clone(),
        });
    }

    /// An open episode was seen firing once more.
    fn still_fires(&mut self, incident: Uuid, at: Timestamp, policy: &Policy) {
        let Some(incident) = self.incidents.get_mut(&incident) else {
            return;
        };
        if at > incident.last_firing_at {
            incident.last_firing_at = at;
            incident.touch(at);
        }
        let resolved_by_person = incident.resolved_by == Some(ResolvedBy::Person);
        if resolved_by_person
            && incident
                .resolved_at
                .is_some_and(|r| at > r.after(policy.window))
        {
            incident.reopened += 1;
            self.reopenings.push((incident.id, incident.reopened));
            incident.reopen_if_resolved();
            incident.tier_due = true;
            incident.touch(at);
        }
        let lasts = at >= incident.opened_at.after(policy.open_for);
        let level = self
            .anomalies
            .get(&incident.anomaly_key)
            .map_or(Level::None, |anomaly| anomaly.level);
        if lasts && incident.status != Status::Resolved && level < Level::Escalate {
            incident.tier_due = true;
        }
    }

    fn episode_closed(&mut self, incident: Uuid, at: Timestamp, policy: &Policy) {
        let Some(incident) = self.incidents.get_mut(&incident) else {
            return;
        };
        incident.open_episodes -= 1;
        incident.touch(at);
        if incident.open_episodes <= 0 && policy.auto_resolve && incident.status != Status::Resolved
        {
            incident.status = Status::Resolved;
            incident.resolved_by = Some(ResolvedBy::Itself);
            incident.resolved_at = Some(at.max(incident.opened_at));
        }
    }

    fn touch_anomaly(&mut self, sighting: &Sighting, counted: i64) {
        let anomaly = self.anomaly(&sighting.key);
        let at = sighting.received_at;
        anomaly.total += counted;
        anomaly.first_seen = Some(anomaly.first_seen.map_or(at, |seen| seen.min(at)));
        anomaly.last_seen = Some(anomaly.last_seen.map_or(at, |seen| seen.max(at)));
        anomaly.changed = true;
    }

    fn anomaly(&mut self, key: &str) -> &mut Anomaly {
        match self.anomalies.get_mut(key) {
            Some(anomaly) => anomaly,
            None => unreachable!("a batch locks the anomalies of all its sightings"),
        }
    }
}

impl Incident {
    fn open(sighting: &Sighting, number: i64) -> Self {
        let at = sighting.received_at;
        Self {
            id: crate::jobs::new_id(at),
            anomaly_key: sighting.key.clone(),
            number,
            status: Status::Open,
            stood: Status::Open,
            resolved_by: None,
            resolved_at: None,
            opened_at: at,
            window_start: at,
            aggregated_count: 1,
            open_episodes: 1,
            last_firing_at: at,
            reopened: 0,
            updated_at: at,
            was_due: false,
            tier_due: true,
            changed: true,
            opening: Some(Box::new(Opening {
                source: sighting.source.clone(),
                alert: sighting.alert.clone(),
            })),
        }
    }

    fn can_be_joined(&self, at: Timestamp, policy: &Policy) -> bool {
        let is_open = policy.until == Until::Resolved && self.status != Status::Resolved;
        let in_time = is_open || at < self.window_start.after(policy.window);
        in_time && self.resolved_by != Some(ResolvedBy::Person)
    }

    fn reopen_if_resolved(&mut self) {
        if self.status == Status::Resolved {
            self.status = Status::Open;
            self.resolved_by = None;
            self.resolved_at = None;
        }
    }

    fn touch(&mut self, at: Timestamp) {
        self.updated_at = self.updated_at.max(at);
        self.changed = true;
    }
}

/// When the sender says that it ended: never before it began, and the time of receipt if it does
/// not say.
fn end_of(sighting: &Sighting, starts_at: Timestamp) -> Timestamp {
    let end = sighting.alert.ends_at.unwrap_or(sighting.received_at);
    end.max(starts_at)
}

#[cfg(test)]
mod tests;
