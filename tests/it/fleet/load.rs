//! Alerts by the thousand, and what must be true when all of them are in the books.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::time::Timestamp;
use tokio::task::JoinSet;

use super::processes::Fleet;
use crate::harness::alert;

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
        self.pace * u32::try_from(self.alerts() / self.together).unwrap()
    }

    pub fn bodies(self) -> impl Iterator<Item = Value> {
        let began = Timestamp::now();
        let alerts = (0..self.alerts()).map(move |n| {
            // Ten pods of one anomaly after the other, as Alertmanager groups them.
            let (anomaly, pod) = (
                n / 10 % self.anomalies,
                n / 10 / self.anomalies * 10 + n % 10,
            );
            alert(&format!("Storm{anomaly:03}"), &format!("pod-{pod}"), began)
        });
        let alerts: Vec<Value> = alerts.collect();
        let bodies: Vec<Value> = alerts.chunks(self.together).map(body).collect();
        bodies.into_iter()
    }

    /// Posts all of it in turn to `urls`, each request again until it is taken, as Alertmanager
    /// would. Returns the answers that were not 200 (none at all where there was no answer).
    pub async fn post(self, http: reqwest::Client, urls: Vec<String>) -> Vec<Option<Refusal>> {
        let urls: Arc<[String]> = urls.into();
        let mut requests = JoinSet::new();
        let mut clock = tokio::time::interval(self.pace);
        for (n, body) in self.bodies().enumerate() {
            clock.tick().await;
            let (http, urls) = (http.clone(), Arc::clone(&urls));
            requests
                .spawn(async move { post_until_taken(&http, &urls[n % urls.len()], &body).await });
        }
        requests.join_all().await.into_iter().flatten().collect()
    }
}

/// Alerts as Alertmanager sends them.
pub fn body(alerts: &[Value]) -> Value {
    json!({"version": "4", "status": "firing", "alerts": alerts})
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

impl Fleet {
    /// Every alert of the storm is counted once, in one incident for each anomaly, which has its
    /// tier, and whose level people were told. Returns how many messages went out twice.
    pub async fn assert_all_counted_once(&self, storm: Storm) -> usize {
        let of = |n: usize| i64::try_from(n).unwrap();
        let found = self
            .look([
                "SELECT count(*) FROM occurrences",
                "SELECT count(DISTINCT counted_id) FROM occurrences",
                "SELECT CAST(sum(total) AS BIGINT) FROM anomalies",
                "SELECT count(*) FROM anomalies WHERE level = 'PERMANENT_FIX'",
                "SELECT count(*) FROM incidents",
                "SELECT count(*) FROM incidents WHERE tier = 3 AND tier_due_since IS NULL",
                "SELECT CAST(sum(aggregated_count) AS BIGINT) FROM incidents",
                "SELECT count(*) FROM notifications WHERE kind = 'opened'",
                "SELECT count(*) FROM notifications WHERE state <> 'sent'",
            ])
            .await;
        let (alerts, anomalies) = (of(storm.alerts()), of(storm.anomalies));
        let expected = [
            alerts, alerts, alerts, anomalies, anomalies, anomalies, alerts, anomalies, 0,
        ];
        assert_eq!(found, expected);
        self.assert_all_told(anomalies).await
    }

    /// Every message that was owed was taken, and for every incident one says how bad it became.
    /// Returns how many were taken twice.
    async fn assert_all_told(&self, incidents: i64) -> usize {
        let mut taken: HashMap<String, i64> = HashMap::new();
        for text in self.telegram.taken() {
            *taken.entry(text).or_default() += 1;
        }
        let once = "SELECT body FROM notifications WHERE attempts = 1";
        for body in self.column::<String>(once).await {
            assert_eq!(taken.get(&body), Some(&1), "tried once: {body}");
        }
        let bodies: Vec<String> = self.column("SELECT body FROM notifications").await;
        assert!(bodies.iter().all(|body| taken.contains_key(body)));
        assert_eq!(bodies.len(), taken.len(), "what was taken was owed");
        let worst = bodies.iter().filter(|body| body.contains("PERMANENT_FIX"));
        assert_eq!(worst.count() as i64, incidents, "the worst is told once");
        taken.values().filter(|times| **times > 1).count()
    }
}
