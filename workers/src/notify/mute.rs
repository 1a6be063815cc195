//! Suppressed notifications: their anomaly was muted before they were sent.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};
use tocsin::domain::notification::{Kind, SuppressedBy};
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::entity::notifications::{Model, State};
use tocsin::entity::windows::Model as Window;
use tocsin::jobs::JobError;
use tocsin::store::views::lists;
use tocsin::store::{anomalies, notifications};
use tocsin::time::Timestamp;

use super::context::NotifyContext;

/// The retry delay when a mute ends at this moment.
const JUST_ENDED: Duration = Duration::from_millis(100);

/// Whether the anomaly's mute, or a maintenance window, suppresses the message: a pending one, even if it was tried
/// before. A replayed one is sent.
pub(super) fn kept_back(
    row: &Model,
    anomaly: &Anomaly,
    windows: &[Window],
    now: Timestamp,
) -> Option<SuppressedBy> {
    let waits = matches!(row.state, State::Pending | State::Sending)
        && row.kind != Kind::Digest
        && !row.kind.is_notice();
    let mute = anomaly.mute_with(windows, now);
    let is_kept_back = mute.keeps_back(&anomaly.level_state(), row.kind, row.owed_since, now);
    (waits && is_kept_back).then(|| match anomaly.mute().holds(now) {
        true => SuppressedBy::Mute,
        false => SuppressedBy::Maintenance,
    })
}

/// Records the message as suppressed if its anomaly is muted, or in maintenance; returns whether it was. It takes no send
/// slot, so the anomaly is checked before the channel is locked, and is locked itself only if the channel need not be.
pub(super) async fn mute(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    row: &Model,
    windows: &[Window],
    now: Timestamp,
) -> Result<bool, JobError> {
    let entry = lists::incident(tx, row.incident_id).await?;
    let is_kept_back = |anomaly: &Anomaly| kept_back(row, anomaly, windows, now).is_some();
    let Some((_, anomaly)) = entry.filter(|(_, anomaly)| is_kept_back(anomaly)) else {
        return Ok(false);
    };
    let locked = anomalies::lock_shared(tx, &anomaly.key).await?;
    let row = notifications::lock(tx, row.id).await?;
    if let (Some((anomaly, now)), Some(row)) = (locked, row)
        && let Some(by) = kept_back(&row, &anomaly, windows, ctx.context.clock.of_store(now))
    {
        write(ctx, tx, &row, by).await?;
        return Ok(true);
    }
    Err(JobError::RetryAfter {
        after: JUST_ENDED,
        why: "the mute has just ended".to_owned(),
    })
}

/// Records a locked notification as suppressed.
pub(super) async fn write(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    row: &Model,
    by: SuppressedBy,
) -> Result<(), DbErr> {
    notifications::mute(tx, row.id, by).await?;
    let outcome = match by {
        SuppressedBy::Maintenance => "maintenance",
        _ => "muted",
    };
    ctx.count(&row.channel, outcome);
    Ok(())
}
