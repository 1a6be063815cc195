//! Notices: messages about no incident, one for each channel.

use std::time::Duration;

use sea_orm::{ActiveEnum, ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::notifications::DueMessage;
use super::rows::Rows;
use crate::domain::notification::Kind;
use crate::ids::new_id;
use crate::time::Timestamp;

/// Writes one message for each channel about this subject and number of it. What there is already stays as it is, so
/// that two who write the same send one. Returns the messages that are new.
pub async fn write(
    tx: &impl ConnectionTrait,
    kind: Kind,
    (subject, sequence): (Uuid, i64),
    channels: &[String],
    now: Timestamp,
) -> Result<Vec<DueMessage>, DbErr> {
    if channels.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows::new()
        .uuid("id", channels.iter().map(|_| new_id(now)))
        .text("channel", channels.iter().cloned());
    let sql = "INSERT INTO notifications \
                   (id, incident_id, kind, sequence, channel, state, owed_since) \
               SELECT r.id, $1, $4, $2, r.channel, 'owed', $3 FROM {rows} WHERE true \
               ON CONFLICT (incident_id, kind, sequence, channel) DO NOTHING RETURNING id";
    let values = [
        Value::from(subject),
        sequence.into(),
        now.0.into(),
        kind.to_value().into(),
    ];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let written = tx.query_all_raw(sql).await?;
    let message = |row: &QueryResult| {
        Ok(DueMessage {
            id: row.try_get("", "id")?,
            incident: Uuid::nil(),
            after: Duration::ZERO,
        })
    };
    written.iter().map(message).collect()
}
