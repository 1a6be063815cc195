//! Stored playbooks: each change is a version that stays, and what stood before can be restored.
//!
//! If several change the same version at once, one succeeds; the others get a conflict and write nothing.

pub mod proposal;

use sea_orm::DatabaseTransaction;
use serde_json::json;

use super::{Conflict, Invalid, OperationError, Resource};
use crate::context::Context;
use crate::domain::playbook::{Origin, Playbook, State};
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::maintenance;
use crate::store::playbooks::{self, Version, proposals};
use crate::time::Timestamp;

/// What a change is made with.
#[derive(Clone, Debug)]
pub struct Reason {
    /// Why.
    pub why: String,
    /// The version that is to be changed; 0: there is none yet; none: whichever is the newest.
    pub expected: Option<i64>,
}

/// What came of a change.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The newest version.
    pub version: Version,
    /// Whether it was made by this change; else all was so already.
    pub changed: bool,
}

/// Sets the stored playbook of this name.
pub async fn set(
    context: &Context,
    actor: &Actor,
    name: &str,
    (playbook, origin): (Playbook, Origin),
    reason: Reason,
) -> Result<Changed, OperationError> {
    let playbook = Box::new(checked(name, playbook)?);
    change(context, actor, name, &Wanted::Set(playbook, origin), reason).await
}

/// Withdraws it: it stays, to be restored, and nothing of it is recommended.
pub async fn withdraw(
    context: &Context,
    actor: &Actor,
    name: &str,
    origin: Origin,
    reason: Reason,
) -> Result<Changed, OperationError> {
    change(context, actor, name, &Wanted::Withdraw(origin), reason).await
}

/// Restores a version: its content becomes the newest version.
pub async fn restore(
    context: &Context,
    actor: &Actor,
    name: &str,
    version: i64,
    reason: Reason,
) -> Result<Changed, OperationError> {
    change(context, actor, name, &Wanted::Restore(version), reason).await
}

/// With the name under which it is kept.
fn checked(name: &str, mut playbook: Playbook) -> Result<Playbook, Invalid> {
    if playbook.name.is_empty() {
        name.clone_into(&mut playbook.name);
    }
    if playbook.name != name {
        let name = name.to_owned();
        return Err(Invalid::PlaybookName { name });
    }
    playbook.check()?;
    Ok(playbook)
}

/// What a playbook is to become.
enum Wanted {
    Set(Box<Playbook>, Origin),
    Withdraw(Origin),
    Restore(i64),
}

impl Wanted {
    const fn action(&self) -> Action {
        match self {
            Self::Set(..) => Action::SetPlaybook,
            Self::Withdraw(_) => Action::WithdrawPlaybook,
            Self::Restore(_) => Action::RestorePlaybook,
        }
    }
}

/// A playbook as it is to be, and where that comes from.
struct Next {
    definition: String,
    state: State,
    origin: Origin,
    restored_from: Option<i64>,
}

async fn change(
    context: &Context,
    actor: &Actor,
    name: &str,
    wanted: &Wanted,
    reason: Reason,
) -> Result<Changed, OperationError> {
    if reason.why.trim().is_empty() {
        return Err(Invalid::NoWhy.into());
    }
    if context.playbooks.of_settings(name).is_some() {
        let name = name.to_owned();
        return Err(Conflict::PlaybookInSettings { name }.into());
    }
    let tx = context.db.begin().await?;
    let newest = playbooks::newest_of(&tx, name).await?;
    let next = next(&tx, name, newest.as_ref(), wanted).await?;
    if let Some(newest) = &newest
        && (newest.state, &newest.definition) == (next.state, &next.definition)
    {
        return Ok(Changed {
            version: newest.clone(),
            changed: false,
        });
    }
    let replaced = newest.as_ref().map_or(0, |newest| newest.version);
    if reason.expected.is_some_and(|expected| expected != replaced) {
        drop(tx);
        return Err(came_first(context, name).await);
    }
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let version = version_of(name, replaced + 1, next, actor, reason.why, now);
    if !playbooks::add(&tx, &version, replaced).await? {
        drop(tx);
        return Err(came_first(context, name).await);
    }
    if let Some(kept) = undoes(&tx, newest.as_ref(), &version).await? {
        proposals::undo(&tx, name, kept).await?;
    }
    let entry = AuditEntry {
        action: wanted.action(),
        target: name,
        detail: json!({
            "version": version.version,
            "restored_from": version.restored_from,
            "why": version.why,
        }),
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    context.playbooks.forget();
    Ok(Changed {
        version,
        changed: true,
    })
}

/// Whether a version takes back what was proposed and accepted: then the version after which all of that is undone.
async fn undoes(
    tx: &DatabaseTransaction,
    newest: Option<&Version>,
    version: &Version,
) -> Result<Option<i64>, OperationError> {
    if let Some(restored) = version.restored_from {
        return Ok(Some(restored));
    }
    let proposed = newest.filter(|newest| newest.origin == Origin::Proposal);
    let Some(before) = proposed.map(|newest| newest.version - 1) else {
        return Ok(None);
    };
    let was = playbooks::find(tx, &version.name, before).await?;
    let is_as_before = was.is_some_and(|was| was.definition == version.definition);
    Ok((is_as_before && version.is_active()).then_some(before))
}

async fn next(
    tx: &DatabaseTransaction,
    name: &str,
    newest: Option<&Version>,
    wanted: &Wanted,
) -> Result<Next, OperationError> {
    Ok(match wanted {
        Wanted::Set(playbook, origin) => Next {
            definition: json!(playbook).to_string(),
            state: State::Active,
            origin: *origin,
            restored_from: None,
        },
        Wanted::Withdraw(origin) => Next {
            definition: newest
                .ok_or(OperationError::NotFound(Resource::Playbook))?
                .definition
                .clone(),
            state: State::Withdrawn,
            origin: *origin,
            restored_from: None,
        },
        Wanted::Restore(version) => {
            newest.ok_or(OperationError::NotFound(Resource::Playbook))?;
            let found = playbooks::find(tx, name, *version).await?;
            let found = found.ok_or(OperationError::NotFound(Resource::PlaybookVersion))?;
            Next {
                definition: found.definition,
                state: State::Active,
                origin: Origin::Restored,
                restored_from: Some(found.version),
            }
        }
    })
}

fn version_of(
    name: &str,
    version: i64,
    next: Next,
    actor: &Actor,
    why: String,
    now: Timestamp,
) -> Version {
    Version {
        name: name.to_owned(),
        version,
        definition: next.definition,
        state: next.state,
        origin: next.origin,
        restored_from: next.restored_from,
        actor: actor.token.clone(),
        operator: actor.operator.clone(),
        why,
        created_at: now,
    }
}

/// Why a change is refused that another one was before.
async fn came_first(context: &Context, name: &str) -> OperationError {
    match playbooks::newest_of(context.db.read(), name).await {
        Ok(Some(newest)) => Conflict::PlaybookChanged {
            version: newest.version,
            by: newest.by().to_owned(),
        }
        .into(),
        Ok(None) => OperationError::NotFound(Resource::Playbook),
        Err(error) => error.into(),
    }
}
