//! Silences that Tocsin made in Alertmanager: the anomaly that each is for, and until when it holds.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use serde_json::Value as Json;

use super::rows::statement;
use crate::domain::signature::{Signature, SignatureLabelNames};
use crate::time::Timestamp;

/// A silence that was made.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct MadeSilence {
    /// The anomaly.
    pub anomaly_key: String,
    /// Alertmanager's id of it; empty while it is not known.
    pub silence_id: String,
    /// Until when it holds; 0 while that is not known.
    pub ends_at: Timestamp,
}

/// An anomaly that is muted, and an alert of it.
#[derive(Clone, Debug)]
pub struct Muted {
    /// Its key.
    pub key: String,
    /// What it is called.
    pub signature: Signature,
    /// By which labels; none for one that no alert was counted under since that is noted.
    pub made_of: Option<SignatureLabelNames>,
    /// Until when.
    pub until: Timestamp,
    /// By whom.
    pub by: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// The labels of its newest incident.
    pub labels: Json,
    /// Its source.
    pub source: String,
}

/// All that were made: one for each mute.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<MadeSilence>, DbErr> {
    let sql = "SELECT anomaly_key, silence_id, ends_at FROM made_silences ORDER BY anomaly_key";
    let sql = statement(db.get_database_backend(), sql, []);
    MadeSilence::find_by_statement(sql).all(db).await
}

/// The anomalies that are muted at `now`, up to `limit`.
pub async fn muted(
    db: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Muted>, DbErr> {
    let sql = "SELECT a.key, a.alert_name, a.service, a.namespace, a.error_type, a.made_of, a.muted_until, \
                   a.muted_by, a.muted_why, i.labels, i.source \
               FROM anomalies a JOIN incidents i ON i.anomaly_key = a.key AND i.number = \
                   (SELECT max(n.number) FROM incidents n WHERE n.anomaly_key = a.key) \
               WHERE a.muted_until > $1 ORDER BY a.muted_until, a.key LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(now.0), limit.into()];
    let sql = statement(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(sql).await?;
    let muted = rows.iter().map(|row| {
        Ok(Muted {
            key: row.try_get("", "key")?,
            signature: Signature {
                alert_name: row.try_get("", "alert_name")?,
                service: row.try_get("", "service")?,
                namespace: row.try_get("", "namespace")?,
                error_type: row.try_get("", "error_type")?,
            },
            made_of: row.try_get("", "made_of")?,
            until: row.try_get("", "muted_until")?,
            by: row.try_get("", "muted_by")?,
            why: row.try_get("", "muted_why")?,
            labels: row.try_get("", "labels")?,
            source: row.try_get("", "source")?,
        })
    });
    muted.collect()
}

/// This one is made for the anomaly, or changed.
pub async fn keep(db: &impl ConnectionTrait, made: &MadeSilence) -> Result<(), DbErr> {
    let sql = "INSERT INTO made_silences (anomaly_key, silence_id, ends_at) VALUES ($1, $2, $3) \
               ON CONFLICT (anomaly_key) DO UPDATE SET silence_id = excluded.silence_id, ends_at = excluded.ends_at";
    let values = [
        Value::from(made.anomaly_key.clone()),
        made.silence_id.clone().into(),
        made.ends_at.0.into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}

/// That of this anomaly holds no more.
pub async fn forget(db: &impl ConnectionTrait, key: &str) -> Result<(), DbErr> {
    let sql = "DELETE FROM made_silences WHERE anomaly_key = $1";
    let sql = statement(db.get_database_backend(), sql, [Value::from(key)]);
    db.execute_raw(sql).await.map(drop)
}
