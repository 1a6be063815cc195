//! Acknowledging, taking over and resolving an incident, and writing notes about it.

mod bulk;
mod many;
mod note;
mod take_over;

use std::time::Duration;

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::{Conflict, FollowUp, OperationError, Resource};
use crate::context::Context;
use crate::domain::aggregation::{ResolvedBy, Status};
use crate::domain::incident_counts::{IncidentCounts, PERSON};
use crate::domain::messages::of_resolved;
use crate::entity::incidents::Model as Incident;
use crate::store::anomalies;
use crate::store::audit::{self, Actor, AuditEntry};
use crate::store::incidents::{StatusChange, act, find};
use crate::store::outbox;
use crate::store::views::incident_list::Entry;
use crate::time::Timestamp;
pub use bulk::{Asked, BulkAction, Changes, Item, Outcome, Which, apply};
pub use many::{Resolved, Selection, resolve_many};
pub(super) use note::lock_and_note;
pub use note::{NewNote, note};
pub(super) use take_over::take_over_in;
pub use take_over::{Holder, take_over};

/// An incident after an operation.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The incident as it is now, and its anomaly.
    pub entry: Entry,
    /// Its status before.
    pub previous_status: Status,
    /// Whether the operation changed it: it did not if the status was so already.
    pub changed: bool,
    /// Who had changed its status before.
    pub previous_operator: Option<String>,
    /// When the operation was done.
    pub now: Timestamp,
}

/// After when an incident that a person resolved reopens, if an alert of it is still received then; `window` is
/// `aggregation.window`. None if all of its firings have ended.
#[must_use]
pub fn reopens_after(incident: &Incident, window: Duration) -> Option<Timestamp> {
    let by_person = incident.resolved_by == Some(ResolvedBy::Person);
    let at = incident.resolved_at.filter(|_| by_person)?;
    (incident.open_episodes > 0).then(|| at.after(window))
}

/// Acknowledges an incident. Has no effect if it is acknowledged already, but for the note.
pub async fn acknowledge(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    note: Option<NewNote<'_>>,
) -> Result<Changed, OperationError> {
    change(context, actor, id, (StatusChange::Acknowledge, note)).await
}

/// Resolves an incident. Has no effect if it is resolved already, but for the note.
pub async fn resolve(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    note: Option<NewNote<'_>>,
) -> Result<Changed, OperationError> {
    change(context, actor, id, (StatusChange::Resolve, note)).await
}

async fn change(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    (change, note): (StatusChange, Option<NewNote<'_>>),
) -> Result<Changed, OperationError> {
    let tx = context.db.begin().await?;
    let (changed, follow_up) = Box::pin(change_in(&tx, context, actor, id, change)).await?;
    if let (Ok(changed), Some(note)) = (&changed, note) {
        note::note_in(&tx, actor, &[id], note, changed.now).await?;
    }
    tx.commit().await?;
    follow_up.push(context).await;
    changed.map_err(OperationError::from)
}

/// Changes the status of an incident and writes the audit entry. That it cannot be done is in the audit,
/// too, so the transaction is to be committed either way.
pub(super) async fn change_in(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    id: Uuid,
    change: StatusChange,
) -> Result<(Result<Changed, Conflict>, FollowUp), OperationError> {
    let key = key_of(tx, id).await?;
    let locked = anomalies::lock(tx, &key).await?;
    let (anomaly, now) = locked.ok_or(OperationError::NotFound(Resource::Incident))?;
    let now = context.clock.of_store(now);
    // Read again: the lock on the anomaly holds for its incidents, too.
    let before = find(tx, id).await?;
    let before = before.ok_or(OperationError::NotFound(Resource::Incident))?;
    let after = act(tx, before.clone(), change, actor.operator.clone(), now).await?;
    let changed = after.as_ref().filter(|after| after.status != before.status);
    let of = changed.map(|incident| (incident.id, incident.opened_at));
    let follow_up = write_follow_up(tx, context, change, of.as_slice(), now).await?;
    let target = id.to_string();
    let entry = AuditEntry {
        action: change.action(),
        target: &target,
        detail: json!({"possible": after.is_some(), "changed": changed.is_some()}),
    };
    audit::record(tx, actor, entry, now).await?;
    let (previous_status, previous_operator) = (before.status, before.operator);
    let changed_something = changed.is_some();
    let changed = after.map(|after| Changed {
        entry: (after, anomaly),
        previous_status,
        changed: changed_something,
        previous_operator,
        now,
    });
    Ok((changed.ok_or(Conflict::IncidentResolved), follow_up))
}

/// Marks the cards of incidents that this changed, and writes the messages that they are resolved; with each, when it
/// opened.
async fn write_follow_up(
    tx: &DatabaseTransaction,
    context: &Context,
    change: StatusChange,
    changed: &[(Uuid, Timestamp)],
    now: Timestamp,
) -> Result<FollowUp, OperationError> {
    let ids: Vec<Uuid> = changed.iter().map(|(id, _)| *id).collect();
    let after = changed.iter().map(|(_, opened_at)| now.since(*opened_at));
    let (mut messages, mut incidents) = (Vec::new(), IncidentCounts::default());
    match change {
        StatusChange::Resolve => {
            messages.extend(ids.iter().map(|id| of_resolved(*id, None, now)));
            incidents
                .resolved
                .extend(after.map(|after| (PERSON, after)));
        }
        StatusChange::Acknowledge => incidents.acknowledged.extend(after),
    }
    let policy = context.config.messages();
    let mut follow_up = outbox::write(tx, &policy, messages, &ids, now).await?;
    follow_up.incidents = incidents;
    Ok(follow_up)
}

/// The key of an incident's anomaly.
pub(super) async fn key_of(tx: &DatabaseTransaction, id: Uuid) -> Result<String, OperationError> {
    let incident = find(tx, id).await?;
    let incident = incident.ok_or(OperationError::NotFound(Resource::Incident))?;
    Ok(incident.anomaly_key)
}
