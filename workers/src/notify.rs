//! Notify: sends pending notifications, each once, and edits cards that are out of date.

mod card;
mod claim;
mod context;
mod digest;
mod edit;
mod mute;
mod notice;
mod permit;
mod test;

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Data;
use tocsin::domain::notification::Kind;
use tocsin::jobs::{JobError, Notify};
use tocsin::queue::consumer::JobHandle;
use tocsin::store::{channels, digests, maintenance, notifications};
use tocsin::telemetry::spans::SpanKind;
use tocsin::telemetry::task_context;
use uuid::Uuid;

pub(crate) use self::card::{card, recommend};
use self::claim::{Attempt, Claimed, claim};
pub use self::context::NotifyContext;
pub use self::test::test_sender;
use crate::canary;
use crate::notifiers::{SendError, Sent};

/// How often, and how far apart, recording a sent message is tried. A message that is not recorded would be sent
/// again.
const REMEMBER: (u32, Duration) = (60, Duration::from_millis(500));

/// One message, or one edit of it.
///
/// # Errors
/// It cannot go out now, or never.
pub async fn handle(
    job: Notify,
    held: Data<Arc<JobHandle>>,
    ctx: Data<NotifyContext>,
) -> Result<(), JobError> {
    let token = Uuid::now_v7();
    if !matches!(job, Notify::Canary(_)) {
        ctx.left_alone(job.notification()).await?;
    }
    match job {
        Notify::Send(id) => send_once(&ctx, id, &held, token).await,
        Notify::Edit(id) => edit::handle(&ctx, id, &held, token).await,
        Notify::Canary(id) => Box::pin(canary::message(&ctx, id)).await,
    }
}

async fn send_once(
    ctx: &NotifyContext,
    id: Uuid,
    held: &JobHandle,
    token: Uuid,
) -> Result<(), JobError> {
    let attempt = Attempt::new(held, token);
    match claim(ctx, id, attempt).await? {
        Some(claimed) => deliver(ctx, claimed, attempt).await,
        None => Ok(()),
    }
}

async fn deliver(
    ctx: &NotifyContext,
    claimed: Claimed<'_>,
    attempt: Attempt<'_>,
) -> Result<(), JobError> {
    let (db, id) = (&ctx.context.db, claimed.row.id);
    let (held, token) = (attempt.held, attempt.token);
    attempt.is_in_time(db.write(), id).await?;
    match send(ctx, &claimed).await {
        Ok(sent) => remember(ctx, &claimed, sent).await,
        Err(SendError::Wait { after, why }) => {
            ctx.count(&claimed.row.channel, "delayed");
            if claimed.notifier.budget().is_some() {
                pause(ctx, &claimed.row.channel, after).await?;
            }
            notifications::release(db.write(), id, token).await?;
            Err(JobError::RetryAfter { after, why })
        }
        Err(SendError::Retry(why)) if held.failed.len() + 1 < ctx.attempts() => {
            ctx.count(&claimed.row.channel, "failed");
            notifications::release(db.write(), id, token).await?;
            Err(JobError::Retry(why))
        }
        Err(SendError::GiveUp(why) | SendError::Retry(why)) => {
            ctx.count(&claimed.row.channel, "given_up");
            match claimed.row.kind {
                Kind::Digest => digests::give_up(db.write(), id, &why).await?,
                _ => notifications::give_up(db.write(), id, &why).await?,
            }
            Err(JobError::GiveUp(why))
        }
    }
}

/// Sends it, with a span in the trace.
async fn send(ctx: &NotifyContext, claimed: &Claimed<'_>) -> Result<Sent, SendError> {
    let message = claimed.post.message(claimed.row.id, claimed.now());
    let tracer = &ctx.context.tracer;
    let mut span = tracer.start(SpanKind::Client, || "send".into(), task_context::trace());
    span.note("channel", || claimed.row.channel.clone());
    let result = claimed.notifier.send(message).await;
    if let Err(error) = &result {
        span.fail(|| error.to_string());
    }
    result
}

/// Pauses the chat for all processes, as the provider asked.
async fn pause(ctx: &NotifyContext, channel: &str, after: Duration) -> Result<(), JobError> {
    let context = &ctx.context;
    let db = context.db.write();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let chat = channels::chat_of(channel);
    Ok(channels::pause(db, chat, now.after(after)).await?)
}

async fn remember(ctx: &NotifyContext, claimed: &Claimed<'_>, sent: Sent) -> Result<(), JobError> {
    let channel = &claimed.row.channel;
    ctx.count(channel, "sent");
    if let Some(received_at) = claimed.post.received_at {
        ctx.note_latency(channel, claimed.now().since(received_at));
    }
    let (db, row, now) = (ctx.context.db.write(), &claimed.row, claimed.now());
    let mut tries = 1;
    loop {
        let written = async {
            if row.kind == Kind::Digest {
                digests::restore(db, row.id).await?;
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
