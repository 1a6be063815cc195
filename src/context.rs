//! What every part of a process shares. Built once, in `main`; cloned everywhere.

use std::sync::Arc;

use crate::config::Config;
use crate::counter::Counter;
use crate::counter::sql::SqlCounter;
use crate::metrics::Metrics;
use crate::queue::Queues;
use crate::queue::sql::SqlQueue;
use crate::store::Db;
use crate::store::db::{OpenError, migrate};
use crate::time::Clock;

/// Settings, store, queues, counter, clock, metrics.
#[derive(Clone)]
pub struct Context {
    /// The settings.
    pub config: Arc<Config>,
    /// The store.
    pub db: Db,
    /// Where jobs are pushed.
    pub queues: Queues,
    /// How often anomalies came back.
    pub counter: Arc<dyn Counter>,
    /// What time it is.
    pub clock: Clock,
    /// What the process counts about itself.
    pub metrics: Metrics,
}

impl Context {
    /// Opens the store, applies what is missing of its schema, and builds everything on it.
    ///
    /// # Errors
    /// The store cannot be opened or its schema not be brought up to date.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let url = config.database_url.expose();
        let db = Db::open(url, config.database_connections).await?;
        migrate(&db, url).await?;
        let clock = Clock::default();
        let queue = SqlQueue::new(db.clone(), clock.clone());
        if config.is_embedded() {
            // No other process can hold anything: what was in flight when the last one died is free.
            queue.take_back_all().await?;
        }
        Ok(Self {
            counter: Arc::new(SqlCounter::new(db.clone(), config.counting.unit)),
            queues: Queues::new(Arc::new(queue)),
            config: Arc::new(config),
            db,
            clock,
            metrics: Metrics::new(),
        })
    }
}
