//! The recommended action of an incident: which action, of which tier, and why.
//!
//! The playbook of an incident says which actions there are; without one, the actions that are known to hold are taken,
//! by their class. From the incident's tier on, the first tier that has something to recommend is taken. In a tier,
//! an action that does better than nothing comes first, the surest of these, or one that held where there is nothing to
//! compare it with; what is not decided keeps the playbook's order. An action that did not hold twice within [`DAY`] waits for the rest of that time, and one that does worse
//! than nothing is left out, as is one that is stopped because it did not hold so often in a row anywhere: so the tier
//! rises. Where an alarm mostly ends by itself and no action does better,
//! waiting is recommended in its place.

mod answer;
mod candidates;

use std::collections::BTreeMap;
use std::time::Duration;

use super::effectiveness::{Kept, Worth, lower_bound};
use super::playbook::Playbook;
use super::repair_class::{ActionClasses, RepairClass};
use super::tier::Tier;
use super::verdict::Baseline;
use crate::time::Timestamp;
pub use answer::{
    Alternative, FailedFix, Figures, FiguresOf, Recommendation, Rule, StoppedAction, Streak, Tried,
    Usable, Why,
};
use candidates::{Candidate, Comparison};

/// An action that did not hold [`ENOUGH`] times within this time is not recommended again in it.
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often an action may be disproved on an anomaly within [`DAY`] before it waits.
pub const ENOUGH: usize = 2;
/// An alarm mostly ends by itself if at least this share of its episodes is likely to.
const MOSTLY: f64 = 0.5;
/// The deepest tier at which waiting may be recommended: deeper ones are not about the present firing.
const WAITS_TO: Tier = Tier::Mitigate;
/// The most actions that a reason names, of those tried last.
const TRIED: usize = 3;

/// Figures of all actions on something, with what happens with nothing done.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By action.
    pub actions: BTreeMap<String, Kept>,
    /// By quiet time, in milliseconds.
    pub baselines: BTreeMap<i64, Baseline>,
}

/// What a recommendation is made of.
#[derive(Clone, Debug)]
pub struct RecommendationInputs<'a> {
    /// The incident's tier.
    pub tier: Tier,
    /// Its playbook.
    pub playbook: Option<&'a Playbook>,
    /// The classes of actions.
    pub classes: &'a ActionClasses,
    /// Figures on its anomaly.
    pub own: &'a Known,
    /// Figures on all anomalies with its alert name.
    pub wider: &'a Known,
    /// Repairs of its anomaly that did not hold and finished within [`DAY`], newest first.
    pub disproved: &'a [(String, Timestamp)],
    /// Actions that are stopped.
    pub stopped: BTreeMap<String, Streak>,
    /// The quiet time of a class, in milliseconds.
    pub quiet_ms: &'a BTreeMap<Option<RepairClass>, i64>,
    /// With fewer verdicts nothing is said of an action.
    pub min_verdicts: i64,
    /// A verdict that is older by this counts half.
    pub half_life: Duration,
    /// Now.
    pub now: Timestamp,
}

/// The actions that may be recommended, if none is stopped.
#[must_use]
pub fn actions(inputs: &RecommendationInputs<'_>) -> Vec<String> {
    let all = candidates::all(inputs).into_iter();
    all.map(|candidate| candidate.action).collect()
}

/// What is recommended, without the reasons of the incident's own tier.
#[must_use]
pub fn recommend(inputs: &RecommendationInputs<'_>) -> Recommendation {
    let candidates = candidates::all(inputs);
    let is_judged = |one: &Candidate| one.comparison != Comparison::Unjudged;
    let knows_some = inputs.playbook.is_some() || candidates.iter().any(is_judged);
    let (tier, rule, chosen) = match choose(inputs, &candidates) {
        Some(chosen) => chosen,
        None if knows_some => (inputs.tier, Rule::NoneLeft, None),
        None => (inputs.tier, Rule::NoneKnown, None),
    };
    let waits = (rule == Rule::Wait).then(|| nothing_of(&candidates, tier));
    // Of deeper tiers it does not matter.
    let passed = candidates
        .iter()
        .filter(|one| one.tier <= tier || chosen.is_none());
    let others = candidates.iter();
    let others = others.filter(|one| chosen.is_none_or(|chosen| chosen.action != one.action));
    Recommendation {
        action: chosen.map(|one| one.action.clone()),
        tier: tier.number(),
        rule,
        playbook: inputs.playbook.map(|playbook| playbook.name.clone()),
        figures: chosen
            .and_then(|one| one.figures.clone())
            .or_else(|| waits.flatten()),
        why: Why {
            tried: tried(inputs),
            stopped: passed.filter_map(Candidate::stopped).collect(),
            raised_from: (tier > inputs.tier).then_some(inputs.tier.number()),
            ..Why::default()
        },
        alternatives: others.map(Candidate::answer).collect(),
    }
}

type Chosen<'a> = (Tier, Rule, Option<&'a Candidate>);

fn choose<'a>(inputs: &RecommendationInputs<'_>, all: &'a [Candidate]) -> Option<Chosen<'a>> {
    let tiers = Tier::ALL.into_iter().filter(|tier| *tier >= inputs.tier);
    tiers.into_iter().find_map(|tier| {
        let usable = || all.iter().filter(|c| c.tier == tier && c.is_usable());
        let better = usable().filter(|c| c.comparison == Comparison::Better);
        if let Some(best) = first_by_bound(better) {
            return Some((tier, Rule::Held, Some(best)));
        }
        let is_judged = |c: &&Candidate| c.comparison != Comparison::Unjudged;
        let ends_by_itself = |c: &Candidate| {
            let figures = c.figures.as_ref();
            figures.is_some_and(|figures| mostly_ends(figures.nothing()))
        };
        if tier <= WAITS_TO && usable().filter(is_judged).any(ends_by_itself) {
            return Some((tier, Rule::Wait, None));
        }
        // Without a playbook nobody has said that an action is for this.
        inputs.playbook?;
        let mut undecided = usable().filter(|c| c.comparison != Comparison::Worse);
        undecided.next().map(|c| (tier, Rule::InOrder, Some(c)))
    })
}

/// The surest; of equal ones the first.
fn first_by_bound<'a>(all: impl Iterator<Item = &'a Candidate>) -> Option<&'a Candidate> {
    all.reduce(|best, one| {
        if one.bound() > best.bound() {
            one
        } else {
            best
        }
    })
}

fn mostly_ends(nothing: Baseline) -> bool {
    lower_bound(nothing.held as f64, nothing.episodes as f64) >= MOSTLY
}

/// The figures by which waiting is recommended.
fn nothing_of(all: &[Candidate], tier: Tier) -> Option<Figures> {
    let of_tier = all.iter().filter(|one| one.tier == tier);
    let mut figures = of_tier.filter_map(|one| one.figures.clone());
    figures.find(|figures| mostly_ends(figures.nothing()))
}

/// What was tried on the anomaly last.
fn tried(inputs: &RecommendationInputs<'_>) -> Vec<Tried> {
    let worth = |kept| Worth::of(kept, inputs.half_life, inputs.now);
    let all = inputs.own.actions.iter();
    let mut all: Vec<_> = all.map(|(action, kept)| (action, worth(kept))).collect();
    all.retain(|(_, worth)| worth.counted.attempts > 0);
    all.sort_by_key(|(_, worth)| std::cmp::Reverse(worth.last_at));
    let told = all.into_iter().take(TRIED);
    told.map(|(action, worth)| Tried {
        action: action.clone(),
        attempts: worth.counted.attempts,
        held: worth.counted.verified,
        verdicts: worth.counted.verdicts(),
    })
    .collect()
}

#[cfg(test)]
mod tests;
