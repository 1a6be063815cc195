//! The actions that may be recommended, and what is known of each.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Alternative, Figures, FiguresOf, StoppedAction, Streak, Usable};
use super::{DAY, ENOUGH, Known, RecommendationInputs};
use crate::domain::effectiveness::{Worth, action_name};
use crate::domain::repair_class::RepairClass;
use crate::domain::tier::Tier;
use crate::domain::verdict::for_quiet;
use crate::time::Timestamp;

/// How an action stands beside doing nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// It does better; or it held, and it is not known how nothing does.
    Better,
    /// It may do better or not.
    Even,
    /// It never held, or held less often.
    Worse,
    /// Too few verdicts to say.
    Unjudged,
}

/// An action that may be recommended.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) action: String,
    pub(super) tier: Tier,
    class: Option<RepairClass>,
    pub(super) comparison: Comparison,
    not_before: Option<Timestamp>,
    stopped: Option<Streak>,
    pub(super) figures: Option<Figures>,
}

impl Candidate {
    pub(super) const fn is_usable(&self) -> bool {
        self.not_before.is_none() && self.stopped.is_none()
    }

    pub(super) fn stopped(&self) -> Option<StoppedAction> {
        let streak = self.stopped?;
        Some(StoppedAction {
            action: self.action.clone(),
            in_a_row: streak.in_a_row,
            last_at: streak.last_at,
        })
    }

    pub(super) fn bound(&self) -> f64 {
        self.figures.as_ref().map_or(0.0, |found| found.lower_bound)
    }

    pub(super) fn answer(&self) -> Alternative {
        let usable = match (self.not_before, self.comparison) {
            _ if self.stopped.is_some() => Usable::Stopped,
            (Some(_), _) => Usable::NotYet,
            (None, Comparison::Worse) => Usable::Worse,
            (None, _) => Usable::Yes,
        };
        Alternative {
            action: self.action.clone(),
            tier: self.tier.number(),
            class: self.class,
            usable,
            not_before: self.not_before,
            stopped: self.stopped,
            figures: self.figures.clone(),
        }
    }
}

/// Those from the incident's tier on, by tier, in the order of the playbook; without one, those that are known, the
/// surest first.
pub(super) fn all(inputs: &RecommendationInputs<'_>) -> Vec<Candidate> {
    let waits = waits(inputs);
    let candidate = |(tier, action): (Tier, String)| {
        let class = inputs.classes.of(&action);
        let (comparison, figures) = figures(inputs, &action, class);
        Candidate {
            not_before: waits.get(&action).copied(),
            stopped: inputs.stopped.get(&action).copied(),
            action,
            tier,
            class,
            comparison,
            figures,
        }
    };
    match inputs.playbook {
        Some(playbook) => {
            let actions = playbook.each().filter(|(tier, _)| *tier >= inputs.tier);
            let actions = actions.map(|(tier, action)| (tier, action_name(action)));
            actions.map(candidate).collect()
        }
        None => {
            let known = [inputs.own, inputs.wider];
            let known = known.into_iter().flat_map(|known| known.actions.keys());
            let known: BTreeSet<&String> = known.collect();
            let of_class = known.into_iter().filter_map(|action| {
                let tier = inputs.classes.of(action)?.tier();
                (tier >= inputs.tier).then(|| (tier, action.clone()))
            });
            let mut found: Vec<Candidate> = of_class.map(candidate).collect();
            found.retain(|one| one.figures.is_some());
            found.sort_by(|a, b| a.tier.cmp(&b.tier).then(b.bound().total_cmp(&a.bound())));
            found
        }
    }
}

/// Until when each action waits that did not hold so often.
fn waits(inputs: &RecommendationInputs<'_>) -> BTreeMap<String, Timestamp> {
    let since = inputs.now.before(DAY);
    let mut times: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    for (action, at) in inputs.disproved.iter().filter(|(_, at)| *at > since) {
        times.entry(action).or_default().push(*at);
    }
    let waits = times.into_iter().filter_map(|(action, mut times)| {
        times.sort_unstable_by(|a, b| b.cmp(a));
        // When this one is older than a day, too few are younger.
        let last = times.get(ENOUGH - 1)?;
        Some((action.to_owned(), last.after(DAY)))
    });
    waits.collect()
}

/// The figures of the anomaly, if there are enough; else those of its alert name, if these are; else what there is.
fn figures(
    inputs: &RecommendationInputs<'_>,
    action: &str,
    class: Option<RepairClass>,
) -> (Comparison, Option<Figures>) {
    let of = |of, known| of_known(inputs, (of, known), action, class);
    let own = of(FiguresOf::Anomaly, inputs.own);
    let wider = of(FiguresOf::AlertName, inputs.wider);
    let all = [own, wider].into_iter().flatten();
    let all: Vec<_> = all.filter(|(_, found)| found.verdicts > 0).collect();
    let enough = all
        .iter()
        .find(|(comparison, _)| *comparison != Comparison::Unjudged);
    match enough.or_else(|| all.first()) {
        Some((comparison, found)) => (*comparison, Some(found.clone())),
        None => (Comparison::Unjudged, None),
    }
}

fn of_known(
    inputs: &RecommendationInputs<'_>,
    (of, known): (FiguresOf, &Known),
    action: &str,
    class: Option<RepairClass>,
) -> Option<(Comparison, Figures)> {
    let worth = Worth::of(known.actions.get(action)?, inputs.half_life, inputs.now);
    let quiet_ms = inputs.quiet_ms.get(&class).copied().unwrap_or_default();
    let (_, nothing) = for_quiet(&known.baselines, quiet_ms);
    let effective = worth.is_effective(nothing, inputs.min_verdicts);
    let share = worth.weighed_verified / worth.weighed_verdicts.max(f64::MIN_POSITIVE);
    let is_worse = worth.counted.verified == 0 || share < nothing.share();
    let comparison = match effective {
        Some(true) => Comparison::Better,
        Some(false) if is_worse => Comparison::Worse,
        Some(false) => Comparison::Even,
        // It held, and there is nothing to compare with.
        None if worth.is_judged(inputs.min_verdicts) => Comparison::Better,
        None => Comparison::Unjudged,
    };
    let figures = Figures {
        of,
        held: worth.counted.verified,
        verdicts: worth.counted.verdicts(),
        lower_bound: (worth.lower_bound * 1000.0).floor() / 1000.0,
        effective,
        nothing_held: nothing.held,
        nothing_episodes: nothing.episodes,
    };
    Some((comparison, figures))
}
