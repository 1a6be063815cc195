//! The anomalies that come back most, with the figures of their repairs.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Value};

use crate::domain::frequency::Window;
use crate::entity::anomalies;
use crate::store::rows::{columns, statement};
use crate::time::Timestamp;

/// An anomaly, and the outcomes of its repairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopAnomaly {
    /// The anomaly.
    pub anomaly: anomalies::Model,
    /// Repairs tried on it.
    pub attempts: i64,
    /// Those that helped.
    pub successes: i64,
}

/// The anomalies that came back most in a window, by the figures that their newest incident carries:
/// at most a minute old.
pub async fn worst(
    db: &impl ConnectionTrait,
    window: Window,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<TopAnomaly>, DbErr> {
    let backend = db.get_database_backend();
    let name = window.name();
    let figure = match backend {
        DbBackend::Postgres => format!("(i.frequency_stats->>'count_{name}')::bigint"),
        _ => format!("json_extract(i.frequency_stats, '$.count_{name}')"),
    };
    let columns = columns::<anomalies::Entity>("a");
    let sql = format!(
        "SELECT {columns}, CAST(COALESCE((SELECT sum(e.attempts) FROM effectiveness e \
                 WHERE e.anomaly_key = a.key), 0) AS bigint) AS attempts, \
             CAST(COALESCE((SELECT sum(e.successes) FROM effectiveness e \
                 WHERE e.anomaly_key = a.key), 0) AS bigint) AS successes \
         FROM (SELECT a.* FROM anomalies a JOIN incidents i ON i.id = a.newest_incident \
               WHERE a.last_seen > $1 AND {figure} > 0 \
               ORDER BY {figure} DESC, a.key LIMIT $2) a"
    );
    let values = [
        Value::from(now.before(window.length()).0),
        Value::from(limit),
    ];
    let rows = db.query_all_raw(statement(backend, &sql, values)).await?;
    let offender = |row: &sea_orm::QueryResult| {
        Ok(TopAnomaly {
            anomaly: anomalies::Model::from_query_result(row, "")?,
            attempts: row.try_get("", "attempts")?,
            successes: row.try_get("", "successes")?,
        })
    };
    rows.iter().map(offender).collect()
}

/// How effective one action is over all anomalies.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult, serde::Serialize, utoipa::ToSchema)]
#[schema(as = ActionWorth)]
pub struct ActionStats {
    /// The action.
    pub action: String,
    /// Number of anomalies it was tried on.
    pub anomalies: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// How often it helped.
    pub successes: i64,
    /// The last time.
    pub last_at: Timestamp,
}

/// The outcomes of each action, the most tried first; `before` is the attempts and the action that the last
/// page ended with.
pub async fn by_action(
    db: &impl ConnectionTrait,
    before: Option<(i64, String)>,
    limit: u64,
) -> Result<Vec<ActionStats>, DbErr> {
    let sql = "SELECT * FROM (SELECT action, count(*) AS anomalies, \
                   CAST(sum(attempts) AS bigint) AS attempts, \
                   CAST(sum(successes) AS bigint) AS successes, max(last_at) AS last_at \
                   FROM effectiveness GROUP BY action) actions \
               WHERE attempts < $1 OR (attempts = $1 AND action > $2) \
               ORDER BY attempts DESC, action LIMIT $3";
    let (attempts, action) = before.unwrap_or((i64::MAX, String::new()));
    let values = [
        Value::from(attempts),
        Value::from(action),
        Value::from(limit),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    ActionStats::find_by_statement(sql).all(db).await
}
