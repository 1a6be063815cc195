//! Notifications: written in the transaction that decides them, claimed by the worker that sends them.

mod ahead;
mod claims;
mod shown;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sea_orm::prelude::Json;
use sea_orm::{ActiveEnum, ConnectionTrait, DbErr, EntityTrait, QueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, columns, statement};
use crate::domain::messages::{ExistingMessage, Message, Suppression};
use crate::domain::routing::RoutingKey;
use crate::domain::sentry;
use crate::entity::notifications::{Entity, Model, State};
use crate::ids::new_id;
use crate::time::{Clock, Timestamp};
pub use ahead::{COUNTED, PendingAhead, ahead};
pub use claims::{CLAIM, claim, give_up, mute, release, sent};

/// A message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueMessage {
    /// Its row.
    pub id: Uuid,
    /// The incident it is about.
    pub incident: Uuid,
    /// How long from now it may not go out.
    pub after: Duration,
}

/// What [`write()`] wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Messages to send that no tier pushes.
    pub messages: Vec<DueMessage>,
    /// How many messages are suppressed.
    pub suppressed: SuppressedCount,
}

/// How many messages are suppressed, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SuppressedCount {
    /// Their anomalies are muted.
    pub muted: u64,
    /// Their incidents continue on cards.
    pub on_card: u64,
    /// Their anomalies flap.
    pub flapping: u64,
    /// Their anomalies are in maintenance.
    pub maintenance: u64,
}

/// Writes messages. What is suppressed is written as that, so that it is never sent; the card that says it instead
/// shows its incident from then on. What is there already stays as it is.
pub async fn write(
    tx: &impl ConnectionTrait,
    messages: &[Message],
    now: Timestamp,
) -> Result<Written, DbErr> {
    let each = messages.iter().flat_map(|message| {
        let channels = message.channels.iter();
        channels.map(move |channel| (new_id(now), message, channel))
    });
    let each: Vec<(Uuid, &Message, &String)> = each.collect();
    if each.is_empty() {
        return Ok(Written::default());
    }
    let state = |message: &Message| match message.suppressed {
        Some(_) => State::Suppressed,
        None => State::Pending,
    };
    let card = |message: &Message| message.suppressed.and_then(Suppression::card);
    let rows = Rows::new()
        .uuid("id", each.iter().map(|(id, ..)| *id))
        .uuid("incident_id", each.iter().map(|(_, m, _)| m.incident))
        .text("kind", each.iter().map(|(_, m, _)| m.kind.to_value()))
        .int("sequence", each.iter().map(|(_, m, _)| m.sequence))
        .text(
            "channel",
            each.iter().map(|(.., channel)| (*channel).clone()),
        )
        .text("state", each.iter().map(|(_, m, _)| state(m).to_value()))
        .text_or_null(
            "suppressed_by",
            each.iter()
                .map(|(_, m, _)| m.suppressed.map(|why| why.by().to_value())),
        )
        .uuid_or_null(
            "card_id",
            each.iter().map(|(_, m, _)| card(m).map(|card| card.id)),
        )
        .int_or_null(
            "card_number",
            each.iter().map(|(_, m, _)| card(m).map(|card| card.number)),
        )
        .time("since", each.iter().map(|(_, m, _)| m.since));
    let sql = "INSERT INTO notifications \
                   (id, incident_id, kind, sequence, channel, state, owed_since, \
                    suppressed_by, card_id, card_number) \
               SELECT r.id, r.incident_id, r.kind, r.sequence, r.channel, r.state, r.since, \
                   r.suppressed_by, r.card_id, r.card_number \
               FROM {rows} WHERE true \
               ON CONFLICT (incident_id, kind, sequence, channel) DO NOTHING \
               RETURNING id";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    let written = tx.query_all_raw(sql).await?;
    let written = written.iter().map(|row| row.try_get("", "id"));
    let written: HashSet<Uuid> = written.collect::<Result<_, _>>()?;
    let (mut new, mut shown) = (Written::default(), Vec::new());
    for (id, message, _) in each.into_iter().filter(|(id, ..)| written.contains(id)) {
        match message.suppressed {
            Some(Suppression::Muted) => new.suppressed.muted += 1,
            Some(Suppression::Flapping) => new.suppressed.flapping += 1,
            Some(Suppression::Maintenance) => new.suppressed.maintenance += 1,
            Some(Suppression::OnCard(card)) => {
                new.suppressed.on_card += 1;
                shown.push((card.id, message.incident));
            }
            None if message.by_tier => {}
            None => new.messages.push(DueMessage {
                id,
                incident: message.incident,
                after: message.since.since(now),
            }),
        }
    }
    shown::show(tx, &shown).await?;
    Ok(new)
}

/// The messages that there are about these incidents, in order. A text is fixed under a lock of the anomaly, so what is
/// pending stays so for as long as it is locked.
pub async fn existing(
    tx: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<Vec<ExistingMessage>, DbErr> {
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT n.incident_id, n.channel, n.kind, n.state, n.card_id IS NOT NULL AS is_on_card, \
                   d.state AS digest \
               FROM {rows} JOIN notifications n ON n.incident_id = r.id \
               LEFT JOIN notifications d ON d.id = n.digest_id ORDER BY n.id";
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    let existing = |row: &QueryResult| {
        let state: State = row.try_get("", "state")?;
        let digest: Option<State> = row.try_get("", "digest")?;
        Ok(ExistingMessage {
            incident: row.try_get("", "incident_id")?,
            channel: row.try_get("", "channel")?,
            kind: row.try_get("", "kind")?,
            is_pending: state == State::Pending
                || (state == State::Digested && digest == Some(State::Pending)),
            is_out: state == State::Sent
                || (state == State::Digested && digest == Some(State::Sent)),
            is_on_card: row.try_get("", "is_on_card")?,
        })
    };
    found.iter().map(existing).collect()
}

/// What decides where messages about these incidents go, under their anomalies' locks.
pub async fn routing_keys(
    tx: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<HashMap<Uuid, RoutingKey>, DbErr> {
    if incidents.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    // Labels may be many, and are of use of one source alone.
    let sql = "SELECT i.id, i.severity, a.alert_name, a.service, a.namespace, a.level, i.source, \
                   CASE WHEN i.source LIKE 'sentry%' THEN i.labels END AS labels \
               FROM {rows} JOIN incidents i ON i.id = r.id JOIN anomalies a ON a.key = i.anomaly_key";
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    let keyed = |row: &QueryResult| {
        let source: String = row.try_get("", "source")?;
        let labels: Option<Json> = row.try_get("", "labels")?;
        let labels = labels.unwrap_or_default();
        let key = RoutingKey {
            severity: row.try_get("", "severity")?,
            alert_name: row.try_get("", "alert_name")?,
            service: row.try_get("", "service")?,
            namespace: row.try_get("", "namespace")?,
            level: row.try_get("", "level")?,
            has_sentry_issue: sentry::issue(&source, &labels).is_some(),
        };
        Ok((row.try_get("", "id")?, key))
    };
    found.iter().map(keyed).collect()
}

/// The messages of these incidents that are still pending; `clock` says when that is. None is to wait for longer
/// than an incident settles: one that seems to was written by a clock that was ahead, which is put right.
pub async fn pending(
    db: &impl ConnectionTrait,
    clock: &Clock,
    incidents: &[Uuid],
    settle: Duration,
) -> Result<Vec<DueMessage>, DbErr> {
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT n.id, n.incident_id, n.owed_since, {now} AS now \
               FROM {rows} JOIN notifications n ON n.incident_id = r.id \
               WHERE n.state IN ('owed', 'sending') ORDER BY n.id";
    let found = db
        .query_all_raw(rows.statement(db.get_database_backend(), sql, []))
        .await?;
    let pending = |row: &QueryResult| {
        let since = Timestamp(row.try_get("", "owed_since")?);
        // By the store's clock: this process' may be wrong.
        let now = clock.of_store(Timestamp(row.try_get("", "now")?));
        Ok(DueMessage {
            id: row.try_get("", "id")?,
            incident: row.try_get("", "incident_id")?,
            after: since.since(now).min(settle),
        })
    };
    found.iter().map(pending).collect()
}

/// Messages that have been pending since before `moment`, those that wait longest first.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: u64,
) -> Result<Vec<DueMessage>, DbErr> {
    // States as they are written in the index: SQLite does not use it for states that are values.
    let sql = "SELECT id, incident_id FROM notifications \
               WHERE state IN ('owed', 'sending') AND owed_since < $1 ORDER BY owed_since LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(moment.0), limit.into()];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    let overdue = |row: &QueryResult| {
        Ok(DueMessage {
            id: row.try_get("", "id")?,
            incident: row.try_get("", "incident_id")?,
            after: Duration::ZERO,
        })
    };
    rows.iter().map(overdue).collect()
}

/// Reads one row and keeps others from claiming it until this transaction ends.
pub async fn lock(tx: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    let columns = columns::<Entity>("notifications");
    let sql = format!("SELECT {columns} FROM notifications WHERE id = $1 {{lock}}");
    let sql = statement(tx.get_database_backend(), &sql, [Value::from(id)]);
    Entity::find().from_raw_sql(sql).one(tx).await
}

/// Reads one row.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}
