//! The counter in Redis: one sorted set for each anomaly, `PREFIX:count:UNIT:KEY`. A member is an id
//! that is counted (16 bytes), its score the milliseconds at which it occurred.
//!
//! The rows are the truth. A set is trusted only while it holds the mark of the present epoch, which
//! is the server's run: a member with the score -inf. Any other is built from the rows when it is
//! asked for. A build empties the set first, then reads the rows, and writes the mark last, if
//! the set was not emptied again meanwhile. What is counted beside that is added in any case: what is
//! committed before the rows are read is in them, what is committed later is added after the set was
//! emptied. So none is lost, whatever the order.
//!
//! The queue is in the same server, and nowhere else. So no set is built while more of the server's
//! memory is used than `counter.memory` allows: what has no set is counted from the rows. Recount
//! drops the quietest sets then, until less is used.

mod memory;
mod sets;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use redis::RedisError;
use redis::aio::ConnectionManager;
use sea_orm::{DatabaseTransaction, DbErr};

use super::{Counter, CounterError, Dropped};
use crate::domain::aggregation::Unit;
use crate::domain::frequency::{Counted, Counts};
use crate::redis::{Redis, scripts};
use crate::store::Db;
use crate::time::Timestamp;
use memory::{BELOW, MemoryBound, ROUNDS};

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

/// Members that one script adds at most, and sets that one reads.
const CHUNK: (usize, usize) = (1000, 100);

/// Counts in Redis; reads the rows only to build what Redis does not know.
#[derive(Clone)]
pub struct RedisCounter {
    /// What the sets' keys begin with.
    sets: String,
    connection: ConnectionManager,
    db: Db,
    unit: Unit,
    memory: Arc<MemoryBound>,
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
            memory: Arc::new(MemoryBound {
                most: 100,
                looked: Mutex::default(),
            }),
        })
    }

    /// The same, where no set is built while more than `most` percent of the server's memory are used.
    #[must_use]
    pub fn within(self, most: u64) -> Self {
        let looked = Mutex::default();
        let memory = Arc::new(MemoryBound { most, looked });
        Self { memory, ..self }
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
    /// A set that is deleted is one that was emptied, which it may be at any time: a build that runs
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
