//! Writing dead letters, and recognising jobs that are dead already.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{DEAD, REPLAYED};
use crate::entity::dead_letters::{ActiveModel, Column, Entity};
use crate::jobs::lease::{FailedAttempt, Lease};
use crate::time::Timestamp;

/// Rows in one statement.
const CHUNK: usize = 500;
/// Failed attempts that are kept of one job at most, the newest.
const ATTEMPTS: usize = 1000;

/// A push of the same id that is newer than the row: it was enqueued once more since.
/// Only what was never replayed can be one.
const ANEW: &str = "(excluded.replay = 0 AND excluded.enqueued_at > dead_letters.enqueued_at)";

/// A job to be buried.
#[derive(Clone, Debug)]
pub struct Burial<'a> {
    /// Its queue.
    pub queue: &'a str,
    /// Which delivery of which job.
    pub lease: Lease,
    /// The payload's bytes.
    pub payload: &'a [u8],
    /// The ID of its trace, or whatever the job has in its place.
    pub trace_id: Option<String>,
    /// When it was pushed.
    pub enqueued_at: Timestamp,
    /// Why it died.
    pub reason: &'a str,
    /// The attempts that failed.
    pub failed: &'a [FailedAttempt],
    /// When it died.
    pub died_at: Timestamp,
}

/// Writes dead letters. Burying a job again overwrites its row, so it may be tried until it is
/// known to have worked. A row that was replayed or discarded meanwhile stays as it is.
pub async fn bury(db: &impl ConnectionTrait, burials: &[Burial<'_>]) -> Result<(), DbErr> {
    let mut burials: Vec<&Burial<'_>> = burials.iter().collect();
    // One statement may not write a row twice.
    burials.sort_by_key(|burial| (burial.lease.id, Reverse(burial.lease.replay)));
    burials.dedup_by_key(|burial| burial.lease.id);
    for chunk in burials.chunks(CHUNK) {
        let before = attempts_before(db, chunk).await?;
        let rows = chunk.iter().map(|burial| row(burial, &before));
        Entity::insert_many(rows)
            .on_conflict(over_older())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

fn over_older() -> OnConflict {
    let mut again = OnConflict::column(Column::Id);
    again.update_columns([
        Column::Payload,
        Column::Attempts,
        Column::Errors,
        Column::Reason,
        Column::State,
        Column::EnqueuedAt,
        Column::DiedAt,
        Column::PushOwedSince,
    ]);
    again.value(
        Column::Replay,
        Expr::cust(
            "CASE WHEN excluded.replay > dead_letters.replay \
             THEN excluded.replay ELSE dead_letters.replay END",
        ),
    );
    again.action_and_where(Expr::cust(format!(
        "(excluded.replay > dead_letters.replay \
          OR (excluded.replay = dead_letters.replay AND dead_letters.state <> 'discarded') OR {ANEW})"
    )));
    again
}

/// What failed before those of these jobs were replayed that were: the row goes on telling of it.
async fn attempts_before(
    db: &impl ConnectionTrait,
    burials: &[&Burial<'_>],
) -> Result<HashMap<Uuid, Vec<Json>>, DbErr> {
    let replayed = |burial: &&&Burial<'_>| burial.lease.replay > 0;
    let ids: Vec<Uuid> = burials
        .iter()
        .filter(replayed)
        .map(|burial| burial.lease.id)
        .collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(Uuid, Json)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Errors])
        .filter(Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await?;
    let attempts = |(id, errors)| match errors {
        Json::Array(attempts) => (id, attempts),
        _ => (id, Vec::new()),
    };
    Ok(found.into_iter().map(attempts).collect())
}

fn row(burial: &Burial<'_>, before: &HashMap<Uuid, Vec<Json>>) -> ActiveModel {
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let errors = attempts(burial, before.get(&burial.lease.id));
    ActiveModel {
        id: Set(burial.lease.id),
        queue: Set(burial.queue.to_owned()),
        payload: Set(burial.payload.to_vec()),
        attempts: Set(number(errors.len())),
        errors: Set(errors.into()),
        reason: Set(burial.reason.replace('\0', "\u{fffd}")),
        trace_id: Set(burial.trace_id.clone()),
        state: Set(DEAD.to_owned()),
        replay: Set(number(burial.lease.replay as usize)),
        enqueued_at: Set(burial.enqueued_at),
        died_at: Set(burial.died_at),
        push_owed_since: Set(None),
        decided_at: Set(None),
        decided_by: Set(None),
    }
}

/// Every failed attempt, oldest first; those of a replay say which one.
fn attempts(burial: &Burial<'_>, before: Option<&Vec<Json>>) -> Vec<Json> {
    let replay = burial.lease.replay;
    let earlier = |attempt: &&Json| attempt["replay"].as_u64().unwrap_or(0) < u64::from(replay);
    let mut attempts: Vec<Json> = before
        .into_iter()
        .flatten()
        .filter(earlier)
        .cloned()
        .collect();
    attempts.extend(burial.failed.iter().map(|failed| {
        let mut attempt = json!(failed);
        if replay > 0 {
            attempt["replay"] = replay.into();
        }
        attempt
    }));
    let surplus = attempts.len().saturating_sub(ATTEMPTS);
    attempts.drain(..surplus);
    attempts
}

/// Which of these jobs, each with when it was pushed, are not to be run: they are dead letters under the number that they were
/// replayed under, or were left over from before they were replayed or discarded.
pub async fn buried(
    db: &impl ConnectionTrait,
    jobs: &[(Lease, Timestamp)],
) -> Result<HashSet<Lease>, DbErr> {
    let rows: Vec<(Uuid, i32, String, Timestamp)> = Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::Replay,
            Column::State,
            Column::EnqueuedAt,
        ])
        .filter(Column::Id.is_in(jobs.iter().map(|(lease, _)| lease.id)))
        .into_tuple()
        .all(db)
        .await?;
    let rows: HashMap<Uuid, _> = rows.into_iter().map(|row| (row.0, row)).collect();
    let is_dead = |(lease, enqueued_at): &&(Lease, Timestamp)| {
        rows.get(&lease.id).is_some_and(|(_, replay, state, at)| {
            let (of_row, own) = (replay.unsigned_abs(), lease.replay);
            let anew = own == 0 && enqueued_at > at;
            !anew && (own < of_row || (own == of_row && state != REPLAYED))
        })
    };
    let leases = jobs.iter().filter(is_dead).map(|(lease, _)| *lease);
    Ok(leases.collect())
}
