//! Anomalies: the rows, and the lock on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, columns, statement};
use crate::domain::aggregation::{Anomaly, Batch};
use crate::domain::escalation::Level;
use crate::domain::frequency::Window;
use crate::domain::reason::LevelReason;
use crate::domain::signature::Signature;
use crate::entity::anomalies::{ActiveModel, Entity, Model};
use crate::time::{Timestamp, millis};

/// A firing that is counted this long after it was received is late.
const LATE: Duration = Duration::from_secs(60);

#[derive(FromQueryResult)]
struct Locked {
    key: String,
    first_seen: Option<i64>,
    last_seen: Option<i64>,
    total: i64,
    level: Level,
    newest_incident: Option<Uuid>,
    newest_number: i64,
    is_flapping: bool,
    has_fix: bool,
    now: i64,
}

#[derive(FromQueryResult)]
struct Known {
    #[sea_orm(nested)]
    row: Locked,
    is_made_anew: bool,
}

/// Inserts or locks the rows of these anomalies, each with the labels that made its signature, as JSON. It
/// does so in the order of their keys, so that two batches with the same anomalies wait for each other and
/// never in a circle. Returns them, and the store's time.
///
/// # Errors
/// What the database says; that another held a row for too long, among other things.
pub async fn insert_or_lock(
    tx: &impl ConnectionTrait,
    signatures: &BTreeMap<&str, (&Signature, String)>,
) -> Result<(BTreeMap<String, Anomaly>, Timestamp), DbErr> {
    let known = lock_known(tx, signatures).await?;
    // Retention may have removed one after the statement saw it: then all are inserted or locked.
    if known.len() == signatures.len() {
        let is_made_anew = |known: &&Known| known.is_made_anew;
        let made_anew = known.iter().filter(is_made_anew);
        let made_anew: Vec<String> = made_anew.map(|known| known.row.key.clone()).collect();
        set_made_of(tx, signatures, &made_anew).await?;
        return Ok(as_read(known.into_iter().map(|known| known.row).collect()));
    }
    let of = |field: fn(&Signature) -> &String| {
        signatures
            .values()
            .map(move |(signature, _)| field(signature).clone())
    };
    let rows = Rows::new()
        .text("key", signatures.keys().map(ToString::to_string))
        .text("alert_name", of(|s| &s.alert_name))
        .text("service", of(|s| &s.service))
        .text("namespace", of(|s| &s.namespace))
        .text("error_type", of(|s| &s.error_type))
        .text(
            "made_of",
            signatures.values().map(|(_, made_of)| made_of.clone()),
        );
    // The update is what locks the row; it may as well say which labels made it last.
    let sql = "INSERT INTO anomalies (key, alert_name, service, namespace, error_type, made_of) \
               SELECT r.key, r.alert_name, r.service, r.namespace, r.error_type, r.made_of{json} \
               FROM {rows} WHERE true ORDER BY r.key \
               ON CONFLICT (key) DO UPDATE SET made_of = excluded.made_of \
               RETURNING key, first_seen, last_seen, total, level, newest_incident, \
                   newest_number, flapping_since IS NOT NULL AS is_flapping, \
                   permanent_fix_at IS NOT NULL AS has_fix, {now} AS now";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    Ok(as_read(Locked::find_by_statement(sql).all(tx).await?))
}

/// Locks these anomalies in the order of their keys, if all of them are there, and none otherwise: who holds some and
/// inserts the others holds them in another order. An update would lock them, too, but leave a second version of each
/// row beside the one that the batch writes, for which a page has no room.
async fn lock_known(
    tx: &impl ConnectionTrait,
    signatures: &BTreeMap<&str, (&Signature, String)>,
) -> Result<Vec<Known>, DbErr> {
    let rows = Rows::new()
        .text("key", signatures.keys().map(ToString::to_string))
        .text(
            "made_of",
            signatures.values().map(|(_, made_of)| made_of.clone()),
        );
    // The time is read of rows that are locked, so it is after the last wait.
    let sql = "WITH held AS ( \
                   SELECT a.key, a.first_seen, a.last_seen, a.total, a.level, a.newest_incident, \
                       a.newest_number, a.flapping_since IS NOT NULL AS is_flapping, \
                       a.permanent_fix_at IS NOT NULL AS has_fix, \
                       a.made_of IS DISTINCT FROM r.made_of{json} AS is_made_anew \
                   FROM {rows} JOIN anomalies a ON a.key = r.key \
                   WHERE (SELECT count(*) FROM {rows} JOIN anomalies k ON k.key = r.key) = $1 \
                   ORDER BY a.key {lock}) \
               SELECT key, first_seen, last_seen, total, level, newest_incident, newest_number, \
                   is_flapping, has_fix, is_made_anew, {now} AS now FROM held";
    let all = i64::try_from(signatures.len()).unwrap_or(i64::MAX);
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(all)]);
    Known::find_by_statement(sql).all(tx).await
}

/// Writes which labels made these of the anomalies, which are locked.
async fn set_made_of(
    tx: &impl ConnectionTrait,
    signatures: &BTreeMap<&str, (&Signature, String)>,
    keys: &[String],
) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    let made_of = |key: &String| {
        let of_key = signatures.get(key.as_str());
        of_key.map(|(_, made_of)| made_of.clone())
    };
    let rows = Rows::new()
        .text("key", keys.iter().cloned())
        .text_or_null("made_of", keys.iter().map(made_of));
    let sql =
        "UPDATE anomalies SET made_of = r.made_of{json} FROM {rows} WHERE anomalies.key = r.key";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    tx.execute_raw(sql).await.map(drop)
}

/// Reads those of these anomalies that are there, without a lock. Returns them, and the store's time if there is
/// one.
pub async fn known(
    db: &impl ConnectionTrait,
    keys: impl Iterator<Item = String>,
) -> Result<(BTreeMap<String, Anomaly>, Timestamp), DbErr> {
    let rows = Rows::new().text("key", keys);
    let sql = "SELECT a.key, a.first_seen, a.last_seen, a.total, a.level, a.newest_incident, \
                   a.newest_number, a.flapping_since IS NOT NULL AS is_flapping, \
                   a.permanent_fix_at IS NOT NULL AS has_fix, {now} AS now \
               FROM {rows} JOIN anomalies a ON a.key = r.key";
    let sql = rows.statement(db.get_database_backend(), sql, []);
    Ok(as_read(Locked::find_by_statement(sql).all(db).await?))
}

fn as_read(rows: Vec<Locked>) -> (BTreeMap<String, Anomaly>, Timestamp) {
    let now = Timestamp(rows.iter().map(|row| row.now).max().unwrap_or_default());
    let anomalies = rows.into_iter().map(|row| {
        let anomaly = Anomaly {
            first_seen: row.first_seen.map(Timestamp),
            last_seen: row.last_seen.map(Timestamp),
            total: row.total,
            level: row.level,
            newest_incident: row.newest_incident,
            newest_number: row.newest_number,
            is_flapping: row.is_flapping,
            has_fix: row.has_fix,
            changed: false,
        };
        (row.key, anomaly)
    });
    (anomalies.collect(), now)
}

/// Writes what a batch changed about its anomalies at `now`; its occurrences must be written before. No
/// row that the batch wrote for an anomaly counts from before `oldest`, if its time is another than it
/// was.
pub async fn update(
    tx: &impl ConnectionTrait,
    batch: &Batch,
    oldest: &BTreeMap<&str, Timestamp>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let changed: Vec<_> = batch.anomalies.iter().filter(|(_, a)| a.changed).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let mut counted: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, episode) in batch.new_rows().filter(|(row, _)| row.counted.is_some()) {
        *counted.entry(&episode.anomaly_key).or_default() += 1;
    }
    let of = |key: &String| counted.get(key.as_str()).copied().unwrap_or_default();
    let rows = Rows::new()
        .text("key", changed.iter().map(|(key, _)| (*key).clone()))
        .int("counted", changed.iter().map(|(key, _)| of(key)))
        .time_or_null(
            "oldest",
            changed
                .iter()
                .map(|(key, _)| oldest.get(key.as_str()).copied()),
        )
        .time_or_null("first_seen", changed.iter().map(|(_, a)| a.first_seen))
        .time_or_null("last_seen", changed.iter().map(|(_, a)| a.last_seen))
        .int("total", changed.iter().map(|(_, a)| a.total))
        .uuid_or_null(
            "newest_incident",
            changed.iter().map(|(_, a)| a.newest_incident),
        )
        .int(
            "newest_number",
            changed.iter().map(|(_, a)| a.newest_number),
        );
    let sql = "UPDATE anomalies SET first_seen = r.first_seen, last_seen = r.last_seen, \
                   total = r.total, newest_incident = r.newest_incident, \
                   newest_number = r.newest_number, changed_at = $2, \
                   late_at = CASE WHEN r.oldest < $2 - $3 THEN $2 ELSE anomalies.late_at END, \
                   counted_total = anomalies.counted_total + r.counted, \
                   count_1h = anomalies.count_1h + r.counted, \
                   count_24h = anomalies.count_24h + r.counted, \
                   count_7d = anomalies.count_7d + r.counted, \
                   count_30d = anomalies.count_30d + r.counted, \
                   counted_as_of = CASE WHEN r.oldest > anomalies.counted_as_of - $1 \
                       THEN anomalies.counted_as_of END \
               FROM {rows} WHERE anomalies.key = r.key";
    // What is younger than the shortest window is in all of them.
    let shortest = millis(Window::Hour.length());
    let values = [Value::from(shortest), now.0.into(), millis(LATE).into()];
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, values))
        .await?;
    find_last(tx, &batch.last_unsure).await
}

/// Looks up in the rows when these anomalies were last seen.
async fn find_last(tx: &impl ConnectionTrait, keys: &BTreeSet<String>) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    let rows = Rows::new().text("key", keys.iter().cloned());
    let sql = "UPDATE anomalies SET last_seen = \
                   (SELECT max(o.occurred_at) FROM occurrences o WHERE o.anomaly_key = r.key) \
               FROM {rows} WHERE anomalies.key = r.key";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

/// Locks one anomaly and returns it with the store's time; `None` if there is none of that key.
pub async fn lock(
    tx: &impl ConnectionTrait,
    key: &str,
) -> Result<Option<(Model, Timestamp)>, DbErr> {
    read(tx, "{lock}", key).await
}

/// Reads one anomaly and locks it until this transaction ends.
pub async fn lock_shared(
    tx: &impl ConnectionTrait,
    key: &str,
) -> Result<Option<(Model, Timestamp)>, DbErr> {
    read(tx, "{share}", key).await
}

/// Reads the anomaly of an incident and locks it until this transaction ends.
pub async fn lock_shared_of(
    tx: &impl ConnectionTrait,
    incident: Uuid,
) -> Result<Option<(Model, Timestamp)>, DbErr> {
    let key = "(SELECT i.anomaly_key FROM incidents i WHERE i.id = $1)";
    read_where(tx, "{share}", key, incident.into()).await
}

async fn read(
    tx: &impl ConnectionTrait,
    how: &str,
    key: &str,
) -> Result<Option<(Model, Timestamp)>, DbErr> {
    read_where(tx, how, "$1", key.into()).await
}

async fn read_where(
    tx: &impl ConnectionTrait,
    how: &str,
    key: &str,
    value: Value,
) -> Result<Option<(Model, Timestamp)>, DbErr> {
    let columns = columns::<Entity>("anomalies");
    let sql = format!("SELECT {columns}, {{now}} AS now FROM anomalies WHERE key = {key} {how}");
    let sql = statement(tx.get_database_backend(), &sql, [value]);
    let Some(row) = tx.query_one_raw(sql).await? else {
        return Ok(None);
    };
    let now = Timestamp(row.try_get("", "now")?);
    Ok(Some((Model::from_query_result(&row, "")?, now)))
}

/// Locks the anomalies of these incidents, in the order of their keys, and returns them with the
/// store's time.
pub async fn lock_of_incidents(
    tx: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<(Vec<Model>, Timestamp), DbErr> {
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let columns = columns::<Entity>("anomalies");
    let sql = format!(
        "SELECT {columns}, {{now}} AS now FROM anomalies WHERE key IN \
             (SELECT i.anomaly_key FROM {{rows}} JOIN incidents i ON i.id = r.id) \
         ORDER BY key {{lock}}"
    );
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), &sql, []))
        .await?;
    let mut now = Timestamp::default();
    let mut anomalies = Vec::with_capacity(found.len());
    for row in &found {
        now = Timestamp(row.try_get("", "now")?);
        anomalies.push(Model::from_query_result(row, "")?);
    }
    Ok((anomalies, now))
}

/// Writes the levels of locked anomalies: with their numbers, when they rose, reasons, since when they
/// fall, and which rise broke a mute; and, for the order of the list, the level of each of their unresolved
/// incidents.
pub async fn set_levels(tx: &impl ConnectionTrait, anomalies: &[&Model]) -> Result<(), DbErr> {
    use sea_orm::ActiveEnum;
    if anomalies.is_empty() {
        return Ok(());
    }
    let all = || anomalies.iter();
    let rows = Rows::new()
        .text("key", all().map(|a| a.key.clone()))
        .text("level", all().map(|a| a.level.to_value()))
        .int("level_seq", all().map(|a| a.level_seq))
        .time_or_null("risen_at", all().map(|a| a.risen_at))
        .text_or_null(
            "reason",
            all().map(|a| a.reason.as_ref().map(LevelReason::to_row)),
        )
        .time_or_null("falling_since", all().map(|a| a.falling_since))
        .time_or_null("mute_broken_at", all().map(|a| a.mute_broken_at));
    let sql = "UPDATE anomalies SET level = r.level, level_seq = r.level_seq, risen_at = r.risen_at, \
                   reason = r.reason, falling_since = r.falling_since, \
                   mute_broken_at = r.mute_broken_at \
               FROM {rows} WHERE anomalies.key = r.key";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    let rows = Rows::new()
        .text("key", all().map(|a| a.key.clone()))
        .int("level", all().map(|a| a.level as i64));
    // For the order of the list. Who changes several incidents holds their anomalies, so nobody waits in a circle.
    let sql = "UPDATE incidents SET level_order = r.level FROM {rows} \
               WHERE incidents.anomaly_key = r.key AND incidents.status <> 'RESOLVED' \
                   AND incidents.level_order <> r.level";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

/// Records that a permanent fix was applied, or takes that back.
pub async fn set_permanent_fix(
    tx: &impl ConnectionTrait,
    key: &str,
    fix: Option<(Timestamp, Option<String>)>,
) -> Result<(), DbErr> {
    let (at, reference) = fix.map_or((None, None), |(at, reference)| (Some(at), reference));
    let change = ActiveModel {
        key: Set(key.to_owned()),
        permanent_fix_at: Set(at),
        permanent_fix_reference: Set(reference),
        ..Default::default()
    };
    Entity::update(change).exec(tx).await.map(drop)
}
