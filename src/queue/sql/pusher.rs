//! Batches pushes that wait at the same time into one statement and one commit.

use std::cmp::Reverse;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::queue::store::{NewJob, QueueError};
use crate::store::Db;
use crate::store::error::{Cause, cause};
use crate::store::rows::Rows;
use crate::time::{Clock, millis};

/// The most pushes in one batch.
const TOGETHER: usize = 64;
/// The most pushes in the channel; further callers wait for room in it.
const WAITING: usize = 1024;
/// Concurrent statements on PostgreSQL. SQLite has one writer.
const PUSHERS: usize = 2;

/// A row with the ID of a replay and a lower number is left over: its process wrote the dead letter and died before
/// it removed the row. The replay replaces it; a worker that still holds it loses its lease.
const REPLACE_OLDER: &str = "UPDATE SET queue = excluded.queue, payload = excluded.payload, \
     trace_id = excluded.trace_id, run_at = excluded.run_at, enqueued_at = excluded.enqueued_at, \
     replay = excluded.replay, attempt = 0, errors = NULL, deliveries = 0, put_off = FALSE, \
     lease_owner = NULL, lease_until = NULL \
     WHERE jobs.replay < excluded.replay";

struct Pending {
    jobs: Vec<NewJob>,
    answer: oneshot::Sender<Result<(), QueueError>>,
}

/// Sends pushes to the tasks that write them.
#[derive(Clone, Debug)]
pub(super) struct Pushers {
    queue: mpsc::Sender<Pending>,
}

impl Pushers {
    /// Starts the tasks. They end when the last `Pushers` is dropped.
    pub(super) fn start(db: &Db, clock: &Clock) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let pushers = match db.backend() {
            DbBackend::Postgres => PUSHERS,
            _ => 1,
        };
        for _ in 0..pushers {
            let pusher = Pusher {
                db: db.clone(),
                clock: clock.clone(),
            };
            tokio::spawn(pusher.run(Arc::clone(&waiting)));
        }
        Self { queue }
    }

    /// Returns when the jobs are committed.
    pub(super) async fn push(&self, jobs: Vec<NewJob>) -> Result<(), QueueError> {
        let ended = || QueueError("the process is stopping".into());
        let (answer, answered) = oneshot::channel();
        let pending = Pending { jobs, answer };
        self.queue.send(pending).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

struct Pusher {
    db: Db,
    clock: Clock,
}

impl Pusher {
    async fn run(self, waiting: Arc<Mutex<mpsc::Receiver<Pending>>>) {
        let mut batch = Vec::with_capacity(TOGETHER);
        while waiting.lock().await.recv_many(&mut batch, TOGETHER).await > 0 {
            self.pass(std::mem::take(&mut batch)).await;
        }
    }

    /// If the database refuses the data of a batch, each push is written alone, so that only the bad one fails.
    async fn pass(&self, batch: Vec<Pending>) {
        let together = self
            .insert(batch.iter().flat_map(|pending| &pending.jobs))
            .await;
        let alone = batch.len() > 1
            && together
                .as_ref()
                .is_err_and(|error| cause(error) == Cause::Data);
        for pending in batch {
            let result = if alone {
                self.insert(pending.jobs.iter()).await
            } else {
                together.clone()
            };
            // Fails if the caller was dropped; its jobs are queued anyway.
            let _ = pending.answer.send(result.map_err(QueueError::from));
        }
    }

    async fn insert<'a>(
        &self,
        jobs: impl Iterator<Item = &'a NewJob> + Clone,
    ) -> Result<(), DbErr> {
        let (mut replays, new): (Vec<_>, Vec<_>) = jobs.partition(|job| job.replay > 0);
        if !replays.is_empty() {
            // One statement cannot replace a row twice: of each ID only the newest replay is pushed.
            replays.sort_by_key(|job| (job.id, Reverse(job.replay)));
            replays.dedup_by_key(|job| job.id);
            self.insert_some(&replays, REPLACE_OLDER).await?;
        }
        if !new.is_empty() {
            self.insert_some(&new, "NOTHING").await?;
        }
        Ok(())
    }

    async fn insert_some(&self, jobs: &[&NewJob], on_conflict: &str) -> Result<(), DbErr> {
        let jobs = jobs.iter();
        let rows = Rows::new()
            .uuid("id", jobs.clone().map(|job| job.id))
            .text("queue", jobs.clone().map(|job| job.queue.to_owned()))
            .text("payload", jobs.clone().map(|job| job.payload.clone()))
            .int("delay", jobs.clone().map(|job| millis(job.delay)))
            .text_or_null("trace_id", jobs.clone().map(|job| job.trace_id.clone()))
            .int("replay", jobs.map(|job| i64::from(job.replay)));
        // Sorted, so that concurrent pushes of the same IDs wait for each other instead of deadlocking.
        let sql = format!(
            "INSERT INTO jobs (id, queue, payload, trace_id, run_at, enqueued_at, replay) \
             SELECT r.id, r.queue, r.payload, r.trace_id, {{now}} + r.delay, {{now}}, r.replay \
             FROM {{rows}} WHERE true ORDER BY r.id ON CONFLICT (id) DO {on_conflict}"
        );
        let sql = rows.statement(self.db.backend(), &self.clock.in_sql(&sql), []);
        self.db.write().execute_raw(sql).await.map(drop)
    }
}
