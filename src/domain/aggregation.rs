//! Aggregation: what one more delivery does to an anomaly's episodes and incidents.
//!
//! The [`Batch`] hold what the store has about the anomalies of a batch, all of it locked;
//! [`Batch::enter`] applies one delivery after the other; what came out is written in one go.
//! Entering the same delivery twice changes nothing that is counted.

mod due;
mod enter;
mod incident;
mod outcome;
mod transitions;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

pub use super::counting::{Policy, Unit, Until};
use super::episode::{AlertDelivery, Episode, find};
use super::frequency::Counted;
use super::level::{Level, Rises};
use crate::time::Timestamp;
pub use due::Due;
pub use incident::{Incident, Opening, ResolvedBy, RevertedResolve, Status};

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
    /// Whether it flaps: its firings join its newest incident.
    pub is_flapping: bool,
    /// Whether a permanent fix was applied to it.
    pub has_fix: bool,
    /// Whether a delivery changed it.
    pub changed: bool,
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

/// What became of a delivery.
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
    /// Episodes that a delivery changed, new ones included: id and series.
    pub changed: HashMap<Uuid, i64>,
    /// Incidents that were reopened and notify; with the reopening's number.
    pub reopenings: Vec<(Uuid, i64)>,
    /// Incidents whose severity rose, with the rise's number.
    pub worsened: Vec<(Uuid, i64)>,
    /// Anomalies whose last firing turned out to have been received before, so that another may be
    /// the last.
    pub last_unsure: BTreeSet<String>,
    /// When more firings can raise a level.
    pub rises: Rises,
    /// How long figures may be behind.
    pub figures: Duration,
}

impl Batch {
    /// Applies one delivery, whose anomaly must be in the batch. Returns what became of it, and
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
    /// No `resolved` confirmed that end within a window: it is open again.
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

#[cfg(test)]
mod tests;
