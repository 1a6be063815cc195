//! Notes: what people write about an incident.

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::key_of;
use crate::context::Context;
use crate::entity::notes::Model;
use crate::operations::once::job;
use crate::operations::{Invalid, OperationError, Resource};
use crate::store::audit::{self, Action, Actor};
use crate::store::{anomalies, notes};
use crate::time::Timestamp;

/// A note to write.
#[derive(Clone, Copy, Debug)]
pub struct NewNote<'a> {
    /// What it says.
    pub text: &'a str,
    /// The idempotency key of the request: with the same key it is the same note.
    pub key: Option<&'a str>,
}

impl<'a> NewNote<'a> {
    /// A note, if the text says anything.
    #[must_use]
    pub fn said(text: Option<&'a str>, key: Option<&'a str>) -> Option<Self> {
        let text = text.map(str::trim).filter(|text| !text.is_empty())?;
        Some(Self { text, key })
    }
}

/// Writes a note about an incident. Returns it as it was written first.
pub async fn note(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    new: Option<NewNote<'_>>,
) -> Result<Model, OperationError> {
    let new = new.ok_or(Invalid::EmptyNote)?;
    let tx = context.db.begin().await?;
    let ids = lock_and_note(&tx, context, actor, id, new).await?;
    let written = match ids.first() {
        Some(id) => notes::find(&tx, *id).await?,
        None => None,
    };
    tx.commit().await?;
    written.ok_or(OperationError::NotFound(Resource::Incident))
}

/// Writes a note about an incident whose anomaly is not locked yet. Returns the note's id.
pub(in crate::operations) async fn lock_and_note(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    id: Uuid,
    new: NewNote<'_>,
) -> Result<Vec<Uuid>, OperationError> {
    let key = key_of(tx, id).await?;
    let locked = anomalies::lock(tx, &key).await?;
    let (_, now) = locked.ok_or(OperationError::NotFound(Resource::Incident))?;
    // Read again: it may have been deleted before the lock.
    key_of(tx, id).await?;
    let now = context.clock.of_store(now);
    let (ids, _) = note_in(tx, actor, &[id], new, now).await?;
    Ok(ids)
}

/// Writes the same note about incidents whose anomalies are locked. Returns the notes' ids, and the incidents about
/// which it was not written before.
pub(super) async fn note_in(
    tx: &DatabaseTransaction,
    actor: &Actor,
    incidents: &[Uuid],
    new: NewNote<'_>,
    now: Timestamp,
) -> Result<(Vec<Uuid>, Vec<Uuid>), OperationError> {
    // Two people's keys, and one key with two texts, are no repetition.
    let id_of = |incident: &Uuid| {
        let words = ["note", &actor.token, &incident.to_string(), new.text];
        job(&words, new.key, now)
    };
    let both: Vec<(Uuid, Uuid)> = incidents.iter().map(|id| (id_of(id), *id)).collect();
    let operator = actor.operator.as_deref();
    let written = notes::insert(tx, &both, new.text, operator, now).await?;
    let ids = both.iter().map(|(id, _)| *id).collect();
    if written.is_empty() {
        return Ok((ids, written));
    }
    // What it says is in the note alone.
    let detail = json!({"characters": new.text.chars().count()});
    let action = Action::NoteIncident;
    let targets = written.iter().map(Uuid::to_string);
    audit::record_each(tx, actor, action, targets, &detail, now).await?;
    Ok((ids, written))
}
