//! Messages owed: written by whoever decides them, claimed by whoever sends them.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Value,
};
use uuid::Uuid;

use super::rows::{Rows, statement};
use crate::entity::notifications::{ActiveModel, Column, Entity, Kind, Model, State};
use crate::jobs::new_id;
use crate::time::Timestamp;

/// How long a claim keeps others from sending the same message: longer than a try may take, and no
/// longer than it takes to notice that the claimer died.
pub const CLAIM: Duration = Duration::from_secs(15);

/// Owes a message on every channel. Owing it again changes nothing.
///
/// # Errors
/// What the database says.
pub async fn owe(
    tx: &impl ConnectionTrait,
    incident: Uuid,
    kind: Kind,
    sequence: i64,
    channels: &[String],
    now: Timestamp,
) -> Result<(), DbErr> {
    use sea_orm::ActiveEnum;
    let all = || channels.iter();
    let rows = Rows::new()
        .uuid("id", all().map(|_| new_id(now)))
        .text("channel", all().cloned());
    let sql = "INSERT INTO notifications \
                   (id, incident_id, kind, sequence, channel, state, owed_since) \
               SELECT r.id, $1, $2, $3, r.channel, 'owed', $4 FROM {rows} WHERE true \
               ON CONFLICT (incident_id, kind, sequence, channel) DO NOTHING";
    let values = [
        Value::from(incident),
        Value::from(kind.to_value()),
        Value::from(sequence),
        Value::from(now.0),
    ];
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, values))
        .await?;
    Ok(())
}

/// How far the message that an incident opened is, on the channel that is furthest; `None` if none
/// was ever owed.
///
/// # Errors
/// What the database says.
pub async fn opened(tx: &impl ConnectionTrait, incident: Uuid) -> Result<Option<State>, DbErr> {
    let states: Vec<State> = Entity::find()
        .select_only()
        .column(Column::State)
        .filter(Column::IncidentId.eq(incident))
        .filter(Column::Kind.eq(Kind::Opened))
        .into_tuple()
        .all(tx)
        .await?;
    let begun = states.iter().copied().find(|state| *state != State::Owed);
    Ok(begun.or(states.first().copied()))
}

/// The messages of an incident that are still owed.
///
/// # Errors
/// What the database says.
pub async fn owed(db: &impl ConnectionTrait, incident: Uuid) -> Result<Vec<Uuid>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::IncidentId.eq(incident))
        .filter(Column::State.is_in([State::Owed, State::Sending]))
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(db)
        .await
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
        error: Set(Some(error.to_owned())),
        ..Default::default()
    };
    Entity::update(change).exec(db).await.map(drop)
}
