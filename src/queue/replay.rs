//! Pushing what was replayed: the job as it is in its dead letter, under its own id and the number of
//! the replay. So it may be pushed again as long as nobody knows whether it was.

use std::time::Duration;

use sea_orm::DbErr;

use super::Queues;
use super::store::{NewJob, QueueError};
use crate::entity::dead_letters::Model;
use crate::jobs::QUEUES;
use crate::store::Db;
use crate::store::dead_letters::{as_text, pushed};

/// Why it is not known that replays were pushed. They are owed still.
#[derive(Debug, thiserror::Error)]
pub enum Unpushed {
    /// The queue did not confirm them.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The database did not note that they were pushed.
    #[error(transparent)]
    Store(#[from] DbErr),
}

/// The name of the letter's queue, and its payload as text, if the queue can carry it.
#[must_use]
pub fn can_be_pushed<'a>(queue: &str, payload: &'a [u8]) -> Option<(&'static str, &'a str)> {
    let queue = QUEUES.into_iter().find(|name| *name == queue)?;
    Some((queue, as_text(payload)?))
}

/// Pushes the jobs of letters that were replayed, and notes that their push is owed no more.
///
/// # Errors
/// See [`Unpushed`]; they may have been pushed all the same.
pub async fn push(queues: &Queues, db: &Db, letters: &[Model]) -> Result<(), Unpushed> {
    let mut jobs: Vec<NewJob> = letters.iter().filter_map(job).collect();
    jobs.sort_by_key(|job| (job.queue, job.id));
    if !jobs.is_empty() {
        queues.store().push(&jobs).await?;
    }
    if !letters.is_empty() {
        pushed(db.write(), letters).await?;
    }
    Ok(())
}

fn job(letter: &Model) -> Option<NewJob> {
    let (queue, payload) = can_be_pushed(&letter.queue, &letter.payload)?;
    Some(NewJob {
        queue,
        id: letter.id,
        named: true,
        payload: payload.to_owned(),
        delay: Duration::ZERO,
        trace_id: letter.trace_id.clone(),
        replay: letter.replay.unsigned_abs(),
    })
}
