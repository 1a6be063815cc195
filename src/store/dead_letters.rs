//! Jobs that could not be done.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QuerySelect,
};
use uuid::Uuid;

use crate::entity::dead_letters::{ActiveModel, Column, Entity};
use crate::queue::consumer::Held;
use crate::queue::store::{FailedAttempt, Lease};
use crate::time::Timestamp;

/// The state of a dead letter that nobody has dealt with.
pub const DEAD: &str = "dead";
/// Rows in one statement.
const CHUNK: usize = 500;

/// A job to be buried.
#[derive(Clone, Copy, Debug)]
pub struct Burial<'a> {
    /// Its queue.
    pub queue: &'a str,
    /// The job.
    pub held: &'a Held,
    /// Why it died.
    pub reason: &'a str,
    /// The attempts that failed.
    pub failed: &'a [FailedAttempt],
    /// When it died.
    pub died_at: Timestamp,
}

/// Writes dead letters. Burying a job again overwrites its row, so it may be tried until it is
/// known to have worked.
///
/// # Errors
/// What the database says.
pub async fn bury(db: &impl ConnectionTrait, burials: &[Burial<'_>]) -> Result<(), DbErr> {
    for chunk in burials.chunks(CHUNK) {
        let rows = chunk.iter().map(row);
        let mut again = OnConflict::column(Column::Id);
        again.update_columns([
            Column::Payload,
            Column::Attempts,
            Column::Errors,
            Column::Reason,
            Column::State,
            Column::Replay,
            Column::DiedAt,
            Column::PushOwedSince,
            Column::DecidedAt,
            Column::DecidedBy,
        ]);
        Entity::insert_many(rows)
            .on_conflict(again)
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

fn row(burial: &Burial<'_>) -> ActiveModel {
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    ActiveModel {
        id: Set(burial.held.id()),
        queue: Set(burial.queue.to_owned()),
        payload: Set(burial.held.payload.clone()),
        attempts: Set(number(burial.failed.len())),
        errors: Set(serde_json::json!(burial.failed)),
        reason: Set(burial.reason.replace('\0', "\u{fffd}")),
        trace_id: Set(trace_id(burial.held)),
        state: Set(DEAD.to_owned()),
        replay: Set(number(burial.held.lease.replay as usize)),
        enqueued_at: Set(burial.held.enqueued_at),
        died_at: Set(burial.died_at),
        push_owed_since: Set(None),
        decided_at: Set(None),
        decided_by: Set(None),
    }
}

/// The trace's id as people know it, or whatever the job has in its place.
fn trace_id(held: &Held) -> Option<String> {
    let known = held.trace().map(|trace| trace.to_string());
    known.or_else(|| held.trace_id.clone())
}

/// Which of these jobs are dead letters under the replay number that they have now.
///
/// # Errors
/// What the database says.
pub async fn buried(db: &impl ConnectionTrait, leases: &[Lease]) -> Result<Vec<Uuid>, DbErr> {
    let dead: Vec<(Uuid, i32)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Replay])
        .filter(Column::State.eq(DEAD))
        .filter(Column::Id.is_in(leases.iter().map(|lease| lease.id)))
        .into_tuple()
        .all(db)
        .await?;
    let same = |lease: &&Lease| {
        dead.iter()
            .any(|(id, replay)| *id == lease.id && replay.unsigned_abs() == lease.replay)
    };
    Ok(leases.iter().filter(same).map(|lease| lease.id).collect())
}

/// How many dead letters of a queue nobody has dealt with.
///
/// # Errors
/// What the database says.
pub async fn count(db: &impl ConnectionTrait, queue: &str) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::Queue.eq(queue))
        .filter(Column::State.eq(DEAD))
        .count(db)
        .await
}
