//! Acknowledging and resolving an incident.

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::{Due, Refused};
use crate::context::Context;
use crate::domain::aggregation::Status;
use crate::domain::messages::of_resolved;
use crate::entity::incidents::Model as Incident;
use crate::store::anomalies;
use crate::store::audit::{self, Actor};
use crate::store::incidents::{StatusChange, Still, act, find, resolve_some as resolve};
use crate::store::outbox;
use crate::store::views::incident_list::Entry;
use crate::time::Timestamp;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Done {
    /// The incident as it is now, and its anomaly.
    pub entry: Entry,
    /// Where the incident stood before.
    pub previous_status: Status,
    /// Who had said so before.
    pub operator: Option<String>,
    /// Whether it could be done: what is resolved cannot be acknowledged.
    pub possible: bool,
    /// When it was.
    pub now: Timestamp,
    /// What must follow.
    pub due: Due,
}

/// Acknowledges or resolves an incident, and writes down who did.
///
/// # Errors
/// See [`Refused`].
pub async fn turn(
    context: &Context,
    tx: &DatabaseTransaction,
    id: Uuid,
    change: StatusChange,
    actor: &Actor,
) -> Result<Done, Refused> {
    let key = key_of(tx, id).await?;
    let locked = anomalies::lock(tx, &key).await?;
    let (anomaly, now) = locked.ok_or(Refused::NoIncident)?;
    let now = context.clock.of_store(now);
    // Read again: the anomaly is ours now, and with it the incident.
    let before = find(tx, id).await?.ok_or(Refused::NoIncident)?;
    let after = act(tx, before.clone(), change, actor.operator.clone(), now).await?;
    let turned = after.as_ref().filter(|after| after.status != before.status);
    let due = tell(context, tx, turned, now).await?;
    let target = id.to_string();
    let written = audit::AuditEntry {
        action: change.action(),
        target: &target,
        detail: json!({"possible": after.is_some(), "changed": turned.is_some()}),
    };
    audit::record(tx, actor, written, now).await?;
    let (previous_status, operator) = (before.status, before.operator.clone());
    Ok(Done {
        possible: after.is_some(),
        entry: (after.unwrap_or(before), anomaly),
        previous_status,
        operator,
        now,
        due,
    })
}

/// Resolves those of these incidents that are not and still stand as they are meant to, and writes down who did. Returns which these were, and
/// what must follow.
///
/// # Errors
/// See [`Refused`].
pub async fn resolve_some(
    context: &Context,
    tx: &DatabaseTransaction,
    ids: &[Uuid],
    still: &Still,
    actor: &Actor,
    why: &serde_json::Value,
) -> Result<(Vec<Uuid>, Due), Refused> {
    let (_, now) = anomalies::lock_of_incidents(tx, ids).await?;
    let now = context.clock.of_store(now);
    let resolved = resolve(tx, ids, still, actor.operator.as_deref(), now).await?;
    if resolved.is_empty() {
        return Ok((resolved, Due::default()));
    }
    let messages = resolved.iter().map(|id| of_resolved(*id, None, now));
    let policy = context.config.messages();
    let due = outbox::write(tx, &policy, messages.collect(), &resolved, now).await?;
    let targets = resolved.iter().map(Uuid::to_string);
    audit::record_each(tx, actor, StatusChange::Resolve.action(), targets, why, now).await?;
    Ok((resolved, due))
}

/// Marks the card of an incident that stands elsewhere now, and owes the message that it is resolved.
async fn tell(
    context: &Context,
    tx: &DatabaseTransaction,
    turned: Option<&Incident>,
    now: Timestamp,
) -> Result<Due, Refused> {
    let Some(incident) = turned else {
        return Ok(Due::default());
    };
    let (id, policy) = (incident.id, context.config.messages());
    let is_resolved = incident.status == Status::Resolved;
    let message = is_resolved.then(|| of_resolved(id, incident.resolved_at, now));
    let messages = message.into_iter().collect();
    Ok(outbox::write(tx, &policy, messages, &[id], now).await?)
}

/// The anomaly of an incident.
///
/// # Errors
/// See [`Refused`].
pub async fn key_of(tx: &DatabaseTransaction, id: Uuid) -> Result<String, Refused> {
    let incident = find(tx, id).await?.ok_or(Refused::NoIncident)?;
    Ok(incident.anomaly_key)
}
