//! The queue in the `jobs` table: one driver for SQLite and PostgreSQL.
//!
//! A job is one row: ready or delayed while `lease_until` is null, in flight otherwise. On PostgreSQL a consumer
//! skips rows that another is leasing (`SKIP LOCKED`); SQLite has one writer. All times are by the database's
//! clock, so that the processes' clocks do not matter.

mod lease;
mod outlook;
mod paused;
mod pusher;
mod read;
mod search;
mod tick;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::about::{WorkerInfo, WorkerStatus};
use super::store::{
    Answer, CONSUMER_GONE, Capacity, Delivery, Depth, LEASE, Lease, NewJob, QueueError, QueueStore,
    Queued, Reclaimed, SUSPECT_AFTER, SUSPECT_BATCH_DIVISOR, Schedule,
};
use super::wakeups::Wakeups;
use crate::store::Db;
use crate::store::rows::{Rows, statement};
use crate::time::{Clock, Timestamp, millis};
use lease::{IS_NOT_PAUSED, STILL_HELD, rows_of, weighed};
pub use outlook::{Outlook, outlook};
use pusher::Pushers;
use read::known;

/// The queue in a database.
#[derive(Clone, Debug)]
pub struct SqlQueue {
    db: Db,
    clock: Clock,
    pushers: Pushers,
    wakeups: Wakeups,
}

impl From<DbErr> for QueueError {
    fn from(error: DbErr) -> Self {
        Self(error.into())
    }
}

impl SqlQueue {
    /// The queue in `db`; `clock` shifts the database's clock in tests. Call it on a Tokio runtime.
    #[must_use]
    pub fn new(db: Db, clock: Clock) -> Self {
        Self {
            pushers: Pushers::start(&db, &clock),
            db,
            clock,
            wakeups: Wakeups::default(),
        }
    }

    /// Ends every lease at once. Only for a process that runs alone on this database, when it starts.
    ///
    /// # Errors
    /// The database did not do it.
    pub async fn take_back_all(&self) -> Result<(), DbErr> {
        self.execute(
            "UPDATE jobs SET lease_until = {now} WHERE lease_until IS NOT NULL",
            [],
        )
        .await
    }

    fn at_store(&self, sql: &str) -> String {
        self.clock.in_sql(sql)
    }

    async fn execute<const N: usize>(&self, sql: &str, values: [Value; N]) -> Result<(), DbErr> {
        let sql = statement(self.db.backend(), &self.at_store(sql), values);
        self.db.write().execute_raw(sql).await.map(drop)
    }

    async fn execute_over(
        &self,
        sql: &str,
        rows: Rows,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let sql = rows.statement(self.db.backend(), &self.at_store(sql), values);
        self.db.write().query_all_raw(sql).await
    }
}

fn count(n: usize) -> Value {
    Value::from(i64::try_from(n).unwrap_or(i64::MAX))
}

/// The figures of a queue without workers.
const PROBE: &str = "probe";

#[async_trait]
impl QueueStore for SqlQueue {
    // Rolled back, so that no worker sees the job.
    async fn takes(&self) -> Result<(), QueueError> {
        let tx = self.db.begin().await?;
        let sql = "INSERT INTO jobs (id, queue, payload, run_at, enqueued_at) \
                   VALUES ($1, $2, $3, {now}, {now})";
        let payload = String::new();
        let values = [Value::from(Uuid::now_v7()), PROBE.into(), payload.into()];
        tx.execute_raw(statement(self.db.backend(), sql, values))
            .await?;
        Ok(tx.rollback().await?)
    }

    async fn push(&self, jobs: &[NewJob]) -> Result<(), QueueError> {
        self.pushers.push(jobs.to_vec()).await?;
        self.wakeups.notify_of(jobs);
        Ok(())
    }

    async fn fetch(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
    ) -> Result<Vec<Delivery>, QueueError> {
        // In a subquery, because PostgreSQL uses the index only up to a constant, not up to clock_timestamp().
        let pick = weighed(
            "queue = $3 AND lease_until IS NULL AND run_at <= (SELECT {now})",
            "run_at, id",
        );
        let values = [Value::from(queue), count(room.jobs), count(room.bytes)];
        self.lease(&pick, consumer, values).await
    }

    async fn reclaim(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
        alone: bool,
    ) -> Result<Reclaimed, QueueError> {
        let is_expired = |deliveries: &str| {
            format!("queue = $3 AND lease_until <= (SELECT {{now}}) AND deliveries {deliveries}")
        };
        let expired = |deliveries: &str| weighed(&is_expired(deliveries), "lease_until, id");
        let values = |room: Capacity| [Value::from(queue), count(room.jobs), count(room.bytes)];
        let suspects = format!(">= {SUSPECT_AFTER}");
        let mut found = Reclaimed::default();
        if alone {
            let one = values(Capacity::jobs(1));
            found.jobs = self.lease(&expired(&suspects), consumer, one).await?;
            if !found.jobs.is_empty() {
                return Ok(found);
            }
        } else {
            let sql = format!(
                "SELECT 1 FROM jobs WHERE {} AND {IS_NOT_PAUSED} LIMIT 1",
                is_expired(&suspects)
            );
            let sql = statement(
                self.db.backend(),
                &self.at_store(&sql.replace("$3", "$1")),
                [Value::from(queue)],
            );
            found.suspects_wait = self.db.read().query_one_raw(sql).await?.is_some();
        }
        let next = SUSPECT_AFTER - 1;
        found.jobs = self
            .lease(&expired(&format!("< {next}")), consumer, values(room))
            .await?;
        let mut few = room.without(&found.jobs);
        few.jobs = few.jobs.min(room.jobs.div_ceil(SUSPECT_BATCH_DIVISOR));
        if !few.is_none() {
            let wary = self
                .lease(&expired(&format!("= {next}")), consumer, values(few))
                .await?;
            found.jobs.extend(wary);
        }
        Ok(found)
    }

    async fn settle(
        &self,
        _queue: &str,
        consumer: &str,
        answers: &[(Lease, Answer)],
    ) -> Result<(), QueueError> {
        let (mut removed, mut again, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for (lease, answer) in answers {
            match answer {
                Answer::Remove => removed.push(*lease),
                Answer::Again { delay, failed } => again.push((*lease, *delay, failed)),
                Answer::GiveBack => back.push(*lease),
            }
        }
        if !removed.is_empty() {
            let sql = "DELETE FROM jobs WHERE (id, replay) IN (SELECT r.id, r.replay FROM {rows})";
            self.execute_over(sql, rows_of(&removed), []).await?;
        }
        if !again.is_empty() {
            let leases: Vec<Lease> = again.iter().map(|(lease, ..)| *lease).collect();
            let errors = again.iter().map(|(_, _, failed)| {
                let text = serde_json::to_string(failed).unwrap_or_default();
                (!failed.is_empty()).then_some(text)
            });
            let attempts = again.iter().map(|(_, _, failed)| failed.len() as i64);
            let rows = rows_of(&leases)
                .int("delay", again.iter().map(|(_, delay, _)| millis(*delay)))
                .int("attempt", attempts)
                .text_or_null("errors", errors);
            let sql = format!(
                "UPDATE jobs SET lease_owner = NULL, lease_until = NULL, deliveries = 0, \
                     put_off = TRUE, run_at = {{now}} + r.delay, attempt = r.attempt, errors = r.errors \
                 FROM {{rows}} WHERE {STILL_HELD}"
            );
            self.execute_over(&sql, rows, [Value::from(consumer)])
                .await?;
        }
        if !back.is_empty() {
            // A suspect that is given back keeps an expired lease, so that no worker fetches it beside others.
            let sql = format!(
                "UPDATE jobs SET lease_owner = NULL, deliveries = jobs.deliveries - 1, \
                     lease_until = CASE WHEN jobs.deliveries > {SUSPECT_AFTER} THEN {{now}} END \
                 FROM {{rows}} WHERE {STILL_HELD}"
            );
            self.execute_over(&sql, rows_of(&back), [Value::from(consumer)])
                .await?;
        }
        Ok(())
    }

    async fn extend(
        &self,
        _queue: &str,
        consumer: &str,
        leases: &[Lease],
    ) -> Result<Vec<Uuid>, QueueError> {
        let sql = format!(
            "UPDATE jobs SET lease_until = {{now}} + $2 FROM {{rows}} WHERE {STILL_HELD} \
             RETURNING jobs.id"
        );
        let values = [Value::from(consumer), Value::from(millis(LEASE))];
        let held = self.execute_over(&sql, rows_of(leases), values).await?;
        let ids = held.iter().map(|row| row.try_get("", "id"));
        Ok(ids.collect::<Result<_, DbErr>>()?)
    }

    /// Does nothing: fetching finds delayed jobs by their time.
    async fn promote(&self, _queue: &str, _limit: usize) -> Result<usize, QueueError> {
        Ok(0)
    }

    async fn tick(
        &self,
        queue: &'static str,
        jobs: &[(Schedule, String)],
    ) -> Result<usize, QueueError> {
        let claimed = self.claim(queue, jobs).await?;
        if claimed > 0 {
            self.wakeups.notify(queue);
        }
        Ok(claimed)
    }

    async fn heartbeat(
        &self,
        queue: &str,
        consumer: &str,
        about: &WorkerInfo,
    ) -> Result<(), QueueError> {
        let beat = "INSERT INTO consumers (queue, consumer, seen_at, about) \
                    VALUES ($1, $2, {now}, $3{json}) ON CONFLICT (queue, consumer) \
                    DO UPDATE SET seen_at = excluded.seen_at, about = excluded.about";
        let values = [queue.into(), consumer.into(), about.written().into()];
        self.execute(beat, values).await?;
        let gone = "DELETE FROM consumers WHERE seen_at < {now} - $1";
        Ok(self
            .execute(gone, [Value::from(millis(CONSUMER_GONE))])
            .await?)
    }

    async fn leave(&self, queue: &str, consumer: &str) -> Result<(), QueueError> {
        let leave = "DELETE FROM consumers WHERE queue = $1 AND consumer = $2";
        Ok(self.execute(leave, [queue.into(), consumer.into()]).await?)
    }

    async fn consumers(&self, queue: &str) -> Result<Vec<WorkerStatus>, QueueError> {
        let sql = "SELECT consumer, CAST(about AS text) AS about, clock.at - seen_at AS age \
                   FROM consumers, (SELECT {now} AS at) AS clock \
                   WHERE queue = $1 AND seen_at >= clock.at - $2 ORDER BY consumer";
        let values = [Value::from(queue), Value::from(millis(CONSUMER_GONE))];
        let sql = statement(self.db.backend(), &self.at_store(sql), values);
        let rows = self.db.read().query_all_raw(sql).await?;
        Ok(rows.iter().map(known).collect::<Result<_, DbErr>>()?)
    }

    async fn depth(&self, queue: &str) -> Result<Depth, QueueError> {
        // The clock is read once; otherwise a job could become due between two of the counts.
        let sql = "SELECT \
            (SELECT count(*) FROM jobs WHERE queue = $1 AND lease_until IS NULL AND run_at <= clock.at) AS ready, \
            (SELECT count(*) FROM jobs WHERE queue = $1 AND lease_until IS NULL AND run_at > clock.at) AS waiting, \
            (SELECT count(*) FROM jobs WHERE queue = $1 AND lease_until IS NOT NULL) AS held, \
            (SELECT clock.at - min(run_at) FROM jobs WHERE queue = $1 AND lease_until IS NULL AND run_at <= clock.at) AS oldest, \
            (SELECT count(*) FROM consumers WHERE queue = $1 AND seen_at >= clock.at - $2) AS workers, \
            (SELECT paused_at FROM paused_queues WHERE queue = $1) AS paused \
            FROM (SELECT {now} AS at) AS clock";
        let values = [Value::from(queue), Value::from(millis(CONSUMER_GONE))];
        let sql = statement(self.db.backend(), &self.at_store(sql), values);
        let row = self.db.read().query_one_raw(sql).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("a row of counts".to_owned()))?;
        let number = |name: &str| -> Result<u64, DbErr> {
            let number: i64 = row.try_get("", name)?;
            Ok(number.unsigned_abs())
        };
        let oldest: Option<i64> = row.try_get("", "oldest")?;
        let paused_since: Option<Timestamp> = row.try_get("", "paused")?;
        Ok(Depth {
            ready: number("ready")?,
            delayed: number("waiting")?,
            in_flight: number("held")?,
            oldest_age_ms: oldest.map(|age| age.max(0).unsigned_abs()),
            workers: number("workers")?,
            paused: paused_since.is_some(),
            paused_since,
            epoch: None,
        })
    }

    async fn now(&self) -> Result<Timestamp, QueueError> {
        let sql = statement(self.db.backend(), &self.at_store("SELECT {now} AS now"), []);
        let row = self.db.read().query_one_raw(sql).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the time".to_owned()))?;
        Ok(Timestamp(row.try_get("", "now")?))
    }

    async fn search(
        &self,
        queue: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, QueueError> {
        Ok(self.find(queue, text, limit).await?)
    }

    async fn paused(
        &self,
        queues: &[&'static str],
    ) -> Result<Vec<(&'static str, Timestamp)>, QueueError> {
        Ok(paused::find(self.db.read(), queues).await?)
    }

    async fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError> {
        let sql = if paused {
            "INSERT INTO paused_queues (queue, paused_at) VALUES ($1, {now}) \
             ON CONFLICT (queue) DO NOTHING"
        } else {
            "DELETE FROM paused_queues WHERE queue = $1"
        };
        self.execute(sql, [Value::from(queue)]).await?;
        self.wakeups.notify(queue);
        Ok(())
    }

    async fn pushed(&self, queue: &str) {
        self.wakeups.wait(queue).await;
    }
}
