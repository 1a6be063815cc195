//! What verdicts and figures are, by the description of the rules alone: minute by minute.

use std::collections::BTreeMap;

/// A firing of a series of its own, from one minute to another.
#[derive(Clone, Copy, Debug)]
pub struct Fired {
    pub from: i64,
    pub to: Option<i64>,
}

/// A repair.
#[derive(Clone, Debug)]
pub struct Repaired {
    pub action: &'static str,
    pub claimed: bool,
    pub began: i64,
    pub finished: i64,
}

/// A story of one anomaly. No two of its moments are the same.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub firings: Vec<Fired>,
    pub repairs: Vec<Repaired>,
}

/// Attempts, claimed, verified, disproved, superseded.
pub type Counts = [i64; 5];

impl Story {
    /// What silence says of a repair: goes through the quiet time minute by minute.
    pub fn verdict(&self, repair: &Repaired, quiet: i64) -> &'static str {
        let mut minute = repair.finished;
        let is_under_way =
            |other: &Repaired| other.finished > repair.finished && other.began <= repair.finished;
        if self.repairs.iter().any(is_under_way) {
            return "superseded";
        }
        while minute < repair.finished + quiet {
            minute += 1;
            if self.firings.iter().any(|fired| fired.from == minute) {
                return "disproved";
            }
            if self.repairs.iter().any(|other| other.began == minute) {
                return "superseded";
            }
        }
        let fires = |fired: &Fired| {
            let has_begun = fired.from <= minute;
            has_begun && fired.to.is_none_or(|to| to > minute)
        };
        match self.firings.iter().any(fires) {
            true => "disproved",
            false => "verified",
        }
    }

    /// What each action was worth.
    pub fn counts(&self, quiet: i64) -> BTreeMap<String, Counts> {
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        for repair in &self.repairs {
            let of_action = counts.entry(repair.action.to_owned()).or_default();
            of_action[0] += 1;
            of_action[1] += i64::from(repair.claimed);
            let place = match self.verdict(repair, quiet) {
                "verified" => 2,
                "disproved" => 3,
                _ => 4,
            };
            of_action[place] += 1;
        }
        counts
    }
}
