//! An alert as its sender reports it, on its way to one in our terms. Every source makes its alerts here, so that
//! all of them identify first and bound after that.

use std::borrow::Cow;

use super::bounded::{bounded, bounded_map, told_apart};
use super::fingerprint;
use super::text::Texts;
use crate::config::Config;
use crate::domain::alert::{Alert, AlertRule, AlertStatus, Identity, is_ignored};
use crate::domain::signature::Names;
use crate::jobs::Content;
use crate::time::Timestamp;

/// The longest URL that is kept, in bytes.
const URL_BYTES: usize = 2048;
/// The longest name of a rule that is kept, in bytes.
const RULE_BYTES: usize = 256;
/// Times before this one (the year 2000) stand for "not known": they are some clock's zero.
const KNOWN_TIMES: Timestamp = Timestamp(946_684_800_000);

/// The time, if it is one that can be known.
#[must_use]
pub fn known_time(at: Timestamp) -> Option<Timestamp> {
    (at >= KNOWN_TIMES).then_some(at)
}

/// What a sender says of one alert, whole: nothing of it is cut or left out yet.
///
/// `ReportedAlert { labels, ..ReportedAlert::default() }.into_alert(config)` is a firing alert.
#[derive(Clone, Debug)]
pub struct ReportedAlert<'a> {
    /// Firing or resolved.
    pub status: AlertStatus,
    /// What identifies the series, as [`super::texts`] sorts it. One of them must be `alertname`.
    pub labels: Texts<'a>,
    /// What explains it to a person, likewise.
    pub annotations: Texts<'a>,
    /// When this firing began, by the sender's clock, if it [can be known](known_time).
    pub starts_at: Option<Timestamp>,
    /// When it ended. It counts only for one that is resolved.
    pub ends_at: Option<Timestamp>,
    /// For how many milliseconds it holds from its receipt, if its sender says that: see [`Alert::lease_ms`].
    pub lease_ms: Option<i64>,
    /// Where the sender shows what made it fire; empty if nowhere.
    pub url: Cow<'a, str>,
    /// What the series is called, whatever else its labels say; empty: they say it. Where some labels are no part
    /// of it: [`ReportedAlert::series_without`].
    pub fingerprint: Cow<'a, str>,
    /// The rule that made it, where more follows from that than from its labels.
    pub rule: Option<AlertRule>,
    /// Labels that parts of the signature are read from, whatever the settings name, where they are there: for labels
    /// that the source makes itself. Empty: those of the settings.
    pub read_from: Names<'a>,
}

impl Default for ReportedAlert<'_> {
    fn default() -> Self {
        Self {
            status: AlertStatus::Firing,
            labels: Vec::new(),
            annotations: Vec::new(),
            starts_at: None,
            ends_at: None,
            lease_ms: None,
            url: Cow::Borrowed(""),
            fingerprint: Cow::Borrowed(""),
            rule: None,
            read_from: Names::default(),
        }
    }
}

impl ReportedAlert<'_> {
    /// The value of a label; `None` if it is not there.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        value(&self.labels, name)
    }

    /// Sets a label; an empty value takes it away.
    pub fn set_label(&mut self, name: &'static str, value: impl Into<String>) {
        let value = value.into();
        let at = self
            .labels
            .binary_search_by(|(label, _)| (**label).cmp(name));
        match (at, value.is_empty()) {
            (Ok(at), true) => drop(self.labels.remove(at)),
            (Ok(at), false) => self.labels[at].1 = value.into(),
            (Err(_), true) => {}
            (Err(at), false) => self.labels.insert(at, (name.into(), value.into())),
        }
    }

    /// Sets an annotation; an empty value takes it away.
    pub fn set_annotation(&mut self, name: &'static str, value: impl Into<String>) {
        let value = value.into();
        self.annotations.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.annotations.push((name.into(), value.into()));
        }
    }

    /// Calls the series by its labels without these.
    pub fn series_without(&mut self, names: &[&str]) {
        let labels = self.labels.iter();
        let kept = labels.filter(|(name, _)| !names.contains(&&**name));
        let of_kept = fingerprint::of_labels(kept.map(|(name, value)| (&**name, &**value)));
        self.fingerprint = of_kept.into();
    }

    /// The alert in our terms: named by all of its labels, then bounded by `limits`.
    ///
    /// # Errors
    /// It has no `alertname`.
    pub fn into_alert(self, config: &Config) -> Result<Alert, &'static str> {
        let labels = self.labels;
        let value = |name: &str| value(&labels, name);
        if value("alertname").is_none() {
            return Err("the alert has no alertname");
        }
        let own = self.read_from.that(|name| value(name).is_some());
        let names = own.or(config.signature.names(value));
        let ignored = is_ignored(&config.ingest.ignore, value);
        let fingerprint = match &*self.fingerprint {
            "" => fingerprint::of_labels(labels.iter().map(|(name, value)| (&**name, &**value))),
            sent => fingerprint::kept(sent),
        };
        let limits = &config.limits;
        let [alert_name, service, namespace, error_type] = names.each();
        let first = [
            alert_name,
            service,
            namespace,
            error_type,
            "severity",
            "alertname",
        ];
        let labels = bounded_map(labels, &first, limits.labels, limits.label_bytes);
        let identity = Identity::beside(&labels, &names, ignored);
        let ends_at = self.ends_at;
        let url = Some(self.url).filter(|url| !url.is_empty());
        Ok(Alert {
            status: self.status,
            fingerprint,
            labels,
            annotations: bounded_map(
                self.annotations,
                &[],
                limits.labels,
                limits.annotation_bytes,
            ),
            starts_at: self.starts_at.and_then(known_time),
            ends_at: ends_at
                .and_then(known_time)
                .filter(|_| self.status == AlertStatus::Resolved),
            lease_ms: self.lease_ms,
            generator_url: url.map(|url| bounded(url, URL_BYTES).into_owned()),
            rule: self.rule.map(|rule| AlertRule {
                id: told_apart(rule.id.into(), RULE_BYTES).into_owned(),
                ..rule
            }),
            identity: Some(identity),
        })
    }

    /// The alert, or `raw`, what was sent in its place, with why it cannot be used.
    #[must_use]
    pub fn into_content(self, config: &Config, raw: &str) -> Content {
        let alert = self.into_alert(config);
        alert.map_or_else(|reason| Content::rejected(reason, raw), Content::Alert)
    }
}

/// The value of a label; `None` if it is not there.
pub(super) fn value<'v>(labels: &'v Texts<'_>, name: &str) -> Option<&'v str> {
    let at = labels.binary_search_by(|(label, _)| (**label).cmp(name));
    at.ok().map(|at| &*labels[at].1)
}

#[cfg(test)]
mod tests {
    use super::super::{texts, texts_of_json};
    use super::*;
    use crate::domain::signature::Signature;

    fn config() -> Config {
        let mut config = Config::default();
        config.signature.service = vec!["team".to_owned()];
        config
    }

    #[test]
    fn a_source_s_own_labels_name_it_whatever_the_settings_read() {
        let own = Names {
            service: "project",
            error_type: "type",
            ..Names::default()
        };
        for (read_from, service, error_type) in [
            (own, "checkout", "KeyError"),
            (Names::default(), "payments", ""),
            // One that is not there leaves it to the settings.
            (
                Names {
                    service: "slug",
                    ..Names::default()
                },
                "payments",
                "",
            ),
        ] {
            let labels = [
                ("type", "KeyError"),
                ("alertname", "A"),
                ("team", "payments"),
                ("project", "checkout"),
                ("none", ""),
            ];
            let alert = ReportedAlert {
                labels: texts(labels),
                read_from,
                ..ReportedAlert::default()
            };
            let alert = alert.into_alert(&config()).unwrap();
            assert!(!alert.labels.contains_key("none"));
            // The process that enters it may have other settings.
            let signature = Signature::of(&alert, &Config::default().signature);
            assert_eq!(
                (&*signature.service, &*signature.error_type),
                (service, error_type)
            );
        }
    }

    #[test]
    fn a_series_is_called_by_all_of_its_labels_or_without_some() {
        let reported = |severity: &'static str| ReportedAlert {
            labels: texts([("alertname", "A"), ("severity", severity)]),
            ..ReportedAlert::default()
        };
        let whole = |severity: &'static str| {
            reported(severity)
                .into_alert(&config())
                .unwrap()
                .fingerprint
        };
        assert_ne!(whole("warning"), whole("critical"));
        let without = |severity: &'static str| {
            let mut alert = reported(severity);
            alert.series_without(&["severity"]);
            alert.into_alert(&config()).unwrap().fingerprint
        };
        assert_eq!(without("warning"), without("critical"));
        let expected = fingerprint::of_labels([("alertname", "A")]);
        assert_eq!(without("warning"), expected);
    }

    #[test]
    fn labels_are_set_and_taken_away_in_their_order() {
        let json = serde_json::json!({"b": 1, "alertname": "B", "list": ["x"], "none": null});
        let mut alert = ReportedAlert {
            labels: texts_of_json(&json),
            ..ReportedAlert::default()
        };
        alert.set_label("alertname", "A");
        alert.set_label("c", "new");
        alert.set_label("b", "");
        alert.set_label("d", "");
        alert.set_annotation("summary", "first");
        alert.set_annotation("summary", "second");
        assert_eq!(alert.label("alertname"), Some("A"));
        assert_eq!(alert.label("b"), None);
        let labels: Vec<(&str, &str)> = alert.labels.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(
            labels,
            [("alertname", "A"), ("c", "new"), ("list", r#"["x"]"#)]
        );
        let alert = alert.into_alert(&config()).unwrap();
        assert_eq!(alert.title(), "second");
        let expected = fingerprint::of_labels(labels_of(&alert));
        assert_eq!(alert.fingerprint, expected);
    }

    fn labels_of(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
        alert.labels.iter()
    }

    #[test]
    fn an_end_counts_only_for_what_is_over_and_a_zero_for_nothing() {
        let end = |status, at: i64| {
            let alert = ReportedAlert {
                status,
                labels: texts([("alertname", "A")]),
                starts_at: Some(Timestamp(0)),
                ends_at: Some(Timestamp(at)),
                ..ReportedAlert::default()
            };
            let alert = alert.into_alert(&config()).unwrap();
            assert_eq!(alert.starts_at, None);
            alert.ends_at
        };
        let at = KNOWN_TIMES.0;
        assert_eq!(end(AlertStatus::Resolved, at), Some(KNOWN_TIMES));
        assert_eq!(end(AlertStatus::Resolved, at - 1), None);
        assert_eq!(end(AlertStatus::Firing, at), None);
    }
}
