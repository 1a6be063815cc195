//! Cards: an incident's first message in a channel, which is edited as the incident changes. What is
//! marked here is due to be edited; nothing that is due is only in a queue.

mod again;

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::channels::chat_of;
use super::notifications::{CLAIM, COUNTED};
use super::rows::{Rows, statement};
use crate::entity::notifications::Model;
use crate::time::Timestamp;
pub use again::{figures, former, revive};

/// How far apart the time may be that Telegram has of a message and the one at which it was recorded as sent: clocks
/// differ.
const SENT_WITHIN: Duration = Duration::from_secs(600);

/// That `n` is a card of an incident in a channel of one of these kinds: the first of its messages there that went
/// out, or is about to. The channel is compared so that no index of channels is used for it: an incident
/// has few messages, and a channel has all.
fn is_card(kinds: &[&'static str]) -> String {
    let of_kind = |kind: &&str| format!("n.channel LIKE '{kind}:%' OR n.channel || '' = '{kind}'");
    let of_kinds: Vec<String> = kinds.iter().map(of_kind).collect();
    let of_kinds = of_kinds.join(" OR ");
    format!(
        "n.state IN ('sending', 'sent') AND n.edits_ended IS NULL AND ({of_kinds}) \
         AND NOT EXISTS (SELECT 1 FROM notifications o \
             WHERE o.incident_id = n.incident_id AND o.channel || '' = n.channel \
                 AND o.state IN ('sending', 'sent') AND o.id < n.id)"
    )
}

/// A card that is due to be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueCard {
    /// Its message.
    pub id: Uuid,
    /// Since when: further changes leave it as it is, until all that there is to show is shown.
    pub since: Timestamp,
}

/// Marks the cards of these incidents in channels of these kinds, and those that the incidents continue on: what they
/// show has changed. Returns the cards
/// that are to be edited after the commit. Their anomalies are locked, as they are when a card is rendered.
pub async fn mark_edits(
    tx: &impl ConnectionTrait,
    incidents: &[Uuid],
    kinds: &[&'static str],
    now: Timestamp,
) -> Result<Vec<DueCard>, DbErr> {
    if incidents.is_empty() || kinds.is_empty() {
        return Ok(Vec::new());
    }
    let is_card = is_card(kinds);
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = format!(
        "UPDATE notifications SET edit_seq = edit_seq + 1, \
             edit_due_since = COALESCE(edit_due_since, $1) \
         WHERE edits_ended IS NULL AND id IN ( \
             SELECT n.id FROM {{rows}} JOIN notifications n ON n.incident_id = r.id WHERE {is_card} \
             UNION ALL \
             SELECT n.card_id FROM {{rows}} JOIN notifications n ON n.incident_id = r.id \
             WHERE n.card_id IS NOT NULL) \
         RETURNING id, edit_due_since"
    );
    let sql = rows.statement(tx.get_database_backend(), &sql, [Value::from(now.0)]);
    due(&tx.query_all_raw(sql).await?)
}

/// Cards that have been due to be edited since before `moment`, those that wait longest first.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: u64,
) -> Result<Vec<DueCard>, DbErr> {
    let sql = "SELECT id, edit_due_since FROM notifications WHERE edit_due_since < $1 \
               ORDER BY edit_due_since LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(moment.0), limit.into()];
    due(&db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?)
}

/// The provider's id of the message that a later one of the same incident and channel answers: its first there, else the
/// card that it continues on.
pub async fn answered(tx: &impl ConnectionTrait, row: &Model) -> Result<Option<String>, DbErr> {
    let sql = "SELECT message_id FROM notifications \
               WHERE incident_id = $1 AND channel || '' = $2 AND state = 'sent' AND id <> $3 \
                   AND message_id IS NOT NULL \
               ORDER BY id LIMIT 1";
    let values = [
        Value::from(row.incident_id),
        row.channel.clone().into(),
        row.id.into(),
    ];
    let backend = tx.get_database_backend();
    let own = tx.query_one_raw(statement(backend, sql, values)).await?;
    let found = match own {
        Some(own) => Some(own),
        None => {
            let sql = "SELECT c.message_id FROM notifications n JOIN notifications c ON c.id = n.card_id \
                       WHERE n.incident_id = $1 AND n.channel || '' = $2 AND c.message_id IS NOT NULL \
                       LIMIT 1";
            let values = [Value::from(row.incident_id), row.channel.clone().into()];
            tx.query_one_raw(statement(backend, sql, values)).await?
        }
    };
    found.map(|row| row.try_get("", "message_id")).transpose()
}

/// The incident that Telegram's message `id` in the chat shows: of a card the one that continues on it. The chat is named
/// by its number, and by `@name` if it has one. In some chats each bot has message numbers of its own: a card that was
/// sent at another time than `at` was another bot's.
pub async fn incident_of(
    db: &impl ConnectionTrait,
    (chat, name): (i64, Option<&str>),
    id: i64,
    at: Option<Timestamp>,
) -> Result<Option<Uuid>, DbErr> {
    let (chat, id) = (chat.to_string(), id.to_string());
    // Of a group that moved, messages are named with the chat that they are in.
    let moved = format!("{chat}/{id}");
    let sql = "SELECT channel, message_id, sent_at, COALESCE(shows_id, incident_id) AS shown FROM notifications \
               WHERE message_id IN ($1, $2) AND channel LIKE 'telegram:%' \
                   AND kind NOT IN ('digest', 'report', 'playbook') ORDER BY id DESC";
    let values = [Value::from(id), Value::from(moved.clone())];
    let sql = statement(db.get_database_backend(), sql, values);
    for row in db.query_all_raw(sql).await? {
        let channel: String = row.try_get("", "channel")?;
        let channel = chat_of(&channel).trim_start_matches("telegram:");
        let is_named = channel.strip_prefix('@').zip(name);
        let is_there = row.try_get::<String>("", "message_id")? == moved
            || channel == chat
            || is_named.is_some_and(|(one, other)| one.eq_ignore_ascii_case(other));
        let sent: Option<i64> = row.try_get("", "sent_at")?;
        let is_then = at
            .zip(sent)
            .is_none_or(|(at, sent)| u128::from(at.0.abs_diff(sent)) <= SENT_WITHIN.as_millis());
        if is_there && is_then {
            return row.try_get("", "shown").map(Some);
        }
    }
    Ok(None)
}

/// Locks all messages about an incident in a channel, in order: until when each but this one is claimed, and the
/// store's time.
pub async fn lock_all(
    tx: &impl ConnectionTrait,
    row: &Model,
) -> Result<(Vec<Timestamp>, Timestamp), DbErr> {
    let sql = "SELECT id, claimed_until, {now} AS now FROM notifications \
               WHERE incident_id = $1 AND channel || '' = $2 ORDER BY id {lock}";
    let values = [Value::from(row.incident_id), row.channel.clone().into()];
    let sql = statement(tx.get_database_backend(), sql, values);
    let (mut claimed, mut now) = (Vec::new(), Timestamp::default());
    for found in tx.query_all_raw(sql).await? {
        now = now.max(Timestamp(found.try_get("", "now")?));
        let until: Option<i64> = found.try_get("", "claimed_until")?;
        if found.try_get::<Uuid>("", "id")? != row.id {
            claimed.extend(until.map(Timestamp));
        }
    }
    Ok((claimed, now))
}

/// Records that it is unknown what other messages about an incident in a channel show, because this one sets it
/// for all of them.
pub async fn forget_shown(tx: &impl ConnectionTrait, row: &Model) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET shown = '' \
               WHERE incident_id = $1 AND channel || '' = $2 AND id <> $3 AND state = 'sent'";
    let values = [
        Value::from(row.incident_id),
        row.channel.clone().into(),
        row.id.into(),
    ];
    execute(tx, sql, values).await.map(drop)
}

/// Whether messages are pending to these channels by now (1, else 0), and how many edits were due there
/// before `since`, up to [`COUNTED`]: what an edit stands behind.
pub async fn ahead(
    tx: &impl ConnectionTrait,
    channels: &[String],
    since: Timestamp,
    now: Timestamp,
) -> Result<(i64, i64), DbErr> {
    let rows = Rows::new().text("channel", channels.iter().cloned());
    let sql = "SELECT (SELECT CAST(COALESCE(max((SELECT count(*) FROM (SELECT 1 FROM notifications n \
                   WHERE n.state IN ('owed', 'sending') \
                   AND (n.channel, n.owed_since) >= (r.channel, 0) \
                   AND (n.channel, n.owed_since) <= (r.channel, $1) \
                   ORDER BY n.channel, n.owed_since LIMIT 1) o)), 0) AS bigint) FROM {rows}) AS owed, \
               (SELECT CAST(COALESCE(sum((SELECT count(*) FROM (SELECT 1 FROM notifications n \
                   WHERE n.edit_due_since IS NOT NULL \
                   AND (n.channel, n.edit_due_since) >= (r.channel, 0) \
                   AND (n.channel, n.edit_due_since) < (r.channel, $2) \
                   ORDER BY n.channel, n.edit_due_since LIMIT $3) e)), 0) AS bigint) FROM {rows}) AS edits";
    let values = [Value::from(now.0), since.0.into(), COUNTED.into()];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let row = tx.query_one_raw(sql).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("a count".to_owned()))?;
    let edits: i64 = row.try_get("", "edits")?;
    Ok((row.try_get("", "owed")?, edits.min(COUNTED)))
}

/// Claims a locked card under `token`: an older edit must not arrive after a newer one. Until it is
/// known what became of that, it is unknown what the card shows.
pub async fn claim(
    tx: &impl ConnectionTrait,
    id: Uuid,
    token: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    let sql =
        "UPDATE notifications SET claimed_by = $2, claimed_until = $3, shown = '' WHERE id = $1";
    let values = [Value::from(id), token.into(), now.after(CLAIM).0.into()];
    execute(tx, sql, values).await.map(drop)
}

/// Keeps an incident's cards from being edited for a while, but for what is being done already.
pub async fn keep_as_is(
    db: &impl ConnectionTrait,
    incident: Uuid,
    now: Timestamp,
    pause: Duration,
) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET claimed_until = $2 \
               WHERE id IN (SELECT COALESCE(n.card_id, n.id) FROM notifications n \
                       WHERE n.incident_id = $1) \
                   AND state = 'sent' AND (claimed_until IS NULL OR claimed_until <= $3)";
    let values = [
        Value::from(incident),
        now.after(pause).0.into(),
        now.0.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// How a card that was claimed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditResult {
    /// Nothing more is due.
    Done,
    /// More has changed since.
    Changed,
    /// The claim had ended: another may have edited it.
    Lost,
}

/// Records that a card shows `text`, which is what there was to show up to change `seq`, and ends the
/// claim made under `token`.
pub async fn shows(
    db: &impl ConnectionTrait,
    id: Uuid,
    token: Uuid,
    seq: i64,
    text: &str,
) -> Result<EditResult, DbErr> {
    let sql = "UPDATE notifications SET shown_seq = $3, shown = $4, claimed_until = NULL, \
                   edit_due_since = CASE WHEN edit_seq > $3 THEN edit_due_since END \
               WHERE id = $1 AND claimed_by = $2 RETURNING edit_due_since";
    let values = [Value::from(id), token.into(), seq.into(), text.into()];
    stands(db, sql, values).await
}

/// Records that a locked card shows all that there is to show, as it is.
pub async fn shows_all(tx: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET shown_seq = edit_seq, edit_due_since = NULL WHERE id = $1";
    execute(tx, sql, [Value::from(id)]).await.map(drop)
}

/// Records that a card was refused what there was to show up to change `seq`, and ends the claim made
/// under `token`: its next change tries again.
pub async fn leave(
    db: &impl ConnectionTrait,
    id: Uuid,
    token: Uuid,
    seq: i64,
) -> Result<EditResult, DbErr> {
    let sql = "UPDATE notifications SET claimed_until = NULL, \
                   edit_due_since = CASE WHEN edit_seq > $3 THEN edit_due_since END \
               WHERE id = $1 AND claimed_by = $2 RETURNING edit_due_since";
    let values = [Value::from(id), token.into(), seq.into()];
    stands(db, sql, values).await
}

/// Ends the claim made under `token` and has [`overdue`] find the card when it has waited anew.
pub async fn put_off(
    db: &impl ConnectionTrait,
    id: Uuid,
    token: Uuid,
    now: Timestamp,
) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET claimed_until = NULL, edit_due_since = $3 \
               WHERE id = $1 AND claimed_by = $2";
    let values = [Value::from(id), token.into(), now.0.into()];
    execute(db, sql, values).await.map(drop)
}

/// Records that it is unknown what a card shows: two may have edited it at once. It is due again.
pub async fn doubt(db: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET edit_seq = edit_seq + 1, shown = '', \
                   edit_due_since = COALESCE(edit_due_since, $2) \
               WHERE id = $1 AND edits_ended IS NULL";
    execute(db, sql, [Value::from(id), now.0.into()])
        .await
        .map(drop)
}

/// Records that nothing is due of what cannot be edited now: it is no card, or its channel is not
/// configured.
pub async fn skip(tx: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET edit_due_since = NULL WHERE id = $1";
    execute(tx, sql, [Value::from(id)]).await.map(drop)
}

/// Records that a card can never be edited again, and why.
pub async fn end(db: &impl ConnectionTrait, id: Uuid, why: &str) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET edit_due_since = NULL, claimed_until = NULL, \
                   edits_ended = $2 WHERE id = $1";
    execute(db, sql, [Value::from(id), why.into()])
        .await
        .map(drop)
}

async fn stands<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<EditResult, DbErr> {
    let sql = statement(db.get_database_backend(), sql, values);
    let Some(row) = db.query_one_raw(sql).await? else {
        return Ok(EditResult::Lost);
    };
    let due: Option<i64> = row.try_get("", "edit_due_since")?;
    Ok(match due {
        Some(_) => EditResult::Changed,
        None => EditResult::Done,
    })
}

async fn execute<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<u64, DbErr> {
    let sql = statement(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(sql).await?.rows_affected())
}

fn due(rows: &[QueryResult]) -> Result<Vec<DueCard>, DbErr> {
    let card = |row: &QueryResult| {
        let since = row.try_get("", "edit_due_since")?;
        let id = row.try_get("", "id")?;
        Ok(DueCard { id, since })
    };
    rows.iter().map(card).collect()
}
