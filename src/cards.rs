//! What follows a commit that changed what cards show, or that owed messages. What is not pushed
//! here because the process died is pushed by recount: the rows say what is due.

use std::time::Duration;

use uuid::Uuid;

use crate::context::Context;
use crate::jobs::{Notify, derived_id};
use crate::queue::Push;
use crate::queue::store::QueueError;
use crate::store::cards::DueCard;

/// Pushes a job for each card that [`crate::store::cards::mark_edits`] marked, after a while in which
/// further changes may come. Beside the one that sends it, a card has one such job for each moment since
/// which it is due: a change that comes when all is shown, and the job not removed yet, has another.
///
/// # Errors
/// The queue did not take them.
pub async fn push_edits(context: &Context, cards: &[DueCard]) -> Result<(), QueueError> {
    push_edits_after(context, cards, context.config.telegram.fold.0).await
}

/// The same, after another delay.
///
/// # Errors
/// The queue did not take them.
pub async fn push_edits_after(
    context: &Context,
    cards: &[DueCard],
    delay: Duration,
) -> Result<(), QueueError> {
    let jobs: Vec<_> = cards.iter().map(|card| Notify::edit(card.id)).collect();
    let pushes = jobs.iter().zip(cards).map(|(job, card)| {
        let (card, since) = (card.id.to_string(), card.since.0.to_string());
        let id = derived_id(&["edit", &card, &since]);
        Push::new(job).id(id).after(delay)
    });
    context.queues.push_all(pushes).await
}

/// Pushes what a person's deed made due. That it cannot be pushed now is no reason to tell the person
/// that the deed failed.
pub async fn push_after_deed(context: &Context, cards: &[DueCard], messages: &[Uuid]) {
    let jobs: Vec<_> = messages.iter().map(|id| Notify::message(*id)).collect();
    let pushes = jobs.iter().map(|job| Push::new(job).id(job.notification));
    let pushed = async {
        push_edits(context, cards).await?;
        context.queues.push_all(pushes).await
    };
    if let Err(error) = pushed.await {
        tracing::warn!("enqueueing failed; recount will retry: {error}");
    }
}
