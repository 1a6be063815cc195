//! Channels: what the workers share about them. A writer locks the rows it needs, the provider's
//! and the chat's among them, at once and in order, and before anomalies and messages.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};

use super::rows::{Rows, columns, statement};
use crate::entity::channels::{Entity, Model};
use crate::time::Timestamp;

/// The provider's own row, such as that of Telegram's bot: what all its channels take together.
#[must_use]
pub fn provider_of(channel: &str) -> &str {
    channel.split_once(':').map_or(channel, |(kind, _)| kind)
}

/// The chat that a channel writes to: topics share their chat's budget.
#[must_use]
pub fn chat_of(channel: &str) -> &str {
    channel.split_once('/').map_or(channel, |(chat, _)| chat)
}

/// Inserts or locks the rows of these channels, in order, so that two never wait in a circle; returns
/// them in that order, and the store's time.
pub async fn lock(
    tx: &impl ConnectionTrait,
    channels: &[&str],
) -> Result<(Vec<Model>, Timestamp), DbErr> {
    let mut names: Vec<String> = channels.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    let rows = Rows::new().text("channel", names);
    let sql = format!(
        "INSERT INTO channels (channel) SELECT r.channel FROM {{rows}} WHERE true \
         ORDER BY r.channel \
         ON CONFLICT (channel) DO UPDATE SET digests = channels.digests \
         RETURNING {}, {{now}} AS now",
        columns::<Entity>("channels")
    );
    let sql = rows.statement(tx.get_database_backend(), &sql, []);
    let (mut locked, mut now) = (Vec::new(), Timestamp::default());
    for row in tx.query_all_raw(sql).await? {
        now = now.max(Timestamp(row.try_get("", "now")?));
        locked.push(Model::from_query_result(&row, "")?);
    }
    Ok((locked, now))
}

/// Writes a locked row.
pub async fn save(tx: &impl ConnectionTrait, row: &Model) -> Result<(), DbErr> {
    let sql = "UPDATE channels SET second_tat = $2, minute_tat = $3, edit_tat = $4, \
                   storm_since = $5, digest_id = $6, digests = $7 WHERE channel = $1";
    let values = [
        Value::from(row.channel.clone()),
        row.second_tat.0.into(),
        row.minute_tat.0.into(),
        row.edit_tat.0.into(),
        row.storm_since.map(|at| at.0).into(),
        row.digest_id.into(),
        row.digests.into(),
    ];
    tx.execute_raw(statement(tx.get_database_backend(), sql, values))
        .await
        .map(drop)
}

/// Notes until when a chat takes nothing; a longer pause stays.
pub async fn pause(
    db: &impl ConnectionTrait,
    channel: &str,
    until: Timestamp,
) -> Result<(), DbErr> {
    let sql = "UPDATE channels SET paused_until = $2 WHERE channel = $1 AND paused_until < $2";
    let values = [Value::from(channel), until.0.into()];
    db.execute_raw(statement(db.get_database_backend(), sql, values))
        .await
        .map(drop)
}
