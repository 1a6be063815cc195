//! Allowing an action again that is stopped.

use serde_json::json;

use super::{Invalid, OperationError};
use crate::context::Context;
use crate::domain::effectiveness::action_name;
use crate::domain::recommendation::Streak;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::maintenance;
use crate::store::repairs::breakers;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The action, as it is recorded.
    pub action: String,
    /// Why it was stopped; none: it was not.
    pub was: Option<Streak>,
}

/// Allows an action again: verdicts on repairs that finished before now stop it no more. Has no effect on one that is
/// not stopped.
pub async fn allow(
    context: &Context,
    actor: &Actor,
    action: &str,
) -> Result<Allowed, OperationError> {
    let action = action_name(action);
    if action.is_empty() {
        return Err(Invalid::EmptyAction.into());
    }
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let breaker = context.config.repairs.breaker;
    let was = breakers::stopped(&tx, vec![action.clone()], breaker).await?;
    let was = was.get(&action).copied();
    let mut detail = json!({"in_a_row": was.map(|streak| streak.in_a_row)});
    if was.is_some() {
        breakers::allow(&tx, &action, now).await?;
    } else {
        detail["changed"] = false.into();
    }
    let entry = AuditEntry {
        action: Action::AllowAction,
        target: &action,
        detail,
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    Ok(Allowed { action, was })
}
