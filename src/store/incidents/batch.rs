//! The incidents of a batch: read under a lock, written back.

use std::collections::HashMap;

use sea_orm::{ActiveEnum, ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::domain::aggregation::{Batch, Incident, ResolvedBy, Status};
use crate::domain::severity;
use crate::store::rows::Rows;
use crate::time::Timestamp;

#[derive(FromQueryResult)]
struct StoredIncident {
    pub(super) id: Uuid,
    pub(super) anomaly_key: String,
    pub(super) number: i64,
    pub(super) status: Status,
    pub(super) resolved_by: Option<ResolvedBy>,
    pub(super) resolved_at: Option<i64>,
    pub(super) opened_at: i64,
    aggregation_window_start: i64,
    joined_at: i64,
    aggregated_count: i64,
    open_episodes: i64,
    pub(super) last_firing_at: i64,
    severity: String,
    severity_rises: i64,
    is_acknowledged: bool,
    reopened: i64,
    doubted_since: Option<i64>,
    pub(super) unheard_since: Option<i64>,
    pub(super) updated_at: i64,
    pub(super) tier_due_since: Option<i64>,
}

/// Reads incidents. Their anomalies are locked, so no other transaction changes them.
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
    let found = StoredIncident::find_by_statement(sql).all(tx).await?;
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
            due_at: row.tier_due_since.map(Timestamp),
            tier_due: false,
            changed: false,
            opening: None,
        };
        (row.id, incident)
    });
    Ok(incidents.collect())
}

/// Writes the incidents that a batch opened or changed; those that it made due are due since `now`, or later.
pub async fn save(tx: &impl ConnectionTrait, batch: &Batch, now: Timestamp) -> Result<(), DbErr> {
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for incident in batch.incidents.values() {
        if incident.opening.is_some() {
            new.push(incident);
        } else if incident.changed || incident.tier_due {
            changed.push(incident);
        }
    }
    // A join may lock them in another order. Nobody waits in a circle all the same: whoever changes several incidents
    // holds their anomalies, and who holds none changes one at a time (`mark_counted`).
    new.sort_unstable_by_key(|incident| incident.id);
    changed.sort_unstable_by_key(|incident| incident.id);
    if !new.is_empty() {
        insert(tx, batch, &new, now).await?;
    }
    if !changed.is_empty() {
        update(tx, batch, &changed, now).await?;
    }
    Ok(())
}

async fn insert(
    tx: &impl ConnectionTrait,
    batch: &Batch,
    new: &[&Incident],
    now: Timestamp,
) -> Result<(), DbErr> {
    let alerts = || new.iter().filter_map(|i| i.opening.as_ref());
    let json = |labels| serde_json::to_string(labels).unwrap_or_else(|_| "{}".to_owned());
    let rows = state(batch, new, now)
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
        .time("window_start", new.iter().map(|i| i.window_start))
        .time_or_null(
            "analyze_since",
            new.iter().map(|i| i.is_to_be_analyzed().then_some(now)),
        );
    let sql = "INSERT INTO incidents (id, anomaly_key, number, title, severity, severity_order, level_order, status, \
                   resolved_by, labels, annotations, source, generator_url, is_aggregated, \
                   aggregated_count, aggregation_window_start, joined_at, open_episodes, last_firing_at, \
                   reopened, severity_rises, doubted_since, unheard_since, tier_due_since, \
                   analyze_due_since, opened_at, updated_at, resolved_at) \
               SELECT r.id, r.anomaly_key, r.number, r.title, r.severity, r.severity_order, \
                   r.level_order, r.status, \
                   r.resolved_by, r.labels{json}, r.annotations{json}, r.source, \
                   r.generator_url, r.is_aggregated, r.aggregated_count, r.window_start, r.joined_at, \
                   r.open_episodes, r.last_firing_at, r.reopened, r.severity_rises, \
                   r.doubted_since, r.unheard_since, r.due_since, r.analyze_since, r.opened_at, r.updated_at, \
                   r.resolved_at \
               FROM {rows}";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

pub(super) async fn update(
    tx: &impl ConnectionTrait,
    batch: &Batch,
    changed: &[&Incident],
    now: Timestamp,
) -> Result<(), DbErr> {
    let sql = "UPDATE incidents SET status = r.status, resolved_by = r.resolved_by, \
                   resolved_at = r.resolved_at, is_aggregated = r.is_aggregated, \
                   aggregated_count = r.aggregated_count, joined_at = r.joined_at, \
                   open_episodes = r.open_episodes, \
                   last_firing_at = r.last_firing_at, severity = r.severity, \
                   severity_order = r.severity_order, level_order = r.level_order, \
                   severity_rises = r.severity_rises, reopened = r.reopened, \
                   acknowledged_at = CASE WHEN r.is_acknowledged THEN incidents.acknowledged_at END, \
                   doubted_since = r.doubted_since, unheard_since = r.unheard_since, \
                   updated_at = r.updated_at, \
                   tier_due_since = CASE WHEN incidents.tier_due_since <= r.due_since THEN incidents.tier_due_since \
                       ELSE COALESCE(r.due_since, incidents.tier_due_since) END \
               FROM {rows} WHERE incidents.id = r.id";
    let rows = state(batch, changed, now);
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    Ok(())
}

/// What a batch can change, of new and of known incidents.
fn state(batch: &Batch, incidents: &[&Incident], now: Timestamp) -> Rows {
    let all = || incidents.iter();
    let level = |key: &str| batch.anomalies.get(key).map(|anomaly| anomaly.level);
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
        .int(
            "level_order",
            all().map(|i| level(&i.anomaly_key).unwrap_or_default() as i64),
        )
        .int("severity_rises", all().map(|i| i.severity_rises))
        .bool("is_acknowledged", all().map(|i| i.is_acknowledged))
        .int("reopened", all().map(|i| i.reopened))
        .time_or_null("doubted_since", all().map(|i| i.doubted_since))
        .time_or_null("unheard_since", all().map(|i| i.unheard_since))
        .time("updated_at", all().map(|i| i.updated_at))
        .time_or_null(
            "due_since",
            all().map(|i| i.tier_due.then(|| batch.due_at(i, now))),
        )
}
