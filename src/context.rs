//! The context that every part of a process shares. Built once, in `main`; cloned everywhere.

use std::sync::Arc;

use sea_orm::DbErr;

use crate::alertmanager::Alertmanager;
use crate::config::{Config, channel_kind};
use crate::counter::redis::RedisCounter;
use crate::counter::sql::SqlCounter;
use crate::counter::{Counter, CounterError};
use crate::jobs::Part;
use crate::playbooks::Playbooks;
use crate::probe::figures::Figures;
use crate::probe::{Probe, Stores};
use crate::prometheus::Prometheus;
use crate::queue::Queues;
use crate::queue::redis::RedisQueue;
use crate::queue::sql::SqlQueue;
use crate::queue::store::{QueueError, QueueStore};
use crate::redis::{self, Redis};
use crate::store::Db;
use crate::store::db::{self, migrate};
use crate::store::secrets::{self, FORMS, Secret};
use crate::store::{maintenance, turns};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::spans::{self, Tracer};
use crate::time::{Clock, Timestamp};

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
    /// The Alertmanager that sends here, where the settings say which.
    pub alertmanager: Option<Alertmanager>,
    /// The Prometheus servers whose alerts are compared with what was received.
    pub prometheus: Arc<[Prometheus]>,
    /// The playbooks that count.
    pub playbooks: Arc<Playbooks>,
    /// What time it is.
    pub clock: Clock,
    /// What the process counts about itself.
    pub metrics: Arc<Metrics>,
    /// How old that is of it which the stores hold.
    pub figures: Arc<Figures>,
    /// Where it says what it works on.
    pub tracer: Tracer,
    /// The key of the mark that forms carry without sign-in.
    pub forms: Arc<Secret>,
    /// Whether the store and the queue take something.
    pub probe: Arc<Probe>,
}

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be opened, or its schema not be brought up to date.
    #[error(transparent)]
    Database(#[from] db::OpenError),
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] redis::OpenError),
    /// The queue's store does not answer.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The counter's store does not answer.
    #[error(transparent)]
    Counter(#[from] CounterError),
    /// Alertmanager cannot be asked as the settings say.
    #[error("invalid alertmanager_url: {0}")]
    Alertmanager(String),
    /// A Prometheus cannot be asked as the settings say.
    #[error("invalid reconcile.prometheus: {0}")]
    Prometheus(String),
    /// The store does not give what was to be read from it.
    #[error("cannot read the database: {0}")]
    Store(#[from] DbErr),
    /// A simulation would be mixed with what really happened.
    #[error("a simulation needs {0}")]
    NotForSimulation(&'static str),
    /// Spans cannot be sent as the settings say.
    #[error(transparent)]
    Spans(#[from] spans::OpenError),
}

impl Context {
    /// Opens the store, applies what is missing of its schema, and builds everything on it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Box::pin(Self::with_clock(config, Clock::default())).await
    }

    /// The same for a simulation: its clock stands at `now` until it is moved. What is written with such a clock must
    /// never be among what really happened, so it takes a SQLite file alone, which no other process uses, and which
    /// must be empty.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn simulated(config: Config, now: Timestamp) -> Result<Self, OpenError> {
        if !config.is_embedded() || config.redis_url.is_some() {
            return Err(OpenError::NotForSimulation("a SQLite file and no Redis"));
        }
        let context = Box::pin(Self::with_clock(config, Clock::standing_at(now))).await?;
        if !maintenance::is_unused(context.db.read()).await? {
            return Err(OpenError::NotForSimulation("an empty SQLite file"));
        }
        Ok(context)
    }

    async fn with_clock(config: Config, clock: Clock) -> Result<Self, OpenError> {
        let tracer = Tracer::open(config.otlp_endpoint.as_ref())?;
        let url = config.database_url.expose();
        let connections = config.database_connections;
        let mut db = Db::open(url, connections, config.limits.query.0).await?;
        if let Some(replica) = &config.database_read_url {
            db.read_from(replica.expose(), connections).await?;
        }
        migrate(&db, url).await?;
        let forms = secrets::find_or_make(db.write(), FORMS, rand::random()).await?;
        let alertmanager = config.alertmanager_url.as_ref().map(Alertmanager::new);
        let alertmanager = alertmanager.transpose().map_err(OpenError::Alertmanager)?;
        let prometheus = config.reconcile.prometheus.iter().map(Prometheus::new);
        let prometheus: Result<Arc<[_]>, _> = prometheus.collect();
        let prometheus = prometheus.map_err(OpenError::Prometheus)?;
        let (queue, counter) = drivers(&config, &db, &clock).await?;
        let metrics = Arc::new(Metrics::new());
        begin_channels(&metrics, &config);
        Ok(Self {
            counter,
            alertmanager,
            prometheus,
            queues: Queues::new(queue),
            playbooks: Arc::new(Playbooks::new(&config.playbooks)),
            config: Arc::new(config),
            db,
            clock,
            metrics,
            figures: Arc::default(),
            tracer,
            forms: Arc::new(forms),
            probe: Arc::default(),
        })
    }

    /// The same with other settings: those of stores, queue, counter and Alertmanager must be as they were.
    #[must_use]
    pub fn with_settings(&self, config: Config) -> Self {
        begin_channels(&self.metrics, &config);
        Self {
            playbooks: Arc::new(Playbooks::new(&config.playbooks)),
            config: Arc::new(config),
            ..self.clone()
        }
    }

    /// What health and figures are about.
    #[must_use]
    pub fn stores(&self) -> Stores {
        Stores {
            db: self.db.clone(),
            queues: self.queues.clone(),
            clock: self.clock.clone(),
        }
    }
}

/// Messages to the channels that there are count from zero.
fn begin_channels(metrics: &Metrics, config: &Config) {
    for channel in config.all_channels() {
        metrics.begin_channel(channel_kind(&channel));
    }
}

type Drivers = (Arc<dyn QueueStore>, Arc<dyn Counter>);

/// Where the queue and the counter are: in Redis if there is one, else in the database.
async fn drivers(config: &Config, db: &Db, clock: &Clock) -> Result<Drivers, OpenError> {
    let unit = config.counting.unit;
    if let Some(url) = &config.redis_url {
        let ca = config.redis_ca.as_deref();
        let redis = Redis::open(url, ca, &config.redis_prefix).await?;
        let queue = RedisQueue::new(&redis, clock.clone()).map_err(QueueError::from)?;
        let counter = RedisCounter::new(&redis, db.clone(), unit).map_err(CounterError::from)?;
        let counter = counter.within(config.counter.memory);
        return Ok((Arc::new(queue), Arc::new(counter)));
    }
    let queue = SqlQueue::new(db.clone(), clock.clone());
    if config.is_embedded() {
        // No other process can hold anything: what was in flight when the last one died is free.
        queue.take_back_all().await.map_err(QueueError::from)?;
        let turns = Part::ALL.map(Part::mark);
        let freed = turns::free(db.write(), &turns).await;
        freed.map_err(QueueError::from)?;
    }
    Ok((Arc::new(queue), Arc::new(SqlCounter::new(db.clone(), unit))))
}
