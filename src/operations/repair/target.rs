//! The target of a repair: an incident, an anomaly, or the anomaly that an alert's labels name.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::context::Context;
use crate::domain::alert::{Alert, AlertStatus, Labels};
use crate::domain::signature::Signature;
use crate::operations::{Invalid, OperationError, Resource};
use crate::store::incidents;
use crate::store::views::{lists, timeline};

/// Incidents among which that of a source is looked for.
const NEWEST: u64 = 20;

/// What a repair was tried on.
#[derive(Clone, Debug)]
pub enum Target {
    /// An incident.
    Incident(Uuid),
    /// An anomaly, by its key: its newest incident.
    Anomaly(String),
    /// The anomaly of an alert with these labels.
    Alert {
        /// The labels, as a webhook would have them.
        labels: BTreeMap<String, String>,
        /// Its source: of the anomaly's incidents, the newest of that source's family.
        source: Option<String>,
    },
}

impl Target {
    /// Which incident that is.
    pub(super) async fn find(&self, context: &Context) -> Result<Uuid, OperationError> {
        let db = context.db.view();
        match self {
            Self::Incident(id) => {
                let found = incidents::find(db, *id).await?;
                let found = found.ok_or(OperationError::NotFound(Resource::Incident))?;
                Ok(found.id)
            }
            Self::Anomaly(key) => newest(context, key, None).await,
            Self::Alert { labels, source } => {
                let key = key_of(context, labels)?;
                newest(context, &key, source.as_deref()).await
            }
        }
    }

    /// What tells it from others, for the id of a repair.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::Incident(id) => vec!["repair".to_owned(), id.to_string()],
            Self::Anomaly(key) => vec!["repair".to_owned(), "anomaly".to_owned(), key.clone()],
            Self::Alert { labels, .. } => {
                let labels = labels
                    .iter()
                    .flat_map(|(name, value)| [name.clone(), value.clone()]);
                ["repair".to_owned(), "alert".to_owned()]
                    .into_iter()
                    .chain(labels)
                    .collect()
            }
        }
    }
}

/// The signature is worked out as for an alert that arrives.
fn key_of(context: &Context, labels: &BTreeMap<String, String>) -> Result<String, OperationError> {
    let alert = Alert {
        status: AlertStatus::Firing,
        labels: labels.iter().collect(),
        annotations: Labels::new(),
        fingerprint: String::new(),
        starts_at: None,
        ends_at: None,
        lease_ms: None,
        generator_url: None,
        rule: None,
        identity: None,
    };
    let signature = Signature::of(&alert, &context.config.signature);
    if signature.alert_name.is_empty() {
        let name = "alertname".to_owned();
        return Err(Invalid::NoAlertName { name }.into());
    }
    Ok(signature.key())
}

async fn newest(
    context: &Context,
    key: &str,
    source: Option<&str>,
) -> Result<Uuid, OperationError> {
    let db = context.db.view();
    let missing = || OperationError::NotFound(Resource::Anomaly);
    let anomaly = lists::anomaly(db, key).await?.ok_or_else(missing)?;
    if let Some(source) = source {
        let families = &context.config.counting.families;
        let of_source = timeline::incidents(db, key, NEWEST).await?;
        let of_source = of_source
            .into_iter()
            .find(|i| families.are_one(&i.source, source));
        if let Some(found) = of_source {
            return Ok(found.id);
        }
    }
    anomaly
        .newest_incident
        .ok_or(OperationError::NotFound(Resource::Incident))
}
