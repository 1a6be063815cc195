//! The oracle of verdicts and figures: written from the description of the rules alone, minute by minute.

use std::collections::BTreeMap;

/// A firing of a series of its own, from one minute to another.
#[derive(Clone, Copy, Debug)]
pub struct Fired {
    pub from: i64,
    pub to: Option<i64>,
}

/// The firing before each story.
const FIRST: Fired = Fired {
    from: 0,
    to: Some(1),
};

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
    /// When Tocsin was down, from and to: half a minute after each.
    pub down: Option<(i64, i64)>,
    /// When their source was silent, likewise.
    pub silent: Option<(i64, i64)>,
    /// When another source was silent: that must not matter.
    pub other_silent: Option<(i64, i64)>,
}

/// Attempts, claimed, verified, disproved, superseded, unknown.
pub type Counts = [i64; 6];

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
        // Whose end is known to be later goes on, whoever looked.
        let goes_on = |fired: &Fired| fired.from <= repair.finished && fired.to > Some(minute);
        if self.firings.iter().any(goes_on) {
            return "disproved";
        }
        if self.was_blind(repair.finished, minute) {
            return "unknown";
        }
        match self.fires(minute) {
            true => "disproved",
            false => "verified",
        }
    }

    /// Whether anything fires at a minute.
    fn fires(&self, minute: i64) -> bool {
        let fires = |fired: &Fired| fired.from <= minute && fired.to.is_none_or(|to| to > minute);
        self.firings.iter().any(fires)
    }

    /// Whether Tocsin was down, or their source silent, between two minutes.
    fn was_blind(&self, from: i64, to: i64) -> bool {
        let is_between = |minute: i64| minute >= from && minute < to;
        let mut spans = self.down.into_iter().chain(self.silent);
        spans.any(|(began, ended)| (began..=ended).any(is_between))
    }

    /// How often all that fired had ended, with nothing done since the first of it began, and could be seen for as
    /// long after that; and after how many of these it stayed quiet. Goes through the story minute by minute.
    pub fn nothing(&self, quiet: i64) -> (i64, i64) {
        let (mut episodes, mut held) = (0, 0);
        let all = || self.firings.iter().chain([&FIRST]);
        let last = all().filter_map(|fired| fired.to).max().unwrap_or_default();
        let mut since = None;
        for minute in 0..=last {
            let fires = all().any(|f| f.from <= minute && f.to.is_none_or(|to| to > minute));
            if fires {
                since = since.or(Some(minute));
                continue;
            }
            let Some(from) = since.take() else { continue };
            let until = minute + quiet;
            let is_at_work = |r: &Repaired| r.began <= until && r.finished >= from;
            if self.repairs.iter().any(is_at_work) || self.was_blind(minute, until) {
                continue;
            }
            episodes += 1;
            let again = (minute + 1..=until).any(|m| self.firings.iter().any(|f| f.from == m));
            held += i64::from(!again);
        }
        (episodes, held)
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
                "superseded" => 4,
                _ => 5,
            };
            of_action[place] += 1;
        }
        counts
    }
}
