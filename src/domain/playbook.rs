//! Playbooks: what to do about an alert, by tier.

mod history;
pub mod proposal;
mod written;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::effectiveness::action_name;
use super::routing::{List, Pattern};
use super::tier::Tier;
pub use history::{Origin, ProposalState, State};
pub use proposal::{Held, Judged};
pub use written::{Change, Line, changes, lines, read, read_all, written};

/// The longest name.
const NAME: usize = 100;
/// The most actions of a playbook.
const ACTIONS: usize = 50;

/// What to do about the alerts that it matches. What it does not name matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = PlaybookDefinition)]
pub struct Playbook {
    /// Its name: letters, digits, dots, dashes and underscores.
    #[schema(max_length = 100, pattern = "^[A-Za-z0-9._-]*$")]
    pub name: String,
    /// The alert's name.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub alert_name: List<Pattern>,
    /// The anomaly's service.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub service: List<Pattern>,
    /// The anomaly's namespace.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub namespace: List<Pattern>,
    /// The anomaly's error type.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub error_type: List<Pattern>,
    /// Actions of tier 1, the first to try first.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub tier_1: List<String>,
    /// Actions of tier 2.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub tier_2: List<String>,
    /// Actions of tier 3.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub tier_3: List<String>,
    /// Actions of tier 4.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
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

impl<'a> Matchers<'a> {
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

    /// The conditions, each with its field.
    pub(crate) fn each(self) -> [(&'static str, &'a List<Pattern>); 4] {
        let [service, namespace, error_type] = self.others;
        [
            ("alert_name", self.alert_name),
            ("service", service),
            ("namespace", namespace),
            ("error_type", error_type),
        ]
    }

    /// What is wrong with them, if anything.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub(crate) fn check(self) -> Result<(), Wrong> {
        for (field, list) in self.each() {
            for pattern in &list.0 {
                if pattern.0.trim().is_empty() {
                    return Err(Wrong::new(field, "a name or pattern must not be empty"));
                }
                if pattern.0.chars().any(char::is_control) {
                    return Err(Wrong::new(field, "a name or pattern is one line of text"));
                }
            }
        }
        Ok(())
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

    /// Whether a playbook may be called so.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // An address that ends with dots alone leads elsewhere.
        name.len() <= NAME && name.chars().all(is_plain) && !name.chars().all(|c| c == '.')
    }

    /// Whether it is for such an anomaly.
    #[must_use]
    pub fn matches(&self, of: PlaybookKey<'_>) -> bool {
        self.matchers().matches(of)
    }

    pub(crate) const fn matchers(&self) -> Matchers<'_> {
        Matchers {
            alert_name: &self.alert_name,
            others: [&self.service, &self.namespace, &self.error_type],
        }
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), Wrong> {
        if !Self::is_name(&self.name) {
            let what = format!(
                "must be 1 to {NAME} letters, digits, dots, dashes and underscores, and not dots alone"
            );
            return Err(Wrong::new("name", what));
        }
        self.matchers().check()?;
        let mut known = BTreeSet::new();
        for (tier, action) in self.each() {
            let wrong = |what: String| Err(Wrong::new(field_of(tier), what));
            if action.trim().is_empty() {
                return wrong("an action must have a name".to_owned());
            }
            if action.chars().count() > NAME || action.trim().chars().any(char::is_control) {
                return wrong(format!(
                    "an action is one line of at most {NAME} characters"
                ));
            }
            if !known.insert(action_name(action)) {
                return wrong(format!("{action} is there twice: an action has one place"));
            }
        }
        match known.len() {
            0 => Err(Wrong::new(
                "tier_1",
                "there is no action: set tier_1, tier_2, tier_3 or tier_4",
            )),
            n if n > ACTIONS => Err(Wrong::new(
                "tier_1",
                format!("a playbook has at most {ACTIONS} actions in all tiers"),
            )),
            _ => Ok(()),
        }
    }
}

/// What is wrong with a playbook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Wrong {
    /// In which field.
    pub field: &'static str,
    what: String,
}

impl Wrong {
    fn new(field: &'static str, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { field, what }
    }
}

/// The field of a tier.
const fn field_of(tier: Tier) -> &'static str {
    match tier {
        Tier::Restart => "tier_1",
        Tier::Mitigate => "tier_2",
        Tier::RootCause => "tier_3",
        Tier::Architecture => "tier_4",
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
mod tests;
