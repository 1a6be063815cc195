//! Reports that are sent on a schedule: what each says, and the messages that carry it.

use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use super::notices;
use super::notifications::DueMessage;
use super::rows::statement;
use crate::domain::notification::Kind;
use crate::time::Timestamp;

/// Writes the report that is due at `due` and one message for each channel. What there is already stays as it is, so
/// that two who write the same report send one. Returns the messages that are new.
pub async fn write(
    tx: &impl ConnectionTrait,
    due: Timestamp,
    content: &str,
    channels: &[String],
    now: Timestamp,
) -> Result<Vec<DueMessage>, DbErr> {
    let backend = tx.get_database_backend();
    let sql = "INSERT INTO reports (due_at, content) VALUES ($1, $2) \
               ON CONFLICT (due_at) DO NOTHING";
    let values = [Value::from(due.0), content.into()];
    tx.execute_raw(statement(backend, sql, values)).await?;
    notices::write(tx, Kind::Report, (Uuid::nil(), due.0), channels, now).await
}

/// What the report says that was due then; none if it is not kept any more.
pub async fn find(db: &impl ConnectionTrait, due: Timestamp) -> Result<Option<String>, DbErr> {
    let sql = statement(
        db.get_database_backend(),
        "SELECT content FROM reports WHERE due_at = $1",
        [Value::from(due.0)],
    );
    let row = db.query_one_raw(sql).await?;
    row.map(|row| row.try_get("", "content")).transpose()
}
