//! Taking an incident over from who acknowledged it.

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::note::{NewNote, note_in};
use super::{Changed, key_of};
use crate::context::Context;
use crate::domain::aggregation::Status;
use crate::domain::buttons::mark_of;
use crate::entity::incidents::Model as Incident;
use crate::operations::{Conflict, FollowUp, Invalid, OperationError, Resource};
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::incidents::find;
use crate::store::{anomalies, incidents, outbox};

/// Who has the incident, as the person saw it who takes it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder<'a> {
    /// By name; `None` is somebody unnamed.
    Name(Option<&'a str>),
    /// By the [mark](mark_of) of the name.
    Mark(&'a str),
}

impl Holder<'_> {
    fn is(&self, holder: Option<&str>) -> bool {
        match self {
            Self::Name(name) => *name == holder,
            Self::Mark(mark) => *mark == mark_of(holder),
        }
    }
}

/// Takes an acknowledged incident over from who has it. Of two who do so at once one is refused. Has no effect if the
/// actor has it already, but for the note. The actor needs a name: of two without one nobody could tell who has it.
pub async fn take_over(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    from: Holder<'_>,
    note: Option<NewNote<'_>>,
) -> Result<Changed, OperationError> {
    let tx = context.db.begin().await?;
    let (changed, follow_up) = take_over_in(&tx, context, actor, id, from).await?;
    if let (Ok(changed), Some(note)) = (&changed, note) {
        note_in(&tx, actor, &[id], note, changed.now).await?;
    }
    tx.commit().await?;
    follow_up.push(context).await;
    changed.map_err(OperationError::from)
}

/// Takes an incident over and writes the audit entry, with both names. That it cannot be done is in the audit, too, so
/// the transaction is to be committed either way.
pub(in crate::operations) async fn take_over_in(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    id: Uuid,
    from: Holder<'_>,
) -> Result<(Result<Changed, Conflict>, FollowUp), OperationError> {
    let to = actor.operator.as_deref().ok_or(Invalid::NoOperator)?;
    let key = key_of(tx, id).await?;
    let locked = anomalies::lock(tx, &key).await?;
    let (anomaly, now) = locked.ok_or(OperationError::NotFound(Resource::Incident))?;
    let now = context.clock.of_store(now);
    // Read again: the lock on the anomaly holds for its incidents, too.
    let before = find(tx, id).await?;
    let before = before.ok_or(OperationError::NotFound(Resource::Incident))?;
    let effect = effect(&before, &from, to);
    let mut follow_up = FollowUp::default();
    let after = match effect {
        Ok(true) => {
            let policy = context.config.messages();
            follow_up = outbox::write(tx, &policy, Vec::new(), &[id], now).await?;
            incidents::take_over(tx, id, to, now).await?
        }
        Ok(false) | Err(_) => before.clone(),
    };
    let (target, holder) = (id.to_string(), before.operator.as_deref());
    let entry = AuditEntry {
        action: Action::TakeOverIncident,
        target: &target,
        detail: json!({
            "from": holder,
            "to": to,
            "possible": effect.is_ok(),
            "changed": effect == Ok(true),
        }),
    };
    audit::record(tx, actor, entry, now).await?;
    let changed = effect.map(|changed| Changed {
        entry: (after, anomaly),
        previous_status: before.status,
        changed,
        previous_operator: before.operator,
        now,
    });
    Ok((changed, follow_up))
}

/// Whether it changes anything, or what stands against it.
fn effect(incident: &Incident, from: &Holder<'_>, to: &str) -> Result<bool, Conflict> {
    let holder = incident.operator.as_deref();
    if incident.status != Status::Acknowledged {
        return Err(Conflict::NotAcknowledged);
    }
    if holder == Some(to) {
        return Ok(false);
    }
    if !from.is(holder) {
        let by = holder.unwrap_or("–").to_owned();
        return Err(Conflict::TakenOver { by });
    }
    Ok(true)
}
