//! Recount and the consistency check, when an operator asks for them.

use serde_json::json;
use uuid::Uuid;

use super::{OperationError, once};
use crate::context::Context;
use crate::jobs::Recount;
use crate::queue::Push;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::verify::{self, Page};

/// Enqueues a recount, and returns the job's ID. With an idempotency `key` the ID is derived from it, so that a repeated
/// request enqueues nothing new.
pub async fn push(
    context: &Context,
    actor: &Actor,
    key: Option<&str>,
) -> Result<Uuid, OperationError> {
    let now = context.clock.now();
    let job = once::job(&["recount"], key, now);
    let entry = AuditEntry {
        action: Action::PushRecount,
        target: &job.to_string(),
        detail: json!({}),
    };
    audit::record(context.db.write(), actor, entry, now).await?;
    context
        .queues
        .push(Push::new(&Recount::All).id(job))
        .await?;
    Ok(job)
}

/// Checks one page of anomalies, after the key `after`. With `repair`, it also corrects drifted counters, and records
/// that in the audit.
pub async fn verify(
    context: &Context,
    actor: &Actor,
    after: &str,
    repair: bool,
) -> Result<Page, OperationError> {
    let repair = repair.then_some(actor);
    Ok(verify::page(context, after, repair).await?)
}
