//! Work that has been due for long because its process died, or the queue lost it. It is
//! pushed again, each kind by itself.

use std::time::Duration;

use super::{Cause, FollowUp, Traces};
use crate::context::Context;
use crate::jobs::JobError;
use crate::queue::replay::{self, Unpushed};
use crate::store::{cards, dead_letters, maintenance, notifications};
use crate::time::Timestamp;

/// What is due for longer is pushed again.
const OVERDUE: Duration = Duration::from_secs(60);
/// At most so many at once.
const AT_MOST: u64 = 10_000;
/// Of replays, at most so many in one round trip.
const REPLAYS_AT_ONCE: u64 = 500;

/// Pushes again what has been due for longer than a minute, of every kind. Tiers: of incidents that are
/// not resolved, or were lately, or `everywhere`.
///
/// # Errors
/// The store cannot be reached now. What could be pushed was.
pub async fn push(context: &Context, everywhere: bool) -> Result<(), JobError> {
    let of_each = [
        push_tiers(context, everywhere).await,
        messages(context).await,
        edits(context).await,
        replays(context).await,
    ];
    of_each.into_iter().collect()
}

/// Tiers: of incidents that are not resolved, or were lately; once an hour of all.
///
/// # Errors
/// The store cannot be reached now.
pub async fn tiers(context: &Context) -> Result<(), JobError> {
    let minute = moment(context).await?.0.div_euclid(60_000);
    push_tiers(context, minute % 60 == 0).await
}

async fn push_tiers(context: &Context, everywhere: bool) -> Result<(), JobError> {
    let (db, since) = (context.db.read(), moment(context).await?);
    let due = maintenance::overdue_tiers(db, since, AT_MOST as i64, everywhere).await?;
    say(due.len(), "tiers");
    again(context, FollowUp::of_tiers(due)).await
}

/// Messages.
///
/// # Errors
/// The store cannot be reached now.
pub async fn messages(context: &Context) -> Result<(), JobError> {
    let (db, since) = (context.db.read(), moment(context).await?);
    let messages = notifications::overdue(db, since, AT_MOST).await?;
    say(messages.len(), "messages");
    let follow_up = FollowUp {
        messages,
        ..FollowUp::default()
    };
    again(context, follow_up).await
}

/// Edits of cards. They are often overdue without harm: all else goes first.
///
/// # Errors
/// The store cannot be reached now.
pub async fn edits(context: &Context) -> Result<(), JobError> {
    let (db, since) = (context.db.read(), moment(context).await?);
    let follow_up = FollowUp {
        edits: cards::overdue(db, since, AT_MOST).await?,
        ..FollowUp::default()
    };
    again(context, follow_up).await
}

async fn again(context: &Context, follow_up: FollowUp) -> Result<(), JobError> {
    let pushed = follow_up.try_push(context, Cause::Overdue, Traces::None);
    Ok(pushed.await?)
}

/// What was replayed and may never have been pushed.
///
/// # Errors
/// The store cannot be reached now.
pub async fn replays(context: &Context) -> Result<(), JobError> {
    let (db, since) = (context.db.read(), moment(context).await?);
    let mut left = AT_MOST;
    while left > 0 {
        let letters = dead_letters::overdue(db, since, REPLAYS_AT_ONCE.min(left)).await?;
        if letters.is_empty() {
            break;
        }
        say(letters.len(), "replays");
        match replay::push(&context.queues, &context.db, &letters).await {
            Ok(()) => left = left.saturating_sub(letters.len() as u64),
            Err(Unpushed::Queue(error)) => return Err(error.into()),
            Err(Unpushed::Store(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Since when something must be due to be overdue.
async fn moment(context: &Context) -> Result<Timestamp, JobError> {
    let now = maintenance::now(context.db.read()).await?;
    Ok(context.clock.of_store(now).before(OVERDUE))
}

fn say(due: usize, what: &str) {
    if due > 0 {
        tracing::warn!(
            owed = due,
            "enqueueing {what} again that have been pending for more than a minute"
        );
    }
}
