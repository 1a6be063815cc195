//! Which incident a card shows, where it is not the one that it was sent for.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::store::rows::Rows;

/// Has these cards show these incidents from now on; they are marked for an edit with them.
pub(super) async fn show(tx: &impl ConnectionTrait, shown: &[(Uuid, Uuid)]) -> Result<(), DbErr> {
    if shown.is_empty() {
        return Ok(());
    }
    // Of several incidents that continue on one card, the newest is shown.
    let newest: HashMap<Uuid, Uuid> = shown.iter().copied().collect();
    let rows = Rows::new()
        .uuid("id", newest.keys().copied())
        .uuid("incident", newest.values().copied());
    let sql =
        "UPDATE notifications SET shows_id = r.incident FROM {rows} WHERE notifications.id = r.id";
    tx.execute_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await
        .map(drop)
}
