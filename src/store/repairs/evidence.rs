//! The evidence for verdicts: firings, repairs, their source, and when Tocsin was down.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use uuid::Uuid;

use crate::domain::episode::EndedBy;
use crate::domain::verdict::{Firing, Tried};
use crate::entity::{self, occurrences, repairs};
use crate::store::rows::statement;
use crate::time::{Timestamp, millis};

/// The most repairs of one anomaly in one query.
const REPAIRS: u64 = 1000;

/// The newest firings of an anomaly that were received up to `upto`.
pub async fn firings(
    db: &impl ConnectionTrait,
    key: &str,
    upto: Timestamp,
    limit: u64,
) -> Result<Vec<Firing>, DbErr> {
    use occurrences::Column;
    let rows = occurrences::Entity::find()
        .filter(Column::AnomalyKey.eq(key))
        .filter(Column::OccurredAt.lte(upto))
        .filter(Column::Series.is_not_null())
        .order_by_desc(Column::OccurredAt)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows.iter().map(firing).collect())
}

fn firing(row: &occurrences::Model) -> Firing {
    Firing {
        starts_at: row.starts_at,
        received_at: row.occurred_at,
        ended_at: row.ended_at,
        is_lost: row.ended_by == Some(EndedBy::Unseen),
        heard: row.into(),
    }
}

/// The repairs of an anomaly that finished at `since` or later, and those that have not, the first ones first.
pub async fn tried(
    db: &impl ConnectionTrait,
    key: &str,
    since: Timestamp,
) -> Result<Vec<Tried>, DbErr> {
    use repairs::Column;
    let rows = repairs::Entity::find()
        .filter(Column::AnomalyKey.eq(key))
        .filter(Column::RepairedAt.gte(since))
        .order_by_asc(Column::RepairedAt)
        .limit(REPAIRS)
        .all(db)
        .await?;
    let tried = |row: repairs::Model| Tried {
        id: row.id,
        began_at: row.began_at(),
        finished_at: row.repaired_at,
    };
    Ok(rows.into_iter().map(tried).collect())
}

/// When Tocsin was down between these moments for longer than `least`: from when, and to when.
pub async fn outages(
    db: &impl ConnectionTrait,
    (from, to): (Timestamp, Timestamp),
    least: Duration,
) -> Result<Vec<(Timestamp, Timestamp)>, DbErr> {
    let sql = "SELECT began_at, ended_at FROM outages \
               WHERE began_at < $2 AND ended_at > $1 AND ended_at - began_at > $3";
    let values = [Value::from(from.0), to.0.into(), millis(least).into()];
    let sql = statement(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(sql).await?;
    let outage = |row: &sea_orm::QueryResult| {
        Ok((row.try_get("", "began_at")?, row.try_get("", "ended_at")?))
    };
    rows.iter().map(outage).collect()
}

/// The source and the labels of the first of these incidents that is kept.
pub async fn source(
    db: &impl ConnectionTrait,
    incidents: Vec<Uuid>,
) -> Result<Option<(String, serde_json::Value)>, DbErr> {
    use entity::incidents::{Column, Entity};
    let mut rows: Vec<(Uuid, String, serde_json::Value)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Source, Column::Labels])
        .filter(Column::Id.is_in(incidents.iter().copied()))
        .into_tuple()
        .all(db)
        .await?;
    let of = |id: &Uuid| rows.iter().position(|(found, ..)| found == id);
    let first = incidents.iter().find_map(of);
    Ok(first.map(|first| {
        let (_, source, labels) = rows.swap_remove(first);
        (source, labels)
    }))
}
