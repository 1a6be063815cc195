//! Incidents: what a batch does to them.

use std::collections::HashMap;

use sea_orm::{
    ActiveEnum, ActiveValue::Set, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait,
    FromQueryResult, QueryResult, Value,
};
use uuid::Uuid;

use super::audit::Action;
use super::rows::{Rows, statement};
use crate::config::Escalation;
use crate::domain::aggregation::{Batch, Incident, ResolvedBy, Status};
use crate::domain::effectiveness::RepairStats;
use crate::domain::frequency::FrequencyStats;
use crate::domain::reason::{TierReason, TierRule};
use crate::domain::severity;
use crate::domain::tier::Tier;
use crate::entity::incidents::{ActiveModel, Entity, Model};
use crate::time::{Timestamp, millis};

#[derive(FromQueryResult)]
struct Known {
    id: Uuid,
    anomaly_key: String,
    number: i64,
    status: Status,
    resolved_by: Option<ResolvedBy>,
    resolved_at: Option<i64>,
    opened_at: i64,
    aggregation_window_start: i64,
    joined_at: i64,
    aggregated_count: i64,
    open_episodes: i64,
    last_firing_at: i64,
    severity: String,
    severity_rises: i64,
    is_acknowledged: bool,
    reopened: i64,
    doubted_since: Option<i64>,
    unheard_since: Option<i64>,
    updated_at: i64,
    tier_due_since: Option<i64>,
}

/// Reads incidents. Their anomalies are locked, so nobody else changes them.
///
/// # Errors
/// What the database says.
pub async fn load(
    tx: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Incident>, DbErr> {
    let rows = Rows::new().uuid("id", ids);
    let sql = "SELECT i.id, i.anomaly_key, i.number, i.status, i.resolved_by, i.resolved_at, \
                   i.opened_at, i.aggregation_window_start, \
                   COALESCE(i.joined_at, i.opened_at) AS joined_at, i.aggregated_count, i.open_episodes, \
                   i.last_firing_at, i.severity, i.severity_rises, \
                   i.acknowledged_at IS NOT NULL AS is_acknowledged, i.reopened, i.doubted_since, \
                   i.unheard_since, i.updated_at, i.tier_due_since \
               FROM {rows} JOIN incidents i ON i.id = r.id";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    let found = Known::find_by_statement(sql).all(tx).await?;
    let incidents = found.into_iter().map(|row| {
        let incident = Incident {
            id: row.id,
            anomaly_key: row.anomaly_key,
            number: row.number,
            status: row.status,
            previous_status: row.status,
            resolved_by: row.resolved_by,
            resolved_at: row.resolved_at.map(Timestamp),
            opened_at: Timestamp(row.opened_at),
            window_start: Timestamp(row.aggregation_window_start),
            joined_at: Timestamp(row.joined_at),
            aggregated_count: row.aggregated_count,
            open_episodes: row.open_episodes,
            last_firing_at: Timestamp(row.last_firing_at),
            severity: row.severity,
            severity_rises: row.severity_rises,
            is_acknowledged: row.is_acknowledged,
            reopened: row.reopened,
            doubted_since: row.doubted_since.map(Timestamp),
            unheard_since: row.unheard_since.map(Timestamp),
            is_heard_again: false,
            undone: Vec::new(),
            updated_at: Timestamp(row.updated_at),
            was_due: row.tier_due_since.is_some(),
            tier_due: false,
            changed: false,
            opening: None,
        };
        (row.id, incident)
    });
    Ok(incidents.collect())
}

/// Writes the incidents that a batch opened or changed; those that it made due are due since `now`.
///
/// # Errors
/// What the database says.
pub async fn save(tx: &impl ConnectionTrait, batch: &Batch, now: Timestamp) -> Result<(), DbErr> {
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for incident in batch.incidents.values() {
        if incident.opening.is_some() {
            new.push(incident);
        } else if incident.changed || incident.tier_due {
            changed.push(incident);
        }
    }
    // In the order in which others lock them, too.
    new.sort_unstable_by_key(|incident| incident.id);
    changed.sort_unstable_by_key(|incident| incident.id);
    if !new.is_empty() {
        insert(tx, &new, now).await?;
    }
    if !changed.is_empty() {
        update(tx, &changed, now).await?;
    }
    Ok(())
}

async fn insert(tx: &impl ConnectionTrait, new: &[&Incident], now: Timestamp) -> Result<(), DbErr> {
    let alerts = || new.iter().filter_map(|i| i.opening.as_ref());
    let json = |labels| serde_json::to_string(labels).unwrap_or_else(|_| "{}".to_owned());
    let rows = state(new, now)
        .text("anomaly_key", new.iter().map(|i| i.anomaly_key.clone()))
        .int("number", new.iter().map(|i| i.number))
        .text("title", alerts().map(|o| o.alert.title().to_owned()))
        .text("labels", alerts().map(|o| json(&o.alert.labels)))
        .text("annotations", alerts().map(|o| json(&o.alert.annotations)))
        .text("source", alerts().map(|o| o.source.clone()))
        .text_or_null(
            "generator_url",
            alerts().map(|o| o.alert.generator_url.clone()),
        )
        .time("opened_at", new.iter().map(|i| i.opened_at))
        .time("window_start", new.iter().map(|i| i.window_start));
    let sql = "INSERT INTO incidents (id, anomaly_key, number, title, severity, severity_order, status, \
                   resolved_by, labels, annotations, source, generator_url, is_aggregated, \
                   aggregated_count, aggregation_window_start, joined_at, open_episodes, last_firing_at, \
                   reopened, severity_rises, doubted_since, unheard_since, tier_due_since, \
                   opened_at, updated_at, resolved_at) \
               SELECT r.id, r.anomaly_key, r.number, r.title, r.severity, r.severity_order, r.status, \
                   r.resolved_by, r.labels{json}, r.annotations{json}, r.source, \
                   r.generator_url, r.is_aggregated, r.aggregated_count, r.window_start, r.joined_at, \
                   r.open_episodes, r.last_firing_at, r.reopened, r.severity_rises, \
                   r.doubted_since, r.unheard_since, r.due_since, r.opened_at, r.updated_at, \
                   r.resolved_at \
               FROM {rows}";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

async fn update(
    tx: &impl ConnectionTrait,
    changed: &[&Incident],
    now: Timestamp,
) -> Result<(), DbErr> {
    let sql = "UPDATE incidents SET status = r.status, resolved_by = r.resolved_by, \
                   resolved_at = r.resolved_at, is_aggregated = r.is_aggregated, \
                   aggregated_count = r.aggregated_count, joined_at = r.joined_at, \
                   open_episodes = r.open_episodes, \
                   last_firing_at = r.last_firing_at, severity = r.severity, \
                   severity_order = r.severity_order, severity_rises = r.severity_rises, reopened = r.reopened, \
                   acknowledged_at = CASE WHEN r.is_acknowledged THEN incidents.acknowledged_at END, \
                   doubted_since = r.doubted_since, unheard_since = r.unheard_since, \
                   updated_at = r.updated_at, \
                   tier_due_since = COALESCE(incidents.tier_due_since, r.due_since) \
               FROM {rows} WHERE incidents.id = r.id";
    let rows = state(changed, now);
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

/// What a batch can change, of new and of known incidents.
fn state(incidents: &[&Incident], now: Timestamp) -> Rows {
    let all = || incidents.iter();
    Rows::new()
        .uuid("id", all().map(|i| i.id))
        .text("status", all().map(|i| i.status.to_value()))
        .text_or_null(
            "resolved_by",
            all().map(|i| i.resolved_by.map(|by| by.to_value())),
        )
        .time_or_null("resolved_at", all().map(|i| i.resolved_at))
        .bool("is_aggregated", all().map(|i| i.aggregated_count > 1))
        .int("aggregated_count", all().map(|i| i.aggregated_count))
        .time("joined_at", all().map(|i| i.joined_at))
        .int("open_episodes", all().map(|i| i.open_episodes))
        .time("last_firing_at", all().map(|i| i.last_firing_at))
        .text("severity", all().map(|i| i.severity.clone()))
        .int(
            "severity_order",
            all().map(|i| severity::order(&i.severity)),
        )
        .int("severity_rises", all().map(|i| i.severity_rises))
        .bool("is_acknowledged", all().map(|i| i.is_acknowledged))
        .int("reopened", all().map(|i| i.reopened))
        .time_or_null("doubted_since", all().map(|i| i.doubted_since))
        .time_or_null("unheard_since", all().map(|i| i.unheard_since))
        .time("updated_at", all().map(|i| i.updated_at))
        .time_or_null("due_since", all().map(|i| i.tier_due.then_some(now)))
}

/// One incident as its row has it.
///
/// # Errors
/// What the database says.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

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
///
/// # Errors
/// What the database says.
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
/// counts while their counts are read waits with [`mark_counted`] until their marks are cleared.
///
/// # Errors
/// What the database says.
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
/// that look different now, if somebody wants to know.
///
/// # Errors
/// What the database says.
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

/// Marks incidents of locked anomalies as due for a tier; returns those that were not due.
///
/// # Errors
/// What the database says.
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
               WHERE id IN (SELECT r.id FROM {rows}) AND tier_due_since IS NULL RETURNING id";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(now.0)]);
    let marked = tx.query_all_raw(sql).await?;
    marked.iter().map(|row| row.try_get("", "id")).collect()
}

/// The same for who holds no anomaly, after what was counted: whoever works these incidents out now is
/// waited for, and what they missed is due again. Outside a transaction: nearly always all are marked
/// still, and of the others each is marked by itself, so that it holds none while it waits for another.
///
/// # Errors
/// What the database says.
pub async fn mark_counted(
    db: &DatabaseConnection,
    ids: &[Uuid],
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let backend = db.get_database_backend();
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "WITH found AS (SELECT i.id, i.tier_due_since FROM incidents i \
                   WHERE i.id IN (SELECT r.id FROM {rows}) ORDER BY i.id {after_lock}) \
               SELECT id FROM found WHERE tier_due_since IS NULL";
    let missed = db.query_all_raw(rows.statement(backend, sql, [])).await?;
    let mut marked = Vec::with_capacity(missed.len());
    for row in missed {
        let id: Uuid = row.try_get("", "id")?;
        let sql =
            "UPDATE incidents SET tier_due_since = $1 WHERE id = $2 AND tier_due_since IS NULL";
        let sql = statement(backend, sql, [Value::from(now.0), id.into()]);
        if db.execute_raw(sql).await?.rows_affected() > 0 {
            marked.push(id);
        }
    }
    Ok(marked)
}

/// For each of the anomalies that has one, since when an incident lasts: it is not resolved, and
/// one of its open episodes was seen firing `open_for` or more after it opened, and within
/// `unseen_for`.
///
/// # Errors
/// What the database says.
pub async fn lasting(
    tx: &impl ConnectionTrait,
    keys: &[String],
    escalation: &Escalation,
    now: Timestamp,
) -> Result<HashMap<String, Timestamp>, DbErr> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Rows::new().text("key", keys.iter().cloned());
    // Only what did not end is in the index of an incident's open episodes. The offset keeps PostgreSQL
    // from joining with all occurrences there are, as it does while it knows nothing of the tables yet.
    let sql = "SELECT i.anomaly_key AS key, min(i.opened_at) AS since \
               FROM {rows} JOIN incidents i ON i.anomaly_key = r.key \
                   AND i.status <> 'RESOLVED' \
                   AND i.last_firing_at >= i.opened_at + $1 AND i.last_firing_at >= $2 \
               WHERE EXISTS (SELECT 1 FROM occurrences o \
                   WHERE o.incident_id = i.id \
                       AND o.ended_at IS NULL AND o.series IS NOT NULL \
                       AND o.last_seen_at >= i.opened_at + $1 AND o.last_seen_at >= $2 \
                   LIMIT 1 OFFSET 0) \
               GROUP BY i.anomaly_key";
    let values = [
        Value::from(millis(escalation.open_for.0)),
        Value::from(now.before(escalation.unseen_for.0).0),
    ];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let found = tx.query_all_raw(sql).await?;
    let entry = |row: &QueryResult| {
        Ok((
            row.try_get("", "key")?,
            Timestamp(row.try_get("", "since")?),
        ))
    };
    found.iter().map(entry).collect()
}

/// What a person does to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange {
    /// Takes it.
    Acknowledge,
    /// Says that it is over.
    Resolve,
}

impl StatusChange {
    /// As the audit calls it.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Acknowledge => Action::AcknowledgeIncident,
            Self::Resolve => Action::ResolveIncident,
        }
    }
}

/// Writes what a person did, if it changes anything: doing it again does not. Returns the incident
/// as it is then, or `None` if a resolved one was to be acknowledged.
///
/// # Errors
/// What the database says.
pub async fn act(
    tx: &impl ConnectionTrait,
    incident: Model,
    change: StatusChange,
    operator: Option<String>,
    now: Timestamp,
) -> Result<Option<Model>, DbErr> {
    let mut row = ActiveModel {
        id: Set(incident.id),
        operator: Set(operator),
        updated_at: Set(now),
        ..Default::default()
    };
    match (change, incident.status) {
        (StatusChange::Acknowledge, Status::Resolved) => return Ok(None),
        (StatusChange::Acknowledge, Status::Acknowledged)
        | (StatusChange::Resolve, Status::Resolved) => {
            return Ok(Some(incident));
        }
        (StatusChange::Acknowledge, Status::Open | Status::Analyzing) => {
            row.status = Set(Status::Acknowledged);
            row.acknowledged_at = Set(Some(now));
        }
        (StatusChange::Resolve, _) => {
            row.status = Set(Status::Resolved);
            row.resolved_by = Set(Some(ResolvedBy::Person));
            row.resolved_at = Set(Some(now));
            row.unheard_since = Set(None);
        }
    }
    Entity::update(row).exec(tx).await.map(Some)
}

/// How incidents must still stand when they are locked: since they were found, somebody may have taken one, or
/// its firings may have been heard of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Still {
    /// In this state.
    pub status: Option<Status>,
    /// Whether none of its firings was heard of lately.
    pub unheard: Option<bool>,
}

/// Resolves those of these incidents that are not and still stand so, for a person. Returns which these were.
///
/// # Errors
/// What the database says.
pub async fn resolve_some(
    tx: &impl ConnectionTrait,
    ids: &[Uuid],
    still: &Still,
    operator: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let sql = "UPDATE incidents SET status = 'RESOLVED', resolved_by = $1, resolved_at = $2, \
                   unheard_since = NULL, operator = $3, updated_at = $2 \
               FROM {rows} WHERE incidents.id = r.id AND incidents.status <> 'RESOLVED' \
                   AND incidents.status = COALESCE($4, incidents.status) \
                   AND (incidents.unheard_since IS NOT NULL) = \
                       COALESCE($5, incidents.unheard_since IS NOT NULL) \
               RETURNING incidents.id";
    let by = ResolvedBy::Person.to_value();
    let status = still.status.map(|status| status.to_value());
    let values = [
        by.into(),
        now.0.into(),
        operator.into(),
        status.into(),
        still.unheard.into(),
    ];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let resolved = tx.query_all_raw(sql).await?;
    resolved.iter().map(|row| row.try_get("", "id")).collect()
}

/// How many incidents are not resolved.
///
/// # Errors
/// What the database says.
pub async fn unresolved(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS n FROM incidents WHERE status <> 'RESOLVED'";
    let sql = statement(db.get_database_backend(), sql, []);
    let row = db.query_one_raw(sql).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("a count".to_owned()))?;
    row.try_get("", "n")
}
