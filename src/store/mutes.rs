//! Mutes: until when the notifications of an anomaly are suppressed.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, Value,
};
use uuid::Uuid;

use super::rows::Rows;
use crate::domain::level::Level;
use crate::domain::messages::Suppression;
use crate::entity::anomalies::{ActiveModel, Column, Entity, Model};
use crate::time::Timestamp;

/// A mute, as it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// By whom.
    pub by: Option<String>,
    /// Why.
    pub why: Option<String>,
}

/// Mutes a locked anomaly, or ends its mute; returns it as it is then.
pub async fn set(tx: &impl ConnectionTrait, key: &str, mute: Option<Mute>) -> Result<Model, DbErr> {
    let change = ActiveModel {
        key: Set(key.to_owned()),
        muted_since: Set(mute.as_ref().map(|mute| mute.since)),
        muted_until: Set(mute.as_ref().map(|mute| mute.until)),
        muted_by: Set(mute.as_ref().and_then(|mute| mute.by.clone())),
        muted_why: Set(mute.and_then(|mute| mute.why)),
        ..Default::default()
    };
    Entity::update(change).exec(tx).await
}

/// Mutes these locked anomalies, each since when it was if it is muted at `now`.
pub async fn set_each(
    tx: &impl ConnectionTrait,
    keys: &[String],
    mute: &Mute,
    now: Timestamp,
) -> Result<(), DbErr> {
    let rows = Rows::new().text("key", keys.iter().cloned());
    let sql = "UPDATE anomalies SET muted_since = CASE WHEN muted_until > $1 \
                       THEN COALESCE(muted_since, $2) ELSE $2 END, \
                   muted_until = $3, muted_by = $4, muted_why = $5 \
               FROM {rows} WHERE anomalies.key = r.key";
    let values = [
        Value::from(now.0),
        mute.since.0.into(),
        mute.until.0.into(),
        mute.by.clone().into(),
        mute.why.clone().into(),
    ];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}

/// Which of these incidents are of an anomaly that is muted at `now`, or flaps: why messages about them are suppressed,
/// and the anomaly's level. Their anomalies are locked.
pub async fn quieted(
    tx: &impl ConnectionTrait,
    incidents: impl IntoIterator<Item = Uuid>,
    now: Timestamp,
) -> Result<HashMap<Uuid, (Suppression, Level)>, DbErr> {
    let rows = Rows::new().uuid("id", incidents);
    let sql = "SELECT i.id, a.level, a.muted_until FROM {rows} JOIN incidents i ON i.id = r.id \
               JOIN anomalies a ON a.key = i.anomaly_key \
               WHERE a.muted_until > $1 OR a.flapping_since IS NOT NULL";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(now.0)]);
    let found = tx.query_all_raw(sql).await?;
    let entry = |row: &QueryResult| {
        let muted_until: Option<i64> = row.try_get("", "muted_until")?;
        let why = match muted_until.is_some_and(|until| until > now.0) {
            true => Suppression::Muted,
            false => Suppression::Flapping,
        };
        Ok((row.try_get("", "id")?, (why, row.try_get("", "level")?)))
    };
    found.iter().map(entry).collect()
}

/// The anomalies whose mutes are over at `now`, up to `limit`.
pub async fn over(
    db: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<String>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Key)
        .filter(Column::MutedUntil.lte(now))
        .order_by_asc(Column::Key)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}
