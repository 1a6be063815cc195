//! Changes of open pages. They are read several times a second, so incidents are read by primary key alone.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryOrder, QueryResult, QuerySelect,
};
use uuid::Uuid;

use crate::entity::incidents;
use crate::store::rows::{Rows, statement};

/// The ids of the newest incidents, newest first.
pub async fn newest(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Uuid>, DbErr> {
    incidents::Entity::find()
        .select_only()
        .column(incidents::Column::Id)
        .order_by_desc(incidents::Column::Id)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

#[derive(FromQueryResult, Hash)]
struct WatchedColumns {
    updated_at: i64,
    status: String,
    tier: Option<i32>,
    tier_due_since: Option<i64>,
    open_episodes: i64,
    last_firing_at: i64,
    level: String,
    level_seq: i64,
    last_seen: Option<i64>,
    permanent_fix_at: Option<i64>,
    muted_until: Option<i64>,
    is_muted: i64,
    repairs: i64,
    messages: i64,
}

/// What these incidents look like: a number for each that changes when the incident does, or its
/// anomaly, its repairs, its messages.
pub async fn looks(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, u64>, DbErr> {
    let rows = Rows::new().uuid("id", ids);
    let sql = "SELECT i.id, i.updated_at, i.status, i.tier, i.tier_due_since, i.open_episodes, \
                   i.last_firing_at, a.level, a.level_seq, a.last_seen, a.permanent_fix_at, \
                   a.muted_until, CAST(CASE WHEN a.muted_until > {now} THEN 1 ELSE 0 END AS bigint) AS is_muted, \
                   CAST(COALESCE((SELECT sum(e.attempts) FROM effectiveness e \
                       WHERE e.anomaly_key = i.anomaly_key), 0) AS bigint) AS repairs, \
                   (SELECT count(*) FROM notifications n WHERE n.incident_id = i.id \
                       AND n.state NOT IN ('owed', 'sending')) AS messages \
               FROM {rows} JOIN incidents i ON i.id = r.id \
               JOIN anomalies a ON a.key = i.anomaly_key";
    let sql = rows.statement(db.get_database_backend(), sql, []);
    let look = |row: &QueryResult| {
        let mut hasher = DefaultHasher::new();
        WatchedColumns::from_query_result(row, "")?.hash(&mut hasher);
        Ok((row.try_get("", "id")?, hasher.finish()))
    };
    db.query_all_raw(sql).await?.iter().map(look).collect()
}

/// What a list looks like: a number that changes when one of these figures does.
async fn of(db: &impl ConnectionTrait, sql: &str) -> Result<u64, DbErr> {
    let sql = statement(db.get_database_backend(), sql, []);
    let mut hasher = DefaultHasher::new();
    for row in db.query_all_raw(sql).await? {
        for at in 0..4 {
            let figure: Option<i64> = row.try_get_by_index(at)?;
            figure.hash(&mut hasher);
        }
    }
    Ok(hasher.finish())
}

/// What the dead letters look like.
pub async fn letters(db: &impl ConnectionTrait) -> Result<u64, DbErr> {
    let sql = "SELECT count(*), max(died_at), max(decided_at), min(died_at) \
               FROM dead_letters GROUP BY state ORDER BY state";
    of(db, sql).await
}

/// What the repairs look like.
pub async fn repairs(db: &impl ConnectionTrait) -> Result<u64, DbErr> {
    // A verdict that replaces another changes one figure up and one down.
    let sql = "SELECT CAST(sum(attempts) AS bigint), CAST(sum(claimed) AS bigint), \
                   CAST(sum(verified + disproved * 1009 + superseded * 10007 + unknown * 100003) AS bigint), \
                   max(last_at) \
               FROM repair_figures WHERE scope = 'all' AND subject = ''";
    of(db, sql).await
}

/// What the anomalies look like.
pub async fn anomalies(db: &impl ConnectionTrait) -> Result<u64, DbErr> {
    let sql = "SELECT count(*), CAST(sum(total) AS bigint), \
                   CAST(sum(level_seq) AS bigint) + count(permanent_fix_at), max(muted_until) \
               FROM anomalies";
    of(db, sql).await
}
