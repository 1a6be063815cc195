//! Which executors are asked to run what is recommended now.

use sea_orm::{DatabaseTransaction, DbErr};
use tocsin::context::Context;
use tocsin::executions::decide_in;
use tocsin::store::incidents::Finding;
use tocsin::store::outbox::DueExecution;
use uuid::Uuid;

use super::LockedAnomalies;

/// Decides about the incidents of a pass. Without hooks nothing is read.
pub(super) async fn decide(
    context: &Context,
    tx: &DatabaseTransaction,
    locked: &LockedAnomalies,
    findings: &[(Uuid, Finding)],
) -> Result<Vec<DueExecution>, DbErr> {
    let mut due = Vec::new();
    if context.config.repairs.hooks.is_empty() {
        return Ok(due);
    }
    for (incident, found) in findings {
        if let Some(anomaly) = locked.anomalies.get(&found.frequency.anomaly_key) {
            let of = (*incident, found.tier);
            due.extend(decide_in(context, tx, of, anomaly, locked.now).await?);
        }
    }
    Ok(due)
}
