//! Deliveries that were refused. There is one row of each source and reason, so that no sender fills
//! the store: it says how many there were and what came last, and is kept for a day after that.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};

use super::rows::statement;
use crate::time::{Timestamp, millis};

/// How long a refusal is kept after the last one of its kind.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Deliveries of one source that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Refusal {
    /// Whose webhook it was.
    pub source: String,
    /// Why, in one word.
    pub reason: String,
    /// How many there were.
    pub deliveries: i64,
    /// When the first of them came.
    pub first_at: Timestamp,
    /// When the last of them came. What follows is of that one.
    pub last_at: Timestamp,
    /// Its answer's status.
    pub status: i64,
    /// Where it came from.
    pub client: String,
    /// Its request's id.
    pub request_id: String,
    /// What it was told.
    pub detail: String,
    /// How the last body began that could not be read, if one could not.
    pub body: Option<String>,
    /// When that came.
    pub body_at: Option<Timestamp>,
}

/// Adds to what is known of its kind; what is older than a day is forgotten with it.
///
/// # Errors
/// What the database says.
pub async fn add(db: &impl ConnectionTrait, refusal: &Refusal) -> Result<(), DbErr> {
    let sql = "INSERT INTO refusals (source, reason, deliveries, first_at, last_at, status, client, \
                   request_id, detail, body, body_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
               ON CONFLICT (source, reason) DO UPDATE SET \
                   deliveries = excluded.deliveries + CASE \
                       WHEN refusals.last_at < $12 THEN 0 ELSE refusals.deliveries END, \
                   first_at = CASE \
                       WHEN refusals.last_at < $12 THEN excluded.first_at ELSE refusals.first_at END, \
                   last_at = excluded.last_at, status = excluded.status, client = excluded.client, \
                   request_id = excluded.request_id, detail = excluded.detail, \
                   body = CASE WHEN excluded.body IS NOT NULL OR refusals.body_at < $12 \
                       THEN excluded.body ELSE refusals.body END, \
                   body_at = CASE WHEN excluded.body IS NOT NULL OR refusals.body_at < $12 \
                       THEN excluded.body_at ELSE refusals.body_at END";
    let values = [
        Value::from(refusal.source.as_str()),
        refusal.reason.as_str().into(),
        refusal.deliveries.into(),
        refusal.first_at.0.into(),
        refusal.last_at.0.into(),
        refusal.status.into(),
        refusal.client.as_str().into(),
        refusal.request_id.as_str().into(),
        refusal.detail.as_str().into(),
        refusal.body.clone().into(),
        refusal.body_at.map(|at| at.0).into(),
        (refusal.last_at.0 - millis(KEPT)).into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}

/// Those of the last day, the newest first.
///
/// # Errors
/// What the database says.
pub async fn lately(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Refusal>, DbErr> {
    let sql = "SELECT source, reason, deliveries, first_at, last_at, status, client, request_id, detail, \
                   body, body_at \
               FROM refusals WHERE last_at >= $1 ORDER BY last_at DESC, source, reason";
    let values = [Value::from(now.before(KEPT).0)];
    let sql = statement(db.get_database_backend(), sql, values);
    Refusal::find_by_statement(sql).all(db).await
}

/// Deletes those of which none came for a day, and bodies that are older. Returns how many.
///
/// # Errors
/// What the database says.
pub async fn prune(db: &impl ConnectionTrait, now: Timestamp) -> Result<u64, DbErr> {
    let before = now.before(KEPT).0;
    let mut pruned = 0;
    for sql in [
        "DELETE FROM refusals WHERE last_at < $1",
        "UPDATE refusals SET body = NULL, body_at = NULL WHERE body_at < $1",
    ] {
        let sql = statement(db.get_database_backend(), sql, [Value::from(before)]);
        pruned += db.execute_raw(sql).await?.rows_affected();
    }
    Ok(pruned)
}
