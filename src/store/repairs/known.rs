//! Figures of an incident's possible actions: one indexed read, and a second where an action has some.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::figures::{Scope, counted};
use crate::domain::recommendation::Known;
use crate::domain::verdict::Baseline;
use crate::store::rows::statement;
use crate::time::Timestamp;

/// The most repairs that did not hold that are read.
const DISPROVED: u64 = 200;

/// Whether something was tried on a locked anomaly that is not judged yet: it began after the first of these times and
/// has not finished, or it finished after the second.
///
/// # Errors
/// The database fails.
pub async fn is_one_unjudged(
    tx: &impl ConnectionTrait,
    key: &str,
    (unfinished, finished): (Timestamp, Timestamp),
) -> Result<bool, DbErr> {
    let sql = "SELECT id FROM repairs WHERE anomaly_key = $1 AND repaired_at > $4 AND verdict IS NULL \
                   AND repaired_at > CASE WHEN unfinished THEN $2 ELSE $3 END LIMIT 1";
    let values = [
        Value::from(key),
        unfinished.0.into(),
        finished.0.into(),
        unfinished.min(finished).0.into(),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    Ok(tx.query_one_raw(sql).await?.is_some())
}

/// What is known of an anomaly's actions.
#[derive(Clone, Debug, Default)]
pub struct OfAnomaly {
    /// On the anomaly.
    pub own: Known,
    /// On all anomalies with its alert name.
    pub wider: Known,
    /// Its repairs that did not hold and finished after the moment that was asked for, newest first.
    pub disproved: Vec<(String, Timestamp)>,
}

/// What is known of the actions on an anomaly, and on all with its alert name.
pub async fn of(
    db: &impl ConnectionTrait,
    key: &str,
    alert_name: &str,
    since: Timestamp,
) -> Result<OfAnomaly, DbErr> {
    let backend = db.get_database_backend();
    let mut found = OfAnomaly::default();
    let columns = "scope, action, period, attempts, claimed, verified, disproved, superseded, unknown, last_at";
    let figures = format!(
        "SELECT {columns} FROM repair_figures WHERE scope = 'anomaly' AND subject = $1 \
         UNION ALL \
         SELECT {columns} FROM repair_figures WHERE scope = 'alert_name' AND subject = $2"
    );
    let values = [Value::from(key), Value::from(alert_name)];
    for row in db
        .query_all_raw(statement(backend, &figures, values))
        .await?
    {
        let kept = &mut found.scope(&row)?.actions;
        let kept = kept.entry(row.try_get("", "action")?).or_default();
        kept.periods
            .insert(row.try_get("", "period")?, counted(&row)?);
        let last_at: Timestamp = row.try_get("", "last_at")?;
        kept.last_at = kept.last_at.max(last_at);
    }
    // What was taken away again leaves a row of nothing.
    for known in [&mut found.own, &mut found.wider] {
        known
            .actions
            .retain(|_, kept| kept.periods.values().any(|of| of.attempts != 0));
    }
    // Baselines are compared with, and a repair that did not hold is counted in the figures.
    if found.own.actions.is_empty() && found.wider.actions.is_empty() {
        return Ok(found);
    }
    // Repairs are told from baselines by the scope, which none of theirs is called.
    let rest = format!(
        "SELECT scope, '' AS action, quiet_ms AS a, episodes AS b, held AS c FROM baselines \
             WHERE scope = 'anomaly' AND subject = $1 \
         UNION ALL \
         SELECT scope, '' AS action, quiet_ms, episodes, held FROM baselines \
             WHERE scope = 'alert_name' AND subject = $2 \
         UNION ALL \
         SELECT 'repair', d.action, d.repaired_at, 0, 0 FROM (SELECT action, repaired_at FROM repairs \
             WHERE anomaly_key = $1 AND repaired_at > $3 AND verdict = 'disproved' \
             ORDER BY repaired_at DESC LIMIT {DISPROVED}) AS d"
    );
    let values = [
        Value::from(key),
        Value::from(alert_name),
        Value::from(since.0),
    ];
    for row in db.query_all_raw(statement(backend, &rest, values)).await? {
        let scope: String = row.try_get("", "scope")?;
        let at: i64 = row.try_get("", "a")?;
        if scope == "repair" {
            let action = row.try_get("", "action")?;
            found.disproved.push((action, Timestamp(at)));
            continue;
        }
        let baseline = Baseline {
            episodes: row.try_get("", "b")?,
            held: row.try_get("", "c")?,
        };
        found.scope(&row)?.baselines.insert(at, baseline);
    }
    found
        .disproved
        .sort_by_key(|(_, at)| std::cmp::Reverse(*at));
    Ok(found)
}

impl OfAnomaly {
    fn scope(&mut self, row: &QueryResult) -> Result<&mut Known, DbErr> {
        let scope: String = row.try_get("", "scope")?;
        Ok(match scope == Scope::Anomaly.name() {
            true => &mut self.own,
            false => &mut self.wider,
        })
    }
}
