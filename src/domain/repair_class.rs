//! Classes of actions: how deep a repair goes.

use serde::{Deserialize, Serialize};

use super::effectiveness::action_name;
use super::routing::{List, Pattern};
use super::tier::Tier;

/// How deep a repair goes. An action that no class names has none.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RepairClass {
    /// It starts something again.
    Restart,
    /// It takes the pressure away: scale, roll back, shed load.
    Mitigate,
    /// It removes the cause.
    RootCause,
    /// It changes the design.
    Architecture,
}

impl RepairClass {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Restart,
        Self::Mitigate,
        Self::RootCause,
        Self::Architecture,
    ];

    /// The tier whose repairs go so deep.
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self {
            Self::Restart => Tier::Restart,
            Self::Mitigate => Tier::Mitigate,
            Self::RootCause => Tier::RootCause,
            Self::Architecture => Tier::Architecture,
        }
    }

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Mitigate => "mitigate",
            Self::RootCause => "root_cause",
            Self::Architecture => "architecture",
        }
    }
}

/// Which actions belong to each class: their names, or patterns with `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActionClasses {
    /// Restarts.
    pub restart: List<Pattern>,
    /// Mitigations.
    pub mitigate: List<Pattern>,
    /// Fixes of a cause.
    pub root_cause: List<Pattern>,
    /// Changes of the design.
    pub architecture: List<Pattern>,
}

impl ActionClasses {
    /// Each class with its actions, by depth.
    #[must_use]
    pub fn each(&self) -> [(RepairClass, &List<Pattern>); 4] {
        [
            (RepairClass::Restart, &self.restart),
            (RepairClass::Mitigate, &self.mitigate),
            (RepairClass::RootCause, &self.root_cause),
            (RepairClass::Architecture, &self.architecture),
        ]
    }

    /// The class of an action: the first, in the order of their depth, that names it.
    #[must_use]
    pub fn of(&self, action: &str) -> Option<RepairClass> {
        let name = action_name(action);
        let names = |patterns: &List<Pattern>| patterns.0.iter().any(|p| p.matches(&name));
        let mut named = self
            .each()
            .into_iter()
            .filter(|(_, patterns)| names(patterns));
        named.next().map(|(class, _)| class)
    }
}

impl Default for ActionClasses {
    fn default() -> Self {
        let list = |names: &[&str]| {
            let patterns = names.iter().map(|name| Pattern((*name).to_owned()));
            List(patterns.collect())
        };
        Self {
            restart: list(&["restart*", "reboot*"]),
            mitigate: list(&[
                "rollback*",
                "roll_back*",
                "scale*",
                "failover*",
                "clear_*",
                "drain*",
                "evict*",
            ]),
            root_cause: list(&["fix_*", "patch_*"]),
            architecture: list(&["redesign*"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_the_first_class_that_names_it() {
        let classes = ActionClasses::default();
        for (action, class) in [
            ("restart_pod", Some(RepairClass::Restart)),
            ("Restart Pod", Some(RepairClass::Restart)),
            ("rollback", Some(RepairClass::Mitigate)),
            ("fix_leak", Some(RepairClass::RootCause)),
            ("prayed", None),
        ] {
            assert_eq!(classes.of(action), class, "{action}");
        }
        let own: ActionClasses = serde_json::from_value(serde_json::json!({
            "mitigate": "rollback", "architecture": ["move_*"],
        }))
        .unwrap();
        assert_eq!(own.of("restart_pod"), Some(RepairClass::Restart));
        assert_eq!(own.of("scale_up"), None);
        assert_eq!(own.of("move_to_queue"), Some(RepairClass::Architecture));
    }
}
