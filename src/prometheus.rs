//! The Prometheus servers whose alerts come here, asked: what fires there, and what fired before.
//!
//! Their API has alerts as their rules make them. What they send has more: `external_labels`, where an alert has no
//! label of the name, and then what `alert_relabel_configs` make of it. The labels are what a firing is known by, so
//! both are done here, as the settings say: labels are added, and labels are dropped.
//!
//! Since when an alert fires is not in their list of alerts, only since when its expression holds; but the series
//! `ALERTS`, which they write with each evaluation, says what fired at a moment.
//!
//! A server that was down says too little for a while: while it reads its log it answers 503, then it knows neither what
//! it scraped last nor what its rules are about to find. So each handle remembers since when its server answers whenever
//! it is asked, with all of its rules evaluated.
//!
//! Nothing on the way of an alert waits for them. All are asked at once, for 10 s at most, and what they answer is
//! bounded.

mod steady;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::PrometheusServer;
pub use crate::domain::labels::Labels;
use crate::http_client::{builder, causes, read};
use crate::time::Timestamp;
use steady::Steady;

/// One request: connecting, asking and the answer together.
const TIMEOUT: Duration = Duration::from_secs(5);
/// All that is asked of one server.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer: some twelve thousand alerts.
const LONGEST: usize = 16 << 20;
/// What the series `ALERTS` has besides an alert's own labels.
const OF_SERIES: [&str; 2] = ["__name__", "alertstate"];

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
    /// Since when it answers whenever it is asked. `None` if one of its rules was not evaluated yet.
    pub steady_since: Option<Timestamp>,
    /// The alerts that its rules make, by name, and whether all rules of the name can be evaluated.
    pub rules: BTreeMap<String, bool>,
    /// What fired at the moment that was asked for.
    pub fired_then: Vec<Labels>,
    /// What fired at some time since.
    pub fired_since: Vec<Labels>,
    /// What is about to fire: its expression holds, and its rule waits.
    pub pending: Vec<Labels>,
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
    steady: Arc<Mutex<Option<Steady>>>,
}

/// What each of these says of now and of `then`, asked at once.
pub async fn ask_all(
    servers: &[Prometheus],
    then: Timestamp,
    now: Timestamp,
) -> Vec<Result<Answer, AskError>> {
    join_all(servers.iter().map(|server| server.ask(then, now))).await
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
            steady: Arc::default(),
        })
    }

    /// The cluster of what it sends, if one.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.settings.cluster.as_deref()
    }

    /// The labels whose values in what it sends may be others than its API says, or that may be missing there.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        let labels = self.settings.labels.keys();
        labels.chain(&self.settings.drop).map(String::as_str)
    }

    /// What it says of now and of `then`.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask(&self, then: Timestamp, now: Timestamp) -> Result<Answer, AskError> {
        let asked = tokio::time::timeout(PATIENCE, self.ask_each(then, now)).await;
        let answer = asked.unwrap_or_else(|_| {
            let seconds = PATIENCE.as_secs();
            Err(AskError::Unreachable(format!("not within {seconds} s")))
        });
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        let is_steady = answer.as_ref().is_ok_and(|(_, is_evaluated)| *is_evaluated);
        *steady = is_steady.then(|| Steady::again(*steady, now));
        let steady_since = steady.map(|steady| steady.since);
        drop(steady);
        answer.map(|(answer, _)| Answer {
            steady_since,
            ..answer
        })
    }

    /// And whether all of its rules were evaluated.
    async fn ask_each(&self, then: Timestamp, now: Timestamp) -> Result<(Answer, bool), AskError> {
        let server: Server = self.get("status/runtimeinfo", &[]).await?;
        let started_at = Timestamp::parse(&server.start_time)
            .ok_or_else(|| AskError::Senseless(format!("startTime is {:?}", server.start_time)))?;
        // Versions that do not know the second answer with the alerts, too.
        let of_alerts = [("type", "alert"), ("exclude_alerts", "true")];
        let said: Rules = self.get("rules", &of_alerts).await?;
        let (mut rules, mut is_evaluated) = (BTreeMap::new(), true);
        for rule in said.groups.into_iter().flat_map(|group| group.rules) {
            is_evaluated &= rule.health != "unknown";
            *rules.entry(rule.name).or_insert(true) &= rule.health == "ok";
        }
        let seconds = now.since(then).as_secs();
        let since = format!("count_over_time(ALERTS{{alertstate=\"firing\"}}[{seconds}s])");
        let fired_then = self.query("ALERTS{alertstate=\"firing\"}", then).await?;
        let fired_since = self.query(&since, now).await?;
        let (firing, pending) = self.alerts().await?;
        let answer = Answer {
            started_at,
            steady_since: None,
            rules,
            fired_then,
            fired_since,
            pending,
            firing,
        };
        Ok((answer, is_evaluated))
    }

    async fn alerts(&self) -> Result<(Vec<FiringAlert>, Vec<Labels>), AskError> {
        let said: Alerts = self.get("alerts", &[]).await?;
        let (mut firing, mut pending) = (Vec::new(), Vec::new());
        for alert in said.alerts {
            let labels = self.as_sent(alert.labels);
            match &*alert.state {
                "firing" => firing.push(FiringAlert {
                    labels,
                    annotations: alert.annotations,
                    active_at: alert.active_at,
                }),
                _ => pending.push(labels),
            }
        }
        Ok((firing, pending))
    }

    /// The labels of the series `ALERTS` that an expression finds.
    async fn query(&self, expression: &str, at: Timestamp) -> Result<Vec<Labels>, AskError> {
        let at = format!("{}.{:03}", at.0.div_euclid(1000), at.0.rem_euclid(1000));
        let query = [("query", expression), ("time", &*at)];
        let found: Found = self.get("query", &query).await?;
        let labels = found.result.into_iter().map(|series| {
            let mut labels = series.metric;
            labels.retain(|name, _| !OF_SERIES.contains(&name));
            self.as_sent(labels)
        });
        Ok(labels.collect())
    }

    /// The labels with which it sends an alert that has these.
    fn as_sent(&self, mut labels: Labels) -> Labels {
        for (name, value) in &self.settings.labels {
            if labels.get(name).is_none_or(str::is_empty) {
                labels.insert(name, value);
            }
        }
        labels.retain(|name, value| {
            !value.is_empty() && !self.settings.drop.iter().any(|dropped| dropped == name)
        });
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
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    name: String,
    /// `ok`, `err`, or `unknown` before it is evaluated for the first time.
    #[serde(default)]
    health: String,
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
        of.iter().copied().collect()
    }

    #[test]
    fn labels_are_added_and_dropped_as_before_an_alert_is_sent() {
        let server = Prometheus::new(&PrometheusServer {
            url: Secret::from("http://tocsin:planted@prom:9090/path/"),
            cluster: Some("eu".to_owned()),
            labels: [("cluster", "c1"), ("replica", "a"), ("team", "x")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
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
