//! Messages owed: written by whoever decides them, claimed by whoever sends them.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::{
    ActiveEnum, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, Value,
};
use uuid::Uuid;

use super::rows::{Rows, statement};
use crate::entity::notifications::{ActiveModel, Column, Entity, Kind, Model, State};
use crate::jobs::new_id;
use crate::time::Timestamp;

/// How long a claim keeps others from sending the same message: longer than a try may take, and no
/// longer than it takes to notice that the claimer died.
pub const CLAIM: Duration = Duration::from_secs(15);

/// A message that is owed: about which incident, of which kind, with which sequence.
pub type Owed = (Uuid, Kind, i64);

/// Owes messages on every channel. Owing one again changes nothing.
///
/// # Errors
/// What the database says.
pub async fn owe(
    tx: &impl ConnectionTrait,
    owed: &[Owed],
    channels: &[String],
    now: Timestamp,
) -> Result<(), DbErr> {
    write(tx, owed, State::Owed, channels, now).await.map(drop)
}

/// Writes down messages that are not told because their anomalies are muted, so that none of them is
/// ever owed; returns how many were not written before.
///
/// # Errors
/// What the database says.
pub async fn mute_all(
    tx: &impl ConnectionTrait,
    muted: &[Owed],
    channels: &[String],
    now: Timestamp,
) -> Result<u64, DbErr> {
    write(tx, muted, State::Muted, channels, now).await
}

async fn write(
    tx: &impl ConnectionTrait,
    owed: &[Owed],
    state: State,
    channels: &[String],
    now: Timestamp,
) -> Result<u64, DbErr> {
    if owed.is_empty() {
        return Ok(0);
    }
    let each = || {
        owed.iter()
            .flat_map(|owed| channels.iter().map(move |channel| (owed, channel)))
    };
    let rows = Rows::new()
        .uuid("id", each().map(|_| new_id(now)))
        .uuid("incident_id", each().map(|((incident, ..), _)| *incident))
        .text("kind", each().map(|((_, kind, _), _)| kind.to_value()))
        .int("sequence", each().map(|((.., sequence), _)| *sequence))
        .text("channel", each().map(|(_, channel)| channel.clone()));
    let sql = "INSERT INTO notifications \
                   (id, incident_id, kind, sequence, channel, state, owed_since) \
               SELECT r.id, r.incident_id, r.kind, r.sequence, r.channel, $1, $2 \
               FROM {rows} WHERE true \
               ON CONFLICT (incident_id, kind, sequence, channel) DO NOTHING";
    let values = [Value::from(state.to_value()), Value::from(now.0)];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    Ok(tx.execute_raw(sql).await?.rows_affected())
}

/// Which of these incidents people were told of, or are being told of, with nothing more to come:
/// what rises now is not in any message. One that is still owed tells what holds when it is claimed.
///
/// # Errors
/// What the database says.
pub async fn told(tx: &impl ConnectionTrait, incidents: &[Uuid]) -> Result<HashSet<Uuid>, DbErr> {
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT n.incident_id FROM {rows} JOIN notifications n \
                   ON n.incident_id = r.id AND n.kind = 'opened' AND n.sequence = 0 \
               WHERE n.state <> 'owed' AND NOT EXISTS (SELECT 1 FROM notifications e \
                   WHERE e.incident_id = r.id AND e.kind = 'escalated' AND e.state = 'owed')";
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    found
        .iter()
        .map(|row| row.try_get("", "incident_id"))
        .collect()
}

/// The messages of these incidents that are still owed, each with its incident.
///
/// # Errors
/// What the database says.
pub async fn owed(
    db: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<Vec<(Uuid, Uuid)>, DbErr> {
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT n.id, n.incident_id FROM {rows} JOIN notifications n ON n.incident_id = r.id \
               WHERE n.state IN ('owed', 'sending') ORDER BY n.id";
    let found = db
        .query_all_raw(rows.statement(db.get_database_backend(), sql, []))
        .await?;
    let pair = |row: &QueryResult| Ok((row.try_get("", "id")?, row.try_get("", "incident_id")?));
    found.iter().map(pair).collect()
}

/// Messages that have been owed since before `moment`, those that wait longest first.
///
/// # Errors
/// What the database says.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::State.is_in([State::Owed, State::Sending]))
        .filter(Column::OwedSince.lt(moment))
        .order_by_asc(Column::OwedSince)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

/// Reads one row and keeps others from claiming it until this transaction ends.
///
/// # Errors
/// What the database says.
pub async fn lock(tx: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    let sql = "SELECT * FROM notifications WHERE id = $1 {lock}";
    let sql = statement(tx.get_database_backend(), sql, [Value::from(id)]);
    Entity::find().from_raw_sql(sql).one(tx).await
}

/// Reads one row.
///
/// # Errors
/// What the database says.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// Claims a locked row under `token`, with the text that every try will send.
///
/// # Errors
/// What the database says.
pub async fn claim(
    tx: &impl ConnectionTrait,
    row: &Model,
    token: Uuid,
    body: String,
    now: Timestamp,
) -> Result<(), DbErr> {
    let change = ActiveModel {
        id: Set(row.id),
        state: Set(State::Sending),
        body: Set(Some(body)),
        claimed_by: Set(Some(token)),
        claimed_until: Set(Some(now.after(CLAIM))),
        attempts: Set(row.attempts + 1),
        ..Default::default()
    };
    Entity::update(change).exec(tx).await.map(drop)
}

/// Ends a claim, if it is still the one made under `token`: the message did not go out.
///
/// # Errors
/// What the database says.
pub async fn release(db: &impl ConnectionTrait, id: Uuid, token: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::ClaimedUntil, Option::<i64>::None.into())
        .filter(Column::Id.eq(id))
        .filter(Column::ClaimedBy.eq(token))
        .exec(db)
        .await
        .map(drop)
}

/// Records that the provider took it.
///
/// # Errors
/// What the database says.
pub async fn sent(
    db: &impl ConnectionTrait,
    id: Uuid,
    message_id: Option<String>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let change = ActiveModel {
        id: Set(id),
        state: Set(State::Sent),
        message_id: Set(message_id),
        sent_at: Set(Some(now)),
        error: Set(None),
        ..Default::default()
    };
    Entity::update(change).exec(db).await.map(drop)
}

/// Records that it will not go out, and why.
///
/// # Errors
/// What the database says.
pub async fn give_up(db: &impl ConnectionTrait, id: Uuid, error: &str) -> Result<(), DbErr> {
    let change = ActiveModel {
        id: Set(id),
        state: Set(State::GivenUp),
        claimed_until: Set(None),
        error: Set(Some(error.to_owned())),
        ..Default::default()
    };
    Entity::update(change).exec(db).await.map(drop)
}

/// Records that a locked row will not go out, because its anomaly is muted.
///
/// # Errors
/// What the database says.
pub async fn mute(tx: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    let change = ActiveModel {
        id: Set(id),
        state: Set(State::Muted),
        ..Default::default()
    };
    Entity::update(change).exec(tx).await.map(drop)
}
