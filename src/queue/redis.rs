//! The queue in Redis: for each queue a stream with a consumer group, and these keys beside it.
//!
//! ```text
//! PREFIX:{QUEUE}:stream      ready jobs, and those in flight (pending in the group `workers`)
//!               :delayed     sorted set of delayed jobs, by when they are due
//!               :ids         IDs of `named` jobs, which must not be queued twice
//!               :replays     the number of the last replay of each that was replayed
//!               :consumers   sorted set of consumers, by the time of their heartbeat
//!               :about       what each reported with its heartbeat, as JSON
//!               :turn        held by the consumer that searches for expired leases
//!               :paused      when the queue was paused; absent while it is not
//!               :ticks       the last claimed tick of each schedule
//!               :pulse       when a consumer last sent a heartbeat
//!               :grace       exists after Redis was away: no job is taken over yet
//!               :latest      the latest time seen: an earlier one means that the clock went back
//!               :epoch       a random ID, lost with everything else when the server loses its data
//! ```
//!
//! A job is in flight while its entry is pending: the group records its consumer, since when, and how often it was
//! delivered. A job that was given back is pending with the consumer `:ready`, or `:suspect` if it may run only
//! alone. All times are by the server's clock. What must be atomic is one script (`redis/*.lua`, each after
//! `prelude.lua`).

mod answers;
mod call;
mod entry;
mod search;
mod tick;

use async_trait::async_trait;
use futures::future::try_join_all;
use redis::aio::ConnectionManager;
use redis::{RedisError, Value, pipe};
use uuid::Uuid;

use super::about::{WorkerInfo, WorkerStatus};
use super::store::{
    Answer, CONSUMER_GONE, Capacity, Delivery, Depth, LEASE, Lease, NewJob, QueueError, QueueStore,
    Queued, RECLAIM_EVERY, Reclaimed, SUSPECT_AFTER, SUSPECT_BATCH_DIVISOR, Schedule,
};
use super::wakeups::Wakeups;
use crate::redis::{Memory, Redis, scripts};
use crate::time::{Clock, Timestamp, millis};
use answers::with_deliveries;
use entry::{entries_of, number_and_jobs, written};

/// The most jobs, answers or leases in one script call.
const CHUNK: usize = 200;
/// The most entries that one script call removes.
const REMOVED_AT_ONCE: usize = 1000;
/// Jobs that are read first, to learn their size; the rest are assumed to be as large.
const READ_FIRST: usize = 256;
/// The most delayed jobs that a fetch makes ready as well.
const PROMOTED_BY_FETCH: usize = 500;
/// If no heartbeat arrived for this long, Redis was unreachable.
const SILENCE_MS: i64 = 5000;
/// The name of the consumer group.
const GROUP: &str = "workers";

// These scripts may run when Redis' memory is full: they add little, and without them no job could be removed.
scripts! {
    "flags=allow-oom", "redis/prelude.lua";
    PUSH: "redis/push.lua",
    READY: "redis/ready.lua",
    RECLAIM: "redis/reclaim.lua",
    TURN: "redis/turn.lua",
    REMOVE: "redis/remove.lua",
    REMOVE_NAMED: "redis/remove_named.lua",
    AGAIN: "redis/again.lua",
    BACK: "redis/back.lua",
    EXTEND: "redis/extend.lua",
    PROMOTE: "redis/promote.lua",
    TICK: "redis/tick.lua",
    HEARTBEAT: "redis/heartbeat.lua",
    LEAVE: "redis/leave.lua",
    CONSUMERS: "redis/consumers.lua",
    PAUSE: "redis/pause.lua",
    DEPTH: "redis/depth.lua",
    SEARCH: "redis/search.lua",
    SEARCH_DELAYED: "redis/search_delayed.lua",
}

/// The answer of the depth script.
type Figures = (i64, i64, i64, i64, i64, i64, String);

/// The queue in Redis. Pushes, fetches and answers each have their own connection, so that none waits for another.
#[derive(Clone)]
pub struct RedisQueue {
    prefix: String,
    clock: Clock,
    pushes: ConnectionManager,
    fetches: ConnectionManager,
    answers: ConnectionManager,
    wakeups: Wakeups,
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        Self(error.into())
    }
}

impl RedisQueue {
    /// The queue in this server; `clock` shifts the server's clock in tests.
    ///
    /// # Errors
    /// The server cannot be used.
    pub fn new(redis: &Redis, clock: Clock) -> Result<Self, RedisError> {
        Ok(Self {
            prefix: redis.prefix().to_owned(),
            clock,
            pushes: redis.connection()?,
            fetches: redis.connection()?,
            answers: redis.connection()?,
            wakeups: Wakeups::default(),
        })
    }

    /// Pushes jobs that are `named` or delayed, with a script.
    async fn push_with_care(&self, queue: &str, jobs: &[&NewJob]) -> Result<(), QueueError> {
        for chunk in jobs.chunks(CHUNK) {
            let call = chunk.iter().fold(self.call(&PUSH, queue), |call, job| {
                call.arg(millis(job.delay))
                    .arg(i32::from(job.named))
                    .arg(written(job))
            });
            call.on::<()>(&self.pushes).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl QueueStore for RedisQueue {
    async fn push(&self, jobs: &[NewJob]) -> Result<(), QueueError> {
        let shifted = self.shift() != 0;
        let mut plain = pipe();
        let mut careful: Vec<&NewJob> = Vec::new();
        let (mut queue, mut stream) = ("", String::new());
        for job in jobs {
            if job.named || shifted || !job.delay.is_zero() {
                careful.push(job);
                continue;
            }
            if job.queue != queue {
                (queue, stream) = (job.queue, self.stream(job.queue));
            }
            let add = plain.cmd("XADD").arg(&stream).arg("*");
            add.arg("j").arg(written(job)).ignore();
        }
        if !plain.is_empty() {
            plain.exec_async(&mut self.pushes.clone()).await?;
        }
        let queues = careful.chunk_by(|a, b| a.queue == b.queue);
        try_join_all(queues.map(|jobs| self.push_with_care(jobs[0].queue, jobs))).await?;
        self.wakeups.notify_of(jobs);
        Ok(())
    }

    async fn fetch(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
    ) -> Result<Vec<Delivery>, QueueError> {
        let look = self.call(&READY, queue).arg(SILENCE_MS).arg(millis(LEASE));
        let some = room.jobs.min(READ_FIRST);
        let look = look.arg(consumer).arg(some).arg(PROMOTED_BY_FETCH);
        let (go_on, mut jobs) = number_and_jobs(look.on(&self.fetches).await?);
        let mut left = room.without(&jobs);
        while go_on && !left.is_none() {
            let some = left.jobs.min(left.fits(&jobs).unwrap_or(READ_FIRST));
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg(GROUP).arg(consumer);
            read.arg("COUNT").arg(some);
            read.arg("STREAMS").arg(self.stream(queue)).arg(">");
            let read: Result<Value, RedisError> = read.query_async(&mut self.fetches.clone()).await;
            let read = match read {
                Ok(read) => read,
                // The entries read before are leased already, so they are returned.
                Err(_) if !jobs.is_empty() => break,
                Err(error) => return Err(error.into()),
            };
            let entries = entries_of(read);
            let read: Vec<Delivery> = entries.filter_map(|parts| parts.into_delivery(1)).collect();
            left = left.without(&read);
            let is_all = read.len() < some;
            jobs.extend(read);
            if is_all {
                break;
            }
        }
        Ok(jobs)
    }

    // The search reads every pending entry of the group.
    async fn is_turn_to_reclaim(&self, queue: &str) -> Result<bool, QueueError> {
        let call = self.call(&TURN, queue).arg(millis(RECLAIM_EVERY));
        let is_turn: i64 = call.on(&self.fetches).await?;
        Ok(is_turn != 0)
    }

    async fn reclaim(
        &self,
        queue: &str,
        consumer: &str,
        room: Capacity,
        alone: bool,
    ) -> Result<Reclaimed, QueueError> {
        let limit = room.jobs.min(READ_FIRST);
        let call = self
            .call(&RECLAIM, queue)
            .arg(SILENCE_MS)
            .arg(millis(LEASE));
        let call = call
            .arg(consumer)
            .arg(limit)
            .arg(limit.div_ceil(SUSPECT_BATCH_DIVISOR));
        let call = call.arg(SUSPECT_AFTER).arg(i32::from(alone));
        let (suspects_wait, jobs) = number_and_jobs(call.on(&self.fetches).await?);
        Ok(Reclaimed {
            jobs,
            suspects_wait: suspects_wait && !alone,
        })
    }

    async fn settle(
        &self,
        queue: &str,
        consumer: &str,
        answers: &[(Lease, Answer)],
    ) -> Result<(), QueueError> {
        let (mut removed, mut again, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for (lease, answer) in answers {
            match answer {
                Answer::Remove => removed.push(*lease),
                Answer::Again { delay, failed } => again.push((*lease, millis(*delay), failed)),
                Answer::GiveBack => back.push(*lease),
            }
        }
        self.remove(queue, &removed).await?;
        self.run_again(queue, consumer, &again).await?;
        self.give_back(queue, consumer, &back).await
    }

    async fn extend(
        &self,
        queue: &str,
        consumer: &str,
        leases: &[Lease],
    ) -> Result<Vec<Uuid>, QueueError> {
        let mut held = Vec::with_capacity(leases.len());
        for chunk in leases.chunks(CHUNK) {
            let call = with_deliveries(self.call(&EXTEND, queue).arg(consumer), chunk);
            let positions: Vec<usize> = call.on(&self.answers).await?;
            let ids = positions.iter().filter_map(|at| chunk.get(at - 1));
            held.extend(ids.map(|lease| lease.id));
        }
        Ok(held)
    }

    async fn promote(&self, queue: &str, limit: usize) -> Result<usize, QueueError> {
        let call = self.call(&PROMOTE, queue).arg(SILENCE_MS);
        let call = call.arg(millis(LEASE)).arg(limit);
        Ok(call.on(&self.fetches).await?)
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
        let call = self.call(&HEARTBEAT, queue).arg(consumer);
        let call = call.arg(millis(CONSUMER_GONE)).arg(about.written());
        Ok(call.on(&self.answers).await?)
    }

    async fn leave(&self, queue: &str, consumer: &str) -> Result<(), QueueError> {
        Ok(self
            .call(&LEAVE, queue)
            .arg(consumer)
            .on(&self.answers)
            .await?)
    }

    async fn consumers(&self, queue: &str) -> Result<Vec<WorkerStatus>, QueueError> {
        let call = self.call(&CONSUMERS, queue).arg(millis(CONSUMER_GONE));
        let found: Vec<(String, i64, Option<String>)> = call.on(&self.answers).await?;
        let mut known: Vec<WorkerStatus> = found
            .into_iter()
            .map(|(name, age, about)| WorkerStatus::read(name, age, about.as_deref()))
            .collect();
        known.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(known)
    }

    async fn depth(&self, queue: &str) -> Result<Depth, QueueError> {
        let call = self.call(&DEPTH, queue).arg(millis(CONSUMER_GONE));
        let epoch = Uuid::from_u128(rand::random()).simple().to_string();
        let figures: Figures = call.arg(epoch).on(&self.answers).await?;
        let (ready, delayed, in_flight, oldest, workers, paused, epoch) = figures;
        Ok(Depth {
            ready: ready.unsigned_abs(),
            delayed: delayed.unsigned_abs(),
            in_flight: in_flight.unsigned_abs(),
            oldest_age_ms: u64::try_from(oldest).ok(),
            workers: workers.unsigned_abs(),
            paused: paused != 0,
            paused_since: (paused != 0).then_some(Timestamp(paused)),
            epoch: Uuid::try_parse(&epoch).ok(),
        })
    }

    async fn now(&self) -> Result<Timestamp, QueueError> {
        let mut connection = self.answers.clone();
        let (secs, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut connection).await?;
        Ok(self.clock.of_store(Timestamp(secs * 1000 + micros / 1000)))
    }

    /// Fails, as a push does, if Redis' memory is full.
    async fn takes(&self) -> Result<(), QueueError> {
        let mut set = redis::cmd("SET");
        set.arg(format!("{}:probe", self.prefix))
            .arg(1)
            .arg("EX")
            .arg(60);
        Ok(set.exec_async(&mut self.pushes.clone()).await?)
    }

    fn is_asked_dearly(&self) -> bool {
        true
    }

    async fn memory(&self) -> Result<Option<Memory>, QueueError> {
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        let said: String = info.query_async(&mut self.answers.clone()).await?;
        Ok(Memory::of(&said))
    }

    async fn search(
        &self,
        queue: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, QueueError> {
        Ok(self.find(queue, text, limit).await?)
    }

    fn can_lose(&self) -> bool {
        true
    }

    async fn paused(
        &self,
        queues: &[&'static str],
    ) -> Result<Vec<(&'static str, Timestamp)>, QueueError> {
        let mut get = redis::pipe();
        for queue in queues {
            get.get(self.paused_key(queue));
        }
        let since: Vec<Option<i64>> = get.query_async(&mut self.answers.clone()).await?;
        let paused = queues.iter().zip(since);
        let paused = paused.filter_map(|(queue, since)| Some((*queue, Timestamp(since?))));
        Ok(paused.collect())
    }

    async fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError> {
        let call = self.call(&PAUSE, queue).arg(i32::from(paused));
        call.on::<()>(&self.answers).await?;
        self.wakeups.notify(queue);
        Ok(())
    }

    async fn pushed(&self, queue: &str) {
        self.wakeups.wait(queue).await;
    }
}
