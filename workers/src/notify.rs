//! Notify: sends messages that are owed, each once, and edits cards that do not show what holds.

mod claim;
mod desk;
mod digest;
mod edit;
mod silence;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Data;
use tocsin::entity::notifications::Kind;
use tocsin::jobs::{JobError, Notify};
use tocsin::queue::consumer::Held;
use tocsin::spans::SpanKind;
use tocsin::store::{channels, digests, maintenance, notifications};
use tocsin::trail;
use uuid::Uuid;

use self::claim::{Attempt, Ours, claim};
pub use self::desk::Desk;
use crate::notifiers::{SendError, Sent};

/// How often, and how long apart, it is tried to remember that a message was sent: as long as it is
/// not remembered, it would be sent again.
const REMEMBER: (u32, Duration) = (60, Duration::from_millis(500));

/// One message, or one edit of it.
///
/// # Errors
/// It cannot go out now, or never.
pub async fn handle(job: Notify, held: Data<Arc<Held>>, desk: Data<Desk>) -> Result<(), JobError> {
    let token = Uuid::now_v7();
    desk.left_alone(job.notification).await?;
    if job.edit {
        return edit::handle(&desk, job.notification, &held, token).await;
    }
    let attempt = Attempt::new(&held, token);
    match claim(&desk, job.notification, attempt).await? {
        Some(ours) => deliver(&desk, ours, attempt).await,
        None => Ok(()),
    }
}

async fn deliver(desk: &Desk, ours: Ours<'_>, attempt: Attempt<'_>) -> Result<(), JobError> {
    let (db, id) = (&desk.context.db, ours.row.id);
    let (held, token) = (attempt.held, attempt.token);
    attempt.is_in_time(db.write(), id).await?;
    match send(desk, &ours).await {
        Ok(sent) => remember(desk, &ours, sent).await,
        Err(SendError::Wait { after, why }) => {
            desk.count("delayed");
            if ours.notifier.budget().is_some() {
                pause(desk, &ours.row.channel, after).await?;
            }
            notifications::release(db.write(), id, token).await?;
            Err(JobError::RetryAfter { after, why })
        }
        Err(SendError::Retry(why)) if held.failed.len() + 1 < desk.attempts() => {
            desk.count("failed");
            notifications::release(db.write(), id, token).await?;
            Err(JobError::Retry(why))
        }
        Err(SendError::GiveUp(why) | SendError::Retry(why)) => {
            desk.count("given_up");
            match ours.row.kind {
                Kind::Digest => digests::give_up(db.write(), id, &why).await?,
                _ => notifications::give_up(db.write(), id, &why).await?,
            }
            Err(JobError::GiveUp(why))
        }
    }
}

/// Sends it, and says so in the trace.
async fn send(desk: &Desk, ours: &Ours<'_>) -> Result<Sent, SendError> {
    let message = ours.post.message(ours.row.id, ours.now());
    let tracer = &desk.context.tracer;
    let mut span = tracer.start(SpanKind::Client, || "send".into(), trail::trace());
    span.note("channel", || ours.row.channel.clone());
    let result = ours.notifier.send(message).await;
    if let Err(error) = &result {
        span.fail(|| error.to_string());
    }
    result
}

/// Has everybody who writes to the chat wait, whichever process it is in.
async fn pause(desk: &Desk, channel: &str, after: Duration) -> Result<(), JobError> {
    let context = &desk.context;
    let db = context.db.write();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let chat = channels::chat_of(channel);
    Ok(channels::pause(db, chat, now.after(after)).await?)
}

async fn remember(desk: &Desk, ours: &Ours<'_>, sent: Sent) -> Result<(), JobError> {
    desk.count("sent");
    let (db, row, now) = (desk.context.db.write(), &ours.row, ours.now());
    let mut tries = 1;
    loop {
        let written = async {
            if row.kind == Kind::Digest {
                digests::tells(db, row.id).await?;
            }
            notifications::sent(db, row.id, sent.message_id.clone(), now).await
        };
        match written.await {
            Ok(()) => return Ok(()),
            Err(error) if tries >= REMEMBER.0 => return Err(error.into()),
            Err(error) => {
                tracing::warn!(
                    "a message was sent but cannot be recorded as sent yet, will retry: {error}"
                );
                tokio::time::sleep(REMEMBER.1).await;
                tries += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifiers::TOTAL_TIMEOUT;

    #[test]
    fn no_attempt_is_cut_off_before_it_is_remembered() {
        let margin = Duration::from_secs(5);
        let takes = TOTAL_TIMEOUT + REMEMBER.1 * REMEMBER.0;
        assert!(takes + margin <= Notify::LEAST, "{takes:?}");
    }
}
