//! Preview of the alerts that a body becomes, without an instance.

use std::fmt::Write as _;

use anyhow::bail;
use serde_json::{Value, json};
use tocsin::config::Config;
use tocsin::domain::alert::{Alert, AlertStatus};
use tocsin::domain::signature::Signature;
use tocsin::jobs::Content;
use tocsin::sources::{Delivery, SOURCES, Source, Translated};
use tocsin::time::Timestamp;

use crate::cli::fields::plain;
use crate::cli::table::Terminal;

/// What a body comes to.
pub(super) struct Preview {
    /// The source, as incidents have it.
    source: String,
    found: Translated,
    /// The names of its alerts' parts.
    signatures: Vec<Option<Signature>>,
}

impl Preview {
    /// Reads a body as the webhook of a source does that is called so.
    ///
    /// # Errors
    /// There is no such source, or it refuses the body.
    pub(super) fn of(
        config: &Config,
        called: &str,
        body: Vec<u8>,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let (source, name) = find(config, called)?;
        let delivery = Delivery {
            path: source.paths.first().copied().unwrap_or_default(),
            name: name.to_owned(),
            received_at: now,
            ..Delivery::of(body)
        };
        let found = (source.translate)(&delivery, config)?;
        let signature = |content: &Content| match content {
            Content::Alert(alert) => Some(Signature::of(alert, &config.signature)),
            Content::Rejected { .. } => None,
        };
        Ok(Self {
            source: source.called(config, name).into_owned(),
            signatures: found.alerts.iter().map(signature).collect(),
            found,
        })
    }

    /// Whether anything came out.
    pub(super) fn is_usable(&self) -> bool {
        let is_alert = |content: &Content| matches!(content, Content::Alert(_));
        self.found.alerts.iter().any(is_alert)
            || self.found.tests > 0
            || self.found.confirmation.is_some()
    }

    /// For people: each alert, and what else was in the body.
    pub(super) fn render(&self, look: Terminal) -> String {
        let mut shown = String::new();
        for (n, (content, signature)) in self.found.alerts.iter().zip(&self.signatures).enumerate()
        {
            if n > 0 {
                shown.push('\n');
            }
            match (content, signature) {
                (Content::Alert(alert), Some(signature)) => {
                    let _ = writeln!(shown, "Alert {} of {}", n + 1, self.source);
                    write_rows(&mut shown, &rows(alert, signature), look);
                }
                (Content::Rejected { reason, raw, .. }, _) => {
                    let _ = writeln!(shown, "Alert {} cannot be used: {reason}", n + 1);
                    write_rows(&mut shown, &[("sent", plain(raw))], look);
                }
                (Content::Alert(_), None) => {}
            }
        }
        let found = &self.found;
        for (n, what) in [
            (found.tests, "would count as a test of the connection"),
            (found.unused, "would count as an event that is not used"),
            (
                found.misdated,
                "with a time that cannot be read: it is as if it were missing",
            ),
            (
                found.unknown_status,
                "with a status that no setting names: it fires (see `other`)",
            ),
            (found.truncated, "that the sender left out"),
        ] {
            if n > 0 {
                let _ = writeln!(shown, "\n{n} {what}");
            }
        }
        if let Some(asked) = &found.confirmation {
            let by = if asked.is_ours {
                "Tocsin would open"
            } else {
                "open"
            };
            let _ = writeln!(
                shown,
                "\nThe sender asks for a confirmation: {by} {}",
                asked.url
            );
        }
        if found.alerts.is_empty() {
            shown.push_str("\nNo alerts.");
        }
        shown.trim().to_owned()
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        let alerts = self.found.alerts.iter().zip(&self.signatures);
        let alerts = alerts.map(|(content, signature)| match (content, signature) {
            (Content::Alert(alert), Some(signature)) => json!({
                "alert_name": signature.alert_name,
                "service": signature.service,
                "namespace": signature.namespace,
                "error_type": signature.error_type,
                "status": alert.status,
                "severity": alert.severity(),
                "starts_at": alert.starts_at,
                "ends_at": alert.ends_at,
                "fingerprint": alert.fingerprint,
                "anomaly_key": signature.key(),
                "url": alert.generator_url,
                "labels": alert.labels,
                "annotations": alert.annotations,
            }),
            (Content::Rejected { reason, raw, .. }, _) => json!({"rejected": reason, "sent": raw}),
            (Content::Alert(_), None) => Value::Null,
        });
        json!({
            "source": self.source,
            "alerts": alerts.collect::<Vec<_>>(),
            "tests": self.found.tests,
            "unused": self.found.unused,
            "confirm_url": self.found.confirmation.as_ref().map(|asked| &asked.url),
        })
    }
}

/// The source of this name, and the name of one of its senders.
fn find<'n>(config: &Config, called: &'n str) -> anyhow::Result<(Source, &'n str)> {
    let known = |name: &str| SOURCES.into_iter().find(|source| source.name == name);
    if let Some(source) = known(called).filter(|source| source.senders.is_none()) {
        return Ok((source, ""));
    }
    let name = called.strip_prefix("generic/").unwrap_or(called);
    let of_many = SOURCES.into_iter().find(|source| {
        let names = source.senders.map(|names| names(config));
        names.is_some_and(|names| names.contains(&name))
    });
    if let Some(source) = of_many {
        return Ok((source, name));
    }
    let set_up = SOURCES.iter().filter_map(|source| source.senders);
    let set_up: Vec<&str> = set_up.flat_map(|names| names(config)).collect();
    match &*set_up {
        [] => bail!("no mapping is called {name}: set [sources.generic.{name}] in the settings"),
        known => bail!(
            "no mapping is called {name}: there are {}",
            known.join(", ")
        ),
    }
}

fn rows(alert: &Alert, signature: &Signature) -> Vec<(&'static str, String)> {
    let or_dash = |text: &str| match plain(text) {
        text if text.is_empty() => "-".to_owned(),
        text => text,
    };
    let at = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339);
    let status = match alert.status {
        AlertStatus::Firing => "firing",
        AlertStatus::Resolved => "resolved",
    };
    let mut rows = vec![
        ("name", or_dash(&signature.alert_name)),
        ("service", or_dash(&signature.service)),
        ("namespace", or_dash(&signature.namespace)),
        ("error type", or_dash(&signature.error_type)),
        ("status", status.to_owned()),
        ("severity", or_dash(alert.severity())),
        ("starts", at(alert.starts_at)),
        ("ends", at(alert.ends_at)),
        ("fingerprint", or_dash(&alert.fingerprint)),
        ("anomaly", signature.key()),
        (
            "url",
            or_dash(alert.generator_url.as_deref().unwrap_or_default()),
        ),
    ];
    let entries = |of: &tocsin::domain::alert::Labels| {
        let entries = of.iter();
        let entries = entries.map(|(name, value)| format!("{}={}", plain(name), plain(value)));
        entries.collect::<Vec<_>>().join(", ")
    };
    rows.push(("labels", or_dash(&entries(&alert.labels))));
    rows.push(("annotations", or_dash(&entries(&alert.annotations))));
    rows
}

/// Names and values, one a line. A value goes on as far as the line does, which a terminal breaks.
fn write_rows(shown: &mut String, rows: &[(&str, String)], look: Terminal) {
    let dim = if look.colour {
        ("\u{1b}[2m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    for (name, value) in rows {
        let _ = writeln!(shown, "  {}{name:<12}{} {value}", dim.0, dim.1);
    }
}

#[cfg(test)]
mod tests;
