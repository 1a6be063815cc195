//! Deliveries are applied batch by batch, and the rules are read off the rows.

mod any_order;
mod counting;
mod deliveries;
mod due;
mod incidents;
mod leases;
mod spans;
mod thresholds;

use std::time::Duration;

use super::*;
use crate::domain::episode::tests::at;
use crate::domain::episode::{End, EndedBy};
use crate::domain::level::Rises;

/// What the store keeps between two batches, read and written as the store does.
#[derive(Clone)]
pub(super) struct Ledger {
    pub policy: Policy,
    pub anomalies: BTreeMap<String, Anomaly>,
    pub incidents: Vec<Incident>,
    pub episodes: BTreeMap<Uuid, Episode>,
    /// The ids that are counted, their anomalies and times, from the rows of occurrences.
    pub counted: BTreeMap<Uuid, (String, Timestamp)>,
    /// The same ids as in a counter that is updated after each batch.
    pub told: BTreeMap<Uuid, (String, Timestamp)>,
    jobs: HashSet<Uuid>,
}

/// When batches are committed.
const NOW: Timestamp = Timestamp(2_000_000_000_000);

/// The defaults.
pub(super) fn policy() -> Policy {
    Policy {
        analyze: false,
        unit: Unit::Episode,
        skew: Duration::from_secs(60),
        window: Duration::from_secs(600),
        until: Until::Window,
        auto_resolve: true,
        open_for: Duration::from_secs(4 * 3600),
        rises: Rises::of(&[
            (Level::Repeat, 1),
            (Level::Escalate, 1),
            (Level::PermanentFix, 3),
        ]),
        figures: Duration::from_secs(10),
    }
}

impl Ledger {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            anomalies: BTreeMap::new(),
            incidents: Vec::new(),
            episodes: BTreeMap::new(),
            counted: BTreeMap::new(),
            told: BTreeMap::new(),
            jobs: HashSet::new(),
        }
    }

    /// One delivery, in a batch of its own.
    pub(super) fn enter(&mut self, delivery: &AlertDelivery) -> Ingested {
        self.commit(&[delivery]).0[0]
    }

    /// Each delivery in a batch of its own.
    pub(super) fn enter_each(&mut self, deliveries: &[AlertDelivery]) {
        for delivery in deliveries {
            self.enter(delivery);
        }
    }

    /// One batch. Returns what became of each delivery, and the batch afterwards.
    pub(super) fn commit(&mut self, deliveries: &[&AlertDelivery]) -> (Vec<Ingested>, Batch) {
        let mut batch = self.load(deliveries);
        let entered = deliveries
            .iter()
            .map(|delivery| batch.enter(delivery, &self.policy).0)
            .collect();
        self.write(&batch);
        (entered, batch)
    }

    /// A batch that holds what is stored about an incident.
    pub(super) fn batch_of(&self, incident: usize) -> Batch {
        let incident = self.incidents[incident].clone();
        let mut batch = Batch::default();
        batch.anomalies.clone_from(&self.anomalies);
        for episode in self.episodes.values() {
            let of_series = batch.episodes.entry(episode.series).or_default();
            of_series.push(episode.clone());
        }
        batch.incidents.insert(incident.id, incident);
        batch
    }

    fn load(&mut self, deliveries: &[&AlertDelivery]) -> Batch {
        let mut batch = Batch {
            rises: self.policy.rises,
            figures: self.policy.figures,
            ..Batch::default()
        };
        let mut since: HashMap<i64, Timestamp> = HashMap::new();
        for delivery in deliveries {
            let known = self.anomalies.entry(delivery.key.clone());
            let anomaly = known.or_insert_with(|| Anomaly {
                first_seen: None,
                last_seen: None,
                total: 0,
                level: Level::None,
                newest_incident: None,
                newest_number: 0,
                is_flapping: false,
                has_fix: false,
                changed: false,
            });
            batch
                .anomalies
                .insert(delivery.key.clone(), anomaly.clone());
            let start = delivery.start(self.policy.skew).before(self.policy.skew);
            let earliest = since.entry(delivery.series).or_insert(start);
            *earliest = start.min(*earliest);
            if self.policy.unit == Unit::Delivery && self.jobs.contains(&delivery.job) {
                batch.delivered.insert(delivery.job);
            }
        }
        for (series, since) in since {
            let mut all: Vec<&Episode> = self.episodes.values().collect();
            all.retain(|e| e.series == series);
            all.sort_by_key(|e| e.starts_at);
            let first = all.partition_point(|e| e.starts_at < since);
            let near = all[first.saturating_sub(1)..].iter().copied().cloned();
            batch.episodes.insert(series, near.collect());
        }
        let newest = batch.anomalies.values().filter_map(|a| a.newest_incident);
        let episodes = batch.episodes.values().flatten();
        let ids: HashSet<Uuid> = newest.chain(episodes.filter_map(|e| e.incident)).collect();
        for incident in self.incidents.iter().filter(|i| ids.contains(&i.id)) {
            batch.incidents.insert(incident.id, incident.clone());
        }
        batch
    }

    fn write(&mut self, batch: &Batch) {
        for (row, episode) in batch.new_rows() {
            if let Some(id) = row.counted {
                let key = episode.anomaly_key.clone();
                let known = self.counted.insert(id, (key, episode.occurred_at));
                assert!(known.is_none(), "{id} was counted before");
            }
            if row.id == row.episode.id {
                let known = self.episodes.insert(row.id, episode.clone());
                assert!(known.is_none(), "there was an episode {}", row.id);
            } else {
                assert!(self.jobs.insert(row.id), "there was a row of {}", row.id);
            }
        }
        for episode in batch.changed_rows() {
            let known = self.episodes.insert(episode.id, episode.clone());
            assert!(known.is_some(), "there is no episode {}", episode.id);
            if let Some((_, at)) = self.counted.get_mut(&episode.id) {
                *at = episode.occurred_at;
            }
        }
        let due_at = |incident: &Incident| {
            let now = incident.tier_due.then(|| batch.due_at(incident, NOW));
            incident.due_at.into_iter().chain(now).min()
        };
        let mut incidents: Vec<&Incident> = batch.incidents.values().collect();
        incidents.sort_by_key(|i| (i.opened_at, i.number));
        for incident in incidents {
            let at = self.incidents.iter().position(|i| i.id == incident.id);
            let written = Incident {
                due_at: due_at(incident),
                tier_due: false,
                changed: false,
                undone: Vec::new(),
                opening: None,
                ..incident.clone()
            };
            let written = Incident {
                previous_status: written.status,
                ..written
            };
            match at {
                Some(at) if incident.changed || incident.tier_due => self.incidents[at] = written,
                Some(_) => {}
                None => self.incidents.push(written),
            }
        }
        for (key, anomaly) in batch.anomalies.iter().filter(|(_, a)| a.changed) {
            let changed = false;
            let anomaly = anomaly.clone();
            self.anomalies
                .insert(key.clone(), Anomaly { changed, ..anomaly });
        }
        for counted in batch.counted(self.policy.unit) {
            let told = (counted.anomaly_key, counted.occurred_at);
            self.told.insert(counted.id, told);
        }
    }

    /// As if a tier worker had done every due incident.
    pub(super) fn clear_marks(&mut self) {
        for incident in &mut self.incidents {
            incident.due_at = None;
        }
    }

    /// A person resolves an incident.
    pub(super) fn resolve(&mut self, incident: usize, seconds: i64) {
        let incident = &mut self.incidents[incident];
        incident.status = Status::Resolved;
        incident.resolved_by = Some(ResolvedBy::Person);
        incident.resolved_at = Some(at(seconds));
    }

    /// Somebody takes an incident.
    pub(super) fn acknowledge(&mut self, incident: usize) {
        let incident = &mut self.incidents[incident];
        incident.status = Status::Acknowledged;
        incident.is_acknowledged = true;
    }

    /// The episodes of all series that are open were not delivered for long.
    pub(super) fn forget(&mut self) {
        for episode in self.episodes.values_mut().filter(|e| e.end.is_none()) {
            episode.end = Some(End {
                at: episode.last_seen_at,
                received_at: episode.last_seen_at,
                by: EndedBy::Unseen,
            });
        }
        for incident in &mut self.incidents {
            incident.open_episodes = 0;
            incident.status = Status::Resolved;
            incident.resolved_by = Some(ResolvedBy::Unseen);
            incident.resolved_at = Some(
                incident
                    .last_firing_at
                    .after(Duration::from_secs(48 * 3600)),
            );
        }
    }

    pub(super) fn total(&self) -> i64 {
        self.anomalies.values().map(|anomaly| anomaly.total).sum()
    }

    /// Of each incident, oldest first: episodes, open ones, where it stands.
    pub(super) fn states(&self) -> Vec<(i64, i64, Status)> {
        self.incidents
            .iter()
            .map(|i| (i.aggregated_count, i.open_episodes, i.status))
            .collect()
    }

    /// The episodes in the order of their starts: where each began and ended, in seconds.
    pub(super) fn spans(&self) -> Vec<(i64, Option<i64>)> {
        let seconds = |moment: Timestamp| (moment.0 - at(0).0) / 1000;
        self.episodes
            .values()
            .map(|e| (seconds(e.starts_at), e.end.map(|end| seconds(end.at))))
            .collect()
    }

    /// What must hold after every batch.
    pub(super) fn check(&self) {
        for incident in &self.incidents {
            let episodes = || self.episodes.values();
            let of = |e: &&Episode| e.incident == Some(incident.id);
            let open = |e: &&Episode| of(e) && e.end.is_none();
            assert_eq!(
                incident.aggregated_count,
                episodes().filter(of).count() as i64
            );
            assert_eq!(
                incident.open_episodes,
                episodes().filter(open).count() as i64
            );
        }
        let mut open = HashSet::new();
        for episode in self.episodes.values() {
            assert!(episode.end.is_none_or(|end| end.at >= episode.starts_at));
            assert!(episode.occurred_at <= episode.last_seen_at);
            let is_open = episode.end.is_none();
            assert!(!is_open || open.insert(episode.series), "two are open");
        }
        let mut series: BTreeMap<i64, Vec<&Episode>> = BTreeMap::new();
        for episode in self.episodes.values() {
            series.entry(episode.series).or_default().push(episode);
        }
        for episodes in series.values_mut() {
            episodes.sort_by_key(|e| e.starts_at);
            for pair in episodes.windows(2) {
                let until = pair[0].end.map(|end| end.at);
                assert!(until <= Some(pair[1].starts_at), "{pair:#?} overlap");
                assert!(
                    pair[0].starts_at < pair[1].starts_at,
                    "{pair:#?} have no order"
                );
            }
        }
        for (key, anomaly) in &self.anomalies {
            let of = |i: &&Incident| i.anomaly_key == *key;
            let mut numbers: Vec<i64> =
                self.incidents.iter().filter(of).map(|i| i.number).collect();
            numbers.sort_unstable();
            let expected: Vec<i64> = (1..=anomaly.newest_number).collect();
            assert_eq!(numbers, expected);
            let newest = self.incidents.iter().filter(of).max_by_key(|i| i.number);
            assert_eq!(anomaly.newest_incident, newest.map(|i| i.id));
        }
        if self.policy.unit != Unit::Incident {
            assert_eq!(self.total(), self.counted.len() as i64);
            assert_eq!(self.told, self.counted);
        }
    }
}
