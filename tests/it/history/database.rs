//! Compares the database with the oracle, and with itself.

mod agreement;
mod read;

use std::collections::{BTreeMap, HashMap};

use tocsin::domain::aggregation::{ResolvedBy, Status as Standing};
use tocsin::entity::notifications;
use tocsin::entity::{anomalies, dead_letters, effectiveness, incidents, occurrences};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::generator::Story;
use super::oracle::{Anomaly, Episode, Oracle, Series, Status, Tried, Unit, Windows};
use read::nameless;
pub use read::{incident, newest_incidents};

/// The rows and the messages.
pub struct StoredHistory<'a> {
    story: &'a Story,
    anomalies: BTreeMap<Anomaly, anomalies::Model>,
    counts: BTreeMap<Anomaly, Windows>,
    incidents: Vec<incidents::Model>,
    episodes: Vec<occurrences::Model>,
    deliveries: Vec<occurrences::Model>,
    effectiveness: Vec<effectiveness::Model>,
    notifications: Vec<notifications::Model>,
    dead: Vec<dead_letters::Model>,
    taken: HashMap<String, i64>,
    /// When each incident was last joined, if that is known.
    joined: HashMap<Uuid, Option<i64>>,
}

impl<'a> StoredHistory<'a> {
    fn assert_same_slot(&self, found: Timestamp, expected: i64, what: &str) {
        let (found, expected) = (self.story.slot(found.0), self.story.slot(expected));
        assert_eq!(found, expected, "{what}");
    }

    fn key(&self, anomaly: &Anomaly) -> &str {
        &self.anomalies[anomaly].key
    }

    /// The row of an episode: of those of its series the one that comes as late.
    fn row(&self, oracle: &Oracle, episode: &Episode) -> &occurrences::Model {
        let is_series = |row: &&occurrences::Model| {
            let is_called = match &episode.series {
                Series::Named(name) => row.fingerprint == *name,
                Series::Labelled(labels) => row.labels == serde_json::json!(labels),
            };
            row.anomaly_key == self.key(&episode.anomaly) && is_called
        };
        let mut rows: Vec<_> = self.episodes.iter().filter(is_series).collect();
        rows.sort_by_key(|row| row.starts_at);
        let (before, all) = oracle.place_of(episode);
        assert_eq!(
            rows.len(),
            all,
            "{rows:#?} are the rows of {episode:#?} and others"
        );
        rows[before]
    }

    /// There is one row for each episode, with the times that were received for it.
    pub fn episodes_are(&self, oracle: &Oracle) {
        for episode in &oracle.episodes {
            let row = self.row(oracle, episode);
            let what = format!("{row:#?}\nis {episode:#?}");
            match &episode.starts[..] {
                // By when it was received, since nobody said when it began.
                [] => {
                    let starts = episode.received.iter().map(|at| self.story.slot(*at));
                    let found = self.story.slot(row.starts_at.0);
                    assert!(starts.into_iter().any(|slot| slot == found), "{what}");
                }
                _ => assert_eq!(row.starts_at.0, episode.began, "{what}"),
            }
            let (first, last) = (episode.received.iter().min(), episode.received.iter().max());
            self.assert_same_slot(row.occurred_at, *first.unwrap(), &what);
            self.assert_same_slot(row.last_seen_at, *last.unwrap(), &what);
            assert!(row.deliveries >= episode.received.len() as i64, "{what}");
            assert_eq!(row.ended_at.is_some(), episode.ended.is_some(), "{what}");
            if let (Some(found), [end, ..]) = (row.ended_at, &episode.ends[..]) {
                // Or when its successor began, if that was known first.
                assert!(
                    found.0 == *end
                        || Some(found.0) == episode.ended.map(|ended| ended.at)
                        || self.is_a_start(row),
                    "{what}"
                );
            }
            let (before, all) = oracle.place_of(episode);
            let is_newest = before + 1 == all;
            // One that was over when it was heard of first opens no incident; whether it was may depend
            // on what came first.
            if !episode.fired {
                assert_eq!(row.incident_id, None, "{what}");
            } else if episode.ends.is_empty() && is_newest {
                assert!(row.incident_id.is_some(), "{what}");
            }
        }
        assert_eq!(self.episodes.len(), oracle.episodes.len());
        let expected: Vec<Anomaly> = oracle.anomalies().into_iter().collect();
        let found: Vec<Anomaly> = self.anomalies.keys().cloned().collect();
        assert_eq!(found, expected);
        let unusable: u64 = self.dead.iter().map(nameless).sum();
        assert_eq!(unusable, oracle.unusable as u64, "{:#?}", self.dead);
    }

    /// Whether a row ended when another episode of its series began.
    fn is_a_start(&self, ended: &occurrences::Model) -> bool {
        let follows = |row: &occurrences::Model| {
            row.series == ended.series && Some(row.starts_at) == ended.ended_at
        };
        self.episodes.iter().any(follows)
    }

    /// Totals, windows and levels of every anomaly, in the rows, in the counter, in the figures that
    /// its newest incident carries.
    pub fn counts_are(&self, oracle: &Oracle) {
        let now = self.story.look_at();
        for (anomaly, row) in &self.anomalies {
            let (counted, windows) = (oracle.counted(anomaly), oracle.windows(anomaly, now));
            let newest = self
                .incidents
                .iter()
                .find(|i| Some(i.id) == row.newest_incident);
            // Where nothing ever fired, nobody is concerned, however often it was over.
            let of = self.incidents.iter().filter(|i| i.anomaly_key == row.key);
            let joined = of.map(|i| self.joined[&i.id].unwrap_or(i.opened_at.0));
            let joined: Vec<i64> = joined.collect();
            // In which incidents they lie depends on the order of processing.
            let level = newest.map_or("NONE", |_| oracle.level(anomaly, &joined, now));
            let what = format!("{row:#?}\nwas counted at {counted:?}");
            assert_eq!(row.total, counted.len() as i64, "{what}");
            assert_eq!(row.pruned_total, 0, "{what}");
            assert_eq!(self.counts[anomaly], windows, "{what}");
            assert_eq!(row.level.name(), level, "{what}");
            let (first, last) = oracle.seen(anomaly).unwrap();
            self.assert_same_slot(row.first_seen.unwrap(), first, &what);
            self.assert_same_slot(row.last_seen.unwrap(), last, &what);
            let Some(newest) = newest else { continue };
            let stats = newest.frequency_stats.as_ref().unwrap();
            let encode = [
                stats.count_1h,
                stats.count_24h,
                stats.count_7d,
                stats.count_30d,
            ];
            assert_eq!(encode, windows, "{what}");
            assert_eq!(stats.escalation_level.name(), level, "{what}");
            assert_eq!(
                (stats.first_seen, stats.last_seen),
                (row.first_seen, row.last_seen)
            );
            assert_eq!(
                newest.tier,
                Some(oracle.tier(anomaly, level)),
                "{what}, {newest:#?}"
            );
        }
        let counted = self.episodes.iter().chain(&self.deliveries);
        let counted = counted.filter(|row| row.counted_id.is_some()).count();
        let of_oracle = oracle.anomalies();
        let of_oracle: usize = of_oracle.iter().map(|a| oracle.counted(a).len()).sum();
        let expected = if oracle.unit == Unit::Incident {
            0
        } else {
            of_oracle
        };
        assert_eq!(counted, expected, "rows that count");
    }

    /// Every incident is one that the oracle sees, and stands where it says.
    pub fn incidents_are(&self, oracle: &Oracle) {
        for (number, incident) in oracle.incidents.iter().enumerate() {
            let is_it = |row: &&incidents::Model| {
                let key = self.key(&incident.anomaly);
                row.anomaly_key == key && row.number == incident.number
            };
            let row = self.incidents.iter().find(is_it).unwrap();
            let what = format!("{row:#?}\nis {incident:#?}");
            self.assert_same_slot(row.opened_at, incident.opened_at, &what);
            self.assert_same_slot(row.aggregation_window_start, incident.opened_at, &what);
            if let Some(joined_at) = self.joined[&row.id] {
                self.assert_same_slot(Timestamp(joined_at), oracle.joined_at(number), &what);
            }
            assert_eq!(row.aggregated_count, incident.episodes, "{what}");
            assert_eq!(row.open_episodes, oracle.open_episodes(number), "{what}");
            assert_eq!(row.reopened, incident.reopened, "{what}");
            let standing = match incident.status {
                Status::Open => (Standing::Open, None),
                Status::Acknowledged => (Standing::Acknowledged, None),
                Status::ResolvedByItself => (Standing::Resolved, Some(ResolvedBy::Itself)),
                Status::ResolvedByPerson => (Standing::Resolved, Some(ResolvedBy::Person)),
            };
            assert_eq!((row.status, row.resolved_by), standing, "{what}");
            for episode in oracle
                .episodes
                .iter()
                .filter(|e| e.incident == Some(number))
            {
                assert_eq!(
                    self.row(oracle, episode).incident_id,
                    Some(row.id),
                    "{what}, {episode:#?}"
                );
            }
        }
        assert_eq!(self.incidents.len(), oracle.incidents.len());
        for anomaly in oracle.anomalies() {
            let key = self.key(&anomaly);
            let of = self
                .effectiveness
                .iter()
                .filter(|row| row.anomaly_key == key);
            let found = of.map(|row| {
                let (attempts, successes) = (row.attempts, row.successes);
                (
                    row.action.clone(),
                    Tried {
                        attempts,
                        successes,
                    },
                )
            });
            assert_eq!(found.collect::<BTreeMap<_, _>>(), oracle.tried(&anomaly));
        }
    }
}
