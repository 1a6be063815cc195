//! Storms: above `telegram.storm_above` messages a minute, a chat's messages are sent in digests.

use std::time::{Duration, Instant};

use sea_orm::DatabaseTransaction;
use tocsin::domain::budget::SendKind;
use tocsin::entity::notifications::{Model, State};
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::store::notifications::PendingAhead;
use tocsin::store::{channels, digests, incidents, notifications, windows};
use uuid::Uuid;

use super::claim::{Attempt, Claimed, Outgoing, is_free, is_wanted};
use super::context::NotifyContext;
use super::permit::SendPermit;
use crate::notifiers::{Digest, Notifier, SendSlot};

/// How long the first digest of a storm collects messages, at most.
const FIRST: Duration = Duration::from_secs(5);
/// Anomalies that a digest lists, by most firings.
const WORST: u64 = 10;

/// In a storm, puts this message and all others pending for its channel into a digest, and returns its ID. The
/// channel must be locked.
pub(super) async fn gather(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    permit: &SendPermit,
    row: &Model,
    ahead: PendingAhead,
) -> Result<Option<Uuid>, JobError> {
    let above = i64::from(ctx.context.config.telegram.storm_above);
    let mut own = permit.own()?.clone();
    // A message that was tried may have been delivered, so it does not join a digest.
    if row.state != State::Pending || (own.storm_since.is_none() && !ahead.is_storm(above)) {
        return Ok(None);
    }
    let digest = match gathering(tx, own.digest_id).await? {
        Some(digest) => digest,
        None => {
            let first = FIRST.min(ctx.context.config.telegram.digest_every.0);
            own.storm_since = Some(permit.now);
            own.digests += 1;
            let due = permit.now.after(first);
            let digest = digests::insert(tx, &own.channel, own.digests, permit.now, due).await?;
            own.digest_id = Some(digest);
            channels::save(tx, &own).await?;
            tracing::warn!(
                notification.channel = own.channel,
                in_last_minute = ahead.in_last_minute,
                waiting = ahead.waiting,
                "alert storm: sending digests instead of single messages"
            );
            digest
        }
    };
    let held = windows::ahead(tx, permit.now).await?;
    let gathered = digests::gather(tx, &own.channel, digest, &held, permit.now).await?;
    ctx.count_many(&own.channel, "digested", gathered);
    Ok(Some(digest))
}

/// The digest, if it still collects messages. One that failed, for instance because its channel was missing in the
/// settings, does not.
async fn gathering(
    tx: &DatabaseTransaction,
    digest: Option<Uuid>,
) -> Result<Option<Uuid>, JobError> {
    let Some(id) = digest else { return Ok(None) };
    let row = notifications::find(tx, id).await?;
    Ok(row
        .filter(|row| row.state == State::Pending)
        .map(|row| row.id))
}

/// Pushes the job that sends a digest, delayed until it is due. After a crash before this the digest is still pending,
/// and recount pushes it.
pub(super) async fn push(
    ctx: &NotifyContext,
    digest: Uuid,
    after: Duration,
) -> Result<(), JobError> {
    let digest = FollowUp::of_digest(digest, after);
    let pushed = digest.try_push(&ctx.context, Cause::Single, Traces::None);
    Ok(pushed.await?)
}

/// The same for the first digest of a storm.
pub(super) async fn push_first(ctx: &NotifyContext, digest: Uuid) -> Result<(), JobError> {
    let first = FIRST.min(ctx.context.config.telegram.digest_every.0);
    push(ctx, digest, first).await
}

/// Claims a digest, in the claim's transaction. The first claim fixes its text from its messages and, if the storm
/// goes on, inserts the next digest as pending.
pub(super) async fn claim<'a>(
    ctx: &'a NotifyContext,
    tx: DatabaseTransaction,
    permit: SendPermit,
    row: &Model,
    ahead: PendingAhead,
    (notifier, place): (&'a dyn Notifier, Option<SendSlot<'a>>),
    attempt: Attempt<'_>,
) -> Result<Option<Claimed<'a>>, JobError> {
    let now = permit.now;
    let every = ctx.context.config.telegram.digest_every.0;
    if row.owed_since > now {
        return Err(JobError::RetryAfter {
            after: row.owed_since.since(now).min(every.max(FIRST)),
            why: "the digest still gathers".to_owned(),
        });
    }
    permit.take(&tx, SendKind::Message, ahead.waiting).await?;
    let Some(row) = notifications::lock(&tx, row.id).await? else {
        return Ok(None);
    };
    if !is_wanted(&row, attempt.held) {
        return Ok(None);
    }
    is_free(&row, now)?;
    let (body, next) = match row.body.clone() {
        Some(body) => (body, None),
        None => fix(ctx, &tx, &permit, &row, ahead, notifier).await?,
    };
    let worst = digests::worst(&tx, row.id, 1).await?;
    let level = worst.first().map(|entry| entry.level).unwrap_or_default();
    let messages = ctx.context.config.messages();
    let is_silent = messages.is_digest_quiet(&row.channel, level, now);
    notifications::claim(&tx, &row, attempt.token, body.clone(), now).await?;
    tx.commit().await?;
    if let Some(next) = next {
        push(ctx, next, ctx.context.config.telegram.digest_every.0).await?;
    }
    let post = Outgoing {
        body,
        is_silent,
        ..Outgoing::default()
    };
    Ok(Some(Claimed {
        row,
        notifier,
        post,
        claimed: (now, Instant::now()),
        _place: place,
    }))
}

/// The text, and the ID of the next digest if the storm goes on.
async fn fix(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    permit: &SendPermit,
    row: &Model,
    ahead: PendingAhead,
    notifier: &dyn Notifier,
) -> Result<(String, Option<Uuid>), JobError> {
    let config = &ctx.context.config;
    digests::lock_anomalies(tx, row.id).await?;
    let held = windows::ahead(tx, permit.now).await?;
    let (muted, in_maintenance) = digests::mute(tx, row.id, &held, permit.now).await?;
    ctx.count_many(&row.channel, "muted", muted);
    ctx.count_many(&row.channel, "maintenance", in_maintenance);
    let figures = digests::figures(tx, row.id).await?;
    let worst = digests::worst(tx, row.id, WORST).await?;
    let (above, now) = (i64::from(config.telegram.storm_above), permit.now);
    let goes_on = figures.messages > 0 && ahead.is_still_storm(above);

    // `take` has changed the chat's row, which may be this channel's row.
    let mut own = permit.again(tx).await?;
    let since = own.storm_since.unwrap_or(row.owed_since);
    let is_latest = own.digest_id == Some(row.id);
    let mut next = None;
    if is_latest && goes_on {
        own.digests += 1;
        let due = now.after(config.telegram.digest_every.0);
        next = Some(digests::insert(tx, &own.channel, own.digests, now, due).await?);
        own.digest_id = next;
    } else if is_latest {
        own.digest_id = None;
        own.storm_since = None;
    }
    channels::save(tx, &own).await?;
    let is_over = is_latest && !goes_on;
    let unresolved = match is_over {
        true => incidents::unresolved(tx).await?,
        false => 0,
    };
    let digest = Digest {
        figures,
        worst,
        since,
        is_over,
        unresolved,
        page: ctx.page("/incidents"),
    };
    let body = notifier.render_digest(&digest);
    let body = body.ok_or_else(|| JobError::GiveUp("the channel has no digests".to_owned()))?;
    Ok((body, next))
}
