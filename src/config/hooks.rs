//! Hooks: executors that Tocsin asks to run the recommended action.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::channels;
use super::webhooks::{is_guessable, key};
use super::{Secret, Span};
use crate::domain::execution::Mode;
use crate::domain::playbook::{Matchers, PlaybookKey};
use crate::domain::routing::{List, Pattern};
use crate::domain::tier::Tier;

/// An executor must have this long to report, and no longer than an incident is of interest.
const WITHIN: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(86_400);

/// An executor, and what it is asked to run. What it does not name matches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Where it is asked. A secret: often anybody who knows it can have actions run there.
    pub url: Secret,
    /// What requests are signed with, as those of `webhooks` are.
    pub secret: Secret,
    /// The alert's name.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub alert_name: List<Pattern>,
    /// The anomaly's service.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub service: List<Pattern>,
    /// The anomaly's namespace.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub namespace: List<Pattern>,
    /// The anomaly's error type.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub error_type: List<Pattern>,
    /// Actions of these tiers; 1 and 2 at most.
    #[serde(default = "shallow")]
    pub tiers: Vec<i32>,
    /// Whether it is asked at once, or after a person's click.
    #[serde(default)]
    pub mode: Mode,
    /// How many executions of one anomaly it may be asked for in an hour.
    #[serde(default = "per_hour")]
    pub per_hour: u32,
    /// How long it may take to report: that it started, after it was asked; that it finished, after it started.
    #[serde(default = "within")]
    pub within: Span,
}

/// The tiers whose actions a machine may run: deeper ones need a person.
fn shallow() -> Vec<i32> {
    vec![Tier::Restart.number(), Tier::Mitigate.number()]
}

const fn per_hour() -> u32 {
    2
}

fn within() -> Span {
    Span::secs(30 * 60)
}

impl Hook {
    /// Secrets that may be in a file of their own.
    pub(super) const SECRETS: [&'static str; 2] =
        ["repairs__hooks__NAME__url", "repairs__hooks__NAME__secret"];

    /// Whether it may be asked to run actions of this tier.
    #[must_use]
    pub fn takes(&self, tier: i32) -> bool {
        self.tiers.contains(&tier)
    }

    /// The key that requests are signed with.
    ///
    /// # Errors
    /// The secret cannot be read as what it begins like, or is empty. It is not part of the error.
    pub fn key(&self) -> Result<Vec<u8>, &'static str> {
        key(&self.secret)
    }

    const fn matchers(&self) -> Matchers<'_> {
        Matchers {
            alert_name: &self.alert_name,
            others: [&self.service, &self.namespace, &self.error_type],
        }
    }

    fn check(&self) -> Result<(), String> {
        channels::check_url("url", &self.url)?;
        self.key().map_err(|why| format!("secret {why}"))?;
        self.matchers().check().map_err(|wrong| wrong.to_string())?;
        if self.tiers.is_empty() {
            return Err("tiers must not be empty: give 1, 2 or both".to_owned());
        }
        let deep = |tier: &&i32| !shallow().contains(tier);
        if let Some(tier) = self.tiers.iter().find(deep) {
            return Err(format!(
                "tiers must be 1 or 2, not {tier}: only restarts and mitigations are run by machines; root causes \
                 and architecture are for people"
            ));
        }
        if self.per_hour == 0 {
            return Err("per_hour must be at least 1".to_owned());
        }
        match WITHIN.contains(&self.within.0) {
            true => Ok(()),
            false => Err("within must be from 1m to 24h".to_owned()),
        }
    }
}

/// The hook for actions of a tier on such an anomaly: the one that is meant most closely, of equal ones the first by
/// name.
#[must_use]
pub fn hook_for<'a>(
    hooks: &'a BTreeMap<String, Hook>,
    of: PlaybookKey<'_>,
    tier: i32,
) -> Option<(&'a str, &'a Hook)> {
    let fits = |(_, hook): &(&String, &Hook)| hook.takes(tier) && hook.matchers().matches(of);
    let fitting = hooks.iter().filter(fits);
    let closest = fitting.min_by_key(|(_, hook)| std::cmp::Reverse(hook.matchers().closeness(of)));
    closest.map(|(name, hook)| (name.as_str(), hook))
}

/// Whether they can be used; else which of them cannot, and why.
pub(super) fn check(hooks: &BTreeMap<String, Hook>) -> Result<(), String> {
    channels::check_sections("repairs.hooks", hooks, Hook::check)
}

/// The names of those whose secret can be guessed.
pub(super) fn guessable(hooks: &BTreeMap<String, Hook>) -> impl Iterator<Item = &String> {
    let short = hooks.iter().filter(|(_, hook)| is_guessable(&hook.secret));
    short.map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load;

    const ONE: &str =
        "[repairs.hooks.pods]\nurl = 'https://rundeck/hook'\nsecret = 'planted-0123456789'\n";

    #[test]
    fn hooks_are_off_by_default_and_wait_for_a_person() {
        assert!(load("", &[]).unwrap().repairs.hooks.is_empty());
        let config = load(ONE, &[]).unwrap();
        let hook = &config.repairs.hooks["pods"];
        assert_eq!((hook.mode, hook.per_hour), (Mode::Suggest, 2));
        assert_eq!((&hook.tiers[..], hook.within), (&[1, 2][..], within()));
        assert!(!format!("{config:?}").contains("planted"));
    }

    #[test]
    fn tiers_that_are_for_people_are_refused() {
        for (more, wrong) in [
            ("tiers = [1, 3]", "tiers must be 1 or 2, not 3"),
            ("tiers = [4]", "for people"),
            ("tiers = []", "tiers must not be empty"),
            ("per_hour = 0", "per_hour must be at least 1"),
            ("within = '5s'", "within must be from 1m to 24h"),
            ("alert_name = ''", "must not be empty"),
            ("mode = 'maybe'", "maybe"),
        ] {
            let refused = load(&format!("{ONE}{more}\n"), &[]).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains(wrong), "{refused}");
        }
        let no_secret = "[repairs.hooks.pods]\nurl = 'https://rundeck/hook'\n";
        let refused = load(no_secret, &[]).unwrap_err().to_string();
        assert!(refused.contains("secret"), "{refused}");
    }

    #[test]
    fn the_closest_hook_that_takes_the_tier_is_taken() {
        let hooks = format!(
            "{ONE}alert_name = 'KubePod*'\n{}tiers = [2]\n{}alert_name = 'KubePodLoop'\ntiers = [1]\n",
            ONE.replace("pods", "any"),
            ONE.replace("pods", "loop"),
        );
        let hooks = load(&hooks, &[]).unwrap().repairs.hooks;
        for (alert_name, tier, expected) in [
            ("KubePodLoop", 1, Some("loop")),
            ("KubePodLoop", 2, Some("pods")),
            ("KubePodSlow", 1, Some("pods")),
            ("Disk", 2, Some("any")),
            ("Disk", 1, None),
            ("KubePodLoop", 3, None),
        ] {
            let of = PlaybookKey {
                alert_name,
                service: "web",
                namespace: "prod",
                error_type: "",
            };
            let found = hook_for(&hooks, of, tier).map(|(name, _)| name);
            assert_eq!(found, expected, "{alert_name} {tier}");
        }
    }
}
