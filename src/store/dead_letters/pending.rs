//! Pending pushes of replays.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::find::{bytes, load, not_too_large};
use crate::entity::dead_letters::{Column, Entity, Model};
use crate::store::rows::Rows;
use crate::time::Timestamp;

/// Letters whose push has been pending since before `moment`, those that wait longest first:
/// at most `limit`, and few if they are large.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let found: Vec<(Uuid, i32)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .expr(bytes())
        .filter(Column::PushOwedSince.lt(moment))
        .order_by_asc(Column::PushOwedSince)
        .order_by_asc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    let ids: Vec<Uuid> = not_too_large(found, |found| found.1)
        .map(|(id, _)| id)
        .collect();
    let mut letters = load(db, &ids).await?;
    // Another process pushed it, or buried it again.
    letters.retain(|letter| letter.push_owed_since.is_some());
    Ok(letters)
}

/// Notes that these were pushed. What was replayed once more since is still pending. The rows are locked in
/// one order, the same as when they are buried again at the same time.
pub async fn pushed(db: &impl ConnectionTrait, letters: &[Model]) -> Result<(), DbErr> {
    let rows = Rows::new()
        .uuid("id", letters.iter().map(|letter| letter.id))
        .int(
            "replay",
            letters.iter().map(|letter| i64::from(letter.replay)),
        );
    let sql = "UPDATE dead_letters SET push_owed_since = NULL WHERE id IN \
                   (SELECT id FROM dead_letters WHERE push_owed_since IS NOT NULL \
                        AND (id, replay) IN (SELECT r.id, r.replay FROM {rows}) \
                    ORDER BY id {lock})";
    db.execute_raw(rows.statement(db.get_database_backend(), sql, []))
        .await?;
    Ok(())
}
