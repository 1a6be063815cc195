//! Expectations of a scenario, compared with the state.

use std::fmt::Display;

use toml::Spanned;

use super::instance::Instance;
use super::scenario::{Expect, Expected};
use super::state::{Effectiveness, Incident, Recommendation, State};

/// What was sent so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) messages: usize,
    pub(super) last: String,
}

/// One expectation that was checked, and what is true instead if it does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) what: String,
    pub(super) instead: Option<String>,
}

/// Looks at all that is expected. `key` is that of the anomaly it is about, if the scenario names one or there is one
/// alert only; the newest incident's otherwise.
pub(super) async fn check(
    expect: &Expect,
    key: Option<&str>,
    (instance, state, sent): (&Instance, &State, &Sent),
) -> anyhow::Result<Vec<Checked>> {
    let mut checks = Checks(Vec::new());
    let of_key = |incident: &&Incident| {
        expect.alert.is_none() || key.is_none_or(|key| incident.anomaly_key == key)
    };
    let incidents: Vec<&Incident> = state.incidents.iter().filter(of_key).collect();
    checks.equal("incidents", &expect.incidents, Some(&incidents.len()));
    let unresolved = incidents.iter().filter(|incident| incident.is_open());
    checks.equal("unresolved", &expect.unresolved, Some(&unresolved.count()));
    checks.equal("messages", &expect.messages, Some(&sent.messages));
    checks.contains("last_message", &expect.last_message, Some(&sent.last));
    let newest = match key {
        Some(key) => state.newest(key),
        None => state.incidents.last(),
    };
    checks.equal_by("status", &expect.status, newest.map(|i| &i.status), |s| {
        written(s)
    });
    checks.equal(
        "firings",
        &expect.firings,
        newest.map(|i| &i.aggregated_count),
    );
    let level = newest.map(|incident| &incident.escalation_level);
    checks.equal_by("level", &expect.level, level, |l| l.name().to_owned());
    let reason = newest.and_then(|incident| incident.escalation_reason.as_ref());
    checks.contains("level_reason", &expect.level_reason, reason);
    let tier = newest.and_then(|incident| incident.tier.as_ref());
    checks.equal("tier", &expect.tier, tier);
    let reason = newest.and_then(|incident| incident.tier_reason.as_ref());
    checks.contains("tier_reason", &expect.tier_reason, reason);
    if let Some(newest) = newest.filter(|_| expect.recommended.is_some()) {
        let found = Recommendation::of(instance, newest.id).await?;
        let found = found.map(|found| match (found.action, &*found.rule) {
            (Some(action), _) => action,
            (None, "wait") => "wait".to_owned(),
            (None, _) => "none".to_owned(),
        });
        let found = found.unwrap_or_else(|| "none".to_owned());
        checks.equal("recommended", &expect.recommended, Some(&found));
    }
    let key = newest.map(|incident| incident.anomaly_key.as_str());
    let repairs = state.repairs.iter().rev();
    let mut repairs = repairs.filter(|repair| Some(repair.anomaly_key.as_str()) == key);
    let verdict = repairs.next().and_then(|repair| repair.verdict.as_ref());
    checks.equal_by("verdict", &expect.verdict, verdict, |v| v.name().to_owned());
    if let Some(key) = key.filter(|_| expect.held.is_some() || !expect.effective.is_empty()) {
        let worth = Effectiveness::of(instance, key).await?;
        checks.contains("held", &expect.held, Some(&worth.summary));
        for (action, expected) in &expect.effective {
            let found = worth.actions.iter().find(|a| a.action == *action);
            let found = found.and_then(|action| action.effective.as_ref());
            let expected = Some(expected.clone());
            checks.equal(&format!("effective.{action}"), &expected, found);
        }
    }
    Ok(checks.0)
}

struct Checks(Vec<Checked>);

impl Checks {
    fn equal<T: PartialEq + Display>(
        &mut self,
        name: &str,
        expected: &Expected<T>,
        found: Option<&T>,
    ) {
        self.equal_by(name, expected, found, ToString::to_string);
    }

    fn equal_by<T: PartialEq>(
        &mut self,
        name: &str,
        expected: &Expected<T>,
        found: Option<&T>,
        write: impl Fn(&T) -> String,
    ) {
        let Some(expected) = expected.as_ref().map(Spanned::get_ref) else {
            return;
        };
        let instead = match found {
            Some(found) if found == expected => None,
            Some(found) => Some(write(found)),
            None => Some("nothing".to_owned()),
        };
        self.0.push(Checked {
            what: format!("{name} = {}", write(expected)),
            instead,
        });
    }

    fn contains(&mut self, name: &str, expected: &Expected<String>, found: Option<&String>) {
        let Some(expected) = expected.as_ref().map(Spanned::get_ref) else {
            return;
        };
        let found = found.map_or("", String::as_str);
        self.0.push(Checked {
            what: format!("{name} says {expected:?}"),
            instead: (!found.contains(expected.as_str())).then(|| format!("{found:?}")),
        });
    }
}

fn written(value: &impl serde::Serialize) -> String {
    let written = serde_json::to_value(value).unwrap_or_default();
    written.as_str().unwrap_or_default().to_owned()
}
