//! Incidents that are due for a tier, and the tiers that they are given.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::domain::effectiveness::RepairStats;
use crate::domain::frequency::FrequencyStats;
use crate::domain::reason::{TierReason, TierRule};
use crate::domain::tier::Tier;
use crate::store::rows::Rows;
use crate::time::Timestamp;

/// What the tier worker found out about an incident.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How deep the repair must go.
    pub tier: Tier,
    /// Why.
    pub reason: TierRule,
    /// How often its anomaly came back.
    pub frequency: FrequencyStats,
    /// What was tried on its anomaly.
    pub repairs: RepairStats,
}

/// The anomalies of those of these incidents that are due for a tier, once each. Locks nothing: who holds
/// no lock of an anomaly must take none of its incidents, or waits in a circle with who commits a batch.
pub async fn keys_due(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<String>, DbErr> {
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "SELECT DISTINCT i.anomaly_key FROM incidents i \
               WHERE i.id IN (SELECT r.id FROM {rows}) AND i.tier_due_since IS NOT NULL";
    let found = db
        .query_all_raw(rows.statement(db.get_database_backend(), sql, []))
        .await?;
    found
        .iter()
        .map(|row| row.try_get("", "anomaly_key"))
        .collect()
}

/// Which of these incidents are due for a tier, and their anomalies. Locks them, in order: who
/// counts while their counts are read waits with [`super::mark_counted`] until their marks are cleared.
pub async fn due(tx: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, DbErr> {
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "SELECT i.id, i.anomaly_key FROM incidents i \
               WHERE i.id IN (SELECT r.id FROM {rows}) AND i.tier_due_since IS NOT NULL \
               ORDER BY i.id {lock}";
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    let entry = |row: &QueryResult| Ok((row.try_get("", "id")?, row.try_get("", "anomaly_key")?));
    found.iter().map(entry).collect()
}

/// Writes what was found out, and that the incidents are not due for a tier any more. Returns those
/// that look different now, if the caller asks for them.
pub async fn set_tiers(
    tx: &impl ConnectionTrait,
    findings: &[(Uuid, Finding)],
    compares: bool,
) -> Result<Vec<Uuid>, DbErr> {
    let all = || findings.iter();
    let rows = || {
        Rows::new()
            .uuid("id", all().map(|(id, _)| *id))
            .int(
                "tier",
                all().map(|(_, found)| i64::from(found.tier.number())),
            )
            .text(
                "reason",
                all().map(|(_, found)| TierReason::from(found.reason).to_row()),
            )
            .text(
                "frequency",
                all().map(|(_, found)| serde_json::json!(found.frequency).to_string()),
            )
            .text(
                "repairs",
                all().map(|(_, found)| serde_json::json!(found.repairs).to_string()),
            )
    };
    let backend = tx.get_database_backend();
    let sql = "SELECT i.id FROM {rows} JOIN incidents i ON i.id = r.id \
               WHERE i.tier IS DISTINCT FROM r.tier OR i.tier_reason IS DISTINCT FROM r.reason \
                   OR i.frequency_stats IS DISTINCT FROM r.frequency{json} \
                   OR i.repair_stats IS DISTINCT FROM r.repairs{json}";
    let changed = match compares {
        true => tx.query_all_raw(rows().statement(backend, sql, [])).await?,
        false => Vec::new(),
    };
    let sql = "UPDATE incidents SET tier = r.tier, tier_reason = r.reason, \
                   frequency_stats = r.frequency{json}, repair_stats = r.repairs{json}, \
                   tier_due_since = NULL \
               FROM {rows} WHERE incidents.id = r.id";
    tx.execute_raw(rows().statement(backend, sql, [])).await?;
    changed.iter().map(|row| row.try_get("", "id")).collect()
}

/// Marks incidents of locked anomalies as due for a tier; returns those that were not due, or later than now.
pub async fn mark_due(
    tx: &impl ConnectionTrait,
    ids: &[Uuid],
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "UPDATE incidents SET tier_due_since = $1 \
               WHERE id IN (SELECT r.id FROM {rows}) \
                   AND (tier_due_since IS NULL OR tier_due_since > $1) RETURNING id";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(now.0)]);
    let marked = tx.query_all_raw(sql).await?;
    marked.iter().map(|row| row.try_get("", "id")).collect()
}
