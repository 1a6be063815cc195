//! The alerts of a scenario, as Alertmanager sends them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::Config;
use tocsin::domain::alert::{Alert, AlertStatus, Labels};
use tocsin::domain::signature::Signature;
use tocsin::time::Timestamp;

use super::file::{File, FileAlert};
use super::{Lines, ScenarioError};

/// How often Alertmanager sends what still fires (`repeat_interval`).
const RESEND: Duration = Duration::from_secs(4 * 3600);
/// More are no history that a person reads.
const COPIES: u32 = 1000;
/// Stands for a copy's number.
const NUMBER: &str = "{n}";

/// An alert that fires and ends, with its copies.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Kind {
    /// The labels of each copy.
    copies: Vec<Labels>,
    annotations: Labels,
    /// How often it is sent again while it fires.
    pub(in crate::simulation) resend: Duration,
}

impl Kind {
    /// How many there are.
    pub(in crate::simulation) fn copies(&self) -> usize {
        self.copies.len()
    }

    /// The labels of the first of it: what people do is about that.
    pub(in crate::simulation) fn labels(&self) -> &Labels {
        &self.copies[0]
    }

    /// The key of the first one's anomaly.
    pub(in crate::simulation) fn key(&self, config: &Config) -> String {
        let alert = Alert {
            status: AlertStatus::Firing,
            labels: self.labels().clone(),
            annotations: Labels::new(),
            fingerprint: String::new(),
            starts_at: None,
            ends_at: None,
            lease_ms: None,
            generator_url: None,
            rule: None,
            identity: None,
        };
        Signature::of(&alert, &config.signature).key()
    }

    /// All of it, firing since then; over since `to`.
    pub(in crate::simulation) fn sent(
        &self,
        name: &str,
        from: Timestamp,
        to: Option<Timestamp>,
    ) -> Vec<Value> {
        let never = "0001-01-01T00:00:00Z".to_owned();
        let each = self.copies.iter().enumerate();
        let sent = each.map(|(n, labels)| {
            json!({
                "status": if to.is_some() { "resolved" } else { "firing" },
                "labels": labels,
                "annotations": self.annotations,
                "startsAt": from.to_rfc3339(),
                "endsAt": to.map_or_else(|| never.clone(), Timestamp::to_rfc3339),
                "fingerprint": format!("{name}-{n}"),
            })
        });
        sent.collect()
    }
}

pub(super) fn read(
    file: &File,
    lines: &Lines<'_>,
) -> Result<BTreeMap<String, Kind>, ScenarioError> {
    let each = file.alerts.iter().map(|(name, alert)| {
        let kind = kind(alert.get_ref());
        let kind = kind.map_err(|why| lines.error(alert, format!("alerts.{name}: {why}")))?;
        Ok((name.clone(), kind))
    });
    each.collect()
}

fn kind(alert: &FileAlert) -> Result<Kind, String> {
    if alert.labels.get("alertname").is_none_or(String::is_empty) {
        return Err("labels need an alertname".to_owned());
    }
    let has_number = alert.labels.values().any(|value| value.contains(NUMBER));
    match (alert.copies, has_number) {
        (Some(_), false) => {
            return Err(format!("with copies, a label must contain {NUMBER}"));
        }
        (None, true) => return Err(format!("{NUMBER} in a label needs copies")),
        (Some(n), _) if !(1..=COPIES).contains(&n) => {
            return Err(format!("copies must be from 1 to {COPIES}"));
        }
        _ => {}
    }
    let resend = alert.resend.map_or(RESEND, |resend| resend.0);
    if resend < Duration::from_secs(60) {
        return Err("resend must be at least 1m".to_owned());
    }
    let labels = |n: u32| {
        let n = n.to_string();
        let labels = alert.labels.iter();
        labels
            .map(|(name, value)| (name, value.replace(NUMBER, &n)))
            .collect()
    };
    let mut annotations: Labels = alert.annotations.iter().collect();
    if let Some(summary) = &alert.summary {
        annotations.insert("summary", summary);
    }
    Ok(Kind {
        copies: (1..=alert.copies.unwrap_or(1)).map(labels).collect(),
        annotations,
        resend,
    })
}
