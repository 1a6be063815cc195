//! Work that has been due for long because its process died, or the queue lost it. It is
//! pushed again, each kind by itself.

use std::time::Duration;

use uuid::Uuid;

use super::{Cause, FollowUp, Traces};
use crate::context::Context;
use crate::jobs::{JobError, Part};
use crate::queue::replay::{self, Unpushed};
use crate::store::{analysis, cards, dead_letters, executions, maintenance, notifications};
use crate::time::{Timestamp, millis};

/// An hour in milliseconds.
const HOUR: i64 = 3_600_000;
/// An analysis that is due for longer is not made.
const TOO_LATE: Duration = Duration::from_secs(3600);
/// Incidents that are opened or closed in one transaction.
const LOCKED_AT_ONCE: usize = 200;
/// Work that has been due for longer is pushed again.
const OVERDUE: Duration = Duration::from_secs(60);
/// The most of one kind in one pass.
const AT_MOST: u64 = 10_000;
/// The most replays in one push.
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
        analyses(context).await,
        requests(context).await,
        replays(context).await,
    ];
    of_each.into_iter().sum::<Result<u64, _>>().map(drop)
}

/// Tiers: of incidents that are not resolved, or were lately; in the first pass of each hour of all. Returns how many
/// were pushed, as the others do.
///
/// # Errors
/// The store cannot be reached now.
pub async fn tiers(context: &Context) -> Result<u64, JobError> {
    let since_the_hour = moment(context).await?.0.rem_euclid(HOUR);
    let every = millis(Part::Tiers.schedule().every);
    push_tiers(context, since_the_hour < every).await
}

async fn push_tiers(context: &Context, everywhere: bool) -> Result<u64, JobError> {
    let (db, since) = (context.db.read(), moment(context).await?);
    let due = maintenance::overdue_tiers(db, since, AT_MOST as i64, everywhere).await?;
    say(due.len(), "tiers");
    again(context, FollowUp::of_tiers(due)).await
}

/// Messages.
///
/// # Errors
/// The store cannot be reached now.
pub async fn messages(context: &Context) -> Result<u64, JobError> {
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
pub async fn edits(context: &Context) -> Result<u64, JobError> {
    let (db, since) = (context.db.read(), moment(context).await?);
    let follow_up = FollowUp {
        edits: cards::overdue(db, since, AT_MOST).await?,
        ..FollowUp::default()
    };
    again(context, follow_up).await
}

/// Analyses. An incident that waits for longer than `analysis.wait` is open without; one whose analysis cannot
/// be made, or that has no workers, is not tried for longer than an hour.
///
/// # Errors
/// The store cannot be reached now.
pub async fn analyses(context: &Context) -> Result<u64, JobError> {
    let wait = context.config.analysis.wait.0;
    let now = context
        .clock
        .of_store(maintenance::now(context.db.read()).await?);
    let since = now.before(wait.min(OVERDUE));
    let due = analysis::overdue(context.db.read(), since, AT_MOST).await?;
    let late = due
        .iter()
        .filter(|(due, waits)| *waits && due.since < now.before(wait));
    let late: Vec<Uuid> = late.map(|(due, _)| due.incident).collect();
    let given_up = due
        .iter()
        .filter(|(due, _)| due.since < now.before(TOO_LATE));
    let given_up: Vec<Uuid> = given_up.map(|(due, _)| due.incident).collect();
    for some in late.chunks(LOCKED_AT_ONCE) {
        let opened = analysis::open(&context.db, some, now).await?;
        if opened > 0 {
            tracing::warn!(
                incidents = opened,
                "incidents are open without an analysis: it was not made within {wait:?} (analysis.wait). \
                 Check that a process works on the queue analyze"
            );
        }
    }
    for some in given_up.chunks(LOCKED_AT_ONCE) {
        analysis::give_up(&context.db, some, now.before(TOO_LATE)).await?;
    }
    let due = due.into_iter().map(|(due, _)| due);
    let due =
        due.filter(|due| due.since < now.before(OVERDUE) && due.since >= now.before(TOO_LATE));
    let follow_up = FollowUp {
        analyses: due.collect(),
        ..FollowUp::default()
    };
    say(follow_up.analyses.len(), "analyses");
    again(context, follow_up).await
}

/// Requests to executors. One that is too late by then is not sent: its job notes that.
///
/// # Errors
/// The store cannot be reached now.
pub async fn requests(context: &Context) -> Result<u64, JobError> {
    let (db, since) = (context.db.read(), moment(context).await?);
    let follow_up = FollowUp {
        executions: executions::overdue(db, since, AT_MOST).await?,
        ..FollowUp::default()
    };
    say(follow_up.executions.len(), "executions");
    again(context, follow_up).await
}

/// Returns how many jobs were pushed.
async fn again(context: &Context, follow_up: FollowUp) -> Result<u64, JobError> {
    let pushed = follow_up.try_push(context, Cause::Overdue, Traces::None);
    pushed.await?;
    let FollowUp {
        tiers,
        messages,
        edits,
        analyses,
        executions,
        ..
    } = &follow_up;
    let work = tiers.len() + messages.len() + edits.len() + analyses.len() + executions.len();
    Ok(work as u64)
}

/// What was replayed and may never have been pushed.
///
/// # Errors
/// The store cannot be reached now.
pub async fn replays(context: &Context) -> Result<u64, JobError> {
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
    Ok(AT_MOST - left)
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
