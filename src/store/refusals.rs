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
    /// The source that the webhook belongs to.
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
    /// The refusal that it got.
    pub detail: String,
    /// How the last body began that could not be read, if one could not.
    pub body: Option<String>,
    /// When that came.
    pub body_at: Option<Timestamp>,
}

impl Refusal {
    /// Whether the other is of the same kind.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.source, &self.reason) == (&other.source, &other.reason)
    }

    /// Counts what came before of the same kind.
    pub fn add_older(&mut self, older: Self) {
        self.deliveries += older.deliveries;
        self.first_at = older.first_at;
        if self.body.is_none() {
            (self.body, self.body_at) = (older.body, older.body_at);
        }
    }
}

/// These, the newest first, with what came since of each kind.
#[must_use]
pub fn with(mut known: Vec<Refusal>, later: Vec<Refusal>) -> Vec<Refusal> {
    for mut one in later {
        if let Some(at) = known.iter().position(|known| known.is_like(&one)) {
            one.add_older(known.swap_remove(at));
        }
        known.push(one);
    }
    known.sort_by(|one, other| {
        let by_kind = |one: &Refusal| (one.source.clone(), one.reason.clone());
        let later = other.last_at.cmp(&one.last_at);
        later.then_with(|| by_kind(one).cmp(&by_kind(other)))
    });
    known
}

/// Adds to what is known of its kind; what is older than a day is forgotten with it.
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
pub async fn lately(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Refusal>, DbErr> {
    let sql = "SELECT source, reason, deliveries, first_at, last_at, status, client, request_id, detail, \
                   body, body_at \
               FROM refusals WHERE last_at >= $1 ORDER BY last_at DESC, source, reason";
    let values = [Value::from(now.before(KEPT).0)];
    let sql = statement(db.get_database_backend(), sql, values);
    Refusal::find_by_statement(sql).all(db).await
}

/// Deletes those of which none came for a day, and bodies that are older. Returns how many.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suppressed_log_lines_are_counted_by_kind() {
        let refusal =
            |source: &str, deliveries, first: i64, last: i64, body: Option<&str>| Refusal {
                source: source.to_owned(),
                reason: "malformed".to_owned(),
                deliveries,
                first_at: Timestamp(first),
                last_at: Timestamp(last),
                status: 400,
                client: String::new(),
                request_id: String::new(),
                detail: String::new(),
                body: body.map(str::to_owned),
                body_at: body.map(|_| Timestamp(last)),
            };
        let known = vec![
            refusal("b", 5, 10, 30, None),
            refusal("a", 2, 10, 20, Some("[")),
        ];
        let found = with(
            known,
            vec![refusal("a", 3, 40, 50, None), refusal("c", 1, 30, 30, None)],
        );
        let mut of_a = refusal("a", 5, 10, 50, Some("["));
        of_a.body_at = Some(Timestamp(20));
        let expected = [
            of_a,
            refusal("b", 5, 10, 30, None),
            refusal("c", 1, 30, 30, None),
        ];
        assert_eq!(found, expected);
    }
}
