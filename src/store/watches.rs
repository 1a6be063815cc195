//! Watches: when each was last seen, since when it is late, and when that ended. What is late is an alert of Tocsin's own;
//! a row says it until the end was pushed, so that whoever dies in between, the next pass pushes it again.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};

use super::rows::{Rows, statement};
use crate::time::Timestamp;

/// One watch.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Watch {
    /// What is watched.
    pub name: String,
    /// When it was last seen.
    pub seen_at: Option<Timestamp>,
    /// Since when it is late.
    pub late_since: Option<Timestamp>,
    /// When that ended, until it is pushed.
    pub ended_at: Option<Timestamp>,
}

/// All of them: one for each setting and link.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Watch>, DbErr> {
    let sql = "SELECT name, seen_at, late_since, ended_at FROM watches ORDER BY name";
    let sql = statement(db.get_database_backend(), sql, []);
    Watch::find_by_statement(sql).all(db).await
}

/// These were seen at these moments. The last that is known of each stays.
pub async fn see(
    db: &impl ConnectionTrait,
    seen: &BTreeMap<String, Timestamp>,
) -> Result<(), DbErr> {
    if seen.is_empty() {
        return Ok(());
    }
    let rows = Rows::new()
        .text("name", seen.keys().cloned())
        .time("seen_at", seen.values().copied());
    let sql = "INSERT INTO watches (name, seen_at) SELECT r.name, r.seen_at FROM {rows} \
               WHERE true ORDER BY r.name \
               ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at \
               WHERE COALESCE(watches.seen_at, 0) < excluded.seen_at";
    let sql = rows.statement(db.get_database_backend(), sql, []);
    db.execute_raw(sql).await.map(drop)
}

/// This one is watched, from `now` on if it was not.
pub async fn ensure(db: &impl ConnectionTrait, name: &str, now: Timestamp) -> Result<(), DbErr> {
    let sql = "INSERT INTO watches (name, seen_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    execute(db, sql, [name.into(), now.0.into()]).await
}

/// It is late since then, unless it was before. Returns since when it is.
pub async fn begin(
    db: &impl ConnectionTrait,
    name: &str,
    since: Timestamp,
) -> Result<Timestamp, DbErr> {
    let sql = "INSERT INTO watches (name, late_since) VALUES ($1, $2) \
               ON CONFLICT (name) DO UPDATE SET ended_at = NULL, \
                   late_since = COALESCE(watches.late_since, excluded.late_since) \
               RETURNING late_since";
    let sql = statement(
        db.get_database_backend(),
        sql,
        [Value::from(name), since.0.into()],
    );
    let row = db.query_one_raw(sql).await?;
    let gone = || DbErr::RecordNotFound(name.to_owned());
    row.ok_or_else(gone)?.try_get("", "late_since")
}

/// It is late no more, since then unless that was written before. Returns since when.
pub async fn end(
    db: &impl ConnectionTrait,
    watch: &Watch,
    at: Timestamp,
) -> Result<Timestamp, DbErr> {
    let sql = "UPDATE watches SET ended_at = COALESCE(ended_at, $2) \
               WHERE name = $1 AND late_since IS NOT NULL";
    execute(db, sql, [watch.name.clone().into(), at.0.into()]).await?;
    Ok(watch.ended_at.unwrap_or(at))
}

/// Its end was pushed: it is only watched again.
pub async fn settle(
    db: &impl ConnectionTrait,
    name: &str,
    late_since: Timestamp,
) -> Result<(), DbErr> {
    let sql = "UPDATE watches SET late_since = NULL, ended_at = NULL \
               WHERE name = $1 AND late_since = $2 AND ended_at IS NOT NULL";
    execute(db, sql, [name.into(), late_since.0.into()]).await
}

/// It is watched no more.
pub async fn forget(db: &impl ConnectionTrait, name: &str) -> Result<(), DbErr> {
    execute(db, "DELETE FROM watches WHERE name = $1", [name.into()]).await
}

async fn execute<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<(), DbErr> {
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}
