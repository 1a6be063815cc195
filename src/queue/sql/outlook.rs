//! Work left in all queues, for a caller that waits until none is.

use sea_orm::{ConnectionTrait, DbErr};

use crate::store::Db;
use crate::store::rows::statement;
use crate::time::{Clock, Timestamp};

/// What is left to do in all queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Jobs that are held, or could be.
    pub busy: i64,
    /// When the first of the others is due.
    pub next: Option<Timestamp>,
}

/// Looks at all queues at one moment.
///
/// # Errors
/// The database.
pub async fn outlook(db: &Db, clock: &Clock) -> Result<Outlook, DbErr> {
    let sql = "SELECT count(CASE WHEN lease_until IS NOT NULL OR run_at <= {now} THEN 1 END) AS busy, \
                   min(CASE WHEN lease_until IS NULL AND run_at > {now} THEN run_at END) AS next \
               FROM jobs";
    let sql = statement(db.backend(), &clock.in_sql(sql), []);
    let row = db.read().query_one_raw(sql).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("a row of counts".to_owned()))?;
    Ok(Outlook {
        busy: row.try_get("", "busy")?,
        next: row.try_get("", "next")?,
    })
}
