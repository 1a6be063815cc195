//! A report's figures of people's work: repairs, fixes, times, dead letters.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};

use super::Span;
use crate::ids::first_id;
use crate::store::rows::statement;

/// Repairs with one action.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Repairs {
    /// The action.
    pub action: String,
    /// How often it was tried.
    pub attempts: i64,
    /// How often it held.
    pub verified: i64,
    /// How often it did not.
    pub disproved: i64,
    /// How often another repair came first.
    pub superseded: i64,
    /// How often it cannot be known.
    pub unknown: i64,
}

/// All repairs, and those with the actions that were tried most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// All together, without an action.
    pub all: Repairs,
    /// By action.
    pub actions: Vec<Repairs>,
}

#[derive(FromQueryResult)]
struct Row {
    #[sea_orm(nested)]
    of_action: Repairs,
    all_attempts: i64,
    all_verified: i64,
    all_disproved: i64,
    all_superseded: i64,
    all_unknown: i64,
}

/// Repairs that finished in a period, or started in it and are not finished, with their verdicts so far.
pub async fn repairs(db: &impl ConnectionTrait, span: Span, limit: u64) -> Result<Work, DbErr> {
    let verdicts = ["verified", "disproved", "superseded", "unknown"];
    let each = verdicts
        .map(|name| format!("count(CASE WHEN verdict = '{name}' THEN 1 END) AS {name}"))
        .join(", ");
    let all = ["attempts"].into_iter().chain(verdicts);
    let all = all.map(|name| format!("CAST(sum({name}) OVER () AS bigint) AS all_{name}"));
    let all = all.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT g.*, {all} FROM (SELECT action, count(*) AS attempts, {each} FROM repairs \
             WHERE repaired_at >= $1 AND repaired_at < $2 GROUP BY action) g \
         ORDER BY attempts DESC, action LIMIT $3"
    );
    let values = [Value::from(span.from.0), span.to.0.into(), limit.into()];
    let sql = statement(db.get_database_backend(), &sql, values);
    let rows = Row::find_by_statement(sql).all(db).await?;
    let all = rows.first().map_or_else(Repairs::default, |row| Repairs {
        action: String::new(),
        attempts: row.all_attempts,
        verified: row.all_verified,
        disproved: row.all_disproved,
        superseded: row.all_superseded,
        unknown: row.all_unknown,
    });
    let actions = rows.into_iter().map(|row| row.of_action).collect();
    Ok(Work { all, actions })
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Median {
    /// How often it was done.
    pub n: i64,
    /// The median in milliseconds.
    pub took: i64,
}

/// How long it took until incidents that opened in a period were acknowledged, and until they were resolved. Those
/// that expired are left out: when they were over is not known.
pub async fn medians(
    db: &impl ConnectionTrait,
    span: Span,
) -> Result<(Option<Median>, Option<Median>), DbErr> {
    let acknowledged = median(db, span, "acknowledged_at", "acknowledged_at IS NOT NULL").await?;
    let is_resolved = "status = 'RESOLVED' AND resolved_at IS NOT NULL \
                       AND COALESCE(resolved_by, '') <> 'unseen'";
    let resolved = median(db, span, "resolved_at", is_resolved).await?;
    Ok((acknowledged, resolved))
}

async fn median(
    db: &impl ConnectionTrait,
    span: Span,
    at: &str,
    which: &str,
) -> Result<Option<Median>, DbErr> {
    let sql = format!(
        "SELECT n, took FROM (SELECT took, row_number() OVER (ORDER BY took) AS place, \
             count(*) OVER () AS n FROM (SELECT CASE WHEN {at} < opened_at THEN 0 \
                 ELSE {at} - opened_at END AS took FROM incidents \
             WHERE id >= $1 AND id < $2 AND {which}) t) r WHERE place = (n + 1) / 2"
    );
    let ids = [span.from, span.to].map(|at| Value::from(first_id(at)));
    let sql = statement(db.get_database_backend(), &sql, ids);
    Median::find_by_statement(sql).one(db).await
}

/// Jobs of one queue that failed for good.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct DeadLetters {
    /// The queue.
    pub queue: String,
    /// How many there were.
    pub n: i64,
    /// How many of them nobody has replayed or discarded yet.
    pub undecided: i64,
}

/// The dead letters of a period, by queue.
pub async fn dead_letters(
    db: &impl ConnectionTrait,
    span: Span,
) -> Result<Vec<DeadLetters>, DbErr> {
    let sql = "SELECT queue, count(*) AS n, count(CASE WHEN state = 'dead' THEN 1 END) AS undecided \
               FROM dead_letters WHERE died_at >= $1 AND died_at < $2 \
               GROUP BY queue ORDER BY n DESC, queue";
    let values = [span.from, span.to].map(|at| Value::from(at.0));
    let sql = statement(db.get_database_backend(), sql, values);
    DeadLetters::find_by_statement(sql).all(db).await
}
