//! Notes: what people wrote about incidents.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use uuid::Uuid;

use super::rows::Rows;
use crate::entity::notes::{Column, Entity, Model};
use crate::time::Timestamp;

/// Writes one note about each of these incidents, whose anomalies are locked; first the note's id, then the incident's.
/// A note that is there already, by its id, is left as it is. Returns the incidents that it was written about; they have
/// changed now.
pub async fn insert(
    tx: &impl ConnectionTrait,
    notes: &[(Uuid, Uuid)],
    note: &str,
    operator: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    if notes.is_empty() {
        return Ok(Vec::new());
    }
    let backend = tx.get_database_backend();
    let rows = Rows::new()
        .uuid("id", notes.iter().map(|(id, _)| *id))
        .uuid("incident", notes.iter().map(|(_, incident)| *incident));
    let sql = "INSERT INTO notes (id, incident_id, at, operator, note) \
               SELECT r.id, r.incident, CAST($1 AS bigint), CAST($2 AS text), CAST($3 AS text) FROM {rows} WHERE 1 = 1 \
               ON CONFLICT (id) DO NOTHING RETURNING incident_id";
    let values = [
        Value::from(now.0),
        operator.map(|name| name.replace('\0', "\u{fffd}")).into(),
        note.into(),
    ];
    let written = tx
        .query_all_raw(rows.statement(backend, sql, values))
        .await?;
    let written = written.iter().map(|row| row.try_get("", "incident_id"));
    let written: Vec<Uuid> = written.collect::<Result<_, DbErr>>()?;
    if written.is_empty() {
        return Ok(written);
    }
    let rows = Rows::new().uuid("id", written.iter().copied());
    let sql = "UPDATE incidents SET updated_at = $1 \
               FROM {rows} WHERE incidents.id = r.id AND incidents.updated_at < $1";
    tx.execute_raw(rows.statement(backend, sql, [Value::from(now.0)]))
        .await?;
    Ok(written)
}

/// The note with this id.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// The notes about an incident, newest first.
pub async fn of(
    db: &impl ConnectionTrait,
    incident: Uuid,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::IncidentId.eq(incident))
        .order_by_desc(Column::At)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}
