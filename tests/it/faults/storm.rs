//! Alerts by the thousand, sent as a sender would who does not give up.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tocsin::time::Timestamp;
use tokio::task::JoinSet;

use crate::harness::{alert, body};

/// Firings of `anomalies` × `pods`, in requests of `together`, one every `pace`.
#[derive(Clone, Copy)]
pub struct Storm {
    pub anomalies: usize,
    pub pods: usize,
    pub together: usize,
    pub pace: Duration,
}

/// An answer that was not 200: status, type, whether it says when to try again.
pub type Refusal = (u16, String, bool);

impl Storm {
    pub const fn alerts(&self) -> usize {
        self.anomalies * self.pods
    }

    /// How long it takes to post it.
    pub fn lasts(&self) -> Duration {
        self.pace * u32::try_from(self.alerts().div_ceil(self.together)).unwrap()
    }

    /// All of its alerts, in the order in which they are sent.
    pub fn all(self) -> impl Iterator<Item = Value> + Send {
        let began = Timestamp::now();
        // Ten pods of one anomaly after the other, as Alertmanager groups them.
        let group = self.pods.min(10);
        let alert = move |n: usize| {
            let (anomaly, pod) = (
                n / group % self.anomalies,
                n / group / self.anomalies * group + n % group,
            );
            alert(&format!("Storm{anomaly:03}"), &format!("pod-{pod}"), began)
        };
        (0..self.alerts()).map(alert)
    }

    /// Posts all of it.
    pub async fn post(self, http: reqwest::Client, urls: Vec<String>) -> Vec<Option<Refusal>> {
        self.post_these(self.all(), http, urls).await
    }

    /// Posts these alerts at its pace, in turn to `urls`, each request again until it is taken, as
    /// Alertmanager would. Returns the answers that were not 200 (none at all where there was no
    /// answer).
    pub async fn post_these(
        self,
        mut alerts: impl Iterator<Item = Value> + Send,
        http: reqwest::Client,
        urls: Vec<String>,
    ) -> Vec<Option<Refusal>> {
        let urls: Arc<[String]> = urls.into();
        let mut requests = JoinSet::new();
        let mut clock = tokio::time::interval(self.pace);
        for n in 0.. {
            let together: Vec<Value> = alerts.by_ref().take(self.together).collect();
            if together.is_empty() {
                break;
            }
            clock.tick().await;
            let (http, urls, body) = (http.clone(), Arc::clone(&urls), body(&together));
            requests
                .spawn(async move { post_until_taken(&http, &urls[n % urls.len()], &body).await });
        }
        requests.join_all().await.into_iter().flatten().collect()
    }
}

async fn post_until_taken(http: &reqwest::Client, url: &str, body: &Value) -> Vec<Option<Refusal>> {
    let mut refusals = Vec::new();
    loop {
        let request = http.post(format!("{url}/api/v1/alertmanager")).json(body);
        let Ok(answer) = request.send().await else {
            refusals.push(None);
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let status = answer.status().as_u16();
        if status == 200 {
            return refusals;
        }
        let header = |name| answer.headers().get(name);
        let kind = header("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let says_when = header("retry-after").is_some();
        refusals.push(Some((status, kind.unwrap_or_default(), says_when)));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
