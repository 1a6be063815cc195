//! What the oracle says of an anomaly at a moment: its counts, its level, how deep to repair it.

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
        let counted = self.counted(anomaly);
        [HOUR, DAY, 7 * DAY, 30 * DAY].map(|length| {
            let is_in = |at: &&i64| **at > now - length;
            counted.iter().filter(is_in).count() as i64
        })
    }

    /// The level that holds now.
    pub fn level(&self, anomaly: &Anomaly, now: i64) -> &'static str {
        let [hour, day, ..] = self.windows(anomaly, now);
        if day >= 10 {
            "PERMANENT_FIX"
        } else if day >= 5 || self.lasts(anomaly, now) {
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

    pub fn tier(&self, anomaly: &Anomaly, now: i64) -> i32 {
        let happened = self.first_seen(anomaly);
        let fixed_at = self.fixed_at.get(anomaly);
        if fixed_at.is_some_and(|fixed| happened.iter().any(|at| at > fixed)) {
            return 4;
        }
        let restarts: i64 = self
            .tried(anomaly)
            .iter()
            .filter(|(action, _)| ["restart_pod", "restart_container"].contains(&action.as_str()))
            .map(|(_, tried)| tried.attempts)
            .sum();
        match self.level(anomaly, now) {
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
