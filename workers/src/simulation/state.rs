//! The state of a simulation, as the API shows it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::level::Level;
use tocsin::domain::verdict::{Verdict, VerdictReason};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::instance::Instance;

/// How everything stands.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// In the order in which they opened.
    pub(super) incidents: Vec<Incident>,
    /// In the order in which they finished.
    pub(super) repairs: Vec<Repair>,
    /// Jobs that failed for good: what they are about, and why.
    pub(super) dead: Vec<DeadLetter>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Incident {
    pub(super) id: Uuid,
    pub(super) anomaly_key: String,
    pub(super) number: i64,
    pub(super) status: Status,
    pub(super) severity: String,
    pub(super) resolved_by: Option<ResolvedBy>,
    pub(super) operator: Option<String>,
    pub(super) tier: Option<i64>,
    pub(super) tier_reason: Option<String>,
    pub(super) aggregated_count: i64,
    pub(super) reopened: i64,
    pub(super) unheard_since: Option<Timestamp>,
    pub(super) opened_at: Timestamp,
    pub(super) aggregation_window_start: Timestamp,
    pub(super) last_firing_at: Timestamp,
    pub(super) alert_name: String,
    pub(super) service: String,
    pub(super) namespace: String,
    pub(super) error_type: String,
    pub(super) escalation_level: Level,
    pub(super) escalation_reason: Option<String>,
    pub(super) muted_until: Option<Timestamp>,
    pub(super) muted_by: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Repair {
    pub(super) id: Uuid,
    pub(super) incident_id: Uuid,
    pub(super) anomaly_key: String,
    pub(super) action: String,
    pub(super) success: Option<bool>,
    pub(super) verdict: Option<Verdict>,
    pub(super) verdict_reason: Option<VerdictReason>,
    pub(super) quiet_ms: Option<i64>,
    pub(super) quiet_after_ms: Option<i64>,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) repaired_at: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct DeadLetter {
    pub(super) id: Uuid,
    pub(super) queue: String,
    pub(super) reason: String,
}

/// What to do next about an incident.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Recommendation {
    pub(super) action: Option<String>,
    pub(super) tier: i64,
    pub(super) rule: String,
    pub(super) said: String,
    pub(super) why_said: String,
    pub(super) why: serde_json::Value,
}

impl Recommendation {
    /// For an incident; none before its tier is known.
    pub(super) async fn of(instance: &Instance, incident: Uuid) -> anyhow::Result<Option<Self>> {
        let mut shown = instance
            .get(&format!("/api/v1/incidents/{incident}"))
            .await?;
        Ok(serde_json::from_value(shown["recommendation"].take())?)
    }

    /// Whether it says to do something else than another, for whatever reason.
    pub(super) fn differs(&self, other: Option<&Self>) -> bool {
        match other {
            Some(other) if self.action.is_none() => self.rule != other.rule,
            Some(other) => (&self.action, self.tier) != (&other.action, other.tier),
            None => self.rule != "none_known" || self.why["fix"].is_object(),
        }
    }
}

/// What actions were worth on an anomaly.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Effectiveness {
    pub(super) summary: String,
    pub(super) actions: Vec<Action>,
    pub(super) nothing: Nothing,
    pub(super) min_verdicts: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Action {
    pub(super) action: String,
    pub(super) verdicts: i64,
    pub(super) lower_bound: f64,
    pub(super) effective: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Nothing {
    pub(super) held: i64,
    pub(super) episodes: i64,
    pub(super) share: Option<f64>,
}

impl State {
    /// Asks how everything stands.
    pub(super) async fn read(instance: &Instance) -> anyhow::Result<Self> {
        let mut incidents: Vec<Incident> = read_list(instance, "/api/v1/incidents").await?;
        incidents.sort_by(|a, b| a.place().cmp(&b.place()));
        let mut repairs: Vec<Repair> = read_list(instance, "/api/v1/repairs").await?;
        repairs.sort_by_key(|repair| (repair.repaired_at, repair.id));
        Ok(Self {
            incidents,
            repairs,
            dead: read_list(instance, "/api/v1/dead-letters").await?,
        })
    }

    /// What people call an incident.
    pub(super) fn name(&self, id: Uuid) -> String {
        let place = self.incidents.iter().position(|incident| incident.id == id);
        place.map_or_else(|| "?".to_owned(), |place| format!("#{}", place + 1))
    }

    /// The newest incident of an anomaly.
    pub(super) fn newest(&self, key: &str) -> Option<&Incident> {
        let of_key = self.incidents.iter().filter(|i| i.anomaly_key == key);
        of_key.max_by_key(|incident| incident.number)
    }

    /// Of each anomaly its newest incident, in the order in which they opened.
    pub(super) fn newest_of_each(&self) -> Vec<&Incident> {
        let mut newest: BTreeMap<&str, &Incident> = BTreeMap::new();
        for incident in &self.incidents {
            newest.insert(&incident.anomaly_key, incident);
        }
        let mut newest: Vec<&Incident> = newest.into_values().collect();
        newest.sort_by(|a, b| a.place().cmp(&b.place()));
        newest
    }
}

impl Incident {
    fn place(&self) -> (Timestamp, &str, &str, &str, &str, i64) {
        let (name, service) = (&self.alert_name, &self.service);
        (
            self.opened_at,
            name,
            service,
            &self.namespace,
            &self.error_type,
            self.number,
        )
    }

    pub(super) fn is_open(&self) -> bool {
        self.status != Status::Resolved
    }
}

impl Effectiveness {
    /// What actions were worth on an anomaly, the most tried first.
    pub(super) async fn of(instance: &Instance, key: &str) -> anyhow::Result<Self> {
        let path = format!("/api/v1/anomalies/{key}/effectiveness");
        let mut found: Self = serde_json::from_value(instance.get(&path).await?)?;
        found.actions.sort_by_key(|action| Reverse(action.verdicts));
        Ok(found)
    }
}

async fn read_list<T: serde::de::DeserializeOwned>(
    instance: &Instance,
    path: &str,
) -> anyhow::Result<Vec<T>> {
    let items = instance.list(path).await?.into_iter();
    let read = items.map(serde_json::from_value).collect::<Result<_, _>>();
    read.with_context(|| format!("cannot read {path}"))
}
