//! Having an incident analyzed again.

use serde_json::json;
use uuid::Uuid;

use super::incident::{Changed, key_of};
use super::{FollowUp, OperationError, Resource};
use crate::context::Context;
use crate::store::analysis::{self, DueAnalysis};
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::{anomalies, incidents};

/// Has an incident analyzed, again if it is already. Its status stays as it is. If it waits to be analyzed, no
/// other analysis is made.
pub async fn request(
    context: &Context,
    actor: &Actor,
    id: Uuid,
) -> Result<Changed, OperationError> {
    let unknown = || OperationError::NotFound(Resource::Incident);
    let tx = context.db.begin().await?;
    let key = key_of(&tx, id).await?;
    let locked = anomalies::lock(&tx, &key).await?;
    let (anomaly, now) = locked.ok_or_else(unknown)?;
    let now = context.clock.of_store(now);
    let is_new = analysis::mark_due(&tx, id, now).await?;
    let incident = incidents::find(&tx, id).await?.ok_or_else(unknown)?;
    let entry = AuditEntry {
        action: Action::AnalyzeIncident,
        target: &id.to_string(),
        detail: json!({"changed": is_new}),
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    // One that waits may wait because its job was lost.
    let due = incident.analyze_due_since.map(|since| DueAnalysis {
        incident: id,
        since,
    });
    let follow_up = FollowUp {
        analyses: due.into_iter().collect(),
        ..FollowUp::default()
    };
    follow_up.push(context).await;
    let (previous_status, previous_operator) = (incident.status, incident.operator.clone());
    Ok(Changed {
        entry: (incident, anomaly),
        previous_status,
        changed: is_new,
        previous_operator,
        now,
    })
}
