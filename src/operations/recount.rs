//! Recount and the consistency check, on request.

use serde_json::json;
use uuid::Uuid;

use super::{OperationError, once};
use crate::context::Context;
use crate::jobs::Recount;
use crate::queue::Push;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::verify::{self, Page};

/// Enqueues recount. Returns the job's id, which is made of the idempotency `key`, if there is one.
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
        .push(Push::new(&Recount::Tick).id(job))
        .await?;
    Ok(job)
}

/// Checks a page of anomalies, which begins `after` a key. With `repair`, drifted figures are set to what
/// the rows say, and that is written into the audit.
pub async fn verify(
    context: &Context,
    actor: &Actor,
    after: &str,
    repair: bool,
) -> Result<Page, OperationError> {
    let repair = repair.then_some(actor);
    Ok(verify::page(context, after, repair).await?)
}
