//! Saying what was tried on an incident, and whether it helped.

use sea_orm::{ConnectionTrait, DbErr};
use serde_json::json;
use uuid::Uuid;

use crate::context::Context;
use crate::jobs::RecordRepair;
use crate::queue::Push;
use crate::queue::store::QueueError;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::telemetry::task_context;

/// Writes down that a repair is reported, before it is queued: who asks who did it is told so even if
/// the process dies in between.
///
/// # Errors
/// What the database says.
pub async fn note(
    db: &impl ConnectionTrait,
    job: Uuid,
    repair: &RecordRepair,
    actor: &Actor,
) -> Result<(), DbErr> {
    let target = repair.incident.to_string();
    let deed = AuditEntry {
        action: Action::RecordRepair,
        target: &target,
        detail: json!({
            "repair": job, "action": repair.action, "success": repair.success,
        }),
    };
    audit::record(db, actor, deed, repair.at).await
}

/// Queues the job that records it; queued again it is the same repair.
///
/// # Errors
/// The queue did not take it.
pub async fn push(context: &Context, job: Uuid, repair: &RecordRepair) -> Result<(), QueueError> {
    let push = Push::new(repair).id(job).trace(task_context::trace());
    context.queues.push_all([push]).await
}
