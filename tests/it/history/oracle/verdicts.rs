//! The oracle's verdicts on an anomaly at a moment: its counts, its level, its tier.

use std::collections::BTreeMap;

use super::{Anomaly, DAY, HOUR, Oracle, Status, Unit};

/// Counted in the last hour, 24 hours, seven days, thirty days.
pub type Windows = [i64; 4];

/// How often an action was tried, and how often it helped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    pub attempts: i64,
    pub successes: i64,
}

fn in_windows(moments: &[i64], now: i64) -> Windows {
    [HOUR, DAY, 7 * DAY, 30 * DAY].map(|length| {
        let is_in = |at: &&i64| **at > now - length;
        moments.iter().filter(is_in).count() as i64
    })
}

impl Oracle {
    /// When its firings were first seen.
    fn first_seen(&self, anomaly: &Anomaly) -> Vec<i64> {
        let of = self.episodes.iter().filter(|e| e.anomaly == *anomaly);
        of.filter_map(|e| e.received.iter().copied().min())
            .collect()
    }

    fn deliveries(&self, anomaly: &Anomaly) -> Vec<i64> {
        let of = self.deliveries.iter().filter(|(a, _)| a == anomaly);
        of.map(|(_, at)| *at).collect()
    }

    /// When it was first and last seen.
    pub fn seen(&self, anomaly: &Anomaly) -> Option<(i64, i64)> {
        let seen = match self.unit {
            Unit::Delivery => self.deliveries(anomaly),
            Unit::Episode | Unit::Incident => self.first_seen(anomaly),
        };
        Some((*seen.iter().min()?, *seen.iter().max()?))
    }

    /// When the anomaly was counted.
    pub fn counted(&self, anomaly: &Anomaly) -> Vec<i64> {
        match self.unit {
            Unit::Episode => self.first_seen(anomaly),
            Unit::Delivery => self.deliveries(anomaly),
            Unit::Incident => {
                let of = self.incidents.iter().filter(|i| i.anomaly == *anomaly);
                of.map(|i| i.opened_at).collect()
            }
        }
    }

    pub fn windows(&self, anomaly: &Anomaly, now: i64) -> Windows {
        in_windows(&self.counted(anomaly), now)
    }

    /// When an incident was last joined: when the last of its episodes came to it.
    pub fn joined_at(&self, incident: usize) -> i64 {
        self.incidents[incident].joined_at
    }

    /// The level that holds now, if its incidents were last joined then.
    pub fn level(&self, anomaly: &Anomaly, joined: &[i64], now: i64) -> &'static str {
        let [hour, day, week, month] = self.windows(anomaly, now);
        // What counts incidents has that many.
        let [_, day_in, week_in, month_in] = match self.unit {
            Unit::Incident => [hour, day, week, month],
            Unit::Episode | Unit::Delivery => in_windows(joined, now),
        };
        if (day >= 10 && day_in >= 3) || (month >= 15 && month_in >= 15) {
            "PERMANENT_FIX"
        } else if day >= 5 || (week >= 5 && week_in >= 5) || self.lasts(anomaly, now) {
            "ESCALATE"
        } else if hour >= 3 {
            "REPEAT"
        } else {
            "NONE"
        }
    }

    /// An episode that is still open was seen firing long after its incident opened, and not so long
    /// ago; no person said that it is over.
    fn lasts(&self, anomaly: &Anomaly, now: i64) -> bool {
        self.episodes.iter().any(|episode| {
            let (Some(incident), Some(seen)) = (episode.incident, episode.last_firing) else {
                return false;
            };
            episode.anomaly == *anomaly
                && episode.ended.is_none()
                && self.incidents[incident].status != Status::ResolvedByPerson
                && seen - self.incidents[incident].opened_at >= self.open_for
                && now - seen < DAY
        })
    }

    /// An episode began after the fix, and was not known before it.
    pub fn fails(&self, anomaly: &Anomaly, fixed: i64) -> bool {
        self.episodes.iter().any(|episode| {
            let is_new = episode.received.iter().all(|at| *at > fixed);
            episode.anomaly == *anomaly && is_new && episode.began > fixed
        })
    }

    /// How deep to repair it at this level. Whatever is tried in a story was tried in the last 30 days.
    pub fn tier(&self, anomaly: &Anomaly, level: &str) -> i32 {
        let fixed = self.fixed_at.get(anomaly);
        if fixed.is_some_and(|fixed| self.fails(anomaly, *fixed)) {
            return 4;
        }
        let restarts: i64 = self
            .tried(anomaly)
            .iter()
            .filter(|(action, _)| ["restart_pod", "restart_container"].contains(&action.as_str()))
            .map(|(_, tried)| tried.attempts)
            .sum();
        match level {
            "PERMANENT_FIX" => 3,
            "ESCALATE" => 2,
            _ if restarts >= 2 => 2,
            _ => 1,
        }
    }

    pub fn tried(&self, anomaly: &Anomaly) -> BTreeMap<String, Tried> {
        let mut tried: BTreeMap<String, Tried> = BTreeMap::new();
        for (of, action, success) in self.repairs.values() {
            if of == anomaly {
                let tried = tried.entry(action.clone()).or_default();
                tried.attempts += 1;
                tried.successes += i64::from(*success);
            }
        }
        tried
    }
}
