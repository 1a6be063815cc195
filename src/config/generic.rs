//! `[sources.generic.NAME]`: where in the JSON of a sender of any kind its alerts are, and what is in them.

mod preset;
mod template;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Secret;
use super::sources::{Section, check_header, check_secret, is_short};
use crate::domain::routing::Pattern;
pub use preset::PRESETS;
pub use template::{Part, Pointer, Template, Templates, Words};

/// The longest name of a mapping.
const NAME: usize = 40;
/// Labels that have settings of their own.
const RESERVED: [&str; 5] = [
    "alertname",
    "service",
    "namespace",
    "error_type",
    "severity",
];

/// Each mapping by its name, which is in its address and in the source of its incidents.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generic(pub BTreeMap<String, Mapping>);

/// What one sender sends, and what is made of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Mapping {
    /// The shipped mapping that it is made of, see [`PRESETS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Whether it takes anything.
    pub enabled: bool,
    /// What its sender signs with: then a signature is required, and no token. Unset: a token is, as everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The header that the signature is in.
    pub header: String,
    /// What stands before the signature there.
    pub prefix: String,
    /// Whether Amazon SNS sends it, which asks for a confirmation before anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sns: Option<bool>,
    /// Whether that is confirmed by ourselves, and not by a person.
    pub confirm: bool,
    /// Where a text is that is JSON itself, and has all that the other settings look for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Pointer>,
    /// Where the alerts are: a list, or one. Unset: the body is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Pointer>,
    /// The alert's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_name: Option<Templates>,
    /// The service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Templates>,
    /// The namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Templates>,
    /// The kind of error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<Templates>,
    /// The status. Unset: whatever comes fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Templates>,
    /// Its values that mean that it fires; `*` stands for any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firing: Option<Words>,
    /// Those that mean that it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Words>,
    /// Those of a test of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Words>,
    /// Those of an event that is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused: Option<Words>,
    /// What any other value means, or none. Unset: it fires, and the log says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Meaning>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Templates>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Templates>,
    /// When its status changed: the beginning of one that fires, the end of one that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Templates>,
    /// What the series is called. Unset: it follows from the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Templates>,
    /// How bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Templates>,
    /// What the sender's severities are called here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub severities: BTreeMap<String, String>,
    /// What a person reads first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Templates>,
    /// What a person reads next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Templates>,
    /// Where the sender shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Templates>,
    /// More labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Templates>,
    /// More annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Templates>,
    /// More addresses, as annotations. What is no address of the web is left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Templates>,
}

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// It fires.
    Firing,
    /// It is over.
    Resolved,
    /// It only tries whether we can be reached.
    Test,
    /// It is an event that is not used.
    Unused,
    /// It cannot be used, and is kept as a dead letter.
    Rejected,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            preset: None,
            enabled: true,
            secret: None,
            header: "X-Signature".to_owned(),
            prefix: "sha256=".to_owned(),
            sns: None,
            confirm: false,
            inner: None,
            alerts: None,
            alert_name: None,
            service: None,
            namespace: None,
            error_type: None,
            status: None,
            firing: None,
            resolved: None,
            tests: None,
            unused: None,
            other: None,
            starts_at: None,
            ends_at: None,
            changed_at: None,
            fingerprint: None,
            severity: None,
            severities: BTreeMap::new(),
            summary: None,
            description: None,
            url: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }
}

impl Serialize for Mapping {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Mapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let own = Self::deserialize(deserializer)?;
        let Some(name) = &own.preset else {
            return Ok(own);
        };
        let shipped = preset::find(name);
        let shipped = shipped.map_err(|why| de::Error::custom(format!("preset: {why}")))?;
        Ok(preset::filled(own, shipped))
    }
}

impl Mapping {
    /// What a status means; `None` if no setting says so.
    #[must_use]
    pub fn meaning(&self, status: &str) -> Option<Meaning> {
        let status = status.to_lowercase();
        let of = |words: &&Words| words.0.iter().any(|word| is_like(word, &status));
        let mut lists = self.meanings().into_iter();
        let found = lists.find(|(_, words, _)| words.as_ref().is_some_and(of));
        found.map(|(_, _, meaning)| meaning)
    }

    /// The lists of a status' values, and what these mean.
    fn meanings(&self) -> [(&'static str, Option<&Words>, Meaning); 4] {
        [
            ("firing", self.firing.as_ref(), Meaning::Firing),
            ("resolved", self.resolved.as_ref(), Meaning::Resolved),
            ("tests", self.tests.as_ref(), Meaning::Test),
            ("unused", self.unused.as_ref(), Meaning::Unused),
        ]
    }

    fn check(&self) -> Result<(), String> {
        check_secret(self.secret.as_ref())?;
        check_header("header", &self.header)?;
        if self.alert_name.is_none() {
            return Err("alert_name is missing: set it, or a preset".to_owned());
        }
        self.check_status()?;
        if self.starts_at.is_some() && self.changed_at.is_some() {
            return Err(
                "starts_at and changed_at are both set: changed_at is the start of what fires"
                    .to_owned(),
            );
        }
        if !self.severities.is_empty() && self.severity.is_none() {
            return Err("severities is set without severity: set both or none".to_owned());
        }
        if self.confirm && self.sns != Some(true) {
            return Err(
                "confirm is set without sns = true: only Amazon SNS asks for it".to_owned(),
            );
        }
        let tables = [
            ("labels", &self.labels),
            ("annotations", &self.annotations),
            ("links", &self.links),
        ];
        for (setting, table) in tables {
            if table.keys().any(|name| name.trim().is_empty()) {
                return Err(format!("{setting} has an entry without a name"));
            }
        }
        let reserved = self
            .labels
            .keys()
            .find(|name| RESERVED.contains(&name.as_str()));
        match reserved {
            Some(name) => {
                let of = if name == "alertname" {
                    "alert_name"
                } else {
                    name
                };
                Err(format!("labels.{name} has a setting of its own: use {of}"))
            }
            None => Ok(()),
        }
    }

    fn check_status(&self) -> Result<(), String> {
        let lists = self.meanings();
        let set = |(name, words, _): &(&'static str, Option<&Words>, Meaning)| {
            words.map(|words| (*name, words.0.clone()))
        };
        let lists: Vec<(&str, Vec<String>)> = lists.iter().filter_map(set).collect();
        if self.status.is_none() {
            let set = lists.first().map(|(name, _)| *name);
            let set = set.or(self.other.is_some().then_some("other"));
            return match set {
                Some(name) => Err(format!(
                    "{name} is set without status: set status, or neither"
                )),
                None => Ok(()),
            };
        }
        if !lists
            .iter()
            .any(|(name, _)| matches!(*name, "firing" | "resolved"))
        {
            return Err(
                "status is set without firing and resolved: say which values mean what".to_owned(),
            );
        }
        for (n, (name, words)) in lists.iter().enumerate() {
            for word in words {
                let word = word.to_lowercase();
                let is_in = |list: &[String]| list.iter().any(|other| other.to_lowercase() == word);
                if let Some((other, _)) = lists[n + 1..].iter().find(|(_, list)| is_in(list)) {
                    return Err(format!(
                        "{word:?} is in {name} and in {other}: a value means one thing"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Whether a value in lower case is one of those that were meant.
fn is_like(meant: &str, value: &str) -> bool {
    Pattern(meant.to_lowercase()).matches(value)
}

impl Generic {
    /// The mapping of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Mapping> {
        self.0.get(name)
    }
}

impl Section for Generic {
    fn check(&self) -> Result<(), String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        for (name, mapping) in &self.0 {
            if name.is_empty() || name.len() > NAME || !name.chars().all(fits) {
                return Err(format!(
                    "{name:?}: the name must be at most {NAME} of a to z, 0 to 9, - and _"
                ));
            }
            mapping.check().map_err(|why| format!("{name}.{why}"))?;
        }
        Ok(())
    }

    fn guessable(&self) -> Vec<String> {
        let short = self
            .0
            .iter()
            .filter(|(_, mapping)| is_short(mapping.secret.as_ref()));
        short.map(|(name, _)| format!("{name}.secret")).collect()
    }
}

#[cfg(test)]
mod tests;
