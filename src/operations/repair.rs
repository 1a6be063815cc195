//! Reporting what was tried on an incident, and whether it helped.

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde_json::json;
use uuid::Uuid;

use super::{Invalid, OperationError, Resource, incident, once};
use crate::context::Context;
use crate::domain::effectiveness::action_name;
use crate::jobs::RecordRepair;
use crate::queue::Push;
use crate::queue::store::QueueError;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::incidents::find;
use crate::telemetry::task_context;
use crate::time::Timestamp;

/// A repair as it is reported.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was done; it is recorded as [`action_name`] spells it.
    pub action: String,
    /// Whether it helped.
    pub success: bool,
    /// Note.
    pub note: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
}

impl Report {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.action.trim().is_empty() {
            return Err(Invalid::EmptyAction);
        }
        if self.duration_ms.is_some_and(|took| took < 0) {
            return Err(Invalid::NegativeDuration);
        }
        Ok(())
    }

    pub(super) fn job(self, incident: Uuid, actor: &Actor, at: Timestamp) -> RecordRepair {
        RecordRepair {
            incident,
            action: action_name(&self.action),
            success: self.success,
            operator: actor.operator.clone(),
            note: self.note,
            duration_ms: self.duration_ms,
            at,
        }
    }
}

/// Records a repair of an incident: writes the audit entry, then enqueues the job that records it. Returns
/// the job's id, which is made of the idempotency `key`, if there is one: reported again with the same key,
/// it is the same repair.
pub async fn record(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    report: Report,
    key: Option<&str>,
) -> Result<Uuid, OperationError> {
    report.check()?;
    let found = find(context.db.view(), id).await?;
    found.ok_or(OperationError::NotFound(Resource::Incident))?;
    let now = context.clock.now();
    let job = once::job(&["repair", &id.to_string()], key, now);
    let repair = report.job(id, actor, now);
    note(context.db.write(), actor, job, &repair).await?;
    push(context, job, &repair).await?;
    Ok(job)
}

/// Notes a repair in the transaction of a button press. It is to be pushed after the commit.
pub(super) async fn note_in(
    tx: &DatabaseTransaction,
    actor: &Actor,
    job: Uuid,
    repair: &RecordRepair,
) -> Result<(), OperationError> {
    incident::key_of(tx, repair.incident).await?;
    note(tx, actor, job, repair).await
}

/// Writes the audit entry before the job is enqueued, so that it is known who reported a repair even if the
/// process dies in between.
async fn note(
    db: &impl ConnectionTrait,
    actor: &Actor,
    job: Uuid,
    repair: &RecordRepair,
) -> Result<(), OperationError> {
    let target = repair.incident.to_string();
    let entry = AuditEntry {
        action: Action::RecordRepair,
        target: &target,
        detail: json!({
            "repair": job, "action": repair.action, "success": repair.success,
        }),
    };
    Ok(audit::record(db, actor, entry, repair.at).await?)
}

/// Enqueues the job that records it; enqueued again it is the same repair.
pub(super) async fn push(
    context: &Context,
    job: Uuid,
    repair: &RecordRepair,
) -> Result<(), QueueError> {
    let repair = Push::new(repair).id(job).trace(task_context::trace());
    context.queues.push(repair).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_an_action_and_no_negative_duration() {
        for (action, duration_ms, expected) in [
            ("restart_pod", None, Ok(())),
            ("restart_pod", Some(0), Ok(())),
            ("restart_pod", Some(-1), Err(Invalid::NegativeDuration)),
            (" \t", None, Err(Invalid::EmptyAction)),
        ] {
            let report = Report {
                action: action.to_owned(),
                success: true,
                note: None,
                duration_ms,
            };
            assert_eq!(report.check(), expected, "{action:?} {duration_ms:?}");
        }
    }
}
