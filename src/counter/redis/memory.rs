//! The share of Redis' memory that counts may use, and which are dropped above it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::RedisError;

use super::{CHUNK, RedisCounter};
use crate::counter::CounterError;
use crate::redis::Memory;

/// How long it is believed how much memory is used.
const LOOKED: Duration = Duration::from_secs(1);
/// Of this many sets, that of the anomaly that has been quiet for longest is dropped.
const DROPPED: usize = 5;
/// The most rounds in one go: each reads all sets.
pub(super) const ROUNDS: usize = 5;
/// How far below the bound memory is brought, in percent of all.
pub(super) const BELOW: u64 = 5;

/// How much of the server's memory may be used when sets are built, in percent, and how it was found.
pub(super) struct MemoryBound {
    pub(super) most: u64,
    pub(super) looked: Mutex<Option<(Instant, bool)>>,
}

impl MemoryBound {
    pub(super) fn looked(&self) -> MutexGuard<'_, Option<(Instant, bool)>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found lately.
    fn is_reached(&self) -> Option<bool> {
        let looked = *self.looked();
        looked.and_then(|(at, is_reached)| (at.elapsed() < LOOKED).then_some(is_reached))
    }

    pub(super) fn note(&self, is_reached: bool) {
        *self.looked() = Some((Instant::now(), is_reached));
    }
}

pub(super) fn is_out_of_memory(error: &RedisError) -> bool {
    error.code() == Some("OOM")
}

impl RedisCounter {
    /// How much memory the server uses, where that is bounded.
    pub(super) async fn look(&self) -> Result<Option<Memory>, CounterError> {
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
    pub(super) async fn is_full(&self) -> Result<bool, CounterError> {
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
    pub(super) async fn drop_quietest(&self) -> Result<usize, CounterError> {
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
}
