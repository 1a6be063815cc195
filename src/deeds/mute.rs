//! Muting an anomaly for a while, and ending that.

use sea_orm::DatabaseTransaction;
use serde_json::json;

use super::Refused;
use crate::domain::mute::{Ends, is_muted};
use crate::entity::anomalies::Model;
use crate::store::anomalies;
use crate::store::audit::{self, Actor, Deed};
use crate::store::mutes::{self, Mute};
use crate::time::{Clock, Timestamp};

/// As the audit calls it.
pub const MUTE: &str = "anomaly.mute";
/// As the audit calls the end that somebody makes.
pub const UNMUTE: &str = "anomaly.unmute";

/// Mutes an anomaly. One that is muted is muted anew: until when, by whom and why are the last
/// person's; since when stays. Returns it as it is then, and the time.
///
/// # Errors
/// See [`Refused`].
pub async fn mute(
    tx: &DatabaseTransaction,
    clock: &Clock,
    key: &str,
    (ends, why): (Ends, Option<String>),
    actor: &Actor,
) -> Result<(Model, Timestamp), Refused> {
    let (anomaly, now) = lock(tx, clock, key).await?;
    let until = ends.moment(now).map_err(Refused::Senseless)?;
    let since = anomaly.muted_since.filter(|_| is_muted(&anomaly, now));
    let deed = Deed {
        action: MUTE,
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
    Ok((mutes::set(tx, key, Some(mute)).await?, now))
}

/// Ends the mute of an anomaly, if it is muted. Returns it as it is then, and the time.
///
/// # Errors
/// See [`Refused`].
pub async fn unmute(
    tx: &DatabaseTransaction,
    clock: &Clock,
    key: &str,
    actor: &Actor,
) -> Result<(Model, Timestamp), Refused> {
    let (anomaly, now) = lock(tx, clock, key).await?;
    let deed = Deed {
        action: UNMUTE,
        target: key,
        detail: json!({"was_muted": is_muted(&anomaly, now)}),
    };
    audit::record(tx, actor, deed, now).await?;
    Ok((mutes::set(tx, key, None).await?, now))
}

async fn lock(
    tx: &DatabaseTransaction,
    clock: &Clock,
    key: &str,
) -> Result<(Model, Timestamp), Refused> {
    let (anomaly, now) = anomalies::lock(tx, key).await?.ok_or(Refused::NoAnomaly)?;
    Ok((anomaly, clock.of_store(now)))
}
