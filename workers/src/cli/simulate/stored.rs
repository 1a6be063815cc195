//! The instance's figures of a storm, by its API.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::client::Client;
use super::super::error::Error;
use super::super::fields::{or_dash, text, tier};

/// The storm's anomalies and incidents.
#[derive(Debug)]
pub(super) struct Stored {
    /// The anomalies, as the API gives them.
    pub(super) anomalies: Vec<Value>,
    /// How many incidents there are.
    pub(super) incidents: u64,
    /// How many of them are at which level.
    pub(super) by_level: BTreeMap<String, u64>,
    /// How many of them are of which tier.
    pub(super) by_tier: BTreeMap<String, u64>,
}

impl Stored {
    /// Asks for everything in the storm's namespace.
    pub(super) async fn read(client: &Client, namespace: &str) -> Result<Self, Error> {
        let query = [("namespace", namespace.to_owned())];
        let anomalies = client.list(&["anomalies"], &query, usize::MAX).await?;
        let incidents = client.list(&["incidents"], &query, usize::MAX).await?;
        let count = |name: &dyn Fn(&Value) -> String| {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for incident in &incidents {
                *counts.entry(or_dash(name(incident))).or_default() += 1;
            }
            counts
        };
        Ok(Self {
            anomalies,
            incidents: incidents.len() as u64,
            by_level: count(&|incident| text(incident, "/escalation_level")),
            by_tier: count(&tier),
        })
    }
}
