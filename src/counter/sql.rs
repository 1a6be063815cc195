//! The counter over rows: the rows that were committed are what was counted.

use async_trait::async_trait;

use super::{Counter, CounterError};
use crate::domain::aggregation::Unit;
use crate::domain::frequency::{Counted, Counts};
use crate::store::{Db, occurrences};
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
        occurrences::count(self.db.read(), self.unit, keys, now)
            .await
            .map_err(|error| CounterError(error.into()))
    }

    async fn warm(&self, _keys: &[String]) -> Result<(), CounterError> {
        Ok(())
    }

    async fn forget(&self, _keys: &[String]) -> Result<(), CounterError> {
        Ok(())
    }
}
