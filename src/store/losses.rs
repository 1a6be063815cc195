//! Losses of a queue's store: one row for each of its epochs that ended with jobs in it.

use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use super::rows::statement;
use crate::time::Timestamp;

/// Records, once for each epoch, how many jobs were lost with it; returns whether this call did.
pub async fn note(
    db: &impl ConnectionTrait,
    queue: &str,
    (epoch, jobs): (Uuid, u64),
    by: &str,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let sql = "INSERT INTO losses (epoch, noticed_at, queue, jobs, noticed_by) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (epoch) DO NOTHING";
    let values = [
        Value::from(epoch.to_string()),
        Value::from(now.0),
        Value::from(queue),
        Value::from(i64::try_from(jobs).unwrap_or(i64::MAX)),
        Value::from(by),
    ];
    let written = db
        .execute_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    Ok(written.rows_affected() == 1)
}

/// How many jobs of a queue were lost, as far as rows are kept.
pub async fn of_queue(db: &impl ConnectionTrait, queue: &str) -> Result<u64, DbErr> {
    let sql = "SELECT CAST(COALESCE(sum(jobs), 0) AS bigint) AS jobs FROM losses WHERE queue = $1";
    let sql = statement(db.get_database_backend(), sql, [Value::from(queue)]);
    let row = db.query_one_raw(sql).await?;
    let jobs: Option<i64> = row.map(|row| row.try_get("", "jobs")).transpose()?;
    Ok(jobs.unwrap_or_default().unsigned_abs())
}
