//! What Prometheus says of a rule.

use serde_json::Value;

use crate::Fault;

/// An alert that fires in Prometheus.
#[derive(Clone, Debug)]
pub struct Firing {
    /// Since when its expression holds.
    pub active_at: String,
}

/// The alert of a fault, if it fires.
pub(crate) async fn firing(
    http: &reqwest::Client,
    url: &str,
    fault: Fault,
) -> anyhow::Result<Option<Firing>> {
    let answer = http.get(format!("{url}/api/v1/alerts")).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    let alerts = answer["data"]["alerts"].as_array();
    let fires = |alert: &&Value| {
        let labels = &alert["labels"];
        alert["state"] == "firing"
            && labels["alertname"] == fault.alert()
            && labels["service"] == fault.signature()[0]
    };
    let found = alerts.into_iter().flatten().find(fires);
    Ok(found.map(|alert| Firing {
        active_at: alert["activeAt"].as_str().unwrap_or_default().to_owned(),
    }))
}

/// Whether it has seen by the exporters that both servers are there.
pub(crate) async fn sees_servers(http: &reqwest::Client, url: &str) -> anyhow::Result<bool> {
    let query = [("query", "pg_up == 1 or redis_up == 1")];
    let asked = http.get(format!("{url}/api/v1/query")).query(&query);
    let answer: Value = asked.send().await?.error_for_status()?.json().await?;
    let found = answer["data"]["result"].as_array();
    Ok(found.is_some_and(|found| found.len() == 2))
}
