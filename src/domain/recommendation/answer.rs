//! A recommendation as it is given.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::reason::{LevelRule, TierRule};
use crate::domain::repair_class::RepairClass;
use crate::domain::verdict::Baseline;
use crate::time::Timestamp;

/// What to do next about an incident, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recommendation {
    /// The action; null: none (`rule` says why).
    pub action: Option<String>,
    /// The tier of the action, 1 to 4: that of the incident, or a deeper one.
    #[schema(minimum = 1, maximum = 4)]
    pub tier: i32,
    /// By which rule.
    pub rule: Rule,
    /// The name of the playbook that it is from; null: no playbook matches.
    pub playbook: Option<String>,
    /// How often the action held; with the rule `wait`, how often nothing did. Null if nothing is known.
    pub figures: Option<Figures>,
    /// Why it is this tier.
    pub why: Why,
    /// The other actions of this tier and of those between it and the incident's, and deeper ones.
    pub alternatives: Vec<Alternative>,
}

/// By which rule an action is recommended, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RecommendationRule)]
pub enum Rule {
    /// It does better than doing nothing.
    Held,
    /// It is the first of its playbook's tier of which nothing else is known.
    InOrder,
    /// The alarm mostly ends by itself, and no action is known to do better.
    Wait,
    /// None is left: each did not hold twice within 24 hours, does worse than doing nothing, or is stopped.
    NoneLeft,
    /// No playbook matches, and no action is known to hold.
    NoneKnown,
}

/// What figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FiguresOf {
    /// The anomaly.
    Anomaly,
    /// All anomalies with its alert name, since too little is known of it alone.
    AlertName,
}

/// How often an action held, beside what happens with nothing done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RecommendationFigures)]
pub struct Figures {
    /// Of what.
    pub of: FiguresOf,
    /// Verified repairs.
    pub held: i64,
    /// Verified and disproved repairs.
    pub verdicts: i64,
    /// The least share that is likely to hold, from 0 to 1.
    pub lower_bound: f64,
    /// Whether it does better than doing nothing; null with fewer verdicts than `effectiveness.min_verdicts`, and if
    /// it held but there is nothing to compare it with.
    pub effective: Option<bool>,
    /// Episodes that ended with nothing done and after which it stayed quiet.
    pub nothing_held: i64,
    /// Episodes that ended with nothing done.
    pub nothing_episodes: i64,
}

impl Figures {
    /// What happens with nothing done.
    #[must_use]
    pub const fn nothing(&self) -> Baseline {
        Baseline {
            episodes: self.nothing_episodes,
            held: self.nothing_held,
        }
    }
}

/// Why a tier is recommended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RecommendationWhy)]
pub struct Why {
    /// Why the incident has its tier.
    pub tier: Option<TierRule>,
    /// Why its anomaly has its level, where the tier follows from that.
    pub level: Option<LevelRule>,
    /// The permanent fix that did not hold.
    pub fix: Option<FailedFix>,
    /// The incident's tier, if nothing of it is left to recommend.
    pub raised_from: Option<i32>,
    /// What was tried on the anomaly last, up to three actions.
    pub tried: Vec<Tried>,
    /// Actions that are passed over because they are stopped.
    pub stopped: Vec<StoppedAction>,
}

/// A permanent fix that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedFix {
    /// Where it is described.
    pub reference: Option<String>,
    /// When it was marked.
    pub fixed_at: Timestamp,
    /// When the first firing after it began; null if that is not kept any more.
    pub fired_at: Option<Timestamp>,
    /// How long it held, in milliseconds.
    pub held_ms: Option<i64>,
}

/// An action that was tried on the anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriedAction)]
pub struct Tried {
    /// The action.
    pub action: String,
    /// Repairs that finished.
    pub attempts: i64,
    /// Verified ones.
    pub held: i64,
    /// Verified and disproved ones.
    pub verdicts: i64,
}

/// Verdicts in a row, over all anomalies, that an action did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DisprovedStreak)]
pub struct Streak {
    /// How many, of the newest `repairs.breaker`.
    pub in_a_row: i64,
    /// When the last of these repairs finished.
    pub last_at: Timestamp,
}

/// An action that is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoppedAction {
    /// The action.
    pub action: String,
    /// How many verdicts in a row are that it did not hold, of the newest `repairs.breaker` over all anomalies.
    pub in_a_row: i64,
    /// When the last of these repairs finished.
    pub last_at: Timestamp,
}

/// Whether an action may be recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ActionUsable)]
pub enum Usable {
    /// It may.
    Yes,
    /// It did not hold twice within 24 hours.
    NotYet,
    /// It does worse than doing nothing.
    Worse,
    /// It is stopped: it did not hold `repairs.breaker` times in a row, on any anomalies. It may when it held once, or a
    /// person allows it.
    Stopped,
}

/// Another action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RecommendationAlternative)]
pub struct Alternative {
    /// The action.
    pub action: String,
    /// Its tier.
    #[schema(minimum = 1, maximum = 4)]
    pub tier: i32,
    /// Its class (`repairs.actions`); null if none names it.
    pub class: Option<RepairClass>,
    /// Whether it may be recommended.
    pub usable: Usable,
    /// When it may be recommended again, if it did not hold twice within 24 hours.
    pub not_before: Option<Timestamp>,
    /// Why it is stopped, if it is.
    pub stopped: Option<Streak>,
    /// How often it held; null if nothing is known.
    pub figures: Option<Figures>,
}
