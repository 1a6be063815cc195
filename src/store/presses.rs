//! Presses of buttons, each done once, and who asks for them: one process of all.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use super::rows::statement;
use crate::time::{Timestamp, millis};

/// What was answered to a press.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// In words.
    pub text: String,
    /// Whether it must be seen: it is not gone after a moment.
    pub is_alert: bool,
}

/// Begins a press, in the transaction that does what it asks for: `None` if it is the first of that
/// id, else what was answered. Another that does the same press is waited for.
pub async fn begin(
    tx: &impl ConnectionTrait,
    id: &str,
    now: Timestamp,
) -> Result<Option<Answer>, DbErr> {
    let backend = tx.get_database_backend();
    let insert = "INSERT INTO presses (id, at, answer, is_alert) VALUES ($1, $2, '', false) \
                  ON CONFLICT (id) DO NOTHING";
    let values = [Value::from(id), Value::from(now.0)];
    let inserted = tx.execute_raw(statement(backend, insert, values)).await?;
    if inserted.rows_affected() > 0 {
        return Ok(None);
    }
    let find = "SELECT answer, is_alert FROM presses WHERE id = $1";
    let found = tx
        .query_one_raw(statement(backend, find, [Value::from(id)]))
        .await?;
    let row = found.ok_or_else(|| DbErr::RecordNotFound("a press".to_owned()))?;
    Ok(Some(Answer {
        text: row.try_get("", "answer")?,
        is_alert: row.try_get("", "is_alert")?,
    }))
}

/// Begins what is not to be done twice by fingers that are quick: `None` if the like was not begun within
/// `pause`, else what was answered then.
pub async fn begin_once(
    tx: &impl ConnectionTrait,
    like: &str,
    now: Timestamp,
    pause: Duration,
) -> Result<Option<Answer>, DbErr> {
    let backend = tx.get_database_backend();
    let sql = "DELETE FROM presses WHERE id = $1 AND at <= $2";
    let values = [Value::from(like), Value::from(now.before(pause).0)];
    tx.execute_raw(statement(backend, sql, values)).await?;
    begin(tx, like, now).await
}

/// Whether there is a press, or a mark, of that id.
pub async fn has(db: &impl ConnectionTrait, id: &str) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM presses WHERE id = $1";
    let sql = statement(db.get_database_backend(), sql, [Value::from(id)]);
    Ok(db.query_one_raw(sql).await?.is_some())
}

/// Writes down what is answered to a press that was begun.
pub async fn answer(tx: &impl ConnectionTrait, id: &str, answer: &Answer) -> Result<(), DbErr> {
    let sql = "UPDATE presses SET answer = $2, is_alert = $3 WHERE id = $1";
    let values = [
        Value::from(id),
        Value::from(answer.text.clone()),
        Value::from(answer.is_alert),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}

/// How long the lease is held without a word of its holder.
pub const LEASE: Duration = Duration::from_secs(15);

/// Takes the poller's place for this bot, or keeps it, for [`LEASE`], by the store's clock.
/// Returns the update to go on with; `None` while another has it.
pub async fn hold(
    db: &impl ConnectionTrait,
    bot: &str,
    holder: Uuid,
) -> Result<Option<i64>, DbErr> {
    let sql = "INSERT INTO pollers (bot, held_by, held_until) VALUES ($1, $2, {now} + $3) \
               ON CONFLICT (bot) DO UPDATE SET held_by = excluded.held_by, \
                   held_until = excluded.held_until \
               WHERE pollers.held_by = excluded.held_by OR pollers.held_until < {now} \
               RETURNING next_update";
    let values = [
        Value::from(bot),
        Value::from(holder),
        Value::from(millis(LEASE)),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    let found = db.query_one_raw(sql).await?;
    found.map(|row| row.try_get("", "next_update")).transpose()
}

/// Remembers that what came before `next` was done, if `holder` still has the lease. It may lie below
/// what was remembered: after a week without any, Telegram's numbers begin anywhere.
pub async fn advance(
    db: &impl ConnectionTrait,
    bot: &str,
    holder: Uuid,
    next: i64,
) -> Result<(), DbErr> {
    let sql = "UPDATE pollers SET next_update = $3 WHERE bot = $1 AND held_by = $2";
    let values = [Value::from(bot), Value::from(holder), Value::from(next)];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}

/// Releases the lease.
pub async fn leave(db: &impl ConnectionTrait, bot: &str, holder: Uuid) -> Result<(), DbErr> {
    let sql = "UPDATE pollers SET held_until = 0 WHERE bot = $1 AND held_by = $2";
    let values = [Value::from(bot), Value::from(holder)];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}
