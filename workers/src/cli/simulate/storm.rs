//! The storm: which alert is sent next. The same seed makes the same storm.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tocsin::time::Timestamp;

use super::catalog::{Anomaly, anomalies};
use super::payload::Alert;

/// The latest alerts of this number can be sent again.
const RECENT: usize = 256;
/// The least time between two starts of a series: closer ones may count as one firing.
const REST: Duration = Duration::from_secs(150);
/// The longest firing that is resolved, and at most a quarter of the storm.
const LASTS: Duration = Duration::from_secs(10);
/// Share of the alerts sent once more that the other Prometheus of a pair sends.
const PAIRED: f64 = 0.25;
/// How many seconds earlier, at most, the other Prometheus reports the start.
const EARLIER_SECS: u64 = 10;

/// What a storm is made of.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Alerts in all.
    pub(super) alerts: u64,
    /// Alerts a second.
    pub(super) rate: f64,
    /// Alerts per request.
    pub(super) batch: usize,
    /// Distinct anomalies.
    pub(super) anomalies: usize,
    /// Share of the episodes that are resolved later.
    pub(super) resolve: f64,
    /// Share of the alerts that are one of the latest, sent once more.
    pub(super) resend: f64,
}

/// One alert and its episode.
#[derive(Clone, Debug)]
pub(super) struct StormAlert {
    pub(super) episode: usize,
    pub(super) alert: Alert,
}

/// One pod or node of an anomaly.
#[derive(Clone, Copy, Debug)]
struct Series {
    anomaly: usize,
    number: u64,
}

/// Tells alerts until the plan is fulfilled. Episodes are numbered from 0.
pub(super) struct Storm {
    plan: Plan,
    namespace: String,
    began: Timestamp,
    rng: StdRng,
    anomalies: Vec<Anomaly>,
    /// Running sums of how likely each anomaly is.
    cumulative: Vec<f64>,
    firings_so_far: u64,
    /// The anomaly of each episode.
    episodes: Vec<usize>,
    /// Series so far.
    series: u64,
    /// What will be resolved, by when that is due, counted in alerts.
    resolves: BTreeMap<(u64, usize), (Series, StormAlert)>,
    /// Series whose firing was resolved, with its start, oldest first.
    resting: VecDeque<(Series, Timestamp)>,
    recent: VecDeque<StormAlert>,
}

impl Storm {
    pub(super) fn new(plan: Plan, namespace: &str, seed: u64, began: Timestamp) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let anomalies = anomalies(plan.anomalies, &mut rng);
        // Zipf's law: the second comes half as often as the first, the tenth a tenth as often.
        let cumulative = (1..=anomalies.len())
            .scan(0.0, |sum, rank| {
                *sum += 1.0 / rank as f64;
                Some(*sum)
            })
            .collect();
        Self {
            plan,
            namespace: namespace.to_owned(),
            began,
            rng,
            anomalies,
            cumulative,
            firings_so_far: 0,
            episodes: Vec::new(),
            series: 0,
            resolves: BTreeMap::new(),
            resting: VecDeque::new(),
            recent: VecDeque::new(),
        }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn anomalies(&self) -> &[Anomaly] {
        &self.anomalies
    }

    /// The anomaly of each episode, as a position in [`Storm::anomalies`].
    pub(super) fn episodes(&self) -> &[usize] {
        &self.episodes
    }

    /// The next request's alerts; none when the plan is fulfilled.
    pub(super) fn next_batch(&mut self) -> Option<Vec<StormAlert>> {
        let left = usize::try_from(self.plan.alerts - self.firings_so_far).unwrap_or(usize::MAX);
        let batch: Vec<StormAlert> = (0..self.plan.batch.min(left))
            .map(|_| self.next_alert())
            .collect();
        (!batch.is_empty()).then_some(batch)
    }

    fn next_alert(&mut self) -> StormAlert {
        let telling = self.next_telling();
        self.firings_so_far += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(telling.clone());
        telling
    }

    fn next_telling(&mut self) -> StormAlert {
        let left = self.plan.alerts - self.firings_so_far;
        if self.resolves.len() as u64 >= left
            && let Some(resolved) = self.resolve()
        {
            return resolved;
        }
        if !self.recent.is_empty() && self.rng.random_bool(self.plan.resend) {
            return self.resend();
        }
        if self
            .resolves
            .keys()
            .next()
            .is_some_and(|(due, _)| *due <= self.firings_so_far)
            && let Some(resolved) = self.resolve()
        {
            return resolved;
        }
        self.fire(left)
    }

    /// A new episode: of a series that rested long enough, else of a new one.
    fn fire(&mut self, left: u64) -> StormAlert {
        let now = self.now();
        let series = self.rested(now).unwrap_or_else(|| self.new_series());
        let anomaly = &self.anomalies[series.anomaly];
        let telling = StormAlert {
            episode: self.episodes.len(),
            alert: Alert::firing(anomaly, &self.namespace, series.number, now),
        };
        self.episodes.push(series.anomaly);
        let fits = (self.resolves.len() as u64) + 1 < left;
        if fits && self.rng.random_bool(self.plan.resolve) {
            let due = (self.firings_so_far + self.lasts(), telling.episode);
            self.resolves.insert(due, (series, telling.clone()));
        }
        telling
    }

    fn rested(&mut self, now: Timestamp) -> Option<Series> {
        let (_, started) = self.resting.front()?;
        if now.since(*started) < REST || self.rng.random_bool(0.5) {
            return None;
        }
        self.resting.pop_front().map(|(series, _)| series)
    }

    fn new_series(&mut self) -> Series {
        let all = self.cumulative.last().copied().unwrap_or(1.0);
        let drawn = self.rng.random_range(0.0..all);
        let anomaly = self.cumulative.partition_point(|sum| *sum <= drawn);
        self.series += 1;
        Series {
            anomaly: anomaly.min(self.anomalies.len() - 1),
            number: self.series,
        }
    }

    /// How many alerts later a firing is resolved: not in the same or the next request.
    fn lasts(&mut self) -> u64 {
        let least = 2 * self.plan.batch as u64;
        let most = (self.plan.rate * LASTS.as_secs_f64()) as u64;
        let most = most.min(self.plan.alerts / 4).max(least);
        self.rng.random_range(least..=most)
    }

    fn resolve(&mut self) -> Option<StormAlert> {
        let (_, (series, mut telling)) = self.resolves.pop_first()?;
        let alert = &mut telling.alert;
        self.resting.push_back((series, alert.starts_at));
        alert.status = "resolved";
        alert.ends_at = Some(
            self.now()
                .max(alert.starts_at.after(Duration::from_millis(1))),
        );
        Some(telling)
    }

    /// One of the latest once more, some as the other Prometheus of a pair saw it.
    fn resend(&mut self) -> StormAlert {
        let mut telling = self.recent[self.rng.random_range(0..self.recent.len())].clone();
        if self.rng.random_bool(PAIRED) {
            let earlier = Duration::from_secs(self.rng.random_range(1..=EARLIER_SECS));
            telling.alert.starts_at = telling.alert.starts_at.before(earlier);
        }
        telling
    }

    fn now(&self) -> Timestamp {
        let since = Duration::from_secs_f64(self.firings_so_far as f64 / self.plan.rate);
        self.began.after(since)
    }
}

#[cfg(test)]
mod tests;
