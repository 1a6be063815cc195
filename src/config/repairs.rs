//! The settings of repairs, and of how they are judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Hook, Span, channels, hooks};
use crate::domain::repair_class::{ActionClasses, RepairClass};
use crate::domain::routing::{List, Pattern};

/// A verdict is given while firings are kept: within a third of the least time for that.
const LONGEST_QUIET: Duration = Duration::from_secs(7 * 86_400);
/// Shorter, nothing could have fired again.
const SHORTEST_QUIET: Duration = Duration::from_secs(1);
/// So many verdicts of each action are read whenever one is recommended.
const MOST_IN_A_ROW: u32 = 20;

/// What repairs are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepairSettings {
    /// Time after which a repair that was started and not finished is shown as unfinished.
    pub unfinished: Span,
    /// Which actions belong to each class.
    pub actions: ActionClasses,
    /// An action whose last verdicts, this many, are all that it did not hold, is stopped. 0: none is.
    pub breaker: u32,
    /// Executors that are asked to run the recommended action, by name.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "channels::read_sections"
    )]
    pub hooks: BTreeMap<String, Hook>,
}

impl Default for RepairSettings {
    fn default() -> Self {
        Self {
            unfinished: Span::secs(3600),
            actions: ActionClasses::default(),
            breaker: 3,
            hooks: BTreeMap::new(),
        }
    }
}

impl RepairSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.unfinished.0.is_zero() {
            return Err("repairs.unfinished must be longer than 0s".to_owned());
        }
        if self.breaker > MOST_IN_A_ROW {
            return Err(format!("repairs.breaker must be at most {MOST_IN_A_ROW}"));
        }
        hooks::check(&self.hooks)?;
        let empty = |pattern: &Pattern| pattern.0.trim().is_empty();
        let mut classes = self.actions.each().into_iter();
        match classes.find(|(_, patterns)| patterns.0.iter().any(empty)) {
            Some((class, _)) => Err(format!(
                "repairs.actions.{}: a name or pattern must not be empty",
                class.name()
            )),
            None => Ok(()),
        }
    }
}

/// How repairs are judged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EffectivenessSettings {
    /// For how long an anomaly must stay quiet after a repair.
    pub quiet: Span,
    /// Other quiet times; the first that matches holds.
    pub rules: Vec<QuietRule>,
    /// A verdict that is older by this counts half. Zero: all count alike.
    pub half_life: Span,
    /// With fewer verdicts nothing is said of an action.
    pub min_verdicts: u32,
    /// Whether stored playbooks are changed by what held without a person.
    pub auto_update: bool,
}

impl Default for EffectivenessSettings {
    fn default() -> Self {
        Self {
            quiet: Span::secs(30 * 60),
            rules: Vec::new(),
            half_life: Span::secs(90 * 86_400),
            min_verdicts: 3,
            auto_update: false,
        }
    }
}

/// A quiet time of its own. What it does not name matches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietRule {
    /// The quiet time.
    pub quiet: Span,
    /// For actions of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<RepairClass>,
    /// The alert's name.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub alert_name: List<Pattern>,
    /// The anomaly's service.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub service: List<Pattern>,
    /// The anomaly's namespace.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub namespace: List<Pattern>,
}

/// What of an anomaly quiet times are chosen by.
#[derive(Clone, Copy, Debug)]
pub struct QuietOf<'a> {
    /// The alert's name.
    pub alert_name: &'a str,
    /// Its service.
    pub service: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
}

impl EffectivenessSettings {
    /// How long an anomaly must stay quiet after an action of this class.
    #[must_use]
    pub fn quiet(&self, of: QuietOf<'_>, class: Option<RepairClass>) -> Duration {
        let matches = |rule: &&QuietRule| {
            rule.class.is_none_or(|needed| class == Some(needed))
                && rule.alert_name.matches(of.alert_name)
                && rule.service.matches(of.service)
                && rule.namespace.matches(of.namespace)
        };
        let rule = self.rules.iter().find(matches);
        rule.map_or(self.quiet, |rule| rule.quiet).0
    }

    /// Every quiet time that an action on an anomaly can have.
    #[must_use]
    pub fn quiets(&self, of: QuietOf<'_>) -> BTreeSet<Duration> {
        let classes = RepairClass::ALL.map(Some).into_iter().chain([None]);
        classes.map(|class| self.quiet(of, class)).collect()
    }

    /// The shortest and the longest quiet time of all.
    #[must_use]
    pub fn bounds(&self) -> (Duration, Duration) {
        let all = self.rules.iter().map(|rule| rule.quiet.0);
        all.fold((self.quiet.0, self.quiet.0), |(least, most), quiet| {
            (least.min(quiet), most.max(quiet))
        })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let rules = self.rules.iter().map(|rule| ("effectiveness.rules", rule));
        let quiets = rules.map(|(name, rule)| (name, rule.quiet.0));
        for (name, quiet) in quiets.chain([("effectiveness.quiet", self.quiet.0)]) {
            if !(SHORTEST_QUIET..=LONGEST_QUIET).contains(&quiet) {
                return Err(format!("{name}: a quiet time must be from 1s to 7d"));
            }
        }
        if self.min_verdicts == 0 {
            return Err("effectiveness.min_verdicts must be at least 1".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_gives_the_quiet_time() {
        let settings: EffectivenessSettings = serde_json::from_value(serde_json::json!({
            "rules": [
                {"quiet": "2h", "alert_name": "Disk*", "class": "mitigate"},
                {"quiet": "1d", "class": "architecture"},
                {"quiet": "5m", "service": ["cache", "web"]},
            ],
        }))
        .unwrap();
        let of = |alert_name, service| QuietOf {
            alert_name,
            service,
            namespace: "prod",
        };
        let minutes = |of, class| settings.quiet(of, class).as_secs() / 60;
        for (alert_name, service, class, expected) in [
            ("DiskFull", "db", Some(RepairClass::Mitigate), 120),
            ("DiskFull", "db", Some(RepairClass::Restart), 30),
            ("DiskFull", "cache", None, 5),
            ("Slow", "web", Some(RepairClass::Architecture), 1440),
        ] {
            let of = of(alert_name, service);
            assert_eq!(minutes(of, class), expected, "{alert_name} {class:?}");
        }
        let bounds = (Duration::from_secs(300), Duration::from_secs(86_400));
        assert_eq!(settings.bounds(), bounds);
        assert_eq!(settings.quiets(of("Slow", "db")).len(), 2);
    }
}
