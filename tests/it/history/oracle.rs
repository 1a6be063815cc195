//! What must come of a history, worked out by one thread with nothing but lists: written from the
//! rules in words, and sharing no line with the program. Slow, and easy to believe.
//!
//! Times are milliseconds. An oracle gets the deliveries in the order in which it is processed.

mod incidents;
mod model;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

pub use model::{
    Anomaly, DAY, Ended, Ending, Episode, HOUR, Incident, Labels, MINUTE, Received, SKEW, Series,
    Status, Unit,
};
use model::{anomaly, said};
pub use verdicts::{Tried, Windows};

/// So long an incident can be joined, from its first alert.
const WINDOW: i64 = 10 * MINUTE;
const IGNORED: [&str; 2] = ["Watchdog", "InfoInhibitor"];

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

    pub fn hear(&mut self, told: &Received) {
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
        match self.known(&anomaly, &series, told) {
            Some(episode) => self.hear_again(episode, told),
            None => self.hear_first(anomaly, series, told),
        }
    }

    /// The episodes of a series, oldest first.
    fn of_series(&self, anomaly: &Anomaly, series: &Series) -> Vec<usize> {
        let is_of = |e: &Episode| e.anomaly == *anomaly && e.series == *series;
        let mut of: Vec<usize> = (0..self.episodes.len())
            .filter(|n| is_of(&self.episodes[*n]))
            .collect();
        of.sort_by_key(|n| self.episodes[*n].began);
        of
    }

    /// The episode that this is of. One whose start is near and that was not over by then, the nearest; or
    /// the newest that was going on at some moment at which this was: the newer of these two.
    fn known(&self, anomaly: &Anomaly, series: &Series, told: &Received) -> Option<usize> {
        let of_series = self.of_series(anomaly, series);
        let Some(start) = told.start() else {
            let is_open = |n: &&usize| self.episodes[**n].ended.is_none();
            return of_series.iter().find(is_open).copied();
        };
        let near = of_series.iter().filter(|n| {
            let episode = &self.episodes[**n];
            let is_over = episode.ended.is_some_and(|ended| start > ended.at);
            (start - episode.began).abs() <= SKEW && !is_over
        });
        let nearest = near.min_by_key(|n| (start - self.episodes[**n].began).abs());
        let overlaps = |n: &&usize| {
            let episode = &self.episodes[**n];
            let (until, is_sure) = match episode.ended {
                Some(ended) => (ended.at, ended.by == Ending::Received),
                None => (episode.received.iter().copied().max().unwrap(), true),
            };
            let (end, end_is_sure) = match told.end() {
                Some((at, by)) => (at, by == Ending::Received),
                None => (told.received_at, true),
            };
            // What is not known to have gone on reaches no farther than its beginning.
            let reaches_it = is_sure || start <= episode.began + SKEW;
            let is_reached = end_is_sure || episode.began <= start + SKEW;
            start < until && episode.began < end && reaches_it && is_reached
        };
        let place = |n: &usize| of_series.iter().position(|m| m == n);
        let newest = of_series.iter().rev().find(overlaps);
        nearest
            .into_iter()
            .chain(newest)
            .max_by_key(|n| place(n))
            .copied()
    }

    fn hear_again(&mut self, index: usize, told: &Received) {
        let series = self.of_series(&self.episodes[index].anomaly, &self.episodes[index].series);
        let place = series.iter().position(|n| *n == index).unwrap();
        let is_newest = place + 1 == series.len();
        let last_heard = self.episodes[index].received.iter().copied().max().unwrap();
        let before = place.checked_sub(1).map(|p| series[p]);
        if let (Some(start), Some(before)) = (told.start(), before) {
            self.episodes[before].makes_room(start);
        }
        let before = before.map(|before| self.episodes[before].until());
        let next = series.get(place + 1).map(|n| self.episodes[*n].began);
        let episode = &mut self.episodes[index];
        episode.received.push(told.received_at);
        episode.fired |= !told.resolved;
        if let Some(start) = told.start() {
            episode.starts.push(start);
            episode.began = episode.began.min(start.max(before.unwrap_or(i64::MIN)));
        }
        if let Some((at, by)) = told.end() {
            episode.ends.extend(told.ends_at);
            if last_heard > told.received_at + WINDOW {
                return;
            }
            let at = at.min(next.unwrap_or(i64::MAX)).max(episode.began);
            match &mut episode.ended {
                Some(ended) => {
                    ended.heard_at = ended.heard_at.max(told.received_at);
                    if by == Ending::Received {
                        (ended.at, ended.by) = (ended.at.min(at), by);
                    }
                }
                None => self.close(index, at, told.received_at, by),
            }
            return;
        }
        episode.last_firing = episode.last_firing.max(Some(told.received_at));
        let Some(ended) = episode.ended else {
            return self.seen_firing(index, told.received_at);
        };
        if !is_newest || told.received_at <= ended.heard_at {
            return;
        }
        if episode.incident.is_none() {
            episode.ended = None;
            let anomaly = episode.anomaly.clone();
            self.episodes[index].incident = Some(self.place(&anomaly, told.received_at));
        } else if told.received_at > ended.heard_at + WINDOW {
            self.fires_after_all(index, told.received_at);
        }
    }

    /// What was said to be over is not.
    fn fires_after_all(&mut self, index: usize, at: i64) {
        self.episodes[index].ended = None;
        self.seen_firing(index, at);
    }

    /// Who said once that it fires after it was over, and not again within a window that it is over, meant
    /// it: it fires still when somebody looks after that.
    pub fn look(&mut self, now: i64) {
        for index in 0..self.episodes.len() {
            let episode = &self.episodes[index];
            let series = self.of_series(&episode.anomaly, &episode.series);
            let (Some(ended), Some(_)) = (episode.ended, episode.incident) else {
                continue;
            };
            let fired_after = episode.last_firing.filter(|at| *at > ended.heard_at);
            let is_doubted = fired_after.is_some() && series.last() == Some(&index);
            if is_doubted && now > ended.heard_at + WINDOW {
                self.fires_after_all(index, now);
            }
        }
    }

    /// An open episode was seen firing: its incident is not over.
    fn seen_firing(&mut self, index: usize, at: i64) {
        if let Some(incident) = self.episodes[index].incident {
            self.incidents[incident].seen_firing(at);
        }
    }

    fn hear_first(&mut self, anomaly: Anomaly, series: Series, told: &Received) {
        let start = told.start().unwrap_or(told.received_at);
        let mut episode = Episode {
            anomaly,
            series,
            began: start,
            starts: told.start().into_iter().collect(),
            received: vec![told.received_at],
            ends: told.ends_at.into_iter().collect(),
            ended: None,
            fired: !told.resolved,
            last_firing: (!told.resolved).then_some(told.received_at),
            incident: None,
        };
        let of_series = self.of_series(&episode.anomaly, &episode.series);
        let newer = of_series
            .iter()
            .map(|n| self.episodes[*n].began)
            .find(|at| *at > start);
        // What is over when it is first heard of is written and counted, and nobody's concern.
        let heard_at = told.received_at;
        episode.ended = match (told.end(), newer) {
            (Some((at, by)), newer) => {
                let at = at.max(start).min(newer.unwrap_or(i64::MAX));
                Some(Ended { at, heard_at, by })
            }
            (None, Some(at)) => {
                let by = Ending::Next;
                Some(Ended { at, heard_at, by })
            }
            (None, None) => None,
        };
        if episode.ended.is_none() {
            episode.incident = Some(self.place(&episode.anomaly, told.received_at));
        }
        let index = self.episodes.len();
        self.episodes.push(episode);
        for older in of_series {
            let older_episode = &mut self.episodes[older];
            if older_episode.began >= start {
                continue;
            }
            match &mut older_episode.ended {
                Some(ended) => ended.at = ended.at.min(start),
                None => self.close(older, start, told.received_at, Ending::Next),
            }
        }
        self.resolve_if_over(index);
    }

    pub fn anomalies(&self) -> BTreeSet<Anomaly> {
        let of_episodes = self.episodes.iter().map(|e| e.anomaly.clone());
        of_episodes.collect()
    }

    /// A permanent fix was applied: the same as before, unless that failed.
    pub fn fix(&mut self, anomaly: &Anomaly, at: i64) {
        let known = self.fixed_at.get(anomaly);
        if known.is_none_or(|known| self.fails(anomaly, *known)) {
            self.fixed_at.insert(anomaly.clone(), at);
        }
    }

    /// A repair was tried; the same key is the same repair.
    pub fn repair(&mut self, key: &str, anomaly: &Anomaly, action: &str, success: bool) {
        let repair = (anomaly.clone(), action.to_owned(), success);
        self.repairs.insert(key.to_owned(), repair);
    }
}
