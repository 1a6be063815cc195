//! Figures of the actions on many anomalies, page by page: the input of proposals.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::figures::counted;
use crate::domain::recommendation::Known;
use crate::domain::verdict::Baseline;
use crate::store::rows::{Rows, statement};
use crate::time::Timestamp;

/// An anomaly, and what is known of its actions.
#[derive(Clone, Debug, Default)]
pub struct OfAnomaly {
    /// The alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// Its error type.
    pub error_type: String,
    /// What is known.
    pub known: Known,
}

/// The keys after `after` of at most `limit` anomalies on which something was tried, in order.
pub async fn keys(
    db: &impl ConnectionTrait,
    after: &str,
    limit: u64,
) -> Result<Vec<String>, DbErr> {
    let sql = format!(
        "SELECT DISTINCT subject FROM repair_figures WHERE scope = 'anomaly' AND subject > $1 \
         ORDER BY subject LIMIT {limit}"
    );
    let sql = statement(db.get_database_backend(), &sql, [Value::from(after)]);
    let rows = db.query_all_raw(sql).await?;
    rows.iter().map(|row| row.try_get("", "subject")).collect()
}

/// What is known of these anomalies, by key; of those that are kept still.
pub async fn of(
    db: &impl ConnectionTrait,
    keys: &[String],
) -> Result<BTreeMap<String, OfAnomaly>, DbErr> {
    let backend = db.get_database_backend();
    // SQLite joins CROSS JOINs as they are written: by each key, not by all that is kept.
    let rows = || Rows::new().text("key", keys.iter().cloned());
    let sql = "SELECT f.subject, f.action, f.period, f.attempts, f.claimed, f.verified, f.disproved, f.superseded, \
                   f.unknown, f.last_at, a.alert_name, a.service, a.namespace, a.error_type \
               FROM {rows} CROSS JOIN repair_figures f CROSS JOIN anomalies a \
               WHERE f.scope = 'anomaly' AND f.subject = r.key AND a.key = r.key";
    let mut found: BTreeMap<String, OfAnomaly> = BTreeMap::new();
    for row in db.query_all_raw(rows().statement(backend, sql, [])).await? {
        let one = match found.entry(row.try_get("", "subject")?) {
            std::collections::btree_map::Entry::Occupied(one) => one.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(OfAnomaly {
                alert_name: row.try_get("", "alert_name")?,
                service: row.try_get("", "service")?,
                namespace: row.try_get("", "namespace")?,
                error_type: row.try_get("", "error_type")?,
                known: Known::default(),
            }),
        };
        let kept = one
            .known
            .actions
            .entry(row.try_get("", "action")?)
            .or_default();
        kept.periods
            .insert(row.try_get("", "period")?, counted(&row)?);
        let last_at: Timestamp = row.try_get("", "last_at")?;
        kept.last_at = kept.last_at.max(last_at);
    }
    let sql = "SELECT b.subject, b.quiet_ms, b.episodes, b.held FROM {rows} \
               CROSS JOIN baselines b WHERE b.scope = 'anomaly' AND b.subject = r.key";
    for row in db.query_all_raw(rows().statement(backend, sql, [])).await? {
        let subject: String = row.try_get("", "subject")?;
        let Some(one) = found.get_mut(&subject) else {
            continue;
        };
        let baseline = Baseline {
            episodes: row.try_get("", "episodes")?,
            held: row.try_get("", "held")?,
        };
        one.known
            .baselines
            .insert(row.try_get("", "quiet_ms")?, baseline);
    }
    Ok(found)
}
