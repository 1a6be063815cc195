//! What held says of a playbook's order: which of its actions should come earlier, and which later.
//!
//! An action is *judged* once it has enough verdicts. One does *better* than another if the share that is likely to
//! hold at least is above the other's share, as it is better than doing nothing if it is above the baseline's. An
//! action is *hopeless* if it never held, and at most a smaller share is likely to hold than at least of doing nothing,
//! or of another action of the playbook.
//!
//! - Within a tier, an action moves before those that it does better than, and a hopeless one to the end.
//! - If every action of a tier is judged and none does better than nothing, the surest of the next tier moves up to it,
//!   if it does better than nothing and than each of them. Where it is not known how often an alarm ends by itself, what
//!   held is neither better than nothing nor not; the hopeless ones move down in its place. A tier is not left
//!   without an action for that.
//! - What is not judged stays where it is, but for those that move past it.
//!
//! Nothing is removed and nothing invented, and there is nothing to propose for what was proposed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Change, Playbook, changes};
use crate::domain::effectiveness::{Worth, action_name, lower_bound};
use crate::domain::tier::Tier;
use crate::domain::verdict::Baseline;

/// What is known of an action, on all anomalies that a playbook is for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Judged {
    /// Verified repairs.
    pub held: i64,
    /// Verified and disproved ones.
    pub verdicts: i64,
    /// Verified ones, weighed by age.
    pub weighed_held: f64,
    /// Verified and disproved ones, weighed by age.
    pub weighed_verdicts: f64,
    /// What happens with nothing done on the anomalies on which it was tried.
    pub nothing: Baseline,
}

impl Judged {
    /// Adds what is known of it on one more anomaly.
    pub fn add(&mut self, worth: &Worth, nothing: Baseline) {
        self.held += worth.counted.verified;
        self.verdicts += worth.counted.verdicts();
        self.weighed_held += worth.weighed_verified;
        self.weighed_verdicts += worth.weighed_verdicts;
        self.nothing.held += nothing.held;
        self.nothing.episodes += nothing.episodes;
    }

    /// The least share that is likely to hold.
    fn least(&self) -> f64 {
        lower_bound(self.weighed_held, self.weighed_verdicts)
    }

    /// The largest share that is likely to hold: what is left by the least share that is likely not to.
    fn most(&self) -> f64 {
        1.0 - lower_bound(
            self.weighed_verdicts - self.weighed_held,
            self.weighed_verdicts,
        )
    }

    fn share(&self) -> f64 {
        self.weighed_held / self.weighed_verdicts.max(f64::MIN_POSITIVE)
    }

    /// Whether it does better than nothing; none if it held, and how nothing does is not known.
    fn is_better_than_nothing(&self) -> Option<bool> {
        let is_known = self.nothing.episodes > 0 || self.held == 0;
        is_known.then(|| self.least() > self.nothing.share())
    }
}

/// How often an action held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProposalFigures)]
pub struct Held {
    /// The action.
    pub action: String,
    /// Verified repairs.
    pub held: i64,
    /// Verified and disproved ones.
    pub verdicts: i64,
}

/// The actions of a playbook that are known, by their names.
pub type Known = BTreeMap<String, Judged>;

/// How many verdicts there are on a playbook's actions.
#[must_use]
pub fn verdicts(playbook: &Playbook, known: &Known) -> i64 {
    figures(playbook, known)
        .iter()
        .map(|one| one.verdicts)
        .sum()
}

/// How often the actions of a playbook held, in its order; without those of which nothing is known.
#[must_use]
pub fn figures(playbook: &Playbook, known: &Known) -> Vec<Held> {
    let of = |(_, action): (Tier, &str)| {
        let judged = known.get(&action_name(action))?;
        (judged.verdicts > 0).then(|| Held {
            action: action.to_owned(),
            held: judged.held,
            verdicts: judged.verdicts,
        })
    };
    playbook.each().filter_map(of).collect()
}

/// The playbook as it should be by what held; `None` if that is how it is. An action with fewer than `least` verdicts
/// is not judged.
#[must_use]
pub fn propose(playbook: &Playbook, known: &Known, least: i64) -> Option<Playbook> {
    let names: Vec<String> = playbook
        .each()
        .map(|(_, action)| action_name(action))
        .collect();
    let judged = known
        .iter()
        .filter(|(name, judged)| judged.verdicts >= least.max(1) && names.contains(name));
    let known = View(
        judged
            .map(|(name, judged)| (name.as_str(), judged))
            .collect(),
    );
    let mut proposed = playbook.clone();
    // Each step moves one that does better than nothing up, so there is an end.
    while let Some((upper, lower)) =
        pairs(&proposed).find(|pair| known.climber(&proposed, *pair).is_some())
    {
        let Some(climber) = known.climber(&proposed, (upper, lower)) else {
            break;
        };
        let (down, mut stays) = known.sorted_out(&proposed.actions(upper).0);
        stays.insert(0, climber.clone());
        proposed.actions_mut(upper).0 = stays;
        let lower = &mut proposed.actions_mut(lower).0;
        lower.retain(|action| *action != climber);
        lower.extend(down);
    }
    for tier in Tier::ALL {
        let actions = proposed.actions_mut(tier);
        actions.0 = known.ordered(&actions.0);
    }
    (proposed != *playbook).then_some(proposed)
}

/// Each tier that has actions, with the next that has.
fn pairs(playbook: &Playbook) -> impl Iterator<Item = (Tier, Tier)> + use<> {
    let tiers = Tier::ALL
        .into_iter()
        .filter(|tier| !playbook.actions(*tier).0.is_empty());
    let tiers: Vec<Tier> = tiers.collect();
    let pairs: Vec<_> = tiers
        .iter()
        .copied()
        .zip(tiers.iter().copied().skip(1))
        .collect();
    pairs.into_iter()
}

/// The judged actions of a playbook.
struct View<'a>(BTreeMap<&'a str, &'a Judged>);

impl View<'_> {
    fn of(&self, action: &str) -> Option<&Judged> {
        self.0.get(action_name(action).as_str()).copied()
    }

    fn is_better(&self, action: &str, than: &str) -> bool {
        let both = self.of(action).zip(self.of(than));
        both.is_some_and(|(one, other)| one.least() > other.share())
    }

    fn is_hopeless(&self, action: &str) -> bool {
        let Some(judged) = self.of(action).filter(|judged| judged.held == 0) else {
            return false;
        };
        let nothing = lower_bound(judged.nothing.held as f64, judged.nothing.episodes as f64);
        let others = self.0.values().map(|other| other.least());
        // Its own is 0, which is not above.
        others.chain([nothing]).any(|least| least > judged.most())
    }

    /// Those that are hopeless, and the others.
    fn sorted_out(&self, actions: &[String]) -> (Vec<String>, Vec<String>) {
        actions
            .iter()
            .cloned()
            .partition(|action| self.is_hopeless(action))
    }

    /// The actions of a tier, each before those that it does better than, the hopeless ones last.
    fn ordered(&self, actions: &[String]) -> Vec<String> {
        let (hopeless, others) = self.sorted_out(actions);
        let mut ordered: Vec<String> = Vec::with_capacity(actions.len());
        for action in others {
            let worse = ordered
                .iter()
                .position(|other| self.is_better(&action, other));
            ordered.insert(worse.unwrap_or(ordered.len()), action);
        }
        ordered.extend(hopeless);
        ordered
    }

    /// The action of the lower tier that is to move up, if there is one.
    fn climber(&self, playbook: &Playbook, (upper, lower): (Tier, Tier)) -> Option<String> {
        let (upper, lower) = (&playbook.actions(upper).0, &playbook.actions(lower).0);
        let is_spent = |action: &String| {
            self.of(action)
                .is_some_and(|judged| judged.is_better_than_nothing() == Some(false))
        };
        if !upper.iter().all(is_spent) {
            return None;
        }
        let may = lower.iter().filter(|action| {
            let judged = self.of(action);
            judged.is_some_and(|judged| judged.is_better_than_nothing() == Some(true))
                && upper.iter().all(|other| self.is_better(action, other))
        });
        let least = |action: &str| self.of(action).map_or(0.0, Judged::least);
        let best = may.reduce(|best, one| if least(one) > least(best) { one } else { best })?;
        let is_left = lower.len() > 1 || upper.iter().any(|action| self.is_hopeless(action));
        is_left.then(|| best.clone())
    }
}

/// An action that has another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The action.
    pub action: String,
    /// Its tier before.
    pub from: Tier,
    /// Its tier then.
    pub to: Tier,
    /// Whether it comes earlier then.
    pub is_up: bool,
}

/// Which actions have another place in the second, which has the same actions: as few as explain it.
#[must_use]
pub fn moves(before: &Playbook, after: &Playbook) -> Vec<Move> {
    let mut moves = Vec::new();
    for to in Tier::ALL {
        let (old, new) = (&before.actions(to).0, &after.actions(to).0);
        for action in new.iter().filter(|action| !old.contains(action)) {
            let from = before.each().find(|(_, other)| other == action);
            moves.extend(from.map(|(from, _)| Move {
                action: action.clone(),
                from,
                to,
                is_up: to < from,
            }));
        }
        let both = |list: &[String], other: &[String]| -> Vec<String> {
            list.iter()
                .filter(|action| other.contains(action))
                .cloned()
                .collect()
        };
        let (old, new) = (both(old, new), both(new, old));
        let place = |list: &[String], action: &String| list.iter().position(|one| one == action);
        let changed = changes(&old, &new).into_iter();
        for line in changed.filter(|line| line.change == Change::Removed) {
            moves.push(Move {
                is_up: place(&new, &line.line) < place(&old, &line.line),
                action: line.line,
                from: to,
                to,
            });
        }
    }
    moves
}

#[cfg(test)]
mod tests;
