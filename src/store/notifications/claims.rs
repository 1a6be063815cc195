//! Claims on messages that are being sent, and the outcomes of the attempts.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Value};
use uuid::Uuid;

use crate::domain::notification::SuppressedBy;
use crate::entity::notifications::{ActiveModel, Column, Entity, Model, State};
use crate::store::rows::statement;
use crate::time::Timestamp;

/// How long a claim keeps others from sending the same message: longer than a try may take, and no
/// longer than it takes to notice that the claimer died.
pub const CLAIM: Duration = Duration::from_secs(15);

/// Claims a locked row under `token`, with the text that every try will send.
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
pub async fn release(db: &impl ConnectionTrait, id: Uuid, token: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::ClaimedUntil, Option::<i64>::None.into())
        .filter(Column::Id.eq(id))
        .filter(Column::ClaimedBy.eq(token))
        .exec(db)
        .await
        .map(drop)
}

/// Records that the provider took it. Of one that two sent, because one of them stood still, the first
/// stays the message that later ones answer.
pub async fn sent(
    db: &impl ConnectionTrait,
    id: Uuid,
    message_id: Option<String>,
    now: Timestamp,
) -> Result<(), DbErr> {
    // Its card may be edited at once.
    let sql = "UPDATE notifications SET state = 'sent', claimed_until = NULL, error = NULL, \
                   message_id = COALESCE(message_id, $2), sent_at = $3 \
               WHERE id = $1 AND state <> 'sent'";
    let values = [Value::from(id), message_id.into(), now.0.into()];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}

/// Records that it will not go out, and why; unless another sent it meanwhile.
pub async fn give_up(db: &impl ConnectionTrait, id: Uuid, error: &str) -> Result<(), DbErr> {
    let change = ActiveModel {
        state: Set(State::Failed),
        claimed_until: Set(None),
        error: Set(Some(error.to_owned())),
        ..Default::default()
    };
    Entity::update_many()
        .set(change)
        .filter(Column::Id.eq(id))
        .filter(Column::State.ne(State::Sent))
        .exec(db)
        .await
        .map(drop)
}

/// Records that a locked row will not go out, because its anomaly is muted, or in maintenance.
pub async fn mute(tx: &impl ConnectionTrait, id: Uuid, by: SuppressedBy) -> Result<(), DbErr> {
    let change = ActiveModel {
        id: Set(id),
        state: Set(State::Suppressed),
        suppressed_by: Set(Some(by)),
        claimed_until: Set(None),
        ..Default::default()
    };
    Entity::update(change).exec(tx).await.map(drop)
}
