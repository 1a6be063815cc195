//! Aggregation: what one more sighting does to an anomaly's episodes and incidents.
//!
//! The [`Batch`] hold what the store has about the anomalies of a batch, all of it locked;
//! [`Batch::enter`] applies one sighting after the other; what came out is written in one go.
//! Entering the same sighting twice changes nothing that is counted.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::alert::Alert;
use super::episode::{AlertDelivery, End, EndedBy, Episode, find, new_episode_id};
use super::escalation::Level;
use super::frequency::Counted;
use super::severity;
use crate::time::Timestamp;

/// What is counted: which id stands for one occurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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

/// The status of an incident.
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
    /// Its status.
    pub status: Status,
    /// Where it stood before.
    pub previous_status: Status,
    /// Who resolved it.
    pub resolved_by: Option<ResolvedBy>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When its aggregation window began.
    pub window_start: Timestamp,
    /// When an episode last joined it, the first included.
    pub joined_at: Timestamp,
    /// How many episodes it holds.
    pub aggregated_count: i64,
    /// How many of them are open.
    pub open_episodes: i64,
    /// When one of them was last seen firing.
    pub last_firing_at: Timestamp,
    /// The highest severity of its alerts.
    pub severity: String,
    /// How often that rose after it opened.
    pub severity_rises: i64,
    /// Whether somebody took it.
    pub is_acknowledged: bool,
    /// How often it was opened again, and that was told.
    pub reopened: i64,
    /// When the earliest end was received after which an episode of it was seen firing, so soon that
    /// this may be late.
    pub doubted_since: Option<Timestamp>,
    /// Since when none of its open episodes was heard of, if that is long.
    pub unheard_since: Option<Timestamp>,
    /// Whether it was heard of again.
    pub is_heard_again: bool,
    /// Each time that this batch opened it again, in order.
    pub undone: Vec<Undone>,
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

/// A resolve that did not last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undone {
    /// When it was.
    pub resolved_at: Timestamp,
    /// Whose it was.
    pub resolved_by: Option<ResolvedBy>,
    /// When the incident opened again.
    pub reopened_at: Timestamp,
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
    /// The series' labels, as JSON.
    pub labels: String,
}

/// What became of a sighting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingested {
    /// An episode that was not known before; where deliveries are counted, a delivery that was not.
    New,
    /// What was known before, once more.
    Resent,
}

/// What the store has about the anomalies of a batch, and what the batch makes of it.
#[derive(Debug, Default)]
pub struct Batch {
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
    /// Incidents that were resolved, are open again, and are told so; with the reopening's number.
    pub reopenings: Vec<(Uuid, i64)>,
    /// Incidents whose severity rose, with the rise's number.
    pub worsened: Vec<(Uuid, i64)>,
    /// Anomalies whose last firing turned out to have been received before, so that another may be
    /// the last.
    pub last_unsure: BTreeSet<String>,
}

impl Batch {
    /// Applies one sighting, whose anomaly must be in the books. Returns what became of it, and
    /// the incident that its episode belongs to.
    pub fn enter(&mut self, delivery: &AlertDelivery, policy: &Policy) -> (Ingested, Option<Uuid>) {
        let known = self
            .episodes
            .get(&delivery.series)
            .and_then(|episodes| find(episodes, delivery, policy.skew));
        let (mut entered, episode) = match known {
            Some(at) => (Ingested::Resent, self.see_again(delivery, at, policy)),
            None => (Ingested::New, self.see_first(delivery, policy)),
        };
        let incident = episode.incident;
        if policy.unit == Unit::Delivery {
            entered = self.count_delivery(delivery, episode);
        }
        (entered, incident)
    }

    /// An episode was seen firing after its end was received, so soon that this might have been late.
    /// Nobody said again that it is over until a window after that end: it is open again.
    pub fn settle_doubt(&mut self, (series, id): (i64, Uuid), now: Timestamp, policy: &Policy) {
        let list = self.episodes.entry(series).or_default();
        let Some(episode) = list.iter_mut().find(|e| e.id == id) else {
            return;
        };
        let (Some(end), Some(incident)) = (episode.end, episode.incident) else {
            return;
        };
        if episode.was_ended_wrongly(now, policy.window) {
            episode.end = None;
            let seen = episode.last_seen_at;
            self.changed.insert(id, series);
            self.fires_again(incident, (seen, now), policy);
        } else {
            self.doubt(incident, end.received_at);
        }
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
    pub fn transitions(&self) -> impl Iterator<Item = &Incident> {
        let known = self.incidents.values().filter(|i| i.opening.is_none());
        known.filter(|incident| incident.status != incident.previous_status)
    }

    /// Incidents that were unheard and are not any more.
    pub fn heard_again(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().filter(|i| i.is_heard_again)
    }

    fn see_again(&mut self, delivery: &AlertDelivery, at: usize, policy: &Policy) -> Episode {
        let (received_at, key) = (delivery.received_at, &delivery.key);
        let list = self.episodes.entry(delivery.series).or_default();
        let (first_before, began_before) = (list[at].occurred_at, list[at].starts_at);
        let turn = hear(list, at, delivery, policy);
        let is_moved = list[at].starts_at < began_before;
        if received_at < first_before {
            self.touch_anomaly(delivery, 0);
            if self.anomaly(key).last_seen == Some(first_before) {
                self.last_unsure.insert(key.clone());
            }
        }
        let known = self.episodes[&delivery.series][at].incident;
        let incident = match (turn, known) {
            (Transition::FiresAgain, None) => Some(self.join_or_open(delivery, policy)),
            (Transition::FiresAgain, Some(incident)) => {
                self.fires_again(incident, (received_at, received_at), policy);
                known
            }
            (Transition::StillFires, Some(incident)) => {
                self.still_fires(incident, (received_at, received_at), policy);
                known
            }
            (Transition::Ended, Some(incident)) => {
                self.episode_closed(incident, received_at, policy);
                known
            }
            (Transition::Doubted(since), Some(incident)) => {
                self.doubt(incident, since);
                known
            }
            _ => known,
        };
        let list = self.episodes.entry(delivery.series).or_default();
        list[at].incident = incident;
        if let Some(older) = at.checked_sub(1).filter(|_| is_moved) {
            self.changed.insert(list[older].id, delivery.series);
        }
        self.changed.insert(list[at].id, delivery.series);
        list[at].clone()
    }

    fn see_first(&mut self, delivery: &AlertDelivery, policy: &Policy) -> Episode {
        let start = delivery.start(policy.skew);
        let list = self.episodes.entry(delivery.series).or_default();
        let id = new_episode_id(list, delivery.series, start, delivery.received_at);
        let newer = list.iter().map(|e| e.starts_at).find(|at| *at > start);
        let end = match (delivery.end(), newer) {
            (Some((at, by)), newer) => Some((at.max(start), by))
                .map(|(at, by)| (newer.map_or(at, |newer| at.min(newer)), by)),
            (None, Some(newer)) => Some((newer, EndedBy::Newer)),
            (None, None) => None,
        };
        let end = end.map(|(at, by)| End {
            at,
            received_at: delivery.received_at,
            by,
        });
        let incident = end.is_none().then(|| self.join_or_open(delivery, policy));
        let episode = Episode {
            id,
            anomaly_key: delivery.key.clone(),
            incident,
            series: delivery.series,
            starts_at: start,
            end,
            occurred_at: delivery.received_at,
            last_seen_at: delivery.received_at,
            deliveries: 1,
        };
        let counted = (policy.unit == Unit::Episode).then_some(episode.id);
        self.touch_anomaly(delivery, i64::from(counted.is_some()));
        self.insert(delivery, episode.id, counted, episode.clone());
        self.changed.insert(episode.id, episode.series);
        self.close_older(delivery, start, policy);
        let list = self.episodes.entry(delivery.series).or_default();
        let at = list.partition_point(|e| e.starts_at <= start);
        list.insert(at, episode.clone());
        episode
    }

    /// A newer episode of a series ends those before it that nobody ended; one that was over before it
    /// was said so was over when the newer one began.
    fn close_older(&mut self, delivery: &AlertDelivery, start: Timestamp, policy: &Policy) {
        let mut closed = Vec::new();
        for episode in self.episodes.entry(delivery.series).or_default() {
            if episode.starts_at >= start {
                continue;
            }
            match &mut episode.end {
                None => {
                    episode.end = Some(End {
                        at: start,
                        received_at: delivery.received_at,
                        by: EndedBy::Newer,
                    });
                    closed.extend(episode.incident);
                }
                Some(end) if end.at > start => end.at = start,
                Some(_) => continue,
            }
            self.changed.insert(episode.id, episode.series);
        }
        for incident in closed {
            self.episode_closed(incident, delivery.received_at, policy);
        }
    }

    fn join_or_open(&mut self, delivery: &AlertDelivery, policy: &Policy) -> Uuid {
        let at = delivery.received_at;
        let anomaly = self.anomaly(&delivery.key);
        let (newest, number) = (anomaly.newest_incident, anomaly.newest_number);
        if let Some(incident) = newest.and_then(|id| self.incidents.get_mut(&id))
            && incident.can_be_joined(at, policy)
        {
            incident.aggregated_count += 1;
            incident.open_episodes += 1;
            incident.joined_at = incident.joined_at.max(at);
            incident.seen_at(at);
            incident.reopen_if_resolved(at);
            incident.tier_due = true;
            if incident.is_made_worse_by(delivery.alert.severity()) {
                self.worsened.push((incident.id, incident.severity_rises));
            }
            return incident.id;
        }
        let incident = Incident::open(delivery, number + 1);
        let id = incident.id;
        self.incidents.insert(id, incident);
        let anomaly = self.anomaly(&delivery.key);
        anomaly.newest_incident = Some(id);
        anomaly.newest_number = number + 1;
        anomaly.total += i64::from(policy.unit == Unit::Incident);
        anomaly.changed = true;
        id
    }

    fn count_delivery(&mut self, delivery: &AlertDelivery, episode: Episode) -> Ingested {
        self.deliveries.push(Counted {
            anomaly_key: delivery.key.clone(),
            id: delivery.job,
            occurred_at: delivery.received_at,
        });
        if !self.delivered.insert(delivery.job) {
            return Ingested::Resent;
        }
        if let Some(incident) = episode.incident.and_then(|id| self.incidents.get_mut(&id)) {
            incident.tier_due = true;
        }
        self.touch_anomaly(delivery, 1);
        let counted = Episode {
            occurred_at: delivery.received_at,
            last_seen_at: delivery.received_at,
            deliveries: 1,
            ..episode
        };
        self.insert(delivery, delivery.job, Some(delivery.job), counted);
        Ingested::New
    }

    fn insert(
        &mut self,
        delivery: &AlertDelivery,
        id: Uuid,
        counted: Option<Uuid>,
        episode: Episode,
    ) {
        self.new.push(NewOccurrence {
            episode,
            id,
            counted,
            source: delivery.source.clone(),
            fingerprint: delivery.alert.fingerprint.clone(),
            labels: serde_json::to_string(&delivery.alert.labels)
                .unwrap_or_else(|_| "{}".to_owned()),
        });
    }

    /// An open episode was seen firing once more, which is so `now`.
    fn still_fires(&mut self, incident: Uuid, (at, now): (Timestamp, Timestamp), policy: &Policy) {
        let Some(incident) = self.incidents.get_mut(&incident) else {
            return;
        };
        if at > incident.last_firing_at || incident.unheard_since.is_some() {
            incident.seen_at(at);
        }
        if incident.opens_again(now, policy.window) {
            self.reopenings.push((incident.id, incident.reopened));
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

    /// An episode that was said to be over, and was seen firing after that, is open again `now`.
    fn fires_again(&mut self, incident: Uuid, (at, now): (Timestamp, Timestamp), policy: &Policy) {
        if let Some(incident) = self.incidents.get_mut(&incident) {
            incident.open_episodes += 1;
            incident.tier_due = true;
            incident.seen_at(at);
        }
        self.still_fires(incident, (at, now), policy);
    }

    /// An episode was seen firing soon after the end that was received at `since`.
    fn doubt(&mut self, incident: Uuid, since: Timestamp) {
        if let Some(incident) = self.incidents.get_mut(&incident) {
            let known = incident.doubted_since.unwrap_or(since);
            incident.doubted_since = Some(known.min(since));
            incident.changed = true;
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
            incident.unheard_since = None;
        }
    }

    fn touch_anomaly(&mut self, delivery: &AlertDelivery, counted: i64) {
        let anomaly = self.anomaly(&delivery.key);
        let at = delivery.received_at;
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
    fn open(delivery: &AlertDelivery, number: i64) -> Self {
        let at = delivery.received_at;
        Self {
            id: crate::jobs::new_id(at),
            anomaly_key: delivery.key.clone(),
            number,
            status: Status::Open,
            previous_status: Status::Open,
            resolved_by: None,
            resolved_at: None,
            opened_at: at,
            window_start: at,
            joined_at: at,
            aggregated_count: 1,
            open_episodes: 1,
            last_firing_at: at,
            severity: delivery.alert.severity().to_owned(),
            severity_rises: 0,
            is_acknowledged: false,
            reopened: 0,
            doubted_since: None,
            unheard_since: None,
            is_heard_again: false,
            undone: Vec::new(),
            updated_at: at,
            was_due: false,
            tier_due: true,
            changed: true,
            opening: Some(Box::new(Opening {
                source: delivery.source.clone(),
                alert: delivery.alert.clone(),
            })),
        }
    }

    fn can_be_joined(&self, at: Timestamp, policy: &Policy) -> bool {
        let is_open = policy.until == Until::Resolved && self.status != Status::Resolved;
        let in_time = is_open || at < self.window_start.after(policy.window);
        in_time && self.resolved_by != Some(ResolvedBy::Person)
    }

    /// It is open again at that moment, as if it had not been resolved.
    fn reopen_if_resolved(&mut self, at: Timestamp) {
        if self.status == Status::Resolved {
            let resolved_at = self.resolved_at.unwrap_or(at);
            self.undone.push(Undone {
                resolved_at,
                resolved_by: self.resolved_by,
                // What joins it may have been received before its end was.
                reopened_at: at.max(resolved_at),
            });
            self.status = match self.is_acknowledged {
                true => Status::Acknowledged,
                false => Status::Open,
            };
            self.resolved_by = None;
            self.resolved_at = None;
        }
    }

    /// An episode of it was seen firing: if that is so though it is resolved, it is open again, and that
    /// is told. What a person resolved stays so for a window: the sender may not have noticed yet.
    fn opens_again(&mut self, at: Timestamp, window: Duration) -> bool {
        let is_in_time = match self.resolved_by {
            Some(ResolvedBy::Person) => self.resolved_at.is_some_and(|r| at > r.after(window)),
            Some(ResolvedBy::Itself | ResolvedBy::Unseen) | None => true,
        };
        if self.status != Status::Resolved || !is_in_time {
            return false;
        }
        self.reopened += 1;
        self.is_acknowledged = false;
        self.reopen_if_resolved(at);
        self.tier_due = true;
        self.touch(at);
        true
    }

    /// An alert of this severity joined it: whether it is worse than those before.
    fn is_made_worse_by(&mut self, severity: &str) -> bool {
        let is_worse = severity::is_worse(severity, &self.severity);
        if is_worse {
            severity.clone_into(&mut self.severity);
            self.severity_rises += 1;
        }
        is_worse
    }

    fn seen_at(&mut self, at: Timestamp) {
        self.last_firing_at = self.last_firing_at.max(at);
        self.is_heard_again |= self.unheard_since.take().is_some();
        self.touch(at);
    }

    fn touch(&mut self, at: Timestamp) {
        self.updated_at = self.updated_at.max(at);
        self.changed = true;
    }
}

/// What a sighting means to a known episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transition {
    /// Nothing new.
    Nothing,
    /// It is open and was seen firing.
    StillFires,
    /// It is over.
    Ended,
    /// It was said to be over, wrongly: it is open again.
    FiresAgain,
    /// It fires after the end that was received then, or this is late.
    Doubted(Timestamp),
}

/// Has the episode at `at` of a series hear a sighting.
fn hear(list: &mut [Episode], at: usize, delivery: &AlertDelivery, policy: &Policy) -> Transition {
    let (before, rest) = list.split_at_mut(at);
    let Some((episode, after)) = rest.split_first_mut() else {
        unreachable!("the position was found in this list")
    };
    let received_at = delivery.received_at;
    let last_before = episode.last_seen_at;
    episode.deliveries += 1;
    episode.occurred_at = episode.occurred_at.min(received_at);
    episode.last_seen_at = last_before.max(received_at);
    if let Some(start) = delivery.told_start(policy.skew)
        && start < episode.starts_at
    {
        episode.starts_at = match before.last_mut() {
            Some(older) => older.make_room(start).min(episode.starts_at),
            None => start,
        };
    }
    if let Some((end, by)) = delivery.end() {
        let newer = after.first().map(|e| e.starts_at);
        let end = newer.map_or(end, |newer| end.min(newer));
        let end = End {
            at: end.max(episode.starts_at),
            received_at,
            by,
        };
        if last_before > received_at.after(policy.window) {
            // It was told of long after that was received, and that is what holds.
            return Transition::Nothing;
        }
        return match &mut episode.end {
            None => {
                episode.end = Some(end);
                Transition::Ended
            }
            Some(known) => {
                known.hear(end);
                Transition::Nothing
            }
        };
    }
    let Some(end) = episode.end else {
        return Transition::StillFires;
    };
    let is_firing_now = received_at > end.received_at && after.is_empty();
    if !is_firing_now {
        Transition::Nothing
    } else if episode.incident.is_none() || episode.was_ended_wrongly(received_at, policy.window) {
        episode.end = None;
        Transition::FiresAgain
    } else {
        Transition::Doubted(end.received_at)
    }
}

#[cfg(test)]
mod tests;
