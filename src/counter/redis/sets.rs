//! The sets: what is added to them, what they are asked, and how they are built from the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::try_join_all;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::memory::is_out_of_memory;
use super::{ADD, BEGIN, CHUNK, COUNTS, FINISH, RedisCounter};
use crate::counter::{Counter, CounterError};
use crate::domain::frequency::{COUNTED_AT_MOST, Counted, Counts, Window};
use crate::store::{occurrences, tallies};
use crate::time::{Timestamp, millis};

/// How long a set lives after it was built, in milliseconds; then it is built again, or was
/// forgotten.
const LIVES_MS: i64 = 31 * 86_400_000;
/// How long members are kept: longer than the longest window, as clocks differ.
const KEPT: Duration = Duration::from_secs(30 * 86_400 + 3600);
/// Sets that are built at once: each reads rows on a connection of its own.
const BUILT_AT_ONCE: usize = 4;
/// How often a set is begun anew because it was emptied while it was built.
const TRIES: usize = 10;

impl RedisCounter {
    pub(super) fn set(&self, key: &str) -> String {
        format!("{}{key}", self.sets)
    }

    pub(super) async fn add_some(&self, counted: &[&Counted]) -> Result<(), CounterError> {
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
    pub(super) async fn ask(
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
    pub(super) async fn known(
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
    pub(super) async fn build(
        &self,
        db: &impl ConnectionTrait,
        key: &str,
    ) -> Result<(), CounterError> {
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
