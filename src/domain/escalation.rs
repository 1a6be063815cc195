//! The level: how urgent an anomaly has become by coming back, or by lasting.

use serde::{Deserialize, Serialize};

use super::counting::Unit;
use super::frequency::{COUNTED_AT_MOST, Counts, Window};
pub use super::level::Level;
use super::reason::{Counted, Lasting, LevelReason, LevelRule, Reason};
use crate::time::Timestamp;

/// "At least `count` firings in `window`, in at least `incidents` incidents, are `level`."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The level that holds.
    pub level: Level,
    /// The window, back from now.
    pub window: Window,
    /// The least number of firings.
    pub count: i64,
    /// In how many incidents of the window they must lie.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub incidents: i64,
}

const fn one() -> i64 {
    1
}

const fn is_one(n: &i64) -> bool {
    *n == 1
}

impl Rule {
    /// Whether it holds. Where incidents are counted, each lies in itself.
    #[must_use]
    pub fn holds(&self, seen: &RuleInputs) -> bool {
        let count = seen.counts.of(self.window);
        let lies_in = match (seen.unit, &seen.incidents) {
            (Unit::Incident, _) => count,
            (_, Some(incidents)) => incidents.of(self.window),
            // Not read, because no rule asks for more than one.
            (_, None) => 1,
        };
        count >= self.count && (self.incidents <= 1 || lies_in >= self.incidents)
    }

    fn reason(&self, seen: &RuleInputs, most: i64) -> LevelRule {
        let incidents = seen.incidents.map(|incidents| incidents.of(self.window));
        LevelRule::Count(Counted {
            figure: seen.counts.of(self.window).min(COUNTED_AT_MOST),
            unit: seen.unit,
            window: self.window,
            incidents,
            or_more: incidents.is_some_and(|n| n >= most),
            threshold: self.count,
            spread: (self.incidents > 1).then_some(self.incidents),
        })
    }
}

/// The rules that hold where nothing else is set.
#[must_use]
pub fn default_rules() -> Vec<Rule> {
    let rule = |level, window, count, incidents| Rule {
        level,
        window,
        count,
        incidents,
    };
    vec![
        rule(Level::Repeat, Window::Hour, 3, 1),
        rule(Level::Escalate, Window::Day, 5, 1),
        rule(Level::Escalate, Window::Week, 5, 5),
        rule(Level::PermanentFix, Window::Day, 10, 3),
        rule(Level::PermanentFix, Window::Month, 15, 15),
    ]
}

/// How many of an anomaly's newest incidents these rules need; 0 if none asks for more than one.
#[must_use]
pub fn most_incidents(rules: &[Rule], unit: Unit) -> i64 {
    let most = rules.iter().map(|rule| rule.incidents).max();
    most.filter(|most| *most > 1 && unit != Unit::Incident)
        .unwrap_or_default()
}

/// The inputs of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInputs {
    /// What was counted.
    pub unit: Unit,
    /// How often, in each window.
    pub counts: Counts,
    /// How many of the newest [`most_incidents`] lie in each window; empty if no rule needs them.
    pub incidents: Option<Counts>,
}

/// A level and why it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The highest level that holds.
    pub level: Level,
    /// The rule and its figures. `None` where no rule holds.
    pub reason: Option<LevelRule>,
}

/// The highest level whose rule holds, by the first such rule. An incident that `lasts` (its alert was
/// seen firing `open_for` or more after it opened) makes it at least [`Level::Escalate`].
#[must_use]
pub fn assess(seen: &RuleInputs, lasts: Option<Lasting>, rules: &[Rule]) -> Assessment {
    let holding = rules.iter().filter(|rule| rule.holds(seen));
    let highest = holding.reduce(|a, b| if b.level > a.level { b } else { a });
    let is_by_age = |by_count: Level| lasts.is_some() && by_count < Level::Escalate;
    match highest {
        Some(rule) if !is_by_age(rule.level) => Assessment {
            level: rule.level,
            reason: Some(rule.reason(seen, most_incidents(rules, seen.unit))),
        },
        _ => Assessment {
            level: if lasts.is_some() {
                Level::Escalate
            } else {
                Level::None
            },
            reason: lasts.map(LevelRule::Lasts),
        },
    }
}

/// An anomaly's level and how it came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LevelState {
    /// The level.
    pub level: Level,
    /// How often the level rose.
    pub level_seq: i64,
    /// When the level last rose.
    pub risen_at: Option<Timestamp>,
    /// Why the level holds, with the figures that it was last seen to hold with.
    pub reason: Option<LevelReason>,
    /// Since when the rule that the level holds by has not held.
    pub falling_since: Option<Timestamp>,
}

/// What time does to a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// More holds than the level says. Only the tier worker raises it: its incidents are due.
    Rise,
    /// Less has held for long enough.
    Fall(Assessment),
    /// Less holds, since this moment; the level stays for now.
    Falling(Timestamp),
    /// The level holds by another rule than before.
    Reason(Option<LevelRule>),
    /// The level holds as it did, whether or not it was falling, with these figures.
    Holds(Option<LevelRule>),
}

/// What becomes of an anomaly's level at `now`, where `found` holds. It falls when its rule has not held for the rule's
/// window divided by `hysteresis`; at once, if that is 0.
#[must_use]
pub fn decay(state: &LevelState, found: Assessment, hysteresis: u32, now: Timestamp) -> Decay {
    if found.level > state.level {
        return Decay::Rise;
    }
    let held_by = state.reason.as_ref().map(LevelReason::rule);
    if found.level < state.level {
        // What lasts has ended, which is no count at an edge. A sentence of an older version is replaced long
        // before its level falls.
        let Some(Some(LevelRule::Count(rule))) = held_by else {
            return Decay::Fall(found);
        };
        // A clock that was ahead may have written it.
        let since = state.falling_since.map_or(now, |since| since.min(now));
        let falls_after = rule.window.length().checked_div(hysteresis);
        let is_over = now >= since.after(falls_after.unwrap_or_default());
        return match is_over {
            true => Decay::Fall(found),
            false => Decay::Falling(since),
        };
    }
    let is_same = match (held_by, &found.reason) {
        (Some(was), Some(is)) => was.is_some_and(|was| was.has_rule_of(is)),
        (was, is) => was.is_none() && is.is_none(),
    };
    match is_same {
        true => Decay::Holds(found.reason),
        false => Decay::Reason(found.reason),
    }
}

/// What [`decay`] changed about a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Its level, its reason, or since when it falls: they are to be written.
    pub is_written: bool,
    /// What its incidents show or do: they are due for a tier, and their cards for an edit.
    pub is_due: bool,
}

impl Decay {
    /// Changes the level, and says what there is to do about it.
    pub fn apply(self, state: &mut LevelState) -> Change {
        let was = state.clone();
        let is_due = !matches!(self, Self::Falling(_) | Self::Holds(_));
        match self {
            Self::Rise => {}
            Self::Falling(since) => state.falling_since = Some(since),
            Self::Fall(found) => {
                state.level = found.level;
                state.reason = found.reason.map(Reason::Rule);
                state.falling_since = None;
            }
            Self::Reason(reason) | Self::Holds(reason) => {
                state.reason = reason.map(Reason::Rule);
                state.falling_since = None;
            }
        }
        Change {
            is_written: was != *state,
            is_due,
        }
    }
}

/// Raises the anomaly's level to what was `found` at `now`, if that is more; returns whether it rose. A
/// level that holds falls no more.
pub fn raise(state: &mut LevelState, found: Assessment, now: Timestamp) -> bool {
    if found.level <= state.level {
        return false;
    }
    state.level = found.level;
    state.level_seq += 1;
    state.risen_at = Some(now);
    state.reason = found.reason.map(Reason::Rule);
    state.falling_since = None;
    true
}

#[cfg(test)]
mod tests;
