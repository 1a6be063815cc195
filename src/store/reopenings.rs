//! Incidents that were resolved and opened again: when, and whose resolve that undid.

use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Value,
};
use uuid::Uuid;

use super::rows::Rows;
use crate::domain::aggregation::{Batch, ResolvedBy};
use crate::entity::reopenings::{Column, Entity, Model};
use crate::ids::new_id;

/// Writes what a batch opened again. The incidents' rows are written already; who resolved one by hand is
/// still the last who did something to it.
pub async fn insert(tx: &impl ConnectionTrait, batch: &Batch) -> Result<(), DbErr> {
    let incidents = batch.incidents.values();
    let mut undone: Vec<_> = incidents
        .flat_map(|incident| incident.undone.iter().map(|undone| (incident.id, *undone)))
        .collect();
    if undone.is_empty() {
        return Ok(());
    }
    undone.sort_unstable_by_key(|(incident, undone)| (*incident, undone.reopened_at));
    let all = || undone.iter();
    let rows = Rows::new()
        .uuid("id", all().map(|(_, undone)| new_id(undone.reopened_at)))
        .uuid("incident", all().map(|(incident, _)| *incident))
        .time("resolved_at", all().map(|(_, undone)| undone.resolved_at))
        .text_or_null(
            "resolved_by",
            all().map(|(_, undone)| undone.resolved_by.map(|by| by.to_value())),
        )
        .time("reopened_at", all().map(|(_, undone)| undone.reopened_at));
    let sql = "INSERT INTO reopenings (id, incident_id, resolved_at, resolved_by, operator, reopened_at) \
               SELECT r.id, r.incident, r.resolved_at, r.resolved_by, \
                   CASE WHEN r.resolved_by = $1 THEN i.operator END, r.reopened_at \
               FROM {rows} JOIN incidents i ON i.id = r.incident";
    let values = [Value::from(ResolvedBy::Person.to_value())];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}

/// When these incidents opened again, the last time first.
pub async fn of(
    db: &impl ConnectionTrait,
    incidents: &[Uuid],
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::IncidentId.is_in(incidents.iter().copied()))
        .order_by_desc(Column::ReopenedAt)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}
