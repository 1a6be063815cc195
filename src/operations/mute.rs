//! Muting an anomaly for a while, and ending that.

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::{Due, Refused};
use crate::context::Context;
use crate::domain::mute::{Ends, is_muted};
use crate::entity::anomalies::Model;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::mutes::{self, Mute};
use crate::store::{anomalies, cards};
use crate::time::Timestamp;

/// Incidents whose cards say that their anomaly is muted, at most: the newest.
const CARDS: u64 = 20;

/// Mutes an anomaly. One that is muted is muted anew: until when, by whom and why are the last
/// person's; since when stays. The card of the incident that it was `asked_on`, if it was on one, says
/// so, too. Returns the anomaly as it is then, and what must follow.
///
/// # Errors
/// See [`Refused`].
pub async fn mute(
    tx: &DatabaseTransaction,
    context: &Context,
    key: &str,
    (ends, why): (Ends, Option<String>),
    asked_on: Option<Uuid>,
    actor: &Actor,
) -> Result<(Model, Due), Refused> {
    let (anomaly, now) = lock(tx, context, key).await?;
    let until = ends.moment(now).map_err(Refused::Senseless)?;
    let since = anomaly.muted_since.filter(|_| is_muted(&anomaly, now));
    let deed = AuditEntry {
        action: Action::Mute,
        target: key,
        detail: json!({"until": until, "why": why}),
    };
    audit::record(tx, actor, deed, now).await?;
    let mute = Mute {
        since: since.unwrap_or(now),
        until,
        by: actor.operator.clone(),
        why,
    };
    set(tx, context, key, Some(mute), asked_on, now).await
}

/// Ends the mute of an anomaly, if it is muted; the card that it was `asked_on` says so, too. Returns
/// the anomaly as it is then, and what must follow.
///
/// # Errors
/// See [`Refused`].
pub async fn unmute(
    tx: &DatabaseTransaction,
    context: &Context,
    key: &str,
    asked_on: Option<Uuid>,
    actor: &Actor,
) -> Result<(Model, Due), Refused> {
    let (anomaly, now) = lock(tx, context, key).await?;
    let deed = AuditEntry {
        action: Action::Unmute,
        target: key,
        detail: json!({"was_muted": is_muted(&anomaly, now)}),
    };
    audit::record(tx, actor, deed, now).await?;
    set(tx, context, key, None, asked_on, now).await
}

/// Takes a mute that is over off the anomaly, so that the cards of its incidents do not go on saying that
/// it is muted; `None` if somebody has muted it anew. Nobody did that, and nothing waits for it: what is
/// told goes by the clock.
///
/// # Errors
/// See [`Refused`].
pub async fn end(
    tx: &DatabaseTransaction,
    context: &Context,
    key: &str,
) -> Result<Option<Due>, Refused> {
    let (anomaly, now) = lock(tx, context, key).await?;
    if anomaly.muted_until.is_none() || is_muted(&anomaly, now) {
        return Ok(None);
    }
    let (_, due) = set(tx, context, key, None, None, now).await?;
    Ok(Some(due))
}

/// Writes it, and marks the cards of the anomaly's incidents, which say so.
async fn set(
    tx: &DatabaseTransaction,
    context: &Context,
    key: &str,
    mute: Option<Mute>,
    asked_on: Option<Uuid>,
    now: Timestamp,
) -> Result<(Model, Due), Refused> {
    let anomaly = mutes::set(tx, key, mute).await?;
    let mut due = Due::default();
    if context.config.edits() {
        let mut shown = mutes::shown(tx, key, CARDS).await?;
        shown.extend(asked_on);
        due.cards = cards::mark_edits(tx, &shown, now).await?;
    }
    Ok((anomaly, due))
}

async fn lock(
    tx: &DatabaseTransaction,
    context: &Context,
    key: &str,
) -> Result<(Model, Timestamp), Refused> {
    let (anomaly, now) = anomalies::lock(tx, key).await?.ok_or(Refused::NoAnomaly)?;
    Ok((anomaly, context.clock.of_store(now)))
}
