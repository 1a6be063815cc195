//! Cards: an incident's first message in a channel, which is edited as the incident changes. What is
//! marked here is due to be edited; nothing that is due is only in a queue.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::notifications::{CLAIM, COUNTED};
use super::rows::{Rows, statement};
use crate::entity::notifications::Model;
use crate::time::Timestamp;

/// A card of an incident in a channel that can be edited: the first of its messages there that went
/// out, or is about to.
const IS_CARD: &str = "notifications.state IN ('sending', 'sent') \
    AND notifications.edits_ended IS NULL AND notifications.channel LIKE 'telegram:%' \
    AND NOT EXISTS (SELECT 1 FROM notifications o \
        WHERE o.incident_id = notifications.incident_id AND o.channel = notifications.channel \
            AND o.state IN ('sending', 'sent') AND o.id < notifications.id)";

/// Marks the cards of these incidents: what they show has changed. Returns the cards, for
/// [`crate::cards::push_edits`] after the commit. Their anomalies are locked, as they are by whoever
/// fixes what a card says.
///
/// # Errors
/// What the database says.
pub async fn mark_edits(
    tx: &impl ConnectionTrait,
    incidents: &[Uuid],
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    if incidents.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = format!(
        "UPDATE notifications SET edit_seq = edit_seq + 1, \
             edit_due_since = COALESCE(edit_due_since, $1) \
         WHERE incident_id IN (SELECT r.id FROM {{rows}}) AND {IS_CARD} RETURNING id"
    );
    let sql = rows.statement(tx.get_database_backend(), &sql, [Value::from(now.0)]);
    ids(&tx.query_all_raw(sql).await?)
}

/// Cards that have been due to be edited since before `moment`, those that wait longest first.
///
/// # Errors
/// What the database says.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    let sql = "SELECT id FROM notifications WHERE edit_due_since < $1 \
               ORDER BY edit_due_since LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(moment.0), limit.into()];
    ids(&db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?)
}

/// The provider's id of the message that a later one of the same incident and channel answers.
///
/// # Errors
/// What the database says.
pub async fn answered(tx: &impl ConnectionTrait, row: &Model) -> Result<Option<String>, DbErr> {
    let sql = "SELECT message_id FROM notifications \
               WHERE incident_id = $1 AND channel = $2 AND state = 'sent' AND id <> $3 \
                   AND message_id IS NOT NULL \
               ORDER BY id LIMIT 1";
    let values = [
        Value::from(row.incident_id),
        row.channel.clone().into(),
        row.id.into(),
    ];
    let found = tx
        .query_one_raw(statement(tx.get_database_backend(), sql, values))
        .await?;
    found.map(|row| row.try_get("", "message_id")).transpose()
}

/// Whether messages are owed to these channels by now (1, else 0), and how many edits were due there
/// before `since`, up to [`COUNTED`]: what an edit stands behind.
///
/// # Errors
/// What the database says.
pub async fn ahead(
    tx: &impl ConnectionTrait,
    channels: &[String],
    since: Timestamp,
    now: Timestamp,
) -> Result<(i64, i64), DbErr> {
    let rows = Rows::new().text("channel", channels.iter().cloned());
    let sql = "SELECT (SELECT count(*) FROM (SELECT 1 FROM notifications n \
                   JOIN {rows} ON n.channel = r.channel \
                   WHERE n.state IN ('owed', 'sending') AND n.owed_since <= $1 LIMIT 1) o) AS owed, \
               (SELECT count(*) FROM (SELECT 1 FROM notifications n \
                   JOIN {rows} ON n.channel = r.channel \
                   WHERE n.edit_due_since < $2 LIMIT $3) e) AS edits";
    let values = [Value::from(now.0), since.0.into(), COUNTED.into()];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let row = tx.query_one_raw(sql).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("a count".to_owned()))?;
    Ok((row.try_get("", "owed")?, row.try_get("", "edits")?))
}

/// Claims a locked card under `token`: an older edit must not arrive after a newer one.
///
/// # Errors
/// What the database says.
pub async fn claim(
    tx: &impl ConnectionTrait,
    id: Uuid,
    token: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET claimed_by = $2, claimed_until = $3 WHERE id = $1";
    let values = [Value::from(id), token.into(), now.after(CLAIM).0.into()];
    tx.execute_raw(statement(tx.get_database_backend(), sql, values))
        .await
        .map(drop)
}

/// Records that a card shows `text`, which is what there was to show up to change `seq`. Returns
/// whether more has come since.
///
/// # Errors
/// What the database says.
pub async fn shows(
    db: &impl ConnectionTrait,
    id: Uuid,
    seq: i64,
    text: &str,
) -> Result<bool, DbErr> {
    let sql = "UPDATE notifications SET shown_seq = $2, shown = $3, claimed_until = NULL, \
                   edit_due_since = CASE WHEN edit_seq > $2 THEN edit_due_since END \
               WHERE id = $1 AND shown_seq <= $2 \
               RETURNING edit_due_since";
    let values = [Value::from(id), seq.into(), text.into()];
    let row = db
        .query_one_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    let Some(row) = row else { return Ok(false) };
    Ok(row.try_get::<Option<i64>>("", "edit_due_since")?.is_some())
}

/// Records that a card cannot be edited now: its next change tries again. Or never, and why.
///
/// # Errors
/// What the database says.
pub async fn leave(
    db: &impl ConnectionTrait,
    id: Uuid,
    for_good: Option<&str>,
) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET edit_due_since = NULL, claimed_until = NULL, \
                   edits_ended = $2 WHERE id = $1";
    let values = [Value::from(id), for_good.map(str::to_owned).into()];
    db.execute_raw(statement(db.get_database_backend(), sql, values))
        .await
        .map(drop)
}

pub(super) fn ids(rows: &[QueryResult]) -> Result<Vec<Uuid>, DbErr> {
    rows.iter().map(|row| row.try_get("", "id")).collect()
}
