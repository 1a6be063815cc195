//! Actions that are stopped, because they did not hold so often in a row; worked out from the verdicts, never kept.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::domain::recommendation::Streak;
use crate::store::rows::{Rows, statement};
use crate::time::Timestamp;

/// Those of these actions that are stopped: of the newest `breaker` verdicts of each, over all anomalies and since it
/// was allowed last, all are that it did not hold. Reads so many rows of an index for each action: the one that is in the
/// order of the expression.
pub async fn stopped(
    db: &impl ConnectionTrait,
    actions: Vec<String>,
    breaker: u32,
) -> Result<BTreeMap<String, Streak>, DbErr> {
    if breaker == 0 || actions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = Rows::new().text("action", actions);
    let newest = |columns: &str, limit: u32| {
        format!(
            "SELECT {columns} FROM repairs p WHERE p.action = s.action \
                 AND p.verdict IN ('verified', 'disproved') AND -p.repaired_at < -s.since \
             ORDER BY -p.repaired_at, p.id DESC LIMIT {limit}"
        )
    };
    let sql = format!(
        "SELECT s.action, \
             (SELECT count(*) FROM ({}) AS x WHERE x.verdict = 'disproved') AS disproved, \
             ({}) AS last_at \
         FROM (SELECT r.action, COALESCE(w.allowed_at, -1) AS since FROM {{rows}} \
             LEFT JOIN allowed_actions w ON w.action = r.action) AS s",
        newest("p.verdict", breaker),
        newest("p.repaired_at", 1),
    );
    let sql = rows.statement(db.get_database_backend(), &sql, []);
    let mut found = BTreeMap::new();
    for row in db.query_all_raw(sql).await? {
        let disproved: i64 = row.try_get("", "disproved")?;
        if disproved >= i64::from(breaker) {
            let streak = Streak {
                in_a_row: disproved,
                last_at: row
                    .try_get::<Option<Timestamp>>("", "last_at")?
                    .unwrap_or_default(),
            };
            found.insert(row.try_get("", "action")?, streak);
        }
    }
    Ok(found)
}

/// Allows an action again: what is known of it so far stops it no more.
pub async fn allow(tx: &impl ConnectionTrait, action: &str, now: Timestamp) -> Result<(), DbErr> {
    let sql = "INSERT INTO allowed_actions (action, allowed_at) VALUES ($1, $2) \
               ON CONFLICT (action) DO UPDATE SET allowed_at = excluded.allowed_at \
               WHERE excluded.allowed_at > allowed_actions.allowed_at";
    let values = [Value::from(action), now.0.into()];
    let sql = statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}
