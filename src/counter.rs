//! The counter: what was counted, in four sliding windows, exactly.

pub mod redis;
pub mod sql;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;

use crate::domain::frequency::{Counted, Counts};
use crate::time::Timestamp;

/// Why the counter's store did not answer.
#[derive(Debug, thiserror::Error)]
#[error("counter: {0}")]
pub struct CounterError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// What was dropped to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The number of anomalies whose sets were dropped.
    pub sets: usize,
    /// How much of the memory that is shared with the queue is used then, in percent; none if it is not
    /// bounded.
    pub used: Option<u64>,
}

/// Counts ids by anomaly and time.
#[async_trait]
pub trait Counter: Send + Sync {
    /// Whether committing the rows is counting them, so that nothing has to follow the commit.
    fn counts_rows(&self) -> bool;

    /// Counts what was committed; ids that are counted already do not count again.
    async fn add(&self, counted: &[Counted]) -> Result<(), CounterError>;

    /// What was counted for each of `keys` in the windows that end at `now`. A moment exactly one
    /// window ago is out, and windows have no upper edge.
    async fn counts(&self, keys: &[String], now: Timestamp) -> Result<Vec<Counts>, CounterError>;

    /// The same for who holds the anomalies' locks: rows are read, and what is remembered of them is
    /// written, on the connection of `tx`, so that who holds locks never waits for a connection.
    async fn counts_within(
        &self,
        tx: &DatabaseTransaction,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Counts>, CounterError>;

    /// Drops what is kept of the quietest anomalies while it takes more memory than it may; nothing where
    /// no memory is shared with the queue.
    async fn make_room(&self) -> Result<Dropped, CounterError> {
        Ok(Dropped::default())
    }

    /// Builds the missing counts of `keys`, so that the next query for them, with their anomalies
    /// locked, is answered at once.
    async fn warm(&self, keys: &[String]) -> Result<(), CounterError>;

    /// Forgets what was counted for `keys`, which are locked by `tx`; it is built from the rows when it
    /// is asked for. Those who count meanwhile lose nothing.
    async fn forget_within(
        &self,
        tx: &DatabaseTransaction,
        keys: &[String],
    ) -> Result<(), CounterError>;
}

impl From<CounterError> for crate::jobs::JobError {
    fn from(error: CounterError) -> Self {
        Self::RetryAfter {
            after: crate::store::error::STORE_DELAY,
            why: error.to_string(),
        }
    }
}
