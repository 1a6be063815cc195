//! Muting an anomaly for a while, and unmuting it.

use std::time::Duration;

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::{FollowUp, Invalid, OperationError, Resource};
use crate::context::Context;
use crate::domain::mute::Ends;
use crate::entity::anomalies::Model;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::mutes::{self, Mute};
use crate::store::{anomalies, cards, levels};
use crate::time::Timestamp;

/// Incidents of an anomaly whose cards say that it is muted, at most: the newest.
const CARDS: i64 = 20;

/// A mute to record.
#[derive(Clone, Debug)]
pub struct NewMute {
    /// When it ends.
    pub ends: Ends,
    /// Why.
    pub why: Option<String>,
}

/// The end of a mute, from its duration or its moment; exactly one must be given.
pub fn ends(lasts: Option<Duration>, until: Option<Timestamp>) -> Result<Ends, Invalid> {
    match (lasts, until) {
        (Some(lasts), None) => Ok(Ends::After(lasts)),
        (None, Some(until)) => Ok(Ends::At(until)),
        (None, None) => Err(Invalid::NoMuteEnd),
        (Some(_), Some(_)) => Err(Invalid::TwoMuteEnds),
    }
}

/// Mutes an anomaly. One that is muted is muted anew: until when, by whom and why are the last
/// operator's; since when stays. Returns the anomaly as it is then.
pub async fn mute(
    context: &Context,
    actor: &Actor,
    key: &str,
    wanted: NewMute,
) -> Result<Model, OperationError> {
    let tx = context.db.begin().await?;
    let (anomaly, follow_up) = mute_in(&tx, context, actor, key, wanted, None).await?;
    tx.commit().await?;
    follow_up.push(context).await;
    Ok(anomaly)
}

/// Unmutes an anomaly, if it is muted. Returns it as it is then.
pub async fn unmute(context: &Context, actor: &Actor, key: &str) -> Result<Model, OperationError> {
    let tx = context.db.begin().await?;
    let (anomaly, follow_up) = unmute_in(&tx, context, actor, key, None).await?;
    tx.commit().await?;
    follow_up.push(context).await;
    Ok(anomaly)
}

/// Mutes it in a transaction. The card of the incident that this was `asked_on`, if it was on one, says so,
/// too.
pub(super) async fn mute_in(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    key: &str,
    NewMute { ends, why }: NewMute,
    asked_on: Option<Uuid>,
) -> Result<(Model, FollowUp), OperationError> {
    let (anomaly, now) = lock(tx, context, key).await?;
    let until = ends.moment(now).map_err(Invalid::MuteEnd)?;
    let since = anomaly.muted_since.filter(|_| anomaly.mute().holds(now));
    let entry = AuditEntry {
        action: Action::Mute,
        target: key,
        detail: json!({"until": until, "why": why}),
    };
    audit::record(tx, actor, entry, now).await?;
    let mute = Mute {
        since: since.unwrap_or(now),
        until,
        by: actor.operator.clone(),
        why,
    };
    set(tx, context, key, Some(mute), asked_on, now).await
}

/// Mutes anomalies that are locked. The cards of the incidents that this was asked of say so, too.
pub(super) async fn mute_each_in(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    keys: &[String],
    NewMute { ends, why }: &NewMute,
    asked_on: &[Uuid],
    now: Timestamp,
) -> Result<FollowUp, OperationError> {
    let until = ends.moment(now).map_err(Invalid::MuteEnd)?;
    let detail = json!({"until": until, "why": why});
    let targets = keys.iter().cloned();
    audit::record_each(tx, actor, Action::Mute, targets, &detail, now).await?;
    let mute = Mute {
        since: now,
        until,
        by: actor.operator.clone(),
        why: why.clone(),
    };
    mutes::set_each(tx, keys, &mute, now).await?;
    show(tx, context, keys, asked_on, now).await
}

/// Unmutes it in a transaction. The card of the incident that this was `asked_on` says so, too.
pub(super) async fn unmute_in(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    key: &str,
    asked_on: Option<Uuid>,
) -> Result<(Model, FollowUp), OperationError> {
    let (anomaly, now) = lock(tx, context, key).await?;
    let entry = AuditEntry {
        action: Action::Unmute,
        target: key,
        detail: json!({"was_muted": anomaly.mute().holds(now)}),
    };
    audit::record(tx, actor, entry, now).await?;
    set(tx, context, key, None, asked_on, now).await
}

/// Takes a mute that is over off the anomaly, so that the cards of its incidents do not go on saying that
/// it is muted. Does nothing if the anomaly was muted anew, or is gone. No operator does that, so it is not
/// in the audit; and nothing waits for it, since what is sent goes by the clock.
pub async fn end(context: &Context, key: &str) -> Result<(), OperationError> {
    let tx = context.db.begin().await?;
    let Some((anomaly, now)) = anomalies::lock(&tx, key).await? else {
        return Ok(());
    };
    let now = context.clock.of_store(now);
    if anomaly.muted_until.is_none() || anomaly.mute().holds(now) {
        return Ok(());
    }
    let (_, follow_up) = set(&tx, context, key, None, None, now).await?;
    tx.commit().await?;
    follow_up.push(context).await;
    Ok(())
}

/// Writes it, and has the cards of the anomaly's incidents say so.
async fn set(
    tx: &DatabaseTransaction,
    context: &Context,
    key: &str,
    mute: Option<Mute>,
    asked_on: Option<Uuid>,
    now: Timestamp,
) -> Result<(Model, FollowUp), OperationError> {
    let anomaly = mutes::set(tx, key, mute).await?;
    let key = key.to_owned();
    let follow_up = show(tx, context, &[key], asked_on.as_slice(), now).await?;
    Ok((anomaly, follow_up))
}

/// Marks the cards of the newest incidents of these anomalies, and of those that it was asked on.
async fn show(
    tx: &DatabaseTransaction,
    context: &Context,
    keys: &[String],
    asked_on: &[Uuid],
    now: Timestamp,
) -> Result<FollowUp, OperationError> {
    let mut follow_up = FollowUp::default();
    let edited = context.config.edits();
    if !edited.is_empty() {
        let mut shown = levels::unresolved(tx, keys, CARDS).await?;
        shown.extend(asked_on);
        shown.sort_unstable();
        shown.dedup();
        follow_up.edits = cards::mark_edits(tx, &shown, &edited, now).await?;
    }
    Ok(follow_up)
}

async fn lock(
    tx: &DatabaseTransaction,
    context: &Context,
    key: &str,
) -> Result<(Model, Timestamp), OperationError> {
    let locked = anomalies::lock(tx, key).await?;
    let (anomaly, now) = locked.ok_or(OperationError::NotFound(Resource::Anomaly))?;
    Ok((anomaly, context.clock.of_store(now)))
}
