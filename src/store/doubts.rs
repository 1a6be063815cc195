//! Firings that were received soon after a `resolved`: late, or the alert fires again. Alertmanager says
//! so once and then not for hours, so what is not said to be over again within a window is open again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::ingest::write;
use super::outbox::FollowUp;
use super::rows::{Rows, statement};
use super::{Db, anomalies, incidents, occurrences};
use crate::config::Config;
use crate::domain::aggregation::{Anomaly, Batch, Policy};
use crate::entity::anomalies::Model;
use crate::time::{Clock, Timestamp, millis};

/// How much earlier than its incident's first alert an episode of it may have been received: that alert
/// may have overtaken it in the queue.
const OVERTAKEN: Duration = Duration::from_secs(86_400);

/// Incidents that have been doubted since before `moment`, those that wait longest first.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: i64,
) -> Result<Vec<Uuid>, DbErr> {
    let sql = "SELECT id FROM incidents WHERE doubted_since < $1 ORDER BY doubted_since LIMIT $2";
    let values = [Value::from(moment.0), Value::from(limit)];
    let sql = statement(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(sql).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// Opens those episodes of these incidents again that were seen firing after their end was received, a
/// window ago or longer, and whose sender did not say again that they are over. All or nothing; doing
/// it again changes nothing. Returns what follows.
///
/// # Errors
/// What the database says; nothing was written then.
pub async fn settle(
    db: &Db,
    clock: &Clock,
    policy: &Policy,
    config: &Config,
    ids: &[Uuid],
) -> Result<FollowUp, DbErr> {
    let tx = db.begin().await?;
    let (locked, now) = anomalies::lock_of_incidents(&tx, ids).await?;
    let now = clock.of_store(now);
    let doubted = doubted(&tx, ids).await?;
    let series: HashMap<i64, Timestamp> = doubted
        .iter()
        .map(|(series, _, starts_at)| (*series, *starts_at))
        .collect();
    let mut batch = Batch {
        anomalies: locked.into_iter().map(known).collect(),
        incidents: incidents::load(&tx, ids.iter().copied()).await?,
        episodes: match series.is_empty() {
            true => HashMap::new(),
            false => occurrences::episodes(&tx, &series).await?,
        },
        ..Batch::default()
    };
    for incident in batch.incidents.values_mut() {
        incident.doubted_since = None;
        incident.changed = true;
    }
    for (series, id, _) in doubted {
        batch.settle_doubt((series, id), now, policy);
    }
    let mut follow_up = write(&tx, config, &batch, &BTreeMap::new(), now).await?;
    tx.commit().await?;
    let due = batch.incidents.values().filter(|i| i.tier_due);
    follow_up.tiers = due.map(|i| i.id).collect();
    Ok(follow_up)
}

fn known(row: Model) -> (String, Anomaly) {
    let anomaly = Anomaly {
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        total: row.total,
        level: row.level,
        newest_incident: row.newest_incident,
        newest_number: row.newest_number,
        is_flapping: row.flapping_since.is_some(),
        has_fix: row.permanent_fix_at.is_some(),
        changed: false,
    };
    (row.key, anomaly)
}

/// The episodes of these incidents that were seen firing after their end was received and that no newer
/// one of their series followed: series, id and start.
async fn doubted(
    tx: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<Vec<(i64, Uuid, Timestamp)>, DbErr> {
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "SELECT o.series, o.id, o.starts_at \
               FROM {rows} JOIN incidents i ON i.id = r.id \
                   JOIN occurrences o ON o.anomaly_key = i.anomaly_key \
                       AND o.occurred_at >= i.aggregation_window_start - $1 \
                       AND o.occurred_at <= COALESCE(i.joined_at, i.last_firing_at) \
                       AND o.incident_id = i.id \
               WHERE o.ended_at IS NOT NULL AND o.series IS NOT NULL \
                   AND COALESCE(o.ended_by, 'sender') <> 'newer' \
                   AND o.last_seen_at > COALESCE(o.end_received_at, o.last_seen_at) \
                   AND NOT EXISTS (SELECT 1 FROM occurrences n \
                       WHERE n.series = o.series AND n.starts_at > o.starts_at) \
               ORDER BY o.id";
    let values = [Value::from(millis(OVERTAKEN))];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let found = tx.query_all_raw(sql).await?;
    let one = |row: &QueryResult| {
        let starts_at = Timestamp(row.try_get("", "starts_at")?);
        Ok((
            row.try_get("", "series")?,
            row.try_get("", "id")?,
            starts_at,
        ))
    };
    found.iter().map(one).collect()
}
