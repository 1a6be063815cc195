//! One alert, in Tocsin's own terms, whatever its source calls it.

use serde::{Deserialize, Serialize};

pub use super::labels::Labels;
use super::labels::{Names, SignatureLabels};
use crate::time::Timestamp;

/// Whether the sender says that the alert fires or that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// It fires.
    Firing,
    /// It is over.
    Resolved,
}

/// What the ingress worked out of everything that was sent, by its own settings, before labels were cut or
/// left out. Only what the labels that were kept do not say by themselves: see [`Names::usual`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// The label that names the alert. Empty: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_name: Option<String>,
    /// The label that names the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The label that names the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The label that names the kind of error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Whether it is accounted for and not counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignored: bool,
}

impl Identity {
    /// What is to be said beside the labels that were kept.
    #[must_use]
    pub fn beside(kept: &Labels, names: &Names<'_>, ignored: bool) -> Self {
        let usual = Names::usual(kept);
        let said = |name: &str, usual: &str| (name != usual).then(|| name.to_owned());
        Self {
            alert_name: said(names.alert_name, usual.alert_name),
            service: said(names.service, usual.service),
            namespace: said(names.namespace, usual.namespace),
            error_type: said(names.error_type, usual.error_type),
            ignored,
        }
    }

    fn names<'a>(&'a self, labels: &Labels) -> Names<'a> {
        let usual = Names::usual(labels);
        Names {
            alert_name: self.alert_name.as_deref().unwrap_or(usual.alert_name),
            service: self.service.as_deref().unwrap_or(usual.service),
            namespace: self.namespace.as_deref().unwrap_or(usual.namespace),
            error_type: self.error_type.as_deref().unwrap_or(usual.error_type),
        }
    }
}

/// The rule that made an alert, where more follows from it than the alert says by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertRule {
    /// The sender's name for it; empty if the sender does not say.
    pub id: String,
    /// Whether the rule has no data. Then the alert has no labels of what the rule is about: its service and its
    /// namespace are those of the rule's other alerts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_no_data: bool,
    /// Whether several alerts of the rule are one series, each with a start of its own, as those of its thresholds.
    /// Then every delivery while the series fires is of that firing, whenever it says that it began.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shares_series: bool,
}

/// One alert of one delivery, translated from its source and bounded in size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Firing or resolved.
    pub status: AlertStatus,
    /// What identifies the series; always has an `alertname`.
    pub labels: Labels,
    /// What explains it to a person.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
    /// The sender's name for the series; a hash of the labels where the sender gives none.
    pub fingerprint: String,
    /// When this firing began, by the sender's clock. Absent where the sender does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// When it ended, by the sender's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// For how many milliseconds its sender said that it holds, from its receipt: zero of one that is over.
    /// Absent where the sender does not say that of any alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<i64>,
    /// Where the sender shows what made it fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
    /// The rule that made it. Absent where nothing follows from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<AlertRule>,
    /// What the ingress worked out about it. Absent where a person wrote the job, or a version that did not
    /// say it: then the labels and the settings decide.
    #[serde(default, rename = "by", skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// Whether such an alert is accounted for and not counted: one of these names, or a test.
#[must_use]
pub fn is_ignored<'v>(ignore: &[String], value: impl Fn(&str) -> Option<&'v str>) -> bool {
    let is_named = |name: &str| ignore.iter().any(|ignored| ignored == name);
    value("testalert") == Some("true") || value("alertname").is_some_and(is_named)
}

impl Alert {
    /// The names of the labels that its signature is read from.
    #[must_use]
    pub fn names<'a>(&'a self, settings: &'a SignatureLabels) -> Names<'a> {
        match &self.identity {
            Some(identity) => identity.names(&self.labels),
            None => settings.names(|name| self.labels.get(name)),
        }
    }

    /// Whether it is accounted for and not counted.
    #[must_use]
    pub fn is_ignored(&self, ignore: &[String]) -> bool {
        match &self.identity {
            Some(identity) => identity.ignored,
            None => is_ignored(ignore, |name| self.labels.get(name)),
        }
    }

    /// The value of the first of `names` that is present and not empty.
    #[must_use]
    pub fn first_label(&self, names: &[String]) -> &str {
        names
            .iter()
            .filter_map(|name| self.labels.get(name))
            .find(|value| !value.is_empty())
            .unwrap_or_default()
    }

    /// How bad its sender says that it is; empty if it does not say.
    #[must_use]
    pub fn severity(&self) -> &str {
        self.labels.get("severity").unwrap_or_default()
    }

    /// What a person reads first: the summary, else the alert's name.
    #[must_use]
    pub fn title(&self) -> &str {
        ["summary", "title", "message"]
            .iter()
            .filter_map(|name| self.annotations.get(name))
            .chain(self.labels.get("alertname"))
            .find(|value| !value.is_empty())
            .unwrap_or("alert")
    }
}

/// Labels that distinguish the series of an anomaly, the most telling first.
const TELLING: [&str; 6] = ["pod", "instance", "container", "node", "device", "host"];
/// Labels that distinguish series that are counted together though they are of several services.
const SERVICE: [&str; 2] = ["service", "job"];

/// What identifies a series to a person, of its labels and its fingerprint.
#[must_use]
pub fn series_name<'v>(label: impl Fn(&str) -> Option<&'v str>, fingerprint: &str) -> String {
    let find = |names: &[&'static str]| {
        let mut found = names.iter().filter_map(|name| Some((*name, label(name)?)));
        found.find(|(_, value)| !value.is_empty())
    };
    match (find(&TELLING), find(&SERVICE)) {
        (Some((name, value)), _) => format!("{name}={value}"),
        (None, Some((name, value))) => format!("{name}={value} {fingerprint}"),
        (None, None) => fingerprint.to_owned(),
    }
}
