//! Edits: a card shows what holds. They go out when nothing else waits, and a failed one harms
//! nothing: it is tried again a minute later, or, where Telegram refused it, with the next change.

use std::time::Duration;

use tocsin::domain::budget::What;
use tocsin::entity::notifications::{Model, State};
use tocsin::jobs::JobError;
use tocsin::queue::consumer::Held;
use tocsin::store::cards::{self, Stands};
use tocsin::store::{maintenance, notifications};
use uuid::Uuid;

use super::claim::{Attempt, Post, card, is_free};
use super::desk::Desk;
use super::pause;
use super::turn::Turn;
use crate::notifiers::{Edited, Notifier, Place, SendError};

/// How often an edit is tried before it waits for recount: for a minute or so.
const ATTEMPTS: usize = 5;
/// An edit that has to wait waits for so long at least.
const LEAST: Duration = Duration::from_millis(100);

/// A card that is ours to edit.
struct Ours<'a> {
    row: Model,
    notifier: &'a dyn Notifier,
    message_id: String,
    post: Post,
    /// Held until it is edited.
    _place: Option<Place<'a>>,
}

/// One card.
pub(super) async fn handle(
    desk: &Desk,
    id: Uuid,
    held: &Held,
    token: Uuid,
) -> Result<(), JobError> {
    let attempt = Attempt::new(held, token);
    let Some(ours) = claim(desk, id, token).await? else {
        return Ok(());
    };
    let db = desk.context.db.write();
    attempt.is_in_time(db, id).await?;
    let message = ours.post.message(id, desk.context.clock.now());
    match ours.notifier.edit(&ours.message_id, message).await {
        Ok(Edited::Done) => {
            desk.count("edited");
            let seq = ours.row.edit_seq;
            let stands = cards::shows(db, id, token, seq, &ours.post.body).await?;
            follow(desk, id, stands).await
        }
        Ok(Edited::Never(why)) => {
            desk.count("edits_ended");
            tracing::info!(notification.id = %id, "a card can no longer be edited: {why}");
            Ok(cards::end(db, id, &why).await?)
        }
        Err(SendError::Wait { after, why }) => {
            desk.count("delayed");
            pause(desk, &ours.row.channel, after).await?;
            notifications::release(db, id, token).await?;
            Err(JobError::RetryAfter { after, why })
        }
        Err(SendError::Retry(why)) if held.failed.len() + 1 < ATTEMPTS.min(desk.attempts()) => {
            desk.count("failed");
            notifications::release(db, id, token).await?;
            Err(JobError::Retry(why))
        }
        Err(SendError::Retry(why)) => {
            desk.count("edit_failed");
            tracing::warn!(notification.id = %id, "editing a card failed, will retry in a minute: {why}");
            // Its job is still queued, so that a change meanwhile pushed none.
            let now = desk.context.clock.of_store(maintenance::now(db).await?);
            Ok(cards::put_off(db, id, token, now).await?)
        }
        Err(SendError::GiveUp(why)) => {
            desk.count("edit_failed");
            tracing::warn!(notification.id = %id, "editing a card failed, will retry at its next change: {why}");
            let stands = cards::leave(db, id, token, ours.row.edit_seq).await?;
            follow(desk, id, stands).await
        }
    }
}

/// Once more, if the card has changed since; or if it cannot be known what it shows, because another
/// took it over while this process stood still.
async fn follow(desk: &Desk, id: Uuid, stands: Stands) -> Result<(), JobError> {
    match stands {
        Stands::Done => Ok(()),
        Stands::Changed => Err(again(desk, "the card has changed again".to_owned())),
        Stands::Lost => {
            let db = desk.context.db.write();
            let now = desk.context.clock.of_store(maintenance::now(db).await?);
            cards::doubt(db, id, now).await?;
            Err(again(desk, "another worker has edited the card".to_owned()))
        }
    }
}

/// Makes the card ours to edit, with what holds at this moment. `None` if there is nothing to edit.
///
/// Locks are taken in the order of [`super::claim::claim`].
async fn claim<'a>(desk: &'a Desk, id: Uuid, token: Uuid) -> Result<Option<Ours<'a>>, JobError> {
    let context = &desk.context;
    let tx = context.db.begin().await?;
    let Some(row) = notifications::find(&tx, id).await? else {
        return Ok(None);
    };
    let Some(since) = row.edit_due_since else {
        return Ok(None);
    };
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    is_free(&row, now)?;
    let notifier = desk.notifier(&row.channel);
    let (Some(notifier), State::Sending | State::Sent) = (notifier, row.state) else {
        cards::skip(&tx, id).await?;
        tx.commit().await?;
        return Ok(None);
    };
    if row.state == State::Sending {
        let why = "the card is still being sent".to_owned();
        return Err(again(desk, why));
    }
    let (Some(message_id), Some(budget)) = (row.message_id.clone(), notifier.budget()) else {
        cards::end(&tx, id, "the message has no ID").await?;
        tx.commit().await?;
        return Ok(None);
    };
    let place = desk.place(notifier)?;
    let turn = match desk.context.config.telegram.limits {
        true => Some(Turn::lock(desk, &tx, &row.channel, budget).await?),
        false => None,
    };
    let mut before = 0;
    if let Some(turn) = &turn {
        let neighbours = desk.neighbours(&row.channel);
        let (owed, ahead) = cards::ahead(&tx, &neighbours, since, turn.now).await?;
        if owed > 0 {
            let why = "pending messages for the chat go first";
            return Err(again(desk, why.to_owned()));
        }
        before = ahead;
    }
    let Some(card) = card(desk, &tx, &row).await? else {
        cards::end(&tx, id, "the incident no longer exists").await?;
        tx.commit().await?;
        return Ok(None);
    };
    let Some(row) = notifications::lock(&tx, id).await? else {
        return Ok(None);
    };
    is_free(&row, now)?;
    let body = notifier.render(&card);
    if row.shown.as_ref().or(row.body.as_ref()) == Some(&body) {
        cards::shows_all(&tx, id).await?;
        tx.commit().await?;
        return Ok(None);
    }
    if let Some(turn) = &turn {
        turn.take(&tx, What::Edit, before).await?;
    }
    cards::claim(&tx, id, token, now).await?;
    tx.commit().await?;
    let post = Post {
        body,
        // Without them, the buttons would be gone.
        reply_markup: desk.keyboard(&row, &card, now),
        ..Post::default()
    };
    Ok(Some(Ours {
        row,
        notifier,
        message_id,
        post,
        _place: place,
    }))
}

/// Once more, when changes had time to gather.
fn again(desk: &Desk, why: String) -> JobError {
    let after = desk.context.config.telegram.fold.0.max(LEAST);
    JobError::RetryAfter { after, why }
}
