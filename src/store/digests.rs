//! Digests: one message in place of many. Each message's row names its digest; the channel's row,
//! which is locked for all of this, names the digest that collects now.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, statement};
use super::windows::{self, Messages};
use crate::domain::escalation::Level;
use crate::domain::severity;
use crate::entity::windows::Model as Window;
use crate::ids::new_id;
use crate::time::Timestamp;

/// Owes a digest, due at `due`; its number is the channel's own. Returns its id.
pub async fn insert(
    tx: &impl ConnectionTrait,
    channel: &str,
    number: i64,
    now: Timestamp,
    due: Timestamp,
) -> Result<Uuid, DbErr> {
    let id = new_id(now);
    let sql = "INSERT INTO notifications \
                   (id, incident_id, kind, sequence, channel, state, owed_since) \
               VALUES ($1, $2, 'digest', $3, $4, 'owed', $5)";
    let values = [
        Value::from(id),
        Uuid::nil().into(),
        number.into(),
        channel.into(),
        due.0.into(),
    ];
    tx.execute_raw(statement(tx.get_database_backend(), sql, values))
        .await?;
    Ok(id)
}

/// Whether a mute keeps a message back at `$2`, as [`crate::domain::mute::Mute::keeps_back`] has it.
const IS_KEPT_BACK: &str = "EXISTS (SELECT 1 FROM incidents i \
    JOIN anomalies a ON a.key = i.anomaly_key \
    WHERE i.id = notifications.incident_id AND a.muted_until > $2 \
        AND NOT (a.level = 'PERMANENT_FIX' AND (notifications.kind = 'escalated' \
            OR (notifications.kind IN ('opened', 'reopened', 'worsened') \
                AND (COALESCE(a.mute_broken_at >= a.muted_since, FALSE) \
                    OR COALESCE(a.risen_at >= notifications.owed_since, FALSE))))))";

/// Puts every message that is now pending for its channel into a digest; returns how many. Those of muted anomalies,
/// and of those in maintenance, are left out, because each is suppressed by itself.
pub async fn gather(
    tx: &impl ConnectionTrait,
    channel: &str,
    digest: Uuid,
    windows: &[Window],
    now: Timestamp,
) -> Result<u64, DbErr> {
    let kept_back = windows::kept_back(tx, Messages::PendingFor(channel), windows, now).await?;
    let rows = Rows::new().uuid("id", kept_back);
    // Both conditions of the state: SQLite uses the index of what waits only where it reads the first.
    let sql = format!(
        "UPDATE notifications SET state = 'digested', digest_id = $3 \
         WHERE channel = $1 AND state IN ('owed', 'sending') AND state = 'owed' \
             AND kind NOT IN ('digest', 'report', 'playbook') AND owed_since <= $2 AND NOT {IS_KEPT_BACK} \
             AND id NOT IN (SELECT r.id FROM {{rows}})"
    );
    let values = [Value::from(channel), now.0.into(), digest.into()];
    let sql = rows.statement(tx.get_database_backend(), &sql, values);
    Ok(tx.execute_raw(sql).await?.rows_affected())
}

/// Takes the messages out of a digest that a mute or a maintenance window keeps back which began since it gathered them:
/// they are not sent. Their anomalies are locked. Returns how many there were of each.
pub async fn mute(
    tx: &impl ConnectionTrait,
    digest: Uuid,
    windows: &[Window],
    now: Timestamp,
) -> Result<(u64, u64), DbErr> {
    let kept_back = windows::kept_back(tx, Messages::In(digest), windows, now).await?;
    let in_maintenance = windows::suppress(tx, &kept_back).await?;
    let sql = format!(
        "UPDATE notifications SET state = 'muted', digest_id = NULL \
         WHERE digest_id = $1 AND state = 'digested' AND {IS_KEPT_BACK}"
    );
    let values = [Value::from(digest), now.0.into()];
    let sql = statement(tx.get_database_backend(), &sql, values);
    let muted = tx.execute_raw(sql).await?.rows_affected();
    Ok((muted, in_maintenance))
}

/// The figures of a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Figures {
    /// Messages.
    pub messages: i64,
    /// Incidents that they are about.
    pub incidents: i64,
    /// Anomalies that these are of.
    pub anomalies: i64,
}

/// One anomaly of a digest.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct DigestEntry {
    /// Its alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// Its level.
    pub level: Level,
    /// How often it was seen in all.
    pub total: i64,
    /// How many of its incidents are in the digest.
    pub incidents: i64,
    /// Twice the rank of the highest severity of these; odd, between two ranks, if the word is unknown.
    pub severity: i64,
}

impl DigestEntry {
    /// The commonest word for the highest severity; empty if it has none, or none that we know.
    #[must_use]
    pub fn severity_word(&self) -> &'static str {
        let rank = usize::try_from(self.severity / 2).unwrap_or_default();
        let is_known = self.severity > 0 && self.severity % 2 == 0;
        let words = severity::WORDS.get(rank).filter(|_| is_known);
        words.map_or("", |words| words[0])
    }
}

/// Locks the anomalies of a digest, in order, so that their levels are what it says: a rise
/// that comes later has a message of its own.
pub async fn lock_anomalies(tx: &impl ConnectionTrait, digest: Uuid) -> Result<(), DbErr> {
    let sql = "SELECT key FROM anomalies WHERE key IN (SELECT i.anomaly_key FROM notifications n \
                   JOIN incidents i ON i.id = n.incident_id WHERE n.digest_id = $1) \
               ORDER BY key {share}";
    let sql = statement(tx.get_database_backend(), sql, [Value::from(digest)]);
    tx.query_all_raw(sql).await.map(drop)
}

/// The figures of a digest.
pub async fn figures(tx: &impl ConnectionTrait, digest: Uuid) -> Result<Figures, DbErr> {
    let sql = "SELECT count(*) AS messages, count(DISTINCT n.incident_id) AS incidents, \
                   count(DISTINCT i.anomaly_key) AS anomalies \
               FROM notifications n LEFT JOIN incidents i ON i.id = n.incident_id \
               WHERE n.digest_id = $1";
    let sql = statement(tx.get_database_backend(), sql, [Value::from(digest)]);
    let found = Figures::find_by_statement(sql).one(tx).await?;
    Ok(found.unwrap_or_default())
}

/// The worst anomalies of a digest: the highest levels first, of these the most severe, and of these the most
/// incidents.
pub async fn worst(
    tx: &impl ConnectionTrait,
    digest: Uuid,
    limit: u64,
) -> Result<Vec<DigestEntry>, DbErr> {
    let sql = "SELECT a.alert_name, a.service, a.namespace, a.level, a.total, \
                   count(DISTINCT i.id) AS incidents, \
                   max(CASE lower(i.severity) {ranks} ELSE $3 END) AS severity \
               FROM notifications n JOIN incidents i ON i.id = n.incident_id \
               JOIN anomalies a ON a.key = i.anomaly_key WHERE n.digest_id = $1 \
               GROUP BY a.key, a.alert_name, a.service, a.namespace, a.level, a.total \
               ORDER BY CASE a.level WHEN 'PERMANENT_FIX' THEN 0 WHEN 'ESCALATE' THEN 1 \
                   WHEN 'REPEAT' THEN 2 ELSE 3 END, severity DESC, count(DISTINCT i.id) DESC, a.total DESC, a.key \
               LIMIT $2";
    let rank = |(rank, words): (usize, &&[&str])| {
        let of_word = |word: &&str| format!("WHEN '{word}' THEN {} ", rank * 2);
        words.iter().map(of_word).collect::<String>()
    };
    let ranks: String = severity::WORDS.iter().enumerate().map(rank).collect();
    let sql = sql.replace("{ranks}", &ranks);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(digest), limit.into(), severity::UNKNOWN.into()];
    let sql = statement(tx.get_database_backend(), &sql, values);
    DigestEntry::find_by_statement(sql).all(tx).await
}

/// Records that a digest will not go out, nor the messages in it; and why. Unless another sent it
/// meanwhile.
pub async fn give_up(db: &impl ConnectionTrait, digest: Uuid, why: &str) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET state = 'given up', claimed_until = NULL, error = $2 \
               WHERE (id = $1 OR (digest_id = $1 AND state = 'digested')) \
                   AND NOT EXISTS (SELECT 1 FROM notifications d WHERE d.id = $1 AND d.state = 'sent')";
    let values = [Value::from(digest), why.into()];
    db.execute_raw(statement(db.get_database_backend(), sql, values))
        .await
        .map(drop)
}

/// Records that the messages of a failed digest are sent after all.
pub async fn restore(db: &impl ConnectionTrait, digest: Uuid) -> Result<(), DbErr> {
    let sql = "UPDATE notifications SET state = 'digested', error = NULL \
               WHERE digest_id = $1 AND state = 'given up'";
    let values = [Value::from(digest)];
    db.execute_raw(statement(db.get_database_backend(), sql, values))
        .await
        .map(drop)
}
