//! Edits of cards, so that a card shows the incident's current state. An edit is sent when no message waits. One that
//! fails is retried a minute later or, if the provider refused it, at the next change.

use std::time::Duration;

use tocsin::domain::budget::SendKind;
use tocsin::entity::notifications::{Model, State};
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::queue::consumer::JobHandle;
use tocsin::store::cards::{self, EditResult};
use tocsin::store::{maintenance, notifications};
use uuid::Uuid;

use super::card::{card, recommend};
use super::claim::{Attempt, Outgoing, in_order, is_free};
use super::context::NotifyContext;
use super::pause;
use super::permit::SendPermit;
use crate::notifiers::{Edited, Notifier, SendError, SendSlot};

/// Attempts of an edit, about a minute's worth, before it waits for recount to push it again.
const ATTEMPTS: usize = 5;
/// The shortest retry delay of an edit.
const LEAST: Duration = Duration::from_millis(100);

/// A card that this attempt has claimed.
struct Claimed<'a> {
    row: Model,
    notifier: &'a dyn Notifier,
    message_id: String,
    post: Outgoing,
    /// The send slot, held until it is edited.
    _place: Option<SendSlot<'a>>,
}

/// Edits one card.
pub(super) async fn handle(
    ctx: &NotifyContext,
    id: Uuid,
    held: &JobHandle,
    token: Uuid,
) -> Result<(), JobError> {
    let attempt = Attempt::new(held, token);
    let Some(claimed) = claim(ctx, id, token).await? else {
        return Ok(());
    };
    let db = ctx.context.db.write();
    attempt.is_in_time(db, id).await?;
    let message = claimed.post.message(id, ctx.context.clock.now());
    match claimed.notifier.edit(&claimed.message_id, message).await {
        Ok(Edited::Done) => {
            ctx.count(&claimed.row.channel, "edited");
            let seq = claimed.row.edit_seq;
            let stands = cards::shows(db, id, token, seq, &claimed.post.body).await?;
            follow(ctx, id, stands).await
        }
        Ok(Edited::Never(why)) => {
            ctx.count(&claimed.row.channel, "edits_ended");
            tracing::info!(notification.id = %id, "a card can no longer be edited: {why}");
            revive(ctx, id).await?;
            Ok(cards::end(db, id, &why).await?)
        }
        Err(SendError::Wait { after, why }) => {
            ctx.count(&claimed.row.channel, "delayed");
            pause(ctx, &claimed.row.channel, after).await?;
            notifications::release(db, id, token).await?;
            Err(JobError::RetryAfter { after, why })
        }
        Err(SendError::Retry(why)) if held.failed.len() + 1 < ATTEMPTS.min(ctx.attempts()) => {
            ctx.count(&claimed.row.channel, "failed");
            notifications::release(db, id, token).await?;
            Err(JobError::Retry(why))
        }
        Err(SendError::Retry(why)) => {
            ctx.count(&claimed.row.channel, "edit_failed");
            tracing::warn!(notification.id = %id, "editing a card failed, will retry in a minute: {why}");
            // This job is still queued, so a change in the meantime has pushed no other.
            let now = ctx.context.clock.of_store(maintenance::now(db).await?);
            Ok(cards::put_off(db, id, token, now).await?)
        }
        Err(SendError::GiveUp(why)) => {
            ctx.count(&claimed.row.channel, "edit_failed");
            tracing::warn!(notification.id = %id, "editing a card failed, will retry at its next change: {why}");
            revive(ctx, id).await?;
            let stands = cards::leave(db, id, token, claimed.row.edit_seq).await?;
            follow(ctx, id, stands).await
        }
    }
}

/// Sends the message that the card should have said instead, so that somebody hears of its incident. It is enqueued
/// before the edit's result is recorded: after a crash in between the edit is still due, and the message stays revived.
async fn revive(ctx: &NotifyContext, id: Uuid) -> Result<(), JobError> {
    let db = ctx.context.db.write();
    let now = ctx.context.clock.of_store(maintenance::now(db).await?);
    let follow_up = FollowUp {
        messages: cards::revive(db, id, now).await?,
        ..FollowUp::default()
    };
    let pushed = follow_up.try_push(&ctx.context, Cause::Single, Traces::None);
    Ok(pushed.await?)
}

/// Edits again if the incident changed since, or if another process took the claim while this one was suspended, so
/// that it is not known what the card shows.
async fn follow(ctx: &NotifyContext, id: Uuid, stands: EditResult) -> Result<(), JobError> {
    match stands {
        EditResult::Done => Ok(()),
        EditResult::Changed => Err(again(ctx, "the card has changed again".to_owned())),
        EditResult::Lost => {
            let db = ctx.context.db.write();
            let now = ctx.context.clock.of_store(maintenance::now(db).await?);
            cards::doubt(db, id, now).await?;
            Err(again(ctx, "another worker has edited the card".to_owned()))
        }
    }
}

/// Claims the card, and renders the incident's current state. `None` if there is nothing to edit.
///
/// Locks are taken in the order of [`super::claim::claim`].
async fn claim<'a>(
    ctx: &'a NotifyContext,
    id: Uuid,
    token: Uuid,
) -> Result<Option<Claimed<'a>>, JobError> {
    let context = &ctx.context;
    let tx = context.db.begin().await?;
    let Some(row) = notifications::find(&tx, id).await? else {
        return Ok(None);
    };
    let Some(since) = row.edit_due_since else {
        return Ok(None);
    };
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    is_free(&row, now)?;
    let notifier = ctx.notifier(&row.channel);
    let (Some(notifier), State::Sending | State::Sent) = (notifier, row.state) else {
        cards::skip(&tx, id).await?;
        tx.commit().await?;
        return Ok(None);
    };
    if row.state == State::Sending {
        let why = "the card is still being sent".to_owned();
        return Err(again(ctx, why));
    }
    let Some(message_id) = row.message_id.clone() else {
        cards::end(&tx, id, "the message has no ID").await?;
        tx.commit().await?;
        return Ok(None);
    };
    let place = ctx.place(notifier)?;
    let is_limited = ctx.context.config.limits(&row.channel);
    let permit = match notifier.budget().filter(|_| is_limited) {
        Some(budget) => Some(SendPermit::lock(ctx, &tx, &row.channel, budget).await?),
        None => None,
    };
    let mut before = 0;
    if let Some(permit) = &permit {
        let neighbours = ctx.neighbours(&row.channel);
        let (pending, ahead) = cards::ahead(&tx, &neighbours, since, permit.now).await?;
        if pending > 0 {
            let why = "pending messages for the chat go first";
            return Err(again(ctx, why.to_owned()));
        }
        before = ahead;
    }
    let Some(mut card) = card(ctx, &tx, &row).await? else {
        cards::end(&tx, id, "the incident no longer exists").await?;
        tx.commit().await?;
        return Ok(None);
    };
    if notifier.sets_state() {
        in_order(ctx, &tx, &row).await?;
    }
    let Some(row) = notifications::lock(&tx, id).await? else {
        return Ok(None);
    };
    is_free(&row, now)?;
    if row.shows_id.unwrap_or(row.incident_id) != card.incident.id {
        let why = "another incident continues on the card now";
        return Err(again(ctx, why.to_owned()));
    }
    recommend(ctx, &tx, &mut card, now).await?;
    let shown = row.shown.as_deref().or(row.body.as_deref());
    let Some(body) = notifier.render_edit(&card, shown) else {
        cards::shows_all(&tx, id).await?;
        tx.commit().await?;
        return Ok(None);
    };
    if let Some(permit) = &permit {
        permit.take(&tx, SendKind::Edit, before).await?;
    }
    cards::claim(&tx, id, token, now).await?;
    tx.commit().await?;
    let post = Outgoing {
        body,
        // An edit without them would remove the buttons.
        reply_markup: ctx.keyboard(&row, &card, now),
        ..Outgoing::default()
    };
    Ok(Some(Claimed {
        row,
        notifier,
        message_id,
        post,
        _place: place,
    }))
}

/// Edits again after a while, so that further changes go into one edit.
fn again(ctx: &NotifyContext, why: String) -> JobError {
    let after = ctx.context.config.telegram.fold.0.max(LEAST);
    JobError::RetryAfter { after, why }
}
