//! Pausing and resuming a queue.

use serde_json::json;

use super::{OperationError, Resource};
use crate::context::Context;
use crate::jobs::QUEUES;
use crate::store::audit::{self, Action, Actor, AuditEntry};

/// The queue of that name.
pub fn named(name: &str) -> Result<&'static str, OperationError> {
    let known = QUEUES.into_iter().find(|queue| *queue == name);
    known.ok_or(OperationError::NotFound(Resource::Queue))
}

/// Pauses a queue: jobs are accepted, and wait. Has no effect if it is paused already.
pub async fn pause(context: &Context, actor: &Actor, name: &str) -> Result<(), OperationError> {
    set(context, actor, name, Action::PauseQueue, true).await
}

/// Resumes a queue. Has no effect if it is not paused.
pub async fn resume(context: &Context, actor: &Actor, name: &str) -> Result<(), OperationError> {
    set(context, actor, name, Action::ResumeQueue, false).await
}

/// The queue may be in another store than the audit, which is written first.
async fn set(
    context: &Context,
    actor: &Actor,
    name: &str,
    action: Action,
    paused: bool,
) -> Result<(), OperationError> {
    let name = named(name)?;
    let entry = AuditEntry {
        action,
        target: name,
        detail: json!({}),
    };
    audit::record(context.db.write(), actor, entry, context.clock.now()).await?;
    context.queues.store().set_paused(name, paused).await?;
    context.probe.paused_or_resumed().await;
    Ok(())
}
