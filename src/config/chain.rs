//! Settings of canaries, expected alerts and the outward heartbeat.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Config, Secret, Span};
use crate::domain::alert::Labels;
use crate::domain::source_watch::WarningLimits;

/// Recount looks once a minute: nothing shorter can be told.
const LEAST: Duration = Duration::from_secs(60);
/// A link that may take longer would leave the others no time within one pass of recount.
const LONGEST_LINK: Duration = Duration::from_secs(10);

/// Canaries that Tocsin sends by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CanarySettings {
    /// How often. Unset: none is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// In the form of which source.
    pub source: String,
    /// Where the ingress is reached. Unset: `public_url`, else `listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How long each link may take.
    pub within: Span,
}

impl Default for CanarySettings {
    fn default() -> Self {
        Self {
            every: None,
            source: "alertmanager".to_owned(),
            url: None,
            within: Span::secs(5),
        }
    }
}

/// An alert that always fires, and is sent again and again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expected {
    /// Its name.
    pub alert: String,
    /// The source that sends it: `alertmanager`, or one cluster of it, `alertmanager@eu`. Unset: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Labels that it has.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How often it comes.
    pub every: Span,
}

impl Default for Expected {
    fn default() -> Self {
        Self {
            alert: String::new(),
            source: None,
            labels: BTreeMap::new(),
            every: Span::secs(300),
        }
    }
}

impl Expected {
    /// Whether it is this alert, of a source as incidents have it.
    #[must_use]
    pub fn is(&self, source: &str, labels: &Labels) -> bool {
        let is_named = labels.get("alertname") == Some(&self.alert);
        let kind = source.split_once('@').map_or(source, |(kind, _)| kind);
        let is_from = |wanted: &String| wanted == source || wanted == kind;
        let mut wanted = self.labels.iter();
        is_named
            && self.source.as_ref().is_none_or(is_from)
            && wanted.all(|(name, value)| labels.get(name) == Some(value))
    }

    /// What it is called, for people and in the store: other entries have other names.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = self.alert.clone();
        if let Some(source) = &self.source {
            name.push_str(&format!(" from {source}"));
        }
        for (label, value) in &self.labels {
            name.push_str(&format!(" {label}={value}"));
        }
        name
    }
}

/// Silences that Tocsin makes in Alertmanager.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceSettings {
    /// Whether muting an anomaly makes one. Needs `alertmanager_url`.
    pub create: bool,
}

/// Warnings about sources. Each is an incident of Tocsin's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchSettings {
    /// A source that delivered this many alerts in the same hour of each of the last four weeks, and none this week, is
    /// an incident. 0: off.
    pub quiet: u32,
    /// Whether a delivery that leaves out alerts (`truncatedAlerts`) is an incident.
    pub truncated: bool,
    /// A source of which this many firings expired within 24 hours, and none was resolved, is an incident. 0: off.
    pub unresolved: u32,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            quiet: 5,
            truncated: true,
            unresolved: 20,
        }
    }
}

impl WatchSettings {
    /// As decisions take them.
    #[must_use]
    pub const fn limits(&self) -> WarningLimits {
        WarningLimits {
            quiet: self.quiet,
            truncated: self.truncated,
            unresolved: self.unresolved,
        }
    }
}

/// Where Tocsin says that it is well.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeartbeatSettings {
    /// The address of a check at a dead man's service. Unset: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// How often.
    pub every: Span,
}

impl Default for HeartbeatSettings {
    fn default() -> Self {
        Self {
            url: None,
            every: Span::secs(60),
        }
    }
}

impl Config {
    pub(super) fn check_chain(&self) -> Result<(), String> {
        let canary = &self.canary;
        if canary.every.is_some_and(|every| every.0 < LEAST) {
            return Err("canary.every must be at least 1m".to_owned());
        }
        if canary.within.0 < Duration::from_millis(100) || canary.within.0 > LONGEST_LINK {
            return Err("canary.within must be from 100ms to 10s".to_owned());
        }
        let is_web = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        if canary.url.as_deref().is_some_and(|url| !is_web(url)) {
            return Err("canary.url must start with https:// or http://".to_owned());
        }
        if self.silences.create && self.alertmanager_url.is_none() {
            return Err("silences.create needs alertmanager_url".to_owned());
        }
        if self.heartbeat.every.0 < LEAST {
            return Err("heartbeat.every must be at least 1m".to_owned());
        }
        let heartbeat = self.heartbeat.url.as_ref().map(Secret::expose);
        if heartbeat.is_some_and(|url| !is_web(url)) {
            return Err("heartbeat.url must start with https:// or http://".to_owned());
        }
        for (n, expected) in self.expected.iter().enumerate() {
            if expected.alert.is_empty() {
                return Err(format!("expected[{n}].alert is missing: name the alert"));
            }
            if expected.every.0 < LEAST {
                return Err(format!("expected[{n}].every must be at least 1m"));
            }
            let is_same = |other: &Expected| other.name() == expected.name();
            if self.expected[..n].iter().any(is_same) {
                return Err(format!("expected[{n}] is there twice: {}", expected.name()));
            }
        }
        Ok(())
    }

    /// Where a worker reaches an ingress: the address of `canary.url`, else of `public_url`, else `listen`.
    #[must_use]
    pub fn own_url(&self) -> String {
        let said = self.canary.url.as_ref().or(self.public_url.as_ref());
        if let Some(url) = said {
            return url.trim_end_matches('/').to_owned();
        }
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(toml: &str) -> Expected {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn an_expected_alert_is_known_by_name_source_and_labels() {
        let of_eu = "alert = \"Watchdog\"\nsource = \"alertmanager@eu\"";
        let labelled = "alert = \"Watchdog\"\nlabels = { prometheus = \"a\" }";
        for (toml, source, name, label, is) in [
            (
                "alert = \"Watchdog\"",
                "alertmanager@us",
                "Watchdog",
                "b",
                true,
            ),
            (
                "alert = \"Watchdog\"",
                "alertmanager",
                "InfoInhibitor",
                "a",
                false,
            ),
            (of_eu, "alertmanager@eu", "Watchdog", "a", true),
            (of_eu, "alertmanager@us", "Watchdog", "a", false),
            (of_eu, "alertmanager", "Watchdog", "a", false),
            (labelled, "prometheus", "Watchdog", "a", true),
            (labelled, "prometheus", "Watchdog", "b", false),
        ] {
            let labels = [("alertname", name), ("prometheus", label)];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let found = expected(toml).is(source, &labels.into_iter().collect());
            assert_eq!(found, is, "{toml} {source} {name} {label}");
        }
        assert_eq!(expected(of_eu).name(), "Watchdog from alertmanager@eu");
        assert_eq!(expected(labelled).name(), "Watchdog prometheus=a");
    }

    #[test]
    fn a_worker_reaches_an_ingress_where_people_do() {
        let with = |public_url: Option<&str>, url: Option<&str>| {
            let mut config = Config {
                public_url: public_url.map(str::to_owned),
                listen: "0.0.0.0:9099".parse().unwrap(),
                ..Config::default()
            };
            config.canary.url = url.map(str::to_owned);
            config.own_url()
        };
        assert_eq!(with(None, None), "http://127.0.0.1:9099");
        assert_eq!(
            with(Some("https://ops.example/t/"), None),
            "https://ops.example/t"
        );
        let both = with(Some("https://ops.example/t"), Some("http://tocsin:9099"));
        assert_eq!(both, "http://tocsin:9099");
    }
}
