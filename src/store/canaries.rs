//! Canaries: how far each came on its way. What a canary opens is never committed: each link does its work in a
//! transaction that is rolled back, and writes here that it did.

use std::time::Duration;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _,
    FromQueryResult, QueryFilter as _, QueryOrder as _, Value,
};
use uuid::Uuid;

use super::Db;
use super::ingest::enter_unseen;
use super::rows::statement;
use crate::config::Config;
use crate::domain::aggregation::{Policy, Status};
use crate::domain::canary::{LIFE, Link};
use crate::domain::episode::AlertDelivery;
use crate::domain::escalation::Level;
use crate::entity::{incidents, notifications};
use crate::time::{Clock, Timestamp};

/// How long rows are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// The columns of a row.
const COLUMNS: &str = "id, source, made_by, channel, created_at, expires_at, received_at, taken_at, entered_at, \
                       tiered_at, told_at, end_received_at, resolved_at, alert, level, tier, channels, sent, \
                       failed_link, error";

/// One canary.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Canary {
    /// Its ID, which is in its mark.
    pub id: Uuid,
    /// The source in whose form it comes, as incidents have it, without a cluster.
    pub source: String,
    /// `smoke`, or `schedule`.
    pub made_by: String,
    /// The channel that its message is sent to. Unset: it is not sent.
    pub channel: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when its mark counts.
    pub expires_at: Timestamp,
    /// When the ingress received it.
    pub received_at: Option<Timestamp>,
    /// When a worker took it from the queue.
    pub taken_at: Option<Timestamp>,
    /// When it had opened an incident.
    pub entered_at: Option<Timestamp>,
    /// When that had a level and a tier.
    pub tiered_at: Option<Timestamp>,
    /// When its message was rendered, and sent where a channel is named.
    pub told_at: Option<Timestamp>,
    /// When the ingress received its end.
    pub end_received_at: Option<Timestamp>,
    /// When that had resolved the incident.
    pub resolved_at: Option<Timestamp>,
    /// The job that carried it, as JSON.
    pub alert: Option<String>,
    /// The level of its anomaly.
    pub level: Option<Level>,
    /// The tier of its incident.
    pub tier: Option<i64>,
    /// The channels that would be told, one a line.
    pub channels: Option<String>,
    /// What the provider of `channel` answered.
    pub sent: Option<String>,
    /// The link that failed.
    pub failed_link: Option<Link>,
    /// Why.
    pub error: Option<String>,
}

impl Canary {
    /// The links of its way, in order: when each was done, and how many milliseconds it took.
    #[must_use]
    pub fn links(&self) -> [(Link, Option<Timestamp>, Option<u64>); 6] {
        let link = |link, from: Option<Timestamp>, to: Option<Timestamp>| {
            let took = from.zip(to).map(|(from, to)| to.since(from).as_millis());
            (
                link,
                to,
                took.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
            )
        };
        [
            link(Link::Ingress, Some(self.created_at), self.received_at),
            link(Link::Queue, self.received_at, self.taken_at),
            link(Link::Incident, self.taken_at, self.entered_at),
            link(Link::Tier, self.entered_at, self.tiered_at),
            link(Link::Message, self.tiered_at, self.told_at),
            link(Link::Resolve, self.end_received_at, self.resolved_at),
        ]
    }
}

/// A canary that is made.
#[derive(Clone, Debug)]
pub struct NewCanary<'a> {
    /// Its ID.
    pub id: Uuid,
    /// See [`Canary::source`].
    pub source: &'a str,
    /// See [`Canary::made_by`].
    pub made_by: &'a str,
    /// See [`Canary::channel`].
    pub channel: Option<&'a str>,
}

/// Writes down that a canary is made at `now`, and deletes those of days ago.
pub async fn insert(
    db: &impl ConnectionTrait,
    new: &NewCanary<'_>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let old = [Value::from(now.before(KEPT).0)];
    let prune = "DELETE FROM canaries WHERE created_at < $1";
    db.execute_raw(statement(backend, prune, old)).await?;
    let sql = "INSERT INTO canaries (id, source, made_by, channel, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = [
        Value::from(new.id),
        new.source.into(),
        new.made_by.into(),
        new.channel.map(str::to_owned).into(),
        now.0.into(),
        now.after(LIFE).0.into(),
    ];
    db.execute_raw(statement(backend, sql, values))
        .await
        .map(drop)
}

/// The canary of this ID.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Canary>, DbErr> {
    let sql = format!("SELECT {COLUMNS} FROM canaries WHERE id = $1");
    let sql = statement(db.get_database_backend(), &sql, [Value::from(id)]);
    Canary::find_by_statement(sql).one(db).await
}

/// The newest that was made so.
pub async fn newest(db: &impl ConnectionTrait, made_by: &str) -> Result<Option<Canary>, DbErr> {
    let sql = format!(
        "SELECT {COLUMNS} FROM canaries WHERE made_by = $1 ORDER BY created_at DESC LIMIT 1"
    );
    let sql = statement(db.get_database_backend(), &sql, [Value::from(made_by)]);
    Canary::find_by_statement(sql).one(db).await
}

/// It opened an incident. What was written first stays.
pub async fn entered(
    db: &impl ConnectionTrait,
    id: Uuid,
    (received, taken, entered): (Timestamp, Timestamp, Timestamp),
    alert: String,
) -> Result<(), DbErr> {
    let set = "received_at = $2, taken_at = $3, entered_at = $4, alert = $5";
    let values = [
        Value::from(received.0),
        taken.0.into(),
        entered.0.into(),
        alert.into(),
    ];
    advance(db, id, "entered_at", set, values).await
}

/// Its incident has a level, a tier, and messages to these channels.
pub async fn tiered(
    db: &impl ConnectionTrait,
    id: Uuid,
    at: Timestamp,
    found: &Tiered,
) -> Result<(), DbErr> {
    let set = "tiered_at = $2, level = $3, tier = $4, channels = $5";
    let values = [
        Value::from(at.0),
        found.level.name().into(),
        found.tier.into(),
        found.channels.join("\n").into(),
    ];
    advance(db, id, "tiered_at", set, values).await
}

/// Its message was rendered, and sent where there is an answer.
pub async fn told(
    db: &impl ConnectionTrait,
    id: Uuid,
    at: Timestamp,
    sent: Option<String>,
) -> Result<(), DbErr> {
    let values = [Value::from(at.0), sent.into()];
    advance(db, id, "told_at", "told_at = $2, sent = $3", values).await
}

/// Its end resolved the incident.
pub async fn resolved(
    db: &impl ConnectionTrait,
    id: Uuid,
    received: Timestamp,
    at: Timestamp,
) -> Result<(), DbErr> {
    let values = [Value::from(received.0), at.0.into()];
    let set = "end_received_at = $2, resolved_at = $3";
    advance(db, id, "resolved_at", set, values).await
}

/// A link of it failed. The first that did is kept.
pub async fn failed(
    db: &impl ConnectionTrait,
    id: Uuid,
    link: Link,
    why: &str,
) -> Result<(), DbErr> {
    let values = [
        Value::from(link.name()),
        why.replace('\0', "\u{fffd}").into(),
    ];
    advance(db, id, "error", "failed_link = $2, error = $3", values).await
}

/// Writes what a job found out, unless that job was run before.
async fn advance<const N: usize>(
    db: &impl ConnectionTrait,
    id: Uuid,
    unless: &str,
    set: &str,
    values: [Value; N],
) -> Result<(), DbErr> {
    let sql = format!("UPDATE canaries SET {set} WHERE id = $1 AND {unless} IS NULL");
    let values = [Value::from(id)].into_iter().chain(values);
    let sql = statement(db.get_database_backend(), &sql, values);
    db.execute_raw(sql).await.map(drop)
}

/// What the tier of a canary's incident came to.
#[derive(Clone, Debug)]
pub struct Tiered {
    /// The level of its anomaly.
    pub level: Level,
    /// Its tier.
    pub tier: Option<i32>,
    /// The channels that its message is rendered for.
    pub channels: Vec<String>,
}

/// A transaction in which a canary's deliveries are entered as every alert is. It is for reading and for trying: who
/// holds it rolls it back.
#[derive(Debug)]
pub struct Rehearsal {
    /// The transaction.
    pub tx: DatabaseTransaction,
    /// The incident that it opened.
    pub incident: Uuid,
    /// How that stands.
    pub status: Status,
    /// The anomaly.
    pub key: String,
    /// When, by the store's clock.
    pub now: Timestamp,
}

/// Enters a canary's deliveries, in their order; `None` if they opened no incident, or are about several.
pub async fn rehearse(
    db: &Db,
    clock: &Clock,
    config: &Config,
    deliveries: &[AlertDelivery],
) -> Result<Option<Rehearsal>, DbErr> {
    let tx = db.begin().await?;
    let policy = Policy {
        // An analysis is a job of its own, and no link of an alert's way.
        analyze: false,
        ..config.aggregation_policy()
    };
    let refs: Vec<&AlertDelivery> = deliveries.iter().collect();
    let (batch, now) = enter_unseen(&tx, clock, &policy, config, &refs).await?;
    let mut incidents = batch.incidents.values();
    let (Some(incident), None) = (incidents.next(), incidents.next()) else {
        tx.rollback().await?;
        return Ok(None);
    };
    Ok(Some(Rehearsal {
        incident: incident.id,
        status: incident.status,
        key: incident.anomaly_key.clone(),
        now,
        tx,
    }))
}

/// The level, the tier and the messages of an incident, within its transaction.
pub async fn tier_within(
    tx: &impl ConnectionTrait,
    incident: Uuid,
    key: &str,
) -> Result<(Tiered, Vec<notifications::Model>), DbErr> {
    let messages = notifications::Entity::find()
        .filter(notifications::Column::IncidentId.eq(incident))
        .order_by_asc(notifications::Column::Channel)
        .all(tx)
        .await?;
    let row = incidents::Entity::find_by_id(incident).one(tx).await?;
    let anomaly = crate::entity::anomalies::Entity::find_by_id(key.to_owned())
        .one(tx)
        .await?;
    let tiered = Tiered {
        level: anomaly.map(|anomaly| anomaly.level).unwrap_or_default(),
        tier: row.and_then(|row| row.tier),
        channels: messages.iter().map(|row| row.channel.clone()).collect(),
    };
    Ok((tiered, messages))
}
