//! Claims a notification, so that only this attempt sends it, and fixes its text.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use serde_json::Value;
use tocsin::domain::aggregation::Status;
use tocsin::domain::budget::SendKind;
use tocsin::domain::notification::Kind;
use tocsin::domain::routing::RoutingKey;
use tocsin::domain::{sentry, settle};
use tocsin::entity::notifications::{Model, State};
use tocsin::jobs::JobError;
use tocsin::queue::consumer::JobHandle;
use tocsin::store::notifications::CLAIM;
use tocsin::store::{cards, digests, maintenance, notifications, windows};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::card::{card, recommend};
use super::context::NotifyContext;
use super::permit::SendPermit;
use super::{digest, mute, notice};
use crate::awaited;
use crate::notifiers::{Card, Message, Notifier, SendSlot, TOTAL_TIMEOUT};

/// The message to send.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) body: String,
    pub(super) reply_to: Option<String>,
    pub(super) is_silent: bool,
    pub(super) reply_markup: Option<Value>,
    /// Whether an earlier attempt may have delivered it.
    pub(super) is_repeated: bool,
    /// When the alert was received that it is the first message about.
    pub(super) received_at: Option<Timestamp>,
}

impl Outgoing {
    /// The message for a notifier, sent at `at` by the store's clock.
    pub(super) fn message(&self, id: Uuid, at: Timestamp) -> Message<'_> {
        Message {
            id,
            at,
            body: &self.body,
            reply_to: self.reply_to.as_deref(),
            is_silent: self.is_silent,
            reply_markup: self.reply_markup.as_ref(),
            is_repeated: self.is_repeated,
        }
    }
}

/// A notification that this attempt has claimed.
pub(super) struct Claimed<'a> {
    pub(super) row: Model,
    pub(super) notifier: &'a dyn Notifier,
    pub(super) post: Outgoing,
    /// When it was claimed: by the store's clock, and as an `Instant` of this process.
    pub(super) claimed: (Timestamp, Instant),
    /// The send slot, held until it is sent.
    pub(super) _place: Option<SendSlot<'a>>,
}

impl Claimed<'_> {
    /// The current time by the store's clock; this process's clock may be wrong.
    pub(super) fn now(&self) -> Timestamp {
        let (at, since) = self.claimed;
        at.after(since.elapsed())
    }
}

/// How long after the start of an attempt the provider may still be called, so that the call ends before the claim
/// expires.
const IN_TIME: Duration = CLAIM.saturating_sub(TOTAL_TIMEOUT);

/// The reason recorded when a resolved message is not sent.
const OPEN_AGAIN: &str = "not sent: the incident was open again";

/// The reason recorded when a message about a level's rise is not sent.
const FELL_AGAIN: &str = "not sent: the level had changed again";

/// The longest wait for another message of the incident that is being sent.
const IN_LINE: Duration = Duration::from_millis(500);

/// The retry delay of an attempt that was suspended for too long.
const LATE: Duration = Duration::from_millis(100);

/// One attempt to send.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) held: &'a JobHandle,
    pub(super) token: Uuid,
    began: Instant,
}

impl<'a> Attempt<'a> {
    /// Starts an attempt. Call it before the claim, because the claim's time counts from here.
    pub(super) fn new(held: &'a JobHandle, token: Uuid) -> Self {
        Self {
            held,
            token,
            began: Instant::now(),
        }
    }

    /// Fails if the attempt began too long ago: this process was suspended, and another may have sent the message.
    pub(super) async fn is_in_time(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
    ) -> Result<(), JobError> {
        if !is_late(self.began, Instant::now()) {
            return Ok(());
        }
        notifications::release(db, id, self.token).await?;
        Err(JobError::RetryAfter {
            after: LATE,
            why: "the claim on the notification is too old".to_owned(),
        })
    }
}

fn is_late(began: Instant, now: Instant) -> bool {
    now.saturating_duration_since(began) > IN_TIME
}

/// Claims the notification in one transaction; `None` if there is nothing to send. The first claim fixes the text from
/// the incident's state at that moment. It holds the anomaly's lock, so a rise of the level is either in this text or
/// gets a message of its own.
///
/// Lock order: channels, the anomaly, the notification.
pub(super) async fn claim<'a>(
    ctx: &'a NotifyContext,
    id: Uuid,
    attempt: Attempt<'_>,
) -> Result<Option<Claimed<'a>>, JobError> {
    let tx = ctx.context.db.begin().await?;
    let Some(row) = notifications::find(&tx, id).await? else {
        return Ok(None);
    };
    if !is_wanted(&row, attempt.held) {
        return Ok(None);
    }
    let now = maintenance::now(&tx).await?;
    let now = ctx.context.clock.of_store(now);
    is_free(&row, now)?;
    is_due(&row, now, ctx.context.config.messages().settle)?;
    let held = windows::ahead(&tx, now).await?;
    if mute::mute(ctx, &tx, &row, &held, now).await? {
        tx.commit().await?;
        return Ok(None);
    }
    let Some(notifier) = ctx.notifier(&row.channel) else {
        let why = format!("the channel {} is not configured", row.channel);
        awaited::wait(row.owed_since, now, &why)?;
        return give_up(tx, &row, why).await;
    };
    let place = ctx.place(notifier)?;
    if row.kind.is_notice() {
        return notice::claim(ctx, tx, &row, (notifier, place), attempt).await;
    }
    // A digest that was begun while the channel had limits is still sent by them.
    let is_limited = ctx.context.config.limits(&row.channel) || row.kind == Kind::Digest;
    if let Some(budget) = notifier.budget().filter(|_| is_limited) {
        let permit = SendPermit::lock(ctx, &tx, &row.channel, budget).await?;
        let channels = ctx.neighbours(&row.channel);
        let ahead = notifications::ahead(&tx, &channels, &row, permit.now).await?;
        if row.kind == Kind::Digest {
            return digest::claim(ctx, tx, permit, &row, ahead, (notifier, place), attempt).await;
        }
        if let Some(digest) = digest::gather(ctx, &tx, &permit, &row, ahead).await? {
            tx.commit().await?;
            digest::push_first(ctx, digest).await?;
            return Ok(None);
        }
        permit.take(&tx, SendKind::Message, ahead.waiting).await?;
    }
    claimed(ctx, tx, &row, (notifier, place), attempt).await
}

/// Fixes the text, under the locks of the anomaly and of the notification.
async fn claimed<'a>(
    ctx: &'a NotifyContext,
    tx: DatabaseTransaction,
    row: &Model,
    (notifier, place): (&'a dyn Notifier, Option<SendSlot<'a>>),
    attempt: Attempt<'_>,
) -> Result<Option<Claimed<'a>>, JobError> {
    let Some(mut card) = card(ctx, &tx, row).await? else {
        let why = "the incident no longer exists".to_owned();
        return give_up(tx, row, why).await;
    };
    if notifier.sets_state() {
        in_order(ctx, &tx, row).await?;
    }
    let Some(row) = notifications::lock(&tx, row.id).await? else {
        return Ok(None);
    };
    // Another attempt may have sent it while this one waited for the locks.
    if !is_wanted(&row, attempt.held) {
        return Ok(None);
    }
    let now = maintenance::now(&tx).await?;
    let now = ctx.context.clock.of_store(now);
    is_free(&row, now)?;
    let held = windows::ahead(&tx, now).await?;
    if let Some(by) = mute::kept_back(&row, &card.anomaly, &held, now) {
        mute::write(ctx, &tx, &row, by).await?;
        tx.commit().await?;
        return Ok(None);
    }
    if let Some(why) = outdated(ctx, &row, &card) {
        ctx.count(&row.channel, "outdated");
        notifications::give_up(&tx, row.id, why).await?;
        tx.commit().await?;
        return Ok(None);
    }
    // A failed message was certainly not delivered: it is rendered again from the current state.
    let is_fixed = row.state != State::Failed && !notifier.sets_state();
    let fixed = row.body.clone().filter(|_| is_fixed);
    // Its buttons are as they should be now, even where its text is fixed.
    if fixed.is_none() || !ctx.context.config.repairs.hooks.is_empty() {
        recommend(ctx, &tx, &mut card, now).await?;
    }
    let body = fixed.unwrap_or_else(|| notifier.render(&card));
    if notifier.sets_state() {
        cards::forget_shown(&tx, &row).await?;
    }
    let messages = ctx.context.config.messages();
    let post = Outgoing {
        reply_to: answered(&tx, &row, notifier).await?,
        is_silent: messages.is_quiet(&row.channel, &facts(&card), now),
        body,
        reply_markup: ctx.keyboard(&row, &card, now),
        is_repeated: row.attempts > 0,
        received_at: (row.kind == Kind::Opened).then_some(card.incident.opened_at),
    };
    notifications::claim(&tx, &row, attempt.token, post.body.clone(), now).await?;
    tx.commit().await?;
    Ok(Some(Claimed {
        row,
        notifier,
        post,
        claimed: (now, Instant::now()),
        _place: place,
    }))
}

/// For a provider whose incident has a state: the message waits until the incident's earlier messages are sent, because
/// the last to arrive decides the state. All of them are locked.
pub(super) async fn in_order(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    row: &Model,
) -> Result<(), JobError> {
    let (others, now) = cards::lock_all(tx, row).await?;
    let now = ctx.context.clock.of_store(now);
    let claimed = others.into_iter().filter(|until| *until > now).max();
    match claimed {
        Some(until) => Err(JobError::RetryAfter {
            after: until.since(now).min(IN_LINE),
            why: "another notification about the incident is being sent to the channel".to_owned(),
        }),
        None => Ok(()),
    }
}

/// Why the message is out of date, if it is: the incident was reopened, or the level fell while the message waited for
/// `notify.settle`.
fn outdated(ctx: &NotifyContext, row: &Model, card: &Card) -> Option<&'static str> {
    if row.kind == Kind::Resolved && card.incident.status != Status::Resolved {
        return Some(OPEN_AGAIN);
    }
    let messages = ctx.context.config.messages();
    let settled = card.incident.opened_at.after(messages.settle);
    let has_waited = row.state == State::Pending && row.owed_since <= settled;
    let is_told = |kind| messages.sends(&row.channel, kind);
    let is_over = || settle::is_outdated(row.kind, card.anomaly.level, is_told);
    (has_waited && is_over()).then_some(FELL_AGAIN)
}

/// The longest retry delay of a message without a settle time.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Whether it may be sent yet. A digest has a time of its own. The delay is at most the settle time: `owed_since` may
/// have been written by a clock that was ahead, and is corrected while the job waits.
fn is_due(row: &Model, now: Timestamp, settle: Duration) -> Result<(), JobError> {
    if row.owed_since > now && row.kind != Kind::Digest {
        return Err(JobError::RetryAfter {
            after: row.owed_since.since(now).min(settle.max(UNSETTLED)),
            why: "the incident has just opened and may escalate (notify.settle)".to_owned(),
        });
    }
    Ok(())
}

/// Whether the notification is still to be sent. A failed one is if its job was replayed.
pub(super) fn is_wanted(row: &Model, held: &JobHandle) -> bool {
    match row.state {
        State::Pending | State::Sending => true,
        State::Failed => held.lease.replay > 0,
        State::Sent | State::Digested | State::Suppressed => false,
    }
}

/// Fails while another attempt's claim holds.
pub(super) fn is_free(row: &Model, now: Timestamp) -> Result<(), JobError> {
    match row.claimed_until.filter(|until| *until > now) {
        Some(until) => Err(JobError::RetryAfter {
            after: until.since(now).min(CLAIM),
            why: "another worker has claimed the notification".to_owned(),
        }),
        None => Ok(()),
    }
}

pub(super) async fn give_up<'a>(
    tx: DatabaseTransaction,
    row: &Model,
    why: String,
) -> Result<Option<Claimed<'a>>, JobError> {
    match row.kind {
        Kind::Digest => digests::give_up(&tx, row.id, &why).await?,
        _ => notifications::give_up(&tx, row.id, &why).await?,
    }
    tx.commit().await?;
    Err(JobError::GiveUp(why))
}

/// The provider's ID of the incident's first message in the channel, which this one replies to.
async fn answered(
    tx: &DatabaseTransaction,
    row: &Model,
    notifier: &dyn Notifier,
) -> Result<Option<String>, DbErr> {
    if row.kind == Kind::Opened || notifier.budget().is_none() {
        return Ok(None);
    }
    cards::answered(tx, row).await
}

fn facts(card: &Card) -> RoutingKey {
    RoutingKey {
        severity: card.incident.severity.clone(),
        namespace: card.anomaly.namespace.clone(),
        service: card.anomaly.service.clone(),
        level: card.anomaly.level,
        alert_name: card.anomaly.alert_name.clone(),
        has_sentry_issue: sentry::issue(&card.incident.source, &card.incident.labels).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_may_outlast_its_claim_is_not_made() {
        let began = Instant::now();
        let table = [(0, false), (5000, false), (5001, true), (60_000, true)];
        for (ms, expected) in table {
            let now = began + Duration::from_millis(ms);
            assert_eq!(is_late(began, now), expected, "{ms} ms");
        }
        assert!(IN_TIME + TOTAL_TIMEOUT <= CLAIM);
    }
}
