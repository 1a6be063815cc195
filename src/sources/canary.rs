//! Canaries as each source's sender would send them (see [`crate::domain::canary`]). Each is translated once before it
//! is given out, so that one which its source would not read never leaves.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Delivery, Source};
use crate::config::Config;
use crate::domain::alert::AlertStatus;
use crate::domain::canary;
use crate::jobs::Content;
use crate::time::Timestamp;

/// What a person reads who meets one.
pub const SUMMARY: &str = "Smoke test of Tocsin: nothing is wrong";
const DESCRIPTION: &str =
    "A synthetic alert that proves that alerts become messages. Its incident is not kept.";
/// How bad it says that it is: a route for what is worst must take it.
pub const SEVERITY: &str = "critical";
/// For how long one fires whose sender says until when.
const LEASE: Duration = Duration::from_secs(300);

/// A synthetic alert, in no form yet.
#[derive(Clone, Copy, Debug)]
pub struct CanaryAlert<'a> {
    /// The settings.
    pub config: &'a Config,
    /// What stands for `{name}` in the path.
    pub name: &'a str,
    /// Its mark, which must be in a label.
    pub mark: &'a str,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it fires.
    pub ended_at: Option<Timestamp>,
}

/// A synthetic alert in a source's form.
#[derive(Clone, Debug)]
pub struct CanaryBody {
    /// Headers that its sender adds, without those of a signature.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: Value,
}

/// A request that delivers one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryRequest {
    /// Where it is posted, below the instance's address.
    pub path: String,
    /// Its headers, those of the signature among them; the token is the sender's.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl From<Value> for CanaryBody {
    fn from(body: Value) -> Self {
        Self {
            headers: Vec::new(),
            body,
        }
    }
}

impl CanaryAlert<'_> {
    /// `firing`, or `resolved`.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self.ended_at {
            None => "firing",
            Some(_) => "resolved",
        }
    }

    /// An alert as Alertmanager and those who send its form have it.
    fn entry(&self) -> Value {
        let never = || "0001-01-01T00:00:00Z".to_owned();
        json!({
            "status": self.status(),
            "labels": {"alertname": self.mark, "service": "tocsin", "namespace": "tocsin", "severity": SEVERITY},
            "annotations": {"summary": SUMMARY, "description": DESCRIPTION},
            "startsAt": self.started_at.to_rfc3339(),
            "endsAt": self.ended_at.map_or_else(never, Timestamp::to_rfc3339),
            "generatorURL": "",
        })
    }

    fn group(&self, version: &str) -> Value {
        json!({
            "receiver": "tocsin",
            "status": self.status(),
            "alerts": [self.entry()],
            "groupLabels": {"alertname": self.mark},
            "groupKey": format!("{{}}:{{alertname=\"{}\"}}", self.mark),
            "version": version,
            "truncatedAlerts": 0,
        })
    }
}

/// Alertmanager's.
pub(super) fn alertmanager(alert: &CanaryAlert<'_>) -> Option<CanaryBody> {
    Some(alert.group("4").into())
}

/// SigNoz'.
pub(super) fn signoz(alert: &CanaryAlert<'_>) -> Option<CanaryBody> {
    let mut body = alert.group("4");
    let labels = &mut body["alerts"][0]["labels"];
    labels["ruleId"] = alert.mark.into();
    labels["threshold.name"] = SEVERITY.into();
    Some(body.into())
}

/// Grafana's.
pub(super) fn grafana(alert: &CanaryAlert<'_>) -> Option<CanaryBody> {
    let mut body = alert.group("1");
    body["orgId"] = 1.into();
    body["state"] = match alert.ended_at {
        None => "alerting".into(),
        Some(_) => "ok".into(),
    };
    Some(body.into())
}

/// Prometheus': it fires until it ends.
pub(super) fn prometheus(alert: &CanaryAlert<'_>) -> Option<CanaryBody> {
    let mut entry = alert.entry();
    entry.as_object_mut()?.remove("status");
    let ends_at = alert.ended_at.unwrap_or(alert.started_at.after(LEASE));
    entry["endsAt"] = ends_at.to_rfc3339().into();
    Some(json!([entry]).into())
}

/// Sentry's, of an issue. Its project is what can be marked.
pub(super) fn sentry(alert: &CanaryAlert<'_>) -> Option<CanaryBody> {
    let (action, status) = match alert.ended_at {
        None => ("created", "unresolved"),
        Some(_) => ("resolved", "resolved"),
    };
    let body = json!({
        "action": action,
        "installation": {"uuid": "00000000-0000-0000-0000-000000000000"},
        "data": {"issue": {
            "id": alert.mark,
            "title": SUMMARY,
            "culprit": "tocsin smoke",
            "level": "fatal",
            "status": status,
            "project": {"slug": alert.mark},
            "metadata": {"type": "Canary", "value": SUMMARY},
            "firstSeen": alert.started_at.to_rfc3339(),
        }},
        "actor": {"type": "application", "id": "tocsin", "name": "Tocsin"},
    });
    Some(CanaryBody {
        headers: vec![("Sentry-Hook-Resource", "issue")],
        body,
    })
}

/// The request that delivers an alert to a source at `now`.
///
/// # Errors
/// The source's settings leave no way to make one, and why.
pub fn request(
    source: &Source,
    alert: &CanaryAlert<'_>,
    now: Timestamp,
) -> Result<CanaryRequest, String> {
    let unmade = || format!("no {} alert can be made by its settings", alert.status());
    let CanaryBody { headers, body } = (source.canary)(alert).ok_or_else(unmade)?;
    let body = body.to_string();
    let path = source.paths.first().copied().unwrap_or_default();
    let mut all = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    let own = headers.into_iter();
    all.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if let Some(signature) = (source.admission)(alert.config, alert.name).signature {
        all.extend(signature.sign(body.as_bytes(), now));
    }
    check(source, alert, &all, &body, now)?;
    Ok(CanaryRequest {
        path: path.replace("{name}", alert.name),
        headers: all,
        body,
    })
}

/// Whether its source reads it as the one alert that was meant.
fn check(
    source: &Source,
    alert: &CanaryAlert<'_>,
    headers: &[(String, String)],
    body: &str,
    now: Timestamp,
) -> Result<(), String> {
    let headers = headers.iter();
    let headers =
        headers.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
    let delivery = Delivery {
        path: source.paths.first().copied().unwrap_or_default(),
        name: alert.name.to_owned(),
        received_at: now,
        headers: headers.collect(),
        ..Delivery::of(body)
    };
    let read = (source.translate)(&delivery, alert.config).map_err(|why| why.to_string())?;
    let status = match alert.ended_at {
        None => AlertStatus::Firing,
        Some(_) => AlertStatus::Resolved,
    };
    match &*read.alerts {
        [Content::Alert(read)] if read.status != status => {
            Err(format!("its settings read it as {:?}", read.status))
        }
        [Content::Alert(read)]
            if canary::marked(&read.labels).map(canary::mark).as_deref() == Some(alert.mark) =>
        {
            Ok(())
        }
        [Content::Alert(_)] => {
            Err("no label takes its mark: give alert_name or service a pointer".to_owned())
        }
        [Content::Rejected { reason, .. }] => Err(reason.clone()),
        _ => Err("its settings do not read it as one alert".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::config::{Mapping, Secret};
    use crate::sources::SOURCES;

    const MAPPINGS: &str = r#"
        [backups]
        alert_name = "Backup{/check}Failed"
        service = "/host"
        status = "/state"
        firing = ["fail*"]
        resolved = ["ok"]
        starts_at = "/since"
        [nested]
        alerts = "/data/list"
        alert_name = ["/names/0", "none"]
        severity = "^/how/bad"
        severities = { P1 = "critical" }
        status = "/up"
        firing = ["false"]
        resolved = ["true"]
        [named]
        alert_name = "BackupFailed"
        service = "/host"
        [aws]
        preset = "cloudwatch"
        [kuma]
        preset = "uptime-kuma"
        [zabbix]
        preset = "zabbix"
    "#;

    fn config() -> Config {
        let mut config = Config::default();
        let mappings: std::collections::BTreeMap<String, Mapping> =
            toml::from_str(MAPPINGS).unwrap();
        config.sources.generic.0 = mappings;
        config.sources.sentry.secret = Some(Secret::from("planted-secret-0123456789"));
        config
    }

    #[test]
    fn each_source_reads_the_canary_that_is_made_for_it() {
        let (config, now) = (config(), Timestamp(1_800_000_000_000));
        let mark = canary::mark(Uuid::from_u128(7));
        let mut made = 0;
        for source in &SOURCES {
            let names = source.senders.map_or(vec![""], |names| names(&config));
            for name in names {
                for ended_at in [None, Some(now.before(Duration::from_secs(1)))] {
                    let alert = CanaryAlert {
                        config: &config,
                        name,
                        mark: &mark,
                        started_at: now.before(Duration::from_secs(2)),
                        ended_at,
                    };
                    let request = request(source, &alert, now);
                    // What has no status never ends.
                    if name == "named" && ended_at.is_some() {
                        request.unwrap_err();
                        continue;
                    }
                    let request = request.unwrap_or_else(|why| {
                        panic!("{} {name} {}: {why}", source.name, alert.status())
                    });
                    assert!(!request.path.contains('{'), "{}", request.path);
                    made += 1;
                }
            }
        }
        assert_eq!(made, 5 * 2 + 5 * 2 + 1);
    }

    #[test]
    fn a_mapping_without_room_for_the_mark_has_no_canary() {
        let mut config = config();
        let fixed: Mapping = toml::from_str(r#"alert_name = "BackupFailed""#).unwrap();
        config.sources.generic.0.insert("fixed".to_owned(), fixed);
        let alert = CanaryAlert {
            config: &config,
            name: "fixed",
            mark: &canary::mark(Uuid::from_u128(7)),
            started_at: Timestamp(0),
            ended_at: None,
        };
        let refused = request(&super::super::generic::SOURCE, &alert, Timestamp(0)).unwrap_err();
        assert!(refused.contains("no label takes its mark"), "{refused}");
    }
}
