//! Sessions of the pages that were ended before they were over. A cookie says by itself what it opens,
//! so only these have to be remembered, and only until they would have been over.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::rows::statement;
use crate::time::Timestamp;

/// Ends a session that would be over at `until`.
pub async fn end(db: &impl ConnectionTrait, id: &str, until: Timestamp) -> Result<(), DbErr> {
    let sql = "INSERT INTO ended_sessions (id, until) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    let values = [Value::from(id), until.0.into()];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}

/// Whether a session was ended.
pub async fn is_ended(db: &impl ConnectionTrait, id: &str) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM ended_sessions WHERE id = $1";
    let sql = statement(db.get_database_backend(), sql, [Value::from(id)]);
    Ok(db.query_one_raw(sql).await?.is_some())
}

/// Forgets those that would be over by themselves. Returns how many.
pub async fn prune(db: &impl ConnectionTrait, now: Timestamp) -> Result<u64, DbErr> {
    let sql = "DELETE FROM ended_sessions WHERE until < $1";
    // The clock of a process may be behind the store's.
    let values = [Value::from(now.before(Duration::from_secs(3600)).0)];
    let sql = statement(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(sql).await?.rows_affected())
}
