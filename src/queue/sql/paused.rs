//! The paused queues.

use sea_orm::{ConnectionTrait, DbErr};

use crate::store::rows::statement;
use crate::time::Timestamp;

/// The paused ones of `queues`, in their order, each with when it was paused.
pub(super) async fn find(
    db: &impl ConnectionTrait,
    queues: &[&'static str],
) -> Result<Vec<(&'static str, Timestamp)>, DbErr> {
    let sql = "SELECT queue, paused_at FROM paused_queues";
    let sql = statement(db.get_database_backend(), sql, []);
    let mut paused = Vec::new();
    for row in db.query_all_raw(sql).await? {
        let (name, since): (String, Timestamp) =
            (row.try_get("", "queue")?, row.try_get("", "paused_at")?);
        let queue = queues.iter().find(|queue| **queue == name);
        paused.extend(queue.map(|queue| (*queue, since)));
    }
    paused.sort_by_key(|(name, _)| queues.iter().position(|queue| queue == name));
    Ok(paused)
}
