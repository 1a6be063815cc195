//! Playbooks: what to do about an alert, by tier.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::effectiveness::action_name;
use super::routing::{List, Pattern};
use super::tier::Tier;

/// The longest name.
const NAME: usize = 100;
/// The most actions of a playbook.
const ACTIONS: usize = 50;

/// What to do about the alerts that it matches. What it does not name matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Playbook {
    /// Its name.
    pub name: String,
    /// The alert's name.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub alert_name: List<Pattern>,
    /// The anomaly's service.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub service: List<Pattern>,
    /// The anomaly's namespace.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub namespace: List<Pattern>,
    /// The anomaly's error type.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub error_type: List<Pattern>,
    /// Actions of tier 1, the first to try first.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub tier_1: List<String>,
    /// Actions of tier 2.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub tier_2: List<String>,
    /// Actions of tier 3.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub tier_3: List<String>,
    /// Actions of tier 4.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub tier_4: List<String>,
}

/// What of an anomaly playbooks are chosen by.
#[derive(Clone, Copy, Debug)]
pub struct PlaybookKey<'a> {
    /// The alert's name.
    pub alert_name: &'a str,
    /// Its service.
    pub service: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its error type.
    pub error_type: &'a str,
}

/// The conditions of what is for some anomalies: of a playbook, or of a hook.
#[derive(Clone, Copy, Debug)]
pub struct Matchers<'a> {
    /// The alert's name.
    pub alert_name: &'a List<Pattern>,
    /// Service, namespace and error type.
    pub others: [&'a List<Pattern>; 3],
}

impl Matchers<'_> {
    /// Whether they match such an anomaly.
    #[must_use]
    pub fn matches(self, of: PlaybookKey<'_>) -> bool {
        let [service, namespace, error_type] = self.others;
        self.alert_name.matches(of.alert_name)
            && service.matches(of.service)
            && namespace.matches(of.namespace)
            && error_type.matches(of.error_type)
    }

    /// How closely they are meant for what they match: those that spell the alert's name out are closer than those with
    /// a pattern, and these than those for all; then by how many other conditions there are.
    #[must_use]
    pub fn closeness(self, of: PlaybookKey<'_>) -> (u8, usize) {
        let spells = self.alert_name.0.iter().any(|p| p.0 == of.alert_name);
        let by_name = match (spells, self.alert_name.is_empty()) {
            (true, _) => 2,
            (false, false) => 1,
            (false, true) => 0,
        };
        let others = self.others.into_iter().filter(|list| !list.is_empty());
        (by_name, others.count())
    }

    /// What is wrong with them, if anything.
    pub(crate) fn check(self) -> Result<(), String> {
        let all = [self.alert_name].into_iter().chain(self.others);
        let mut patterns = all.flat_map(|list| &list.0);
        match patterns.any(|pattern| pattern.0.trim().is_empty()) {
            true => Err("a name or pattern must not be empty".to_owned()),
            false => Ok(()),
        }
    }
}

impl Playbook {
    /// The actions of a tier.
    #[must_use]
    pub const fn actions(&self, tier: Tier) -> &List<String> {
        match tier {
            Tier::Restart => &self.tier_1,
            Tier::Mitigate => &self.tier_2,
            Tier::RootCause => &self.tier_3,
            Tier::Architecture => &self.tier_4,
        }
    }

    /// The actions of a tier, to change them.
    pub const fn actions_mut(&mut self, tier: Tier) -> &mut List<String> {
        match tier {
            Tier::Restart => &mut self.tier_1,
            Tier::Mitigate => &mut self.tier_2,
            Tier::RootCause => &mut self.tier_3,
            Tier::Architecture => &mut self.tier_4,
        }
    }

    /// Every action with its tier, in their order.
    pub fn each(&self) -> impl Iterator<Item = (Tier, &str)> {
        let of = |tier| {
            self.actions(tier)
                .0
                .iter()
                .map(move |action| (tier, action.as_str()))
        };
        Tier::ALL.into_iter().flat_map(of)
    }

    /// With its actions as they are recorded ([`action_name`]).
    #[must_use]
    pub fn named(mut self) -> Self {
        for tier in Tier::ALL {
            for action in &mut self.actions_mut(tier).0 {
                *action = action_name(action);
            }
        }
        self
    }

    /// Whether it is for such an anomaly.
    #[must_use]
    pub fn matches(&self, of: PlaybookKey<'_>) -> bool {
        self.matchers().matches(of)
    }

    const fn matchers(&self) -> Matchers<'_> {
        Matchers {
            alert_name: &self.alert_name,
            others: [&self.service, &self.namespace, &self.error_type],
        }
    }

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || self.name.len() > NAME || !self.name.chars().all(is_plain) {
            return Err(format!(
                "name must be 1 to {NAME} letters, digits, dots, dashes and underscores"
            ));
        }
        self.matchers().check()?;
        let mut known = BTreeSet::new();
        for (_, action) in self.each() {
            if action.trim().is_empty() {
                return Err("an action must have a name".to_owned());
            }
            if action.chars().count() > NAME {
                return Err(format!("an action has at most {NAME} characters"));
            }
            if !known.insert(action_name(action)) {
                return Err(format!("{action} is there twice: an action has one place"));
            }
        }
        match known.len() {
            0 => Err("it has no action: set tier_1, tier_2, tier_3 or tier_4".to_owned()),
            n if n > ACTIONS => Err(format!("a playbook has at most {ACTIONS} actions")),
            _ => Ok(()),
        }
    }
}

/// Of the playbooks that match, the one that is meant most closely; of equal ones the first.
#[must_use]
pub fn closest<'a, T>(
    all: impl IntoIterator<Item = &'a T>,
    of: PlaybookKey<'_>,
    playbook: impl Fn(&T) -> &Playbook,
) -> Option<&'a T> {
    let matching = all.into_iter().filter(|one| playbook(one).matches(of));
    // Of equal ones `min_by_key` takes the first.
    matching.min_by_key(|one| Reverse(playbook(one).matchers().closeness(of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Playbook {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_closest_playbook_is_taken() {
        use serde_json::json;
        let all = [
            read(json!({"name": "all", "tier_1": "restart_pod"})),
            read(json!({"name": "web", "service": "web", "tier_1": "restart_pod"})),
            read(json!({"name": "pods", "alert_name": "KubePod*", "tier_1": "restart_pod"})),
            read(json!({"name": "loop", "alert_name": ["X", "KubePodLoop"], "tier_1": "rollback"})),
            read(json!({"name": "again", "alert_name": "KubePodLoop", "tier_1": "rollback"})),
            read(
                json!({"name": "in-prod", "alert_name": "KubePodLoop", "namespace": "prod",
                        "tier_1": "rollback"}),
            ),
        ];
        for (alert_name, service, namespace, expected) in [
            ("Disk", "db", "prod", "all"),
            ("Disk", "web", "prod", "web"),
            ("KubePodSlow", "web", "prod", "pods"),
            ("KubePodLoop", "web", "dev", "loop"),
            ("KubePodLoop", "web", "prod", "in-prod"),
        ] {
            let of = PlaybookKey {
                alert_name,
                service,
                namespace,
                error_type: "",
            };
            let found = closest(&all, of, |playbook| playbook).unwrap();
            assert_eq!(found.name, expected, "{alert_name} {service} {namespace}");
        }
    }

    #[test]
    fn a_playbook_has_a_name_and_each_action_once() {
        use serde_json::json;
        for (given, wrong) in [
            (json!({"name": "a", "tier_1": "restart_pod"}), None),
            (json!({"name": "", "tier_1": "x"}), Some("name")),
            (json!({"name": "a b", "tier_1": "x"}), Some("name")),
            (json!({"name": "a"}), Some("no action")),
            (
                json!({"name": "a", "tier_2": [" "]}),
                Some("must have a name"),
            ),
            (
                json!({"name": "a", "tier_1": "Restart Pod", "tier_3": "restart_pod"}),
                Some("twice"),
            ),
            (
                json!({"name": "a", "alert_name": "", "tier_1": "x"}),
                Some("pattern"),
            ),
        ] {
            let found = read(given.clone()).check();
            let is_as_expected = match (&found, wrong) {
                (Ok(()), None) => true,
                (Err(why), Some(wrong)) => why.contains(wrong),
                _ => false,
            };
            assert!(is_as_expected, "{given}: {found:?}");
        }
    }
}
