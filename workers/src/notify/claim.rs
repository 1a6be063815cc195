//! Making a message ours to send.

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
use tocsin::store::{anomalies, cards, digests, incidents, maintenance, notifications};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::context::NotifyContext;
use super::permit::SendPermit;
use super::{digest, mute, report};
use crate::notifiers::{Card, Message, Muted, Notifier, SendSlot, TOTAL_TIMEOUT};

/// What goes out.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) body: String,
    pub(super) reply_to: Option<String>,
    pub(super) is_silent: bool,
    pub(super) reply_markup: Option<Value>,
    /// Whether an earlier try may have gone out.
    pub(super) is_repeated: bool,
}

impl Outgoing {
    /// The try to send it that is made at that moment.
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

/// A message that is ours to send.
pub(super) struct Claimed<'a> {
    pub(super) row: Model,
    pub(super) notifier: &'a dyn Notifier,
    pub(super) post: Outgoing,
    /// When it was claimed, by the store's clock and by this process's stopwatch.
    pub(super) claimed: (Timestamp, Instant),
    /// Held until it is sent.
    pub(super) _place: Option<SendSlot<'a>>,
}

impl Claimed<'_> {
    /// Now, by the store's clock: this process's own may be wrong.
    pub(super) fn now(&self) -> Timestamp {
        let (at, since) = self.claimed;
        at.after(since.elapsed())
    }
}

/// How long after an attempt began a provider may still be called: the call is over before others
/// may claim the message.
const IN_TIME: Duration = CLAIM.saturating_sub(TOTAL_TIMEOUT);

/// Why a resolved message is not sent.
const OPEN_AGAIN: &str = "not sent: the incident was open again";

/// Why a message about a rise is not sent.
const FELL_AGAIN: &str = "not sent: the level had changed again";

/// How long one waits at most for another that is being sent.
const IN_LINE: Duration = Duration::from_millis(500);

/// The pause of what was claimed too long ago.
const LATE: Duration = Duration::from_millis(100);

/// One attempt to send.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) held: &'a JobHandle,
    pub(super) token: Uuid,
    began: Instant,
}

impl<'a> Attempt<'a> {
    /// One that begins now, before anything is claimed.
    pub(super) fn new(held: &'a JobHandle, token: Uuid) -> Self {
        Self {
            held,
            token,
            began: Instant::now(),
        }
    }

    /// Leaves what was claimed too long ago to others: this process stood still, and another may have
    /// sent it meanwhile.
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

/// Makes the message ours to send, in one transaction: its text is fixed at the first claim, from
/// what holds at that moment; the anomaly's lock decides whether a rise is in it or has a message
/// of its own. `None` if there is nothing to send.
///
/// Locks are taken in this order: channels, the anomaly, the message.
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
    if mute::mute(ctx, &tx, &row, now).await? {
        tx.commit().await?;
        return Ok(None);
    }
    let Some(notifier) = ctx.notifier(&row.channel) else {
        let why = format!("the channel {} is no longer configured", row.channel);
        return give_up(tx, &row, why).await;
    };
    let place = ctx.place(notifier)?;
    if row.kind == Kind::Report {
        return report::claim(ctx, tx, &row, (notifier, place), attempt).await;
    }
    // A digest that collected messages while there were limits is sent all the same.
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

/// Fixes what is said, under the locks of the anomaly and of the message.
async fn claimed<'a>(
    ctx: &'a NotifyContext,
    tx: DatabaseTransaction,
    row: &Model,
    (notifier, place): (&'a dyn Notifier, Option<SendSlot<'a>>),
    attempt: Attempt<'_>,
) -> Result<Option<Claimed<'a>>, JobError> {
    let Some(card) = card(ctx, &tx, row).await? else {
        let why = "the incident no longer exists".to_owned();
        return give_up(tx, row, why).await;
    };
    if notifier.sets_state() {
        in_order(ctx, &tx, row).await?;
    }
    let Some(row) = notifications::lock(&tx, row.id).await? else {
        return Ok(None);
    };
    // Another may have had it while this one waited for the locks.
    if !is_wanted(&row, attempt.held) {
        return Ok(None);
    }
    let now = maintenance::now(&tx).await?;
    let now = ctx.context.clock.of_store(now);
    is_free(&row, now)?;
    if mute::is_kept_back(&row, &card.anomaly, now) {
        mute::write(ctx, &tx, &row).await?;
        tx.commit().await?;
        return Ok(None);
    }
    if let Some(why) = outdated(ctx, &row, &card) {
        ctx.count("outdated");
        notifications::give_up(&tx, row.id, why).await?;
        tx.commit().await?;
        return Ok(None);
    }
    let body = match (row.state, &row.body) {
        // What was given up is known not to have gone out: it says what holds now.
        (State::Failed, _) | (_, None) => notifier.render(&card),
        _ if notifier.sets_state() => notifier.render(&card),
        (_, Some(body)) => body.clone(),
    };
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

/// Has what sets how an incident stands at a provider wait for all else that does: the last that arrives is what
/// holds. All of it is locked.
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

/// Why the message says what does not hold any more, if it was not tried yet or reports an end:
/// a rise that waited for its incident to settle may be over by then.
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

/// The wait at once of what need not settle.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Whether it may go out already. A digest says so itself. A job waits for no longer than was meant: what a
/// clock that was ahead wrote is put right while it sleeps.
fn is_due(row: &Model, now: Timestamp, settle: Duration) -> Result<(), JobError> {
    if row.owed_since > now && row.kind != Kind::Digest {
        return Err(JobError::RetryAfter {
            after: row.owed_since.since(now).min(settle.max(UNSETTLED)),
            why: "the incident has just opened and may escalate (notify.settle)".to_owned(),
        });
    }
    Ok(())
}

/// Whether the message is still to be sent. A failed one is if its job was replayed.
pub(super) fn is_wanted(row: &Model, held: &JobHandle) -> bool {
    match row.state {
        State::Pending | State::Sending => true,
        State::Failed => held.lease.replay > 0,
        State::Sent | State::Digested | State::Suppressed => false,
    }
}

/// Whether it is unclaimed.
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

/// The message that this one answers: the incident's first in the channel.
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

/// What a message is made from, with the anomaly locked.
pub(super) async fn card(
    ctx: &NotifyContext,
    tx: &DatabaseTransaction,
    row: &Model,
) -> Result<Option<Card>, DbErr> {
    let Some(incident) = incidents::find(tx, row.incident_id).await? else {
        return Ok(None);
    };
    let Some((anomaly, now)) = anomalies::lock_shared(tx, &incident.anomaly_key).await? else {
        return Ok(None);
    };
    let anomaly = anomaly.as_of(ctx.context.clock.of_store(now));
    // Read again: the anomaly is ours now, and with it the incident.
    let incident = incidents::find(tx, row.incident_id).await?;
    Ok(incident.map(|incident| Card {
        kind: row.kind,
        page: ctx.page(&format!("/incidents/{}", incident.id)),
        incident,
        at: row.owed_since,
        muted: anomaly.muted_until.map(|until| Muted {
            until,
            by: anomaly.muted_by.clone(),
        }),
        anomaly,
    }))
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
