//! The counter in Redis: one sorted set for each anomaly, `PREFIX:count:UNIT:KEY`. A member is an id
//! that is counted (16 bytes), its score the milliseconds at which it occurred.
//!
//! The rows are the truth. A set is trusted only while it holds the mark of the present epoch, which
//! is the server's run: a member with the score -inf. Any other is built from the rows when it is
//! asked for. Whoever builds empties the set first, then reads the rows, and writes the mark last, if
//! the set was not emptied again meanwhile. What is counted beside that is added in any case: what is
//! committed before the rows are read is in them, what is committed later is added after the set was
//! emptied. So none is lost, whatever the order.
//!
//! The queue is in the same server, and nowhere else. So no set is built while more of the server's
//! memory is used than `counter.memory` allows: what has no set is counted from the rows. Recount
//! drops the quietest sets then, until less is used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::try_join_all;
use redis::RedisError;
use redis::aio::ConnectionManager;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{Counter, CounterError, Dropped};
use crate::domain::aggregation::Unit;
use crate::domain::frequency::{COUNTED_AT_MOST, Counted, Counts, Window};
use crate::redis::{Memory, Redis, scripts};
use crate::store::{Db, occurrences, tallies};
use crate::time::{Timestamp, millis};

/// How long a set lives after it was built, in milliseconds; then it is built again, or was
/// forgotten.
const LIVES_MS: i64 = 31 * 86_400_000;
/// How long members are kept: longer than the longest window, as clocks differ.
const KEPT: Duration = Duration::from_secs(30 * 86_400 + 3600);
/// Members that one script adds at most, and sets that one reads.
const CHUNK: (usize, usize) = (1000, 100);
/// Sets that are built at once: each reads rows on a connection of its own.
const BUILT_AT_ONCE: usize = 4;
/// How often a set is begun anew because it was emptied while it was built.
const TRIES: usize = 10;

/// How long it is believed how much memory is used.
const LOOKED: Duration = Duration::from_secs(1);
/// Of each so many sets one is dropped at a time, the quietest.
const DROPPED: usize = 5;
/// How often that is done at most before others have their turn: each time walks over all sets.
const ROUNDS: usize = 5;
/// How far below the bound memory is brought, in percent of all.
const BELOW: u64 = 5;

scripts! {
    "flags=allow-oom", "redis/prelude.lua";
    COUNTS: "redis/counts.lua",
    FINISH: "redis/finish.lua",
}

// Where memory is full nothing is added: the queue has no other place, and what is counted has its rows.
scripts! {
    "", "redis/prelude.lua";
    ADD: "redis/add.lua",
    BEGIN: "redis/begin.lua",
}

/// Counts in Redis; reads the rows only to build what Redis does not know.
#[derive(Clone)]
pub struct RedisCounter {
    /// What the sets' keys begin with.
    sets: String,
    connection: ConnectionManager,
    db: Db,
    unit: Unit,
    memory: Arc<Bound>,
}

/// How much of the server's memory may be used when sets are built, in percent, and how it was found.
struct Bound {
    most: u64,
    looked: Mutex<Option<(Instant, bool)>>,
}

impl Bound {
    fn looked(&self) -> MutexGuard<'_, Option<(Instant, bool)>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found lately.
    fn is_reached(&self) -> Option<bool> {
        let looked = *self.looked();
        looked.and_then(|(at, is_reached)| (at.elapsed() < LOOKED).then_some(is_reached))
    }

    fn note(&self, is_reached: bool) {
        *self.looked() = Some((Instant::now(), is_reached));
    }
}

fn is_out_of_memory(error: &RedisError) -> bool {
    error.code() == Some("OOM")
}

impl From<RedisError> for CounterError {
    fn from(error: RedisError) -> Self {
        Self(error.into())
    }
}

impl From<DbErr> for CounterError {
    fn from(error: DbErr) -> Self {
        Self(error.into())
    }
}

impl RedisCounter {
    /// Counts what stands for a `unit`; `db` holds the rows behind it.
    ///
    /// # Errors
    /// The server cannot be used.
    pub fn new(redis: &Redis, db: Db, unit: Unit) -> Result<Self, RedisError> {
        Ok(Self {
            sets: format!("{}:count:{}:", redis.prefix(), unit.name()),
            connection: redis.connection()?,
            db,
            unit,
            memory: Arc::new(Bound {
                most: 100,
                looked: Mutex::default(),
            }),
        })
    }

    /// The same, where no set is built while more than `most` percent of the server's memory are used.
    #[must_use]
    pub fn within(self, most: u64) -> Self {
        let looked = Mutex::default();
        let memory = Arc::new(Bound { most, looked });
        Self { memory, ..self }
    }

    /// How much memory the server uses, where that is bounded.
    async fn look(&self) -> Result<Option<Memory>, CounterError> {
        let mut info = redis::cmd("INFO");
        let said: String = info
            .arg("memory")
            .query_async(&mut self.connection.clone())
            .await?;
        let memory = Memory::of(&said);
        let is_reached = memory.is_some_and(|memory| memory.percent() >= self.memory.most);
        self.memory.note(is_reached);
        Ok(memory)
    }

    /// Whether so much memory is used that no set is built.
    async fn is_full(&self) -> Result<bool, CounterError> {
        match self.memory.is_reached() {
            Some(is_reached) => Ok(is_reached),
            None => {
                self.look().await?;
                Ok(self.memory.is_reached().unwrap_or_default())
            }
        }
    }

    /// Shows `hear` all sets, page by page, each with the seconds since it was last asked for. What `hear`
    /// returns of a page is dropped; with `false` beside it, no further page is shown.
    async fn each_set(
        &self,
        mut hear: impl FnMut(Vec<(String, i64)>) -> (Vec<String>, bool) + Send,
    ) -> Result<(), CounterError> {
        let mut connection = self.connection.clone();
        let (pattern, mut cursor) = (format!("{}*", self.sets), 0_u64);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(CHUNK.0);
            let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await?;
            let mut idle = redis::pipe();
            for key in &keys {
                idle.cmd("OBJECT").arg("IDLETIME").arg(key);
            }
            // Under a policy that counts uses there is none; and a set may be gone by now.
            let idle: Vec<Option<i64>> = match keys.is_empty() {
                true => Vec::new(),
                false => idle
                    .query_async(&mut connection)
                    .await
                    .unwrap_or_else(|_| vec![None; keys.len()]),
            };
            let idle = idle.into_iter().map(Option::unwrap_or_default);
            let (dropped, goes_on) = hear(keys.into_iter().zip(idle).collect());
            if !dropped.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(dropped).exec_async(&mut connection).await?;
            }
            cursor = next;
            if cursor == 0 || !goes_on {
                return Ok(());
            }
        }
    }

    /// Drops the quietest of all sets; returns how many.
    async fn drop_quietest(&self) -> Result<usize, CounterError> {
        let mut idle: Vec<i64> = Vec::new();
        self.each_set(|page| {
            idle.extend(page.into_iter().map(|(_, idle)| idle));
            (Vec::new(), true)
        })
        .await?;
        let most = idle.len().div_ceil(DROPPED);
        if most == 0 {
            return Ok(0);
        }
        let (_, edge, _) = idle.select_nth_unstable_by(most - 1, |a, b| b.cmp(a));
        let (edge, mut dropped) = (*edge, 0);
        self.each_set(|page| {
            let quiet = page.into_iter().filter(|(_, idle)| *idle >= edge);
            let quiet = quiet.map(|(key, _)| key);
            let quiet: Vec<String> = quiet.take(most - dropped).collect();
            dropped += quiet.len();
            (quiet, dropped < most)
        })
        .await?;
        Ok(dropped)
    }

    fn set(&self, key: &str) -> String {
        format!("{}{key}", self.sets)
    }

    async fn add_some(&self, counted: &[&Counted]) -> Result<(), CounterError> {
        let mut of: BTreeMap<&str, Vec<&Counted>> = BTreeMap::new();
        for one in counted {
            of.entry(&one.anomaly_key).or_default().push(one);
        }
        let mut call = ADD.prepare_invoke();
        call.arg(LIVES_MS).arg(millis(KEPT)).arg(COUNTED_AT_MOST);
        for (key, counted) in of {
            call.key(self.set(key)).arg(counted.len());
            for one in counted {
                call.arg(one.occurred_at.0).arg(one.id.as_bytes());
            }
        }
        match call.invoke_async(&mut self.connection.clone()).await {
            Err(error) if is_out_of_memory(&error) => {
                self.memory.note(true);
                // What is not in its set must not be missed there.
                let keys: BTreeSet<String> =
                    counted.iter().map(|one| one.anomaly_key.clone()).collect();
                self.forget(&keys.into_iter().collect::<Vec<_>>()).await
            }
            done => Ok(done?),
        }
    }

    /// The counts of some anomalies; `None` where the set is not to be trusted.
    async fn ask(
        &self,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Option<Counts>>, CounterError> {
        let mut counts = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(CHUNK.1) {
            let mut call = COUNTS.prepare_invoke();
            for key in chunk {
                call.key(self.set(key));
            }
            for window in Window::ALL {
                call.arg(now.before(window.length()).0);
            }
            let flat: Vec<i64> = call.invoke_async(&mut self.connection.clone()).await?;
            let (of_sets, _) = flat.as_chunks::<4>();
            counts.extend(of_sets.iter().map(|of_set| match *of_set {
                [hour, day, week, month] if month >= 0 => Some(Counts {
                    hour,
                    day,
                    week,
                    month,
                }),
                _ => None,
            }));
        }
        Ok(counts)
    }

    /// What is not known is built from the rows, which are read from `db`: a connection that sees what
    /// was committed by the time that it is asked.
    async fn known(
        &self,
        db: &impl ConnectionTrait,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Counts>, CounterError> {
        let mut counts = self.ask(keys, now).await?;
        for _ in 0..TRIES {
            let unknown = keys.iter().zip(&counts).filter(|(_, of)| of.is_none());
            let mut unknown: Vec<String> = unknown.map(|(key, _)| key.clone()).collect();
            if unknown.is_empty() {
                return Ok(counts.into_iter().flatten().collect());
            }
            unknown.sort();
            unknown.dedup();
            if self.is_full().await? {
                let counted = tallies::counts(db, self.unit, &unknown, now).await?;
                let counted: BTreeMap<String, Counts> = unknown.into_iter().zip(counted).collect();
                let both = keys.iter().zip(counts);
                let either = both.map(|(key, of)| of.or_else(|| counted.get(key).copied()));
                return Ok(either.map(Option::unwrap_or_default).collect());
            }
            for some in unknown.chunks(BUILT_AT_ONCE) {
                try_join_all(some.iter().map(|key| self.build(db, key))).await?;
            }
            counts = self.ask(keys, now).await?;
        }
        let what = format!("an anomaly's sets were emptied {TRIES} times while they were built");
        Err(CounterError(what.into()))
    }

    /// Builds one set from the rows, if it is not to be trusted.
    async fn build(&self, db: &impl ConnectionTrait, key: &str) -> Result<(), CounterError> {
        let mut connection = self.connection.clone();
        let set = self.set(key);
        let token = Uuid::now_v7().simple().to_string();
        let mut begin = BEGIN.prepare_invoke();
        begin.key(&set).arg(&token).arg(LIVES_MS);
        let mark: Option<String> = match begin.invoke_async(&mut connection).await {
            Err(error) if is_out_of_memory(&error) => {
                self.memory.note(true);
                return Ok(());
            }
            mark => mark?,
        };
        let Some(mark) = mark else {
            return Ok(());
        };
        // By whatever clock: the script forgets what is too old by the server's.
        let since = Timestamp::now().before(2 * KEPT);
        let most = COUNTED_AT_MOST.unsigned_abs();
        let rows = occurrences::counted(db, self.unit, key, since, most).await?;
        self.add(&rows).await?;
        let mut finish = FINISH.prepare_invoke();
        finish.key(&set).arg(&token).arg(&mark);
        Ok(finish.invoke_async(&mut connection).await?)
    }
}

#[async_trait]
impl Counter for RedisCounter {
    fn counts_rows(&self) -> bool {
        false
    }

    async fn add(&self, counted: &[Counted]) -> Result<(), CounterError> {
        let counted: Vec<&Counted> = counted.iter().collect();
        for chunk in counted.chunks(CHUNK.0) {
            self.add_some(chunk).await?;
        }
        Ok(())
    }

    async fn counts(&self, keys: &[String], now: Timestamp) -> Result<Vec<Counts>, CounterError> {
        self.known(self.db.read(), keys, now).await
    }

    async fn counts_within(
        &self,
        tx: &DatabaseTransaction,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Counts>, CounterError> {
        self.known(tx, keys, now).await
    }

    async fn make_room(&self) -> Result<Dropped, CounterError> {
        let mut dropped = Dropped::default();
        for _ in 0..ROUNDS {
            let Some(memory) = self.look().await? else {
                break;
            };
            let most = match dropped.sets {
                0 => self.memory.most,
                _ => self.memory.most.saturating_sub(BELOW),
            };
            dropped.used = Some(memory.percent());
            if memory.percent() < most {
                break;
            }
            match self.drop_quietest().await? {
                0 => break,
                some => dropped.sets += some,
            }
        }
        Ok(dropped)
    }

    async fn warm(&self, keys: &[String]) -> Result<(), CounterError> {
        self.counts(keys, Timestamp::now()).await.map(drop)
    }

    async fn forget_within(
        &self,
        _tx: &DatabaseTransaction,
        keys: &[String],
    ) -> Result<(), CounterError> {
        self.forget(keys).await
    }
}

impl RedisCounter {
    /// Forgets what was counted for `keys`.
    ///
    /// A set that is deleted is one that was emptied, which it may be at any time: whoever builds it
    /// just now finds its token gone and begins anew, and what is added beside that stands in a set
    /// without a mark, which the next to ask empties before it reads the rows. An id is added after
    /// its row was committed: either it is in the rows that are read, or it is added after the set
    /// was emptied. So this needs no lock, and takes only what has no row.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn forget(&self, keys: &[String]) -> Result<(), CounterError> {
        for chunk in keys.chunks(CHUNK.1) {
            let mut delete = redis::cmd("DEL");
            delete.arg(chunk.iter().map(|key| self.set(key)).collect::<Vec<_>>());
            delete.exec_async(&mut self.connection.clone()).await?;
        }
        Ok(())
    }
}
