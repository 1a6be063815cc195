//! Messages that are not told: their anomaly was muted before anybody took them.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, DbErr};
use tocsin::domain::notification::Kind;
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::entity::notifications::{Model, State};
use tocsin::jobs::JobError;
use tocsin::store::views::lists;
use tocsin::store::{anomalies, notifications};
use tocsin::time::Timestamp;

use super::context::NotifyContext;

/// The pause where a mute ends just now.
const JUST_ENDED: Duration = Duration::from_millis(100);

/// Whether the message is kept back, as its anomaly stands: nobody has taken it yet, whether or not
/// somebody tried to send it. What somebody wants to be sent after all is sent.
pub(super) fn is_kept_back(row: &Model, anomaly: &Anomaly, now: Timestamp) -> bool {
    let waits = matches!(row.state, State::Owed | State::Sending) && row.kind != Kind::Digest;
    let mute = anomaly.mute();
    waits && mute.keeps_back(&anomaly.level_state(), row.kind, row.owed_since, now)
}

/// Writes down that the message is not told, if it is kept back; returns whether it is. It takes no
/// slot of its channel: the anomaly is looked at before the channel is locked, and locked only if that
/// is not needed any more.
pub(super) async fn mute(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    row: &Model,
    now: Timestamp,
) -> Result<bool, JobError> {
    let entry = lists::incident(tx, row.incident_id).await?;
    let Some((_, anomaly)) = entry.filter(|(_, anomaly)| is_kept_back(row, anomaly, now)) else {
        return Ok(false);
    };
    let locked = anomalies::lock_shared(tx, &anomaly.key).await?;
    let row = notifications::lock(tx, row.id).await?;
    if let (Some((anomaly, now)), Some(row)) = (locked, row)
        && is_kept_back(&row, &anomaly, ctx.context.clock.of_store(now))
    {
        write(ctx, tx, &row).await?;
        return Ok(true);
    }
    Err(JobError::RetryAfter {
        after: JUST_ENDED,
        why: "the mute has just ended".to_owned(),
    })
}

/// Writes down that a locked message is not told.
pub(super) async fn write(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    row: &Model,
) -> Result<(), DbErr> {
    notifications::mute(tx, row.id).await?;
    ctx.count("muted");
    Ok(())
}
