//! What is owed and was not done: whoever should have done it died, or the queue lost it. It is pushed
//! again, each kind by itself.

use std::time::Duration;

use tocsin::context::Context;
use tocsin::jobs::{CalculateTier, JobError};
use tocsin::queue::Push;
use tocsin::queue::replay::{self, Unpushed};
use tocsin::store::{cards, dead_letters, maintenance, notifications};
use tocsin::time::Timestamp;

use crate::tier::push_owed;

/// What is owed for longer is pushed again.
const OVERDUE: Duration = Duration::from_secs(60);
/// At most so many at once.
const AT_MOST: u64 = 10_000;
/// Of replays, at most so many in one round trip.
const REPLAYS_AT_ONCE: u64 = 500;

/// Pushes again what has been owed for longer than a minute, of every kind: of incidents that are not
/// resolved, or were lately, or `everywhere`.
///
/// # Errors
/// The store cannot be reached now. What could be pushed was.
pub async fn push_overdue(context: &Context, everywhere: bool) -> Result<(), JobError> {
    let of_each = [
        push_tiers(context, everywhere).await,
        messages(context).await,
        edits(context).await,
        replays(context).await,
    ];
    of_each.into_iter().collect()
}

/// Tiers: of incidents that are not resolved, or were lately; once an hour of all.
pub(super) async fn tiers(context: &Context) -> Result<(), JobError> {
    let minute = overdue(context).await?.0.div_euclid(60_000);
    push_tiers(context, minute % 60 == 0).await
}

/// One job at a time for each incident, so that one that keeps failing is one dead letter.
async fn push_tiers(context: &Context, everywhere: bool) -> Result<(), JobError> {
    let (db, since) = (context.db.read(), overdue(context).await?);
    let due = maintenance::overdue_tiers(db, since, AT_MOST as i64, everywhere).await?;
    tell(due.len(), "tiers");
    let jobs: Vec<_> = due
        .into_iter()
        .map(|incident| CalculateTier { incident })
        .collect();
    let pushes = jobs.iter().map(|job| Push::new(job).id(job.incident));
    Ok(context.queues.push_all(pushes).await?)
}

/// Messages.
pub(super) async fn messages(context: &Context) -> Result<(), JobError> {
    let (db, since) = (context.db.read(), overdue(context).await?);
    let owed = notifications::overdue(db, since, AT_MOST).await?;
    tell(owed.len(), "messages");
    push_owed(context, owed.into_iter().map(|message| (message, None))).await
}

/// Edits of cards.
pub(super) async fn edits(context: &Context) -> Result<(), JobError> {
    let (db, since) = (context.db.read(), overdue(context).await?);
    let due = cards::overdue(db, since, AT_MOST).await?;
    Ok(tocsin::cards::push_edits_after(context, &due, Duration::ZERO).await?)
}

/// What was replayed and may never have been pushed.
pub(super) async fn replays(context: &Context) -> Result<(), JobError> {
    let (db, since) = (context.db.read(), overdue(context).await?);
    let mut left = AT_MOST;
    while left > 0 {
        let letters = dead_letters::overdue(db, since, REPLAYS_AT_ONCE.min(left)).await?;
        if letters.is_empty() {
            break;
        }
        tell(letters.len(), "replays");
        match replay::push(&context.queues, &context.db, &letters).await {
            Ok(()) => left = left.saturating_sub(letters.len() as u64),
            Err(Unpushed::Queue(error)) => return Err(error.into()),
            Err(Unpushed::Store(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Since when something must be owed to be overdue.
async fn overdue(context: &Context) -> Result<Timestamp, JobError> {
    let now = maintenance::now(context.db.read()).await?;
    Ok(context.clock.of_store(now).before(OVERDUE))
}

fn tell(owed: usize, what: &str) {
    if owed > 0 {
        tracing::warn!(
            owed,
            "enqueueing {what} again that have been pending for more than a minute"
        );
    }
}
