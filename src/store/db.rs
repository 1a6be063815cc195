//! Connections: to PostgreSQL, or to one SQLite file that this process alone writes.

mod migrations;
mod pools;
mod replica;

use std::fs::File;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    AccessMode, ConnAcquireErr, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, IsolationLevel, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinError;

use crate::config::{DatabaseKind, DatabaseUrlError};
pub use migrations::{migrate, schema, take_back};
use pools::{PoolSizes, READS_WITHIN, lock_file, postgres, processors, sqlite, sqlite_view};
use replica::Replica;

/// Searches that run at once at most: each keeps a processor busy, or the database.
const SEARCHES: usize = 2;

/// The store's connections: some for the work itself, others for what people ask, so that no question
/// keeps the work waiting.
#[derive(Clone, Debug)]
pub struct Db {
    write: DatabaseConnection,
    read: DatabaseConnection,
    view: DatabaseConnection,
    replica: Option<Replica>,
    searches: Arc<Semaphore>,
    query: Duration,
    _lock: Option<Arc<File>>,
}

/// The connections for what people ask, and a search's turn to use them.
#[derive(Debug)]
pub struct View<'a> {
    view: &'a DatabaseConnection,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Deref for View<'_> {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        self.view
    }
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the SQLite file.
    #[error(
        "{0} is in use by another tocsin process: a SQLite file serves one process. Stop that one, \
         or set TOCSIN_DATABASE_URL to a PostgreSQL database, which several processes can share"
    )]
    InUse(PathBuf),
    /// The SQLite file cannot be written.
    #[error("cannot write {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The URL names no database.
    #[error(transparent)]
    Url(#[from] DatabaseUrlError),
    /// A newer version made the schema.
    #[error(
        "the database is newer than this program: it has the migration {0}, which this version does not know. \
         Run the version that applied it, or restore an older backup"
    )]
    Newer(String),
    /// The database says no.
    #[error("cannot open the database: {0}")]
    Database(#[from] DbErr),
}

/// Sends `BEGIN` in a task of its own, because its caller may be cancelled, as a handler is when its client hangs
/// up. sqlx would return the connection to the pool with a transaction open that it does not know of, and what is
/// written through that connection afterwards would be confirmed and later rolled back.
async fn begun(
    begin: impl Future<Output = Result<DatabaseTransaction, DbErr>> + Send + 'static,
) -> Result<DatabaseTransaction, DbErr> {
    let ended = |error: JoinError| DbErr::Conn(RuntimeErr::Internal(error.to_string()));
    tokio::spawn(begin).await.map_err(ended)?
}

impl Db {
    /// Connects, without touching the schema. What people ask may take `query`, each statement of it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &str, connections: u32, query: Duration) -> Result<Self, OpenError> {
        match DatabaseKind::of(url)? {
            DatabaseKind::Postgres => {
                let pools = PoolSizes::of(connections);
                let view = format!("{}ms", query.as_millis());
                Ok(Self {
                    write: Database::connect(postgres(url, pools.write, "0")).await?,
                    read: Database::connect(postgres(url, pools.read, READS_WITHIN)).await?,
                    view: Database::connect(postgres(url, pools.view, &view)).await?,
                    // They leave one connection to what is not a search.
                    searches: Arc::new(Semaphore::new(
                        SEARCHES.min(pools.view as usize - 1).max(1),
                    )),
                    query,
                    replica: None,
                    _lock: None,
                })
            }
            DatabaseKind::Sqlite(path) => {
                let lock = lock_file(path)?;
                let write = Database::connect(sqlite(path, 1, "-24000")).await?;
                let read = Database::connect(sqlite(path, 2, "-4000")).await?;
                let view = Database::connect(sqlite_view(path, query)).await?;
                Ok(Self {
                    write,
                    read,
                    view,
                    // It searches on the processors that the alerts need, too.
                    searches: Arc::new(Semaphore::new((processors() / 2).clamp(1, SEARCHES))),
                    query,
                    replica: None,
                    _lock: Some(Arc::new(lock)),
                })
            }
        }
    }

    /// Which database it is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.write.get_database_backend()
    }

    /// For statements outside a transaction that write.
    #[must_use]
    pub const fn write(&self) -> &DatabaseConnection {
        &self.write
    }

    /// For statements of the work itself that only read.
    #[must_use]
    pub const fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// For what people ask: what takes too long is ended. It may be a few seconds behind, unless this process has
    /// just changed something for somebody.
    #[must_use]
    pub fn view(&self) -> &DatabaseConnection {
        let replica = self.replica.as_ref();
        let replica = replica.filter(|replica| replica.may_answer());
        replica.map_or(&self.view, |replica| &replica.connections)
    }

    /// For what people ask that must not be behind.
    #[must_use]
    pub const fn view_now(&self) -> &DatabaseConnection {
        &self.view
    }

    /// Has a standby of PostgreSQL answer what people ask, over as many connections as the database has for it.
    ///
    /// # Errors
    /// The URL cannot be used. That the standby cannot be reached is none.
    pub async fn read_from(&mut self, url: &str, connections: u32) -> Result<(), OpenError> {
        let within = format!("{}ms", self.query.as_millis());
        let pool = PoolSizes::of(connections).view;
        let mut options = postgres(url, pool, &within);
        options.min_connections(0).connect_lazy(true);
        let connections = Database::connect(options).await?;
        self.replica = Some(Replica::follow(connections, self.view.clone()));
        Ok(())
    }

    /// How far the standby that answers what people ask is behind. `None`: there is none, or nothing was heard of it.
    #[must_use]
    pub fn replica_behind(&self) -> Option<Duration> {
        self.replica.as_ref()?.behind()
    }

    /// Somebody changes something now: what people ask next is answered by the database, until the standby has it.
    pub fn changes(&self) {
        if let Some(replica) = &self.replica {
            replica.changes();
        }
    }

    /// Whether a standby answers what people ask.
    #[must_use]
    pub const fn has_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// The same. A search may look at all there is, so few of them run at a time; the others wait for as
    /// long as a statement may take.
    ///
    /// # Errors
    /// Its turn did not come.
    pub async fn view_for(&self, is_search: bool) -> Result<View<'_>, DbErr> {
        let permit = match is_search {
            true => Some(self.permit().await?),
            false => None,
        };
        Ok(View {
            view: self.view(),
            _permit: permit,
        })
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, DbErr> {
        let permit = tokio::time::timeout(self.query, self.searches.acquire()).await;
        let permit = permit.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        permit.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))
    }

    /// Reports every statement that clones made from now on run to `observer`: to see what is asked, and to
    /// have it explained.
    pub fn observe(&mut self, observer: impl Fn(&Statement) + Clone + Send + Sync + 'static) {
        for connections in [&mut self.write, &mut self.read, &mut self.view] {
            let observer = observer.clone();
            connections.set_metric_callback(move |info| observer(info.statement));
        }
    }

    /// Begins a transaction that may write. On SQLite it takes the write lock at once, so that it
    /// never has to be given up halfway.
    ///
    /// # Errors
    /// No connection could be had, or the database refused.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let (write, backend) = (self.write.clone(), self.backend());
        begun(async move {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            match backend {
                DbBackend::Sqlite => write.begin_with_options(options).await,
                _ => write.begin().await,
            }
        })
        .await
    }

    /// Begins a transaction that only reads, and sees one moment in all its statements.
    ///
    /// # Errors
    /// No connection could be had, or the database refused.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, DbErr> {
        let (read, backend) = (self.read.clone(), self.backend());
        begun(async move {
            match backend {
                // A transaction that reads never sees more than when it began to.
                DbBackend::Sqlite => read.begin().await,
                _ => {
                    let level = Some(IsolationLevel::RepeatableRead);
                    let mode = Some(AccessMode::ReadOnly);
                    read.begin_with_config(level, mode).await
                }
            }
        })
        .await
    }

    /// Closes all connections.
    ///
    /// # Errors
    /// A connection could not be closed in order.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.write.close_by_ref().await?;
        self.view.close_by_ref().await?;
        if let Some(replica) = &self.replica {
            replica.connections.close_by_ref().await?;
        }
        self.read.close_by_ref().await
    }
}
