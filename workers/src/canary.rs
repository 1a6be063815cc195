//! Canaries, at each link of their way. What a link does for every alert it does for a canary by the same code, in a
//! transaction that is rolled back; then it writes down that it did, and pushes the job of the next link. A job that is
//! run again changes nothing that was written, and pushes again.

use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::domain::aggregation::Status;
use tocsin::domain::alert::{Alert, AlertStatus};
use tocsin::domain::canary::{self, Link};
use tocsin::domain::episode::AlertDelivery;
use tocsin::jobs::{CalculateTier, Content, IngestAlert, JobError, Notify};
use tocsin::queue::Push;
use tocsin::sources::cluster;
use tocsin::store::canaries::{self, Canary, Rehearsal, rehearse, tier_within};
use tocsin::store::maintenance;
use tocsin::telemetry::metrics::Outcome;
use tocsin::telemetry::task_context;
use tocsin::time::Timestamp;
use uuid::Uuid;

use crate::notifiers::{Message, Notifier};
use crate::notify::{NotifyContext, card, recommend};
use crate::tier::{FlapChecks, TierError, calculate_within};

/// The canary whose mark is in this delivery.
pub(crate) fn marked(job: &IngestAlert) -> Option<Uuid> {
    match &job.content {
        Content::Alert(alert) => canary::marked(&alert.labels),
        Content::Rejected { .. } => None,
    }
}

/// The canary of this ID, if the delivery's mark counts: it was made for this source, and not long ago.
pub(crate) async fn of(
    context: &Context,
    job: &IngestAlert,
    id: Uuid,
) -> Result<Option<Canary>, DbErr> {
    let found = canaries::find(context.db.read(), id).await?;
    let counts = |canary: &Canary| {
        canary.source == cluster::name_of(&job.source) && job.received_at <= canary.expires_at
    };
    Ok(found.filter(counts))
}

/// Enters a canary, or its end.
pub(crate) async fn enter(
    context: &Context,
    canary: Canary,
    job: IngestAlert,
) -> Result<(), JobError> {
    let Content::Alert(alert) = &job.content else {
        return Ok(());
    };
    match alert.status {
        AlertStatus::Firing => enter_firing(context, &canary, &job).await?,
        AlertStatus::Resolved => enter_end(context, &canary, &job).await?,
    }
    let alerts = &context.metrics.alerts;
    alerts.add(canary::SOURCE, Outcome::Ignored);
    Ok(())
}

async fn enter_firing(
    context: &Context,
    canary: &Canary,
    job: &IngestAlert,
) -> Result<(), JobError> {
    let (db, id) = (context.db.write(), canary.id);
    if canary.entered_at.is_none() {
        let taken = now(context).await?;
        let found = deliver(context, id, [job.clone()]).await?;
        let Some(rehearsal) = found else {
            let why = "the alert opened no incident";
            return Ok(canaries::failed(db, id, Link::Incident, why).await?);
        };
        rehearsal.tx.rollback().await?;
        let entered = now(context).await?;
        let received = job.received_at.min(taken);
        let kept = serde_json::to_string(job).map_err(|why| JobError::GiveUp(why.to_string()))?;
        canaries::entered(db, id, (received, taken, entered), kept).await?;
    }
    let tier = CalculateTier {
        incident: id,
        canary: true,
    };
    Ok(context.queues.push(of_task(Push::new(&tier))).await?)
}

async fn enter_end(context: &Context, canary: &Canary, job: &IngestAlert) -> Result<(), JobError> {
    let (db, id) = (context.db.write(), canary.id);
    let Some(began) = began(canary) else {
        let why = "the end came before the alert: send it after the message";
        return Ok(canaries::failed(db, id, Link::Resolve, why).await?);
    };
    let Some(rehearsal) = deliver(context, id, [began, job.clone()]).await? else {
        let why = "the end is not of the incident that the alert opened";
        return Ok(canaries::failed(db, id, Link::Resolve, why).await?);
    };
    rehearsal.tx.rollback().await?;
    let resolves = context.config.aggregation.auto_resolve;
    if resolves && rehearsal.status != Status::Resolved {
        let why = "the end did not resolve the incident";
        return Ok(canaries::failed(db, id, Link::Resolve, why).await?);
    }
    let at = now(context).await?;
    Ok(canaries::resolved(db, id, job.received_at.min(at), at).await?)
}

/// Works out the tier of a canary's incident, and the messages about it.
pub(crate) async fn tier(context: &Context, id: Uuid) -> Result<(), JobError> {
    let Some(canary) = canaries::find(context.db.read(), id).await? else {
        return Ok(());
    };
    let Some(began) = began(&canary) else {
        return Ok(());
    };
    let db = context.db.write();
    if canary.tiered_at.is_none() {
        let Some(rehearsal) = deliver(context, id, [began]).await? else {
            let why = "the alert opened no incident";
            return Ok(canaries::failed(db, id, Link::Tier, why).await?);
        };
        let (found, _) = tiered(context, &rehearsal).await?;
        rehearsal.tx.rollback().await?;
        if found.tier.is_none() {
            let why = "the incident got no tier";
            return Ok(canaries::failed(db, id, Link::Tier, why).await?);
        }
        canaries::tiered(db, id, now(context).await?, &found).await?;
    }
    let message = Push::new(&Notify::Canary(id));
    Ok(context.queues.push(of_task(message)).await?)
}

/// Renders the messages about a canary's incident, and sends the one to its channel if it names one.
pub(crate) async fn message(ctx: &NotifyContext, id: Uuid) -> Result<(), JobError> {
    let context = ctx.context();
    let Some(canary) = canaries::find(context.db.read(), id).await? else {
        return Ok(());
    };
    let Some(began) = began(&canary).filter(|_| canary.told_at.is_none()) else {
        return Ok(());
    };
    let db = context.db.write();
    let Some(rehearsal) = deliver(context, id, [began]).await? else {
        let why = "the alert opened no incident";
        return Ok(canaries::failed(db, id, Link::Message, why).await?);
    };
    let rendered = render(ctx, &rehearsal, canary.channel.as_deref()).await;
    rehearsal.tx.rollback().await?;
    let sent = match rendered? {
        Err(why) => return Ok(canaries::failed(db, id, Link::Message, &why).await?),
        Ok(None) => None,
        Ok(Some((notifier, body))) => {
            let message = Message {
                id,
                at: rehearsal.now,
                body: &body,
                reply_to: None,
                is_silent: false,
                reply_markup: None,
                is_repeated: false,
            };
            match notifier.send(message).await {
                Ok(sent) => Some(sent.answer),
                Err(error) => {
                    let why = format!("{} did not take it: {error}", notifier.channel());
                    return Ok(canaries::failed(db, id, Link::Message, &why).await?);
                }
            }
        }
    };
    Ok(canaries::told(db, id, now(context).await?, sent).await?)
}

type ToSend<'a> = Option<(&'a dyn Notifier, String)>;

/// Renders every message about the incident; returns the one to send, or what is wrong.
async fn render<'a>(
    ctx: &'a NotifyContext,
    rehearsal: &Rehearsal,
    channel: Option<&str>,
) -> Result<Result<ToSend<'a>, String>, JobError> {
    let (_, rows) = tiered(ctx.context(), rehearsal).await?;
    let Some(first) = rows.first() else {
        return Ok(Err(
            "no channel gets its message: see [[routes]] in the settings".to_owned(),
        ));
    };
    for row in &rows {
        let Some(notifier) = ctx.notifier(&row.channel) else {
            return Ok(Err(format!("{} is no longer configured", row.channel)));
        };
        let body = rendered(ctx, rehearsal, row, notifier)
            .await?
            .unwrap_or_default();
        if body.is_empty() {
            return Ok(Err(format!("the message for {} is empty", row.channel)));
        }
    }
    let Some(channel) = channel else {
        return Ok(Ok(None));
    };
    let Some(notifier) = ctx.notifier(channel) else {
        return Ok(Err(format!("{channel} is not configured at the workers")));
    };
    if notifier.sets_state() {
        return Ok(Err(format!(
            "{channel} keeps an alarm until it is resolved: choose a channel that only shows messages"
        )));
    }
    let body = rendered(ctx, rehearsal, first, notifier).await?;
    Ok(Ok(body.map(|body| (notifier, body))))
}

/// The message for a channel, as it would be sent.
async fn rendered(
    ctx: &NotifyContext,
    rehearsal: &Rehearsal,
    row: &tocsin::entity::notifications::Model,
    notifier: &dyn Notifier,
) -> Result<Option<String>, JobError> {
    let Some(mut card) = card(ctx, &rehearsal.tx, row).await? else {
        return Ok(None);
    };
    let at = card.at;
    recommend(ctx, &rehearsal.tx, &mut card, at).await?;
    Ok(Some(notifier.render(&card)))
}

/// What the tier worker makes of it, within its transaction.
async fn tiered(
    context: &Context,
    rehearsal: &Rehearsal,
) -> Result<(canaries::Tiered, Vec<tocsin::entity::notifications::Model>), JobError> {
    let Rehearsal {
        tx, incident, key, ..
    } = rehearsal;
    let calculated = calculate_within(context, tx, &[*incident], &mut FlapChecks::default()).await;
    let calculated = calculated.map_err(JobError::from);
    // What the counter built for an anomaly that is not kept.
    let forgotten = context
        .counter
        .forget_within(tx, std::slice::from_ref(key))
        .await;
    calculated?;
    forgotten?;
    let found = tier_within(tx, *incident, key).await;
    Ok(found.map_err(TierError::from)?)
}

/// The job that carried it, once it was entered.
fn began(canary: &Canary) -> Option<IngestAlert> {
    serde_json::from_str(canary.alert.as_deref()?).ok()
}

/// Enters what these jobs carry, in a transaction of its own.
async fn deliver<const N: usize>(
    context: &Context,
    id: Uuid,
    jobs: [IngestAlert; N],
) -> Result<Option<Rehearsal>, JobError> {
    let config = &context.config;
    let delivery = |job: IngestAlert| {
        let Content::Alert(alert) = job.content else {
            return None;
        };
        let alert = Alert {
            rule: None,
            ..alert
        };
        let (labels, families) = (&config.signature, &config.counting.families);
        let origin = (id, false);
        Some(AlertDelivery::new(
            origin,
            job.source,
            job.received_at,
            alert,
            labels,
            families,
        ))
    };
    let deliveries: Vec<AlertDelivery> = jobs.into_iter().filter_map(delivery).collect();
    Ok(rehearse(&context.db, &context.clock, config, &deliveries).await?)
}

async fn now(context: &Context) -> Result<Timestamp, DbErr> {
    let now = maintenance::now(context.db.read()).await?;
    Ok(context.clock.of_store(now))
}

fn of_task(push: Push) -> Push {
    push.trace(task_context::trace())
}
