//! Notify: sends messages that are owed, each once.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Data;
use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::domain::mute;
use tocsin::entity::notifications::{Model, State};
use tocsin::jobs::{JobError, Notify};
use tocsin::metrics::ByMessage;
use tocsin::queue::consumer::Held;
use tocsin::spans::SpanKind;
use tocsin::store::{anomalies, incidents, maintenance, notifications};
use tocsin::time::Timestamp;
use tocsin::trail;
use uuid::Uuid;

use crate::notifiers::{self, Card, Notifier, SendError, Sent};

/// How often, and how long apart, it is tried to remember that a message was sent: as long as it is
/// not remembered, it would be sent again.
const REMEMBER: (u32, Duration) = (60, Duration::from_millis(500));

/// Where messages are sent from.
#[derive(Clone)]
pub struct Desk {
    context: Context,
    notifiers: Arc<[Box<dyn Notifier>]>,
}

impl Desk {
    /// With the notifiers that the settings call for.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            notifiers: notifiers::configured(&context.config).into(),
        }
    }

    /// How often a message is tried.
    fn attempts(&self) -> usize {
        self.context.config.policy::<Notify>().attempts as usize
    }

    fn count(&self, outcome: &'static str) {
        self.context
            .metrics
            .messages
            .get_or_create(&ByMessage { outcome })
            .inc();
    }
}

/// One message.
///
/// # Errors
/// It cannot go out now, or never.
pub async fn handle(job: Notify, held: Data<Arc<Held>>, desk: Data<Desk>) -> Result<(), JobError> {
    let (db, token) = (&desk.context.db, Uuid::now_v7());
    let Some((row, notifier, body)) = claim(&desk, job.notification, &held, token).await? else {
        return Ok(());
    };
    match send(&desk, notifier, &body).await {
        Ok(sent) => remember(&desk, &row, sent).await,
        Err(SendError::Wait { after, why }) => {
            desk.count("delayed");
            notifications::release(db.write(), row.id, token).await?;
            Err(JobError::RetryAfter { after, why })
        }
        Err(SendError::Retry(why)) if held.failed.len() + 1 < desk.attempts() => {
            desk.count("failed");
            notifications::release(db.write(), row.id, token).await?;
            Err(JobError::Retry(why))
        }
        Err(SendError::GiveUp(why) | SendError::Retry(why)) => {
            desk.count("given_up");
            notifications::give_up(db.write(), row.id, &why).await?;
            Err(JobError::GiveUp(why))
        }
    }
}

/// Sends it, and says so in the trace.
async fn send(desk: &Desk, notifier: &dyn Notifier, body: &str) -> Result<Sent, SendError> {
    let tracer = &desk.context.tracer;
    let mut span = tracer.start(SpanKind::Client, || "send".into(), trail::trace());
    span.note("channel", || notifier.channel().to_owned());
    let result = notifier.send(body).await;
    if let Err(error) = &result {
        span.fail(|| error.to_string());
    }
    result
}

/// Makes the message ours to send, in one transaction: its text is fixed at the first claim, from
/// what holds at that moment; the anomaly's lock decides whether a rise is in it or has a message
/// of its own. `None` if there is nothing to send.
async fn claim<'a>(
    desk: &'a Desk,
    id: Uuid,
    held: &Held,
    token: Uuid,
) -> Result<Option<(Model, &'a dyn Notifier, String)>, JobError> {
    let context = &desk.context;
    let tx = context.db.begin().await?;
    let Some(row) = notifications::lock(&tx, id).await? else {
        return Ok(None);
    };
    // Somebody wants what was given up to be sent after all if the job was replayed.
    let is_wanted = match row.state {
        State::Owed | State::Sending => true,
        State::GivenUp => held.lease.replay > 0,
        State::Sent | State::Muted => false,
    };
    if !is_wanted {
        return Ok(None);
    }
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    if let Some(until) = row.claimed_until.filter(|until| *until > now) {
        let after = until.since(now);
        let why = "another sends it, or died doing so".to_owned();
        return Err(JobError::RetryAfter { after, why });
    }
    let prepared = match desk.notifiers.iter().find(|n| n.channel() == row.channel) {
        Some(notifier) => match body(&tx, &row, notifier.as_ref(), now).await? {
            Text::Of(body) => Ok((notifier, body)),
            Text::Muted => {
                notifications::mute(&tx, id).await?;
                tx.commit().await?;
                desk.count("muted");
                return Ok(None);
            }
            Text::Gone => Err("its incident does not exist any more".to_owned()),
        },
        None => Err(format!(
            "the channel {} is not configured any more",
            row.channel
        )),
    };
    let (notifier, body) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            notifications::give_up(&tx, id, &why).await?;
            tx.commit().await?;
            return Err(JobError::GiveUp(why));
        }
    };
    notifications::claim(&tx, &row, token, body.clone(), now).await?;
    tx.commit().await?;
    Ok(Some((row, notifier.as_ref(), body)))
}

/// What a message says.
enum Text {
    Of(String),
    /// Nothing: its anomaly was muted before anybody began to send it.
    Muted,
    /// Its incident is gone.
    Gone,
}

/// The text that was fixed before, or one for what holds now.
async fn body(
    tx: &sea_orm::DatabaseTransaction,
    row: &Model,
    notifier: &dyn Notifier,
    now: Timestamp,
) -> Result<Text, DbErr> {
    if let Some(body) = &row.body {
        return Ok(Text::Of(body.clone()));
    }
    let Some(mut card) = card(tx, row).await? else {
        return Ok(Text::Gone);
    };
    // What somebody wants to be sent after all is sent.
    let is_new = row.state == State::Owed;
    if is_new && mute::keeps_back(&card.anomaly, row.kind, row.owed_since, now) {
        return Ok(Text::Muted);
    }
    card.anomaly = mute::as_of(now, card.anomaly);
    Ok(Text::Of(notifier.render(&card)))
}

async fn card(tx: &sea_orm::DatabaseTransaction, row: &Model) -> Result<Option<Card>, DbErr> {
    let Some(incident) = incidents::find(tx, row.incident_id).await? else {
        return Ok(None);
    };
    let Some((anomaly, _)) = anomalies::lock_shared(tx, &incident.anomaly_key).await? else {
        return Ok(None);
    };
    // Read again: the anomaly is ours now, and with it the incident.
    let incident = incidents::find(tx, row.incident_id).await?;
    Ok(incident.map(|incident| Card {
        kind: row.kind,
        incident,
        anomaly,
    }))
}

async fn remember(desk: &Desk, row: &Model, sent: Sent) -> Result<(), JobError> {
    desk.count("sent");
    let (db, now) = (desk.context.db.write(), desk.context.clock.now());
    let mut tries = 1;
    loop {
        match notifications::sent(db, row.id, sent.message_id.clone(), now).await {
            Ok(()) => return Ok(()),
            Err(error) if tries >= REMEMBER.0 => return Err(error.into()),
            Err(error) => {
                tracing::warn!("a message was sent, and that cannot be written yet: {error}");
                tokio::time::sleep(REMEMBER.1).await;
                tries += 1;
            }
        }
    }
}
