//! One alert, in Tocsin's own terms, whatever its source calls it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Labels or annotations. Sorted, so that equal sets hash and print alike.
pub type Labels = BTreeMap<String, String>;

/// Whether the sender says that the alert fires or that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// It fires.
    Firing,
    /// It is over.
    Resolved,
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
    /// Where the sender shows what made it fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
}

impl Alert {
    /// The value of the first of `names` that is present and not empty.
    #[must_use]
    pub fn first_label(&self, names: &[String]) -> &str {
        names
            .iter()
            .filter_map(|name| self.labels.get(name))
            .find(|value| !value.is_empty())
            .map_or("", String::as_str)
    }

    /// How bad its sender says that it is; empty if it does not say.
    #[must_use]
    pub fn severity(&self) -> &str {
        self.labels.get("severity").map_or("", String::as_str)
    }

    /// What a person reads first: the summary, else the alert's name.
    #[must_use]
    pub fn title(&self) -> &str {
        ["summary", "title", "message"]
            .iter()
            .filter_map(|name| self.annotations.get(*name))
            .chain(self.labels.get("alertname"))
            .find(|value| !value.is_empty())
            .map_or("alert", String::as_str)
    }
}
