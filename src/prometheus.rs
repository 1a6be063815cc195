//! The Prometheus servers whose alerts come here, asked: what fires there, and what fired before.
//!
//! Their API has alerts as their rules make them. What they send has more: `external_labels`, where an alert has no
//! label of the name, and then what `alert_relabel_configs` make of it. The labels are what a firing is known by, so
//! both are done here, as the settings say: labels are added, and labels are dropped.
//!
//! Since when an alert fires is not in their list of alerts, only since when its expression holds; but the series
//! `ALERTS`, which they write with each evaluation, says what fired at a moment.
//!
//! Nothing on the way of an alert waits for them. Each is asked for 5 s at most, and what it answers is bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::PrometheusServer;
use crate::http_client::{builder, causes, read};
use crate::time::Timestamp;

/// Connecting, asking and the answer together.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer: some fifty thousand alerts.
const LONGEST: usize = 64 << 20;
/// What the series `ALERTS` has besides an alert's own labels.
const OF_SERIES: [&str; 2] = ["__name__", "alertstate"];

/// Labels of an alert, by name.
pub type Labels = BTreeMap<String, String>;

/// Why one did not say what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AskError {
    /// It cannot be reached, or takes too long.
    #[error("Prometheus does not respond: {0}")]
    Unreachable(String),
    /// It refused.
    #[error("Prometheus responded with {0}")]
    Refused(StatusCode),
    /// It said more than is read.
    #[error("Prometheus responded with more than {0} bytes")]
    TooLong(usize),
    /// It said something else than a Prometheus does.
    #[error("cannot parse the response of Prometheus: {0}")]
    Senseless(String),
}

/// An alert that fires, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiringAlert {
    /// What identifies it.
    pub labels: Labels,
    /// What explains it.
    pub annotations: Value,
    /// Since when its expression holds.
    pub active_at: String,
}

/// What one server says of its alerts.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Since when it runs.
    pub started_at: Timestamp,
    /// What fired at the moment that was asked for.
    pub fired_then: Vec<Labels>,
    /// What fired at some time since.
    pub fired_since: Vec<Labels>,
    /// What fires now: asked for last, so that nothing is missing from it that began meanwhile.
    pub firing: Vec<FiringAlert>,
}

/// A handle to one server, cheap to clone.
#[derive(Clone)]
pub struct Prometheus {
    http: Client,
    /// With user and password, if it has them.
    url: Url,
    settings: PrometheusServer,
}

impl Prometheus {
    /// For the one that these settings name; nothing is asked yet.
    ///
    /// # Errors
    /// What is wrong with the URL; its text is not in it.
    pub fn new(settings: &PrometheusServer) -> Result<Self, String> {
        let url = Url::parse(settings.url.expose()).map_err(|error| error.to_string())?;
        let http = builder().timeout(TIMEOUT).build();
        Ok(Self {
            http: http.map_err(|error| error.to_string())?,
            url,
            settings: settings.clone(),
        })
    }

    /// The cluster of what it sends, if one.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.settings.cluster.as_deref()
    }

    /// What it says of now and of `then`.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask(&self, then: Timestamp, now: Timestamp) -> Result<Answer, AskError> {
        let server: Server = self.get("status/runtimeinfo", &[]).await?;
        let started_at = Timestamp::parse(&server.start_time)
            .ok_or_else(|| AskError::Senseless(format!("startTime is {:?}", server.start_time)))?;
        let seconds = now.since(then).as_secs();
        let since = format!("count_over_time(ALERTS{{alertstate=\"firing\"}}[{seconds}s])");
        Ok(Answer {
            started_at,
            fired_then: self.query("ALERTS{alertstate=\"firing\"}", then).await?,
            fired_since: self.query(&since, now).await?,
            firing: self.firing().await?,
        })
    }

    async fn firing(&self) -> Result<Vec<FiringAlert>, AskError> {
        let said: Alerts = self.get("alerts", &[]).await?;
        let firing = said
            .alerts
            .into_iter()
            .filter(|alert| alert.state == "firing");
        let firing = firing.map(|alert| FiringAlert {
            labels: self.as_sent(alert.labels),
            annotations: alert.annotations,
            active_at: alert.active_at,
        });
        Ok(firing.collect())
    }

    /// The labels of the series `ALERTS` that an expression finds.
    async fn query(&self, expression: &str, at: Timestamp) -> Result<Vec<Labels>, AskError> {
        let at = format!("{}.{:03}", at.0.div_euclid(1000), at.0.rem_euclid(1000));
        let query = [("query", expression), ("time", &*at)];
        let found: Found = self.get("query", &query).await?;
        let labels = found.result.into_iter().map(|series| {
            let mut labels = series.metric;
            labels.retain(|name, _| !OF_SERIES.contains(&&**name));
            self.as_sent(labels)
        });
        Ok(labels.collect())
    }

    /// The labels with which it sends an alert that has these.
    fn as_sent(&self, mut labels: Labels) -> Labels {
        for (name, value) in &self.settings.labels {
            let label = labels.entry(name.clone()).or_default();
            if label.is_empty() {
                label.clone_from(value);
            }
        }
        labels.retain(|name, value| !value.is_empty() && !self.settings.drop.contains(name));
        labels
    }

    async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<T, AskError> {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let path = format!("{}/api/v1/{what}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let sent = self.http.get(url).query(query).send().await;
        let response = sent.map_err(|error| AskError::Unreachable(causes(&error.without_url())))?;
        if !response.status().is_success() {
            return Err(AskError::Refused(response.status()));
        }
        let (body, error) = read(response, LONGEST).await;
        if let Some(error) = error {
            return Err(AskError::Unreachable(causes(&error)));
        }
        if body.len() > LONGEST {
            return Err(AskError::TooLong(LONGEST));
        }
        let answer: Envelope<T> = serde_json::from_slice(&body)
            .map_err(|error| AskError::Senseless(error.to_string()))?;
        Ok(answer.data)
    }
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_tuple("Prometheus").field(&self.cluster()).finish()
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    start_time: String,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: Labels,
    #[serde(default)]
    annotations: Value,
    /// `pending` or `firing`.
    state: String,
    #[serde(default)]
    active_at: String,
}

#[derive(Deserialize)]
struct Found {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn labels(of: &[(&str, &str)]) -> Labels {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        of.iter().map(owned).collect()
    }

    #[test]
    fn labels_are_added_and_dropped_as_before_an_alert_is_sent() {
        let server = Prometheus::new(&PrometheusServer {
            url: Secret::from("http://tocsin:planted@prom:9090/path/"),
            cluster: Some("eu".to_owned()),
            labels: labels(&[("cluster", "c1"), ("replica", "a"), ("team", "x")]),
            drop: vec!["replica".to_owned()],
        })
        .unwrap();
        for (of, sent) in [
            (
                &[("alertname", "A")][..],
                &[("alertname", "A"), ("cluster", "c1"), ("team", "x")][..],
            ),
            // Its own label stays; an empty one is none.
            (
                &[("alertname", "A"), ("cluster", "c2"), ("team", "")],
                &[("alertname", "A"), ("cluster", "c2"), ("team", "x")],
            ),
            (
                &[("alertname", "A"), ("replica", "b"), ("empty", "")],
                &[("alertname", "A"), ("cluster", "c1"), ("team", "x")],
            ),
        ] {
            assert_eq!(server.as_sent(labels(of)), labels(sent));
        }
        assert!(!format!("{server:?}").contains("planted"));
    }
}
