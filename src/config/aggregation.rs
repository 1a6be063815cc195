//! What aggregation obeys.

use super::Config;
use crate::domain::aggregation::Policy;
use crate::domain::level::Rises;

impl Config {
    /// What aggregation obeys.
    #[must_use]
    pub fn aggregation_policy(&self) -> Policy {
        let rules = self.escalation.rules.iter();
        let rules: Vec<_> = rules.map(|rule| (rule.level, rule.incidents)).collect();
        Policy {
            unit: self.counting.unit,
            skew: self.counting.skew.0,
            window: self.aggregation.window.0,
            until: self.aggregation.until,
            auto_resolve: self.aggregation.auto_resolve,
            open_for: self.escalation.open_for.0,
            analyze: self.analysis.enabled,
            rises: Rises::of(&rules),
            figures: self.escalation.figures.0,
        }
    }
}
