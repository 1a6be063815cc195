//! Verdicts: which are to be given, and that they are given once.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryResult,
    Value,
};
use uuid::Uuid;

use crate::domain::verdict::{Judgement, Verdict, VerdictReason};
use crate::entity::repairs;
use crate::store::rows::{Rows, columns, statement};
use crate::time::{Timestamp, millis};

/// How much later than it was written a batch of alerts may be committed, in milliseconds.
const LATE_MS: i64 = 120_000;

/// A repair that may be due for a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRepair {
    /// Its id.
    pub id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// When it finished.
    pub repaired_at: Timestamp,
}

/// At most `limit` repairs that are not judged and finished up to `upto`, or whose anomaly fired again since, after the
/// place where the last page ended, the oldest first. Of those that finished later, all have finished within the
/// shortest quiet time.
pub async fn due(
    db: &impl ConnectionTrait,
    upto: Timestamp,
    (after, id): (Timestamp, Uuid),
    limit: u64,
) -> Result<Vec<DueRepair>, DbErr> {
    let sql = "SELECT p.id, p.anomaly_key, p.repaired_at FROM repairs p \
               WHERE p.judged_at IS NULL AND NOT p.unfinished \
                   AND p.repaired_at >= $2 AND (p.repaired_at > $2 OR p.id > $3) \
                   AND (p.repaired_at <= $1 OR EXISTS (SELECT 1 FROM occurrences o \
                       WHERE o.anomaly_key = p.anomaly_key AND o.occurred_at > p.repaired_at \
                           AND o.starts_at > p.repaired_at AND o.series IS NOT NULL)) \
               ORDER BY p.repaired_at, p.id LIMIT $4";
    let values = [Value::from(upto.0), after.0.into(), id.into(), limit.into()];
    read(db, sql, values).await
}

/// At most `limit` repairs that finished since `since` and are judged, and whose anomaly changed after that: what
/// came late may have changed the verdict.
pub async fn disturbed(
    db: &impl ConnectionTrait,
    since: Timestamp,
    (after, id): (Timestamp, Uuid),
    limit: u64,
) -> Result<Vec<DueRepair>, DbErr> {
    let sql = format!(
        "SELECT p.id, p.anomaly_key, p.repaired_at FROM repairs p \
             JOIN anomalies a ON a.key = p.anomaly_key \
         WHERE p.repaired_at >= $1 AND p.repaired_at >= $2 AND (p.repaired_at > $2 OR p.id > $3) \
             AND p.verdict IS NOT NULL AND a.changed_at > p.judged_at - {LATE_MS} \
         ORDER BY p.repaired_at, p.id LIMIT $4"
    );
    let values = [
        Value::from(since.0),
        after.0.into(),
        id.into(),
        limit.into(),
    ];
    read(db, &sql, values).await
}

async fn read<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<Vec<DueRepair>, DbErr> {
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    let due = |row: &QueryResult| {
        Ok(DueRepair {
            id: row.try_get("", "id")?,
            anomaly_key: row.try_get("", "anomaly_key")?,
            repaired_at: row.try_get("", "repaired_at")?,
        })
    };
    rows.iter().map(due).collect()
}

/// These repairs, as far as they are there and finished.
pub async fn finished(
    db: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<Vec<repairs::Model>, DbErr> {
    repairs::Entity::find()
        .filter(repairs::Column::Id.is_in(ids.iter().copied()))
        .filter(repairs::Column::Unfinished.eq(false))
        .all(db)
        .await
}

/// The newest judged repairs of these anomalies that finished since `since` and whose anomaly did not change after
/// they were judged: at most `limit`, and none that is to be judged again.
pub async fn settled(
    db: &impl ConnectionTrait,
    keys: &[String],
    since: Timestamp,
    limit: u64,
) -> Result<Vec<repairs::Model>, DbErr> {
    let columns = columns::<repairs::Entity>("p");
    let sql = format!(
        "SELECT {columns} FROM {{rows}} JOIN repairs p ON p.anomaly_key = r.key \
             JOIN anomalies a ON a.key = r.key \
         WHERE p.repaired_at >= $1 AND p.verdict IS NOT NULL \
             AND COALESCE(a.changed_at, 0) <= p.judged_at - {LATE_MS} \
         ORDER BY p.repaired_at DESC LIMIT $2"
    );
    let rows = Rows::new().text("key", keys.iter().cloned());
    let values = [Value::from(since.0), limit.into()];
    let sql = rows.statement(db.get_database_backend(), &sql, values);
    repairs::Model::find_by_statement(sql).all(db).await
}

/// A verdict as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The verdict, and why.
    pub judgement: Judgement,
    /// For how long the anomaly had to stay quiet, in milliseconds.
    pub quiet_ms: i64,
    /// Whether the alert was silenced at its source.
    pub silenced: bool,
    /// When.
    pub at: Timestamp,
}

/// Gives a verdict on a repair, in place of `before`; false if it has another by now: somebody else gave it.
pub async fn give(
    tx: &impl ConnectionTrait,
    id: Uuid,
    before: Option<Verdict>,
    given: &Given,
) -> Result<bool, DbErr> {
    let judgement = given.judgement;
    let sql = "UPDATE repairs SET verdict = $3, verdict_reason = $4, quiet_ms = $5, \
                   quiet_after_ms = $6, silenced = $7, judged_at = $8 \
               WHERE id = $1 AND COALESCE(verdict, '') = $2 AND NOT unfinished";
    let values = [
        Value::from(id),
        before.map_or("", Verdict::name).into(),
        judgement.verdict().name().into(),
        judgement.reason.into(),
        given.quiet_ms.into(),
        judgement.quiet_after.map(millis).into(),
        given.silenced.into(),
        given.at.0.into(),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    Ok(tx.execute_raw(sql).await?.rows_affected() > 0)
}

/// Notes that these repairs were judged again and their verdicts stay.
pub async fn keep(tx: &impl ConnectionTrait, ids: &[Uuid], now: Timestamp) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "UPDATE repairs SET judged_at = $1 \
               WHERE id IN (SELECT r.id FROM {rows}) AND verdict IS NOT NULL";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(now.0)]);
    tx.execute_raw(sql).await.map(drop)
}

/// Notes that nothing can be known of repairs whose anomaly is gone.
pub async fn give_up(tx: &impl ConnectionTrait, ids: &[Uuid], now: Timestamp) -> Result<(), DbErr> {
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "UPDATE repairs SET verdict = $2, verdict_reason = $3, judged_at = $1 \
               WHERE id IN (SELECT r.id FROM {rows}) AND verdict IS NULL";
    let values = [
        Value::from(now.0),
        Verdict::Unknown.name().into(),
        VerdictReason::Pruned.into(),
    ];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}

/// Has the verdicts on an anomaly's repairs that finished between these moments given again: another repair came.
pub async fn doubt(
    tx: &impl ConnectionTrait,
    key: &str,
    (from, to): (Timestamp, Timestamp),
) -> Result<(), DbErr> {
    let sql = "UPDATE repairs SET judged_at = NULL \
               WHERE anomaly_key = $1 AND repaired_at >= $2 AND repaired_at <= $3 \
                   AND verdict IS NOT NULL";
    let values = [Value::from(key), from.0.into(), to.0.into()];
    let sql = statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}
