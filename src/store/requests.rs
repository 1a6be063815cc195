//! Requests that carry an idempotency key: claimed before they are done, remembered with their
//! answers.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use super::rows::statement;
use crate::time::Timestamp;

/// How long an answer is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// How long a request may take. After that its process is taken for dead, and it can run again.
pub const CLAIM: Duration = Duration::from_secs(60);

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its content type.
    pub kind: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// The right to do a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    id: Uuid,
    until: Timestamp,
}

/// The state of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Unclaimed: the caller does it now, and then [`remember`]ed or [`release`]d.
    New(Claim),
    /// Another caller does it.
    InProgress,
    /// It was done.
    Done(Answer),
    /// Another request was done under this id.
    Other,
}

/// Claims a request that is unclaimed: one statement decides between two that come at once. `digest`
/// distinguishes it from others under the same id.
pub async fn claim(
    db: &impl ConnectionTrait,
    id: Uuid,
    digest: &str,
    now: Timestamp,
) -> Result<Lookup, DbErr> {
    let until = now.after(CLAIM);
    let insert = "INSERT INTO requests (id, digest, claimed_until, at) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, status = NULL, kind = NULL, \
                      answer = NULL, claimed_until = excluded.claimed_until, at = excluded.at \
                  WHERE requests.at < $5 OR (requests.status IS NULL \
                      AND requests.claimed_until < $4 AND requests.digest = excluded.digest)";
    let values = [
        Value::from(id),
        Value::from(digest),
        Value::from(until.0),
        Value::from(now.0),
        Value::from(now.before(REMEMBERED).0),
    ];
    let backend = db.get_database_backend();
    let written = db.execute_raw(statement(backend, insert, values)).await?;
    if written.rows_affected() == 1 {
        return Ok(Lookup::New(Claim { id, until }));
    }
    let select = "SELECT digest, status, kind, answer FROM requests WHERE id = $1";
    let row = db
        .query_one_raw(statement(backend, select, [id.into()]))
        .await?;
    // Released between the two statements: as if it were still being done, so it is sent again.
    let Some(row) = row else {
        return Ok(Lookup::InProgress);
    };
    if row.try_get::<String>("", "digest")? != digest {
        return Ok(Lookup::Other);
    }
    let status: Option<i64> = row.try_get("", "status")?;
    let Some(status) = status.and_then(|status| u16::try_from(status).ok()) else {
        return Ok(Lookup::InProgress);
    };
    let body: Option<Vec<u8>> = row.try_get("", "answer")?;
    Ok(Lookup::Done(Answer {
        status,
        kind: row.try_get("", "kind")?,
        body: body.unwrap_or_default(),
    }))
}

/// Remembers the answer to a request, unless another caller has claimed it by now.
pub async fn remember(
    db: &impl ConnectionTrait,
    claim: Claim,
    answer: &Answer,
) -> Result<(), DbErr> {
    let sql = "UPDATE requests SET status = $1, kind = $2, answer = $3 \
               WHERE id = $4 AND claimed_until = $5 AND status IS NULL";
    let values = [
        Value::from(i64::from(answer.status)),
        Value::from(answer.kind.clone()),
        Value::from(answer.body.clone()),
        Value::from(claim.id),
        Value::from(claim.until.0),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}

/// Gives a claim back: nothing was done.
///
/// # Errors
/// What the database says. The claim ends by itself then.
pub async fn release(db: &impl ConnectionTrait, claim: Claim) -> Result<(), DbErr> {
    let sql = "DELETE FROM requests WHERE id = $1 AND claimed_until = $2 AND status IS NULL";
    let values = [Value::from(claim.id), Value::from(claim.until.0)];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}
