//! The counter over rows: the rows that were committed are what was counted. Few of them are read each
//! time: see [`tallies`].

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;

use super::{Counter, CounterError};
use crate::domain::aggregation::Unit;
use crate::domain::frequency::{Counted, Counts};
use crate::store::{Db, tallies};
use crate::time::Timestamp;

/// Counts with a query; keeps nothing of its own.
#[derive(Clone, Debug)]
pub struct SqlCounter {
    db: Db,
    unit: Unit,
}

impl SqlCounter {
    /// Counts the rows of `db` that stand for a `unit`.
    #[must_use]
    pub const fn new(db: Db, unit: Unit) -> Self {
        Self { db, unit }
    }
}

#[async_trait]
impl Counter for SqlCounter {
    fn counts_rows(&self) -> bool {
        true
    }

    async fn add(&self, _counted: &[Counted]) -> Result<(), CounterError> {
        Ok(())
    }

    async fn counts(&self, keys: &[String], now: Timestamp) -> Result<Vec<Counts>, CounterError> {
        Ok(tallies::counts(self.db.read(), self.unit, keys, now).await?)
    }

    async fn counts_within(
        &self,
        tx: &DatabaseTransaction,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Counts>, CounterError> {
        Ok(tallies::count(tx, self.unit, keys, now).await?)
    }

    async fn warm(&self, _keys: &[String]) -> Result<(), CounterError> {
        Ok(())
    }

    async fn forget_within(
        &self,
        tx: &DatabaseTransaction,
        keys: &[String],
    ) -> Result<(), CounterError> {
        Ok(tallies::forget(tx, keys).await?)
    }
}
