//! Connections: to PostgreSQL, or to one SQLite file that this process alone writes.

use std::fs::{File, TryLockError};
use std::num::NonZero;
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection as _};
use sea_orm::{
    AccessMode, ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseConnection,
    DatabaseTransaction, DbBackend, DbErr, IsolationLevel, RuntimeErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use tocsin_migration::{Migrator, MigratorTrait};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinError;

/// How long a statement waits for another's lock (PostgreSQL).
const LOCK_TIMEOUT: &str = "2s";
/// How long a transaction may do nothing before the server ends it (PostgreSQL).
const IDLE_IN_TRANSACTION: &str = "5s";
/// How long work waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a statement of our own that only reads may take (PostgreSQL). It reads in bounded steps.
const READS_WITHIN: &str = "30s";
/// Searches that run at once at most: each keeps a processor busy, or the database.
const SEARCHES: usize = 2;
/// What SQLite does between two looks at whether a statement has taken too long: about 0.1 ms of it.
const STEPS: i32 = 10_000;
/// What the advisory lock that migrations are applied under is called (PostgreSQL).
const MIGRATION_LOCK: i64 = 0x0074_6f63_7369_6e01;

/// The store's connections: some for the work itself, others for what people ask, so that no question
/// keeps the work waiting.
#[derive(Clone, Debug)]
pub struct Db {
    write: DatabaseConnection,
    read: DatabaseConnection,
    view: DatabaseConnection,
    searches: Arc<Semaphore>,
    query: Duration,
    _lock: Option<Arc<File>>,
}

/// The connections for what people ask, and a search's turn to use them.
#[derive(Debug)]
pub struct View<'a> {
    view: &'a DatabaseConnection,
    _turn: Option<SemaphorePermit<'a>>,
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
    /// The URL names neither database.
    #[error("database_url must start with sqlite:// or postgres://")]
    Scheme,
    /// The URL is not written as it must be. It is not part of the error: a password may be in it.
    #[error("invalid database_url: {0}")]
    Url(sqlx::Error),
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

/// What the address of a SQLite file begins with.
const SQLITE: &str = "sqlite://";

/// Begins a transaction to the end, also if whoever wants it is dropped meanwhile, as a handler is whose client
/// went away. `BEGIN` that is given up halfway would leave the connection within a transaction that nobody knows
/// of: what others write through it would be rolled back later, after they were told that it is stored.
async fn begun(
    begin: impl Future<Output = Result<DatabaseTransaction, DbErr>> + Send + 'static,
) -> Result<DatabaseTransaction, DbErr> {
    let ended = |error: JoinError| DbErr::Conn(RuntimeErr::Internal(error.to_string()));
    tokio::spawn(begin).await.map_err(ended)?
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

impl Db {
    /// Whether `url` names a database that can be opened, as far as it tells.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn check_url(url: &str) -> Result<(), OpenError> {
        if is_postgres(url) {
            url.parse::<PgConnectOptions>().map_err(OpenError::Url)?;
        } else if !url.starts_with(SQLITE) {
            return Err(OpenError::Scheme);
        }
        Ok(())
    }

    /// Connects, without touching the schema. What people ask may take `query`, each statement of it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &str, connections: u32, query: Duration) -> Result<Self, OpenError> {
        Self::check_url(url)?;
        if is_postgres(url) {
            let shares = Shares::of(connections);
            let view = format!("{}ms", query.as_millis());
            Ok(Self {
                write: Database::connect(postgres(url, shares.write, "0")).await?,
                read: Database::connect(postgres(url, shares.read, READS_WITHIN)).await?,
                view: Database::connect(postgres(url, shares.view, &view)).await?,
                // They leave one connection to what is not a search.
                searches: Arc::new(Semaphore::new(
                    SEARCHES.min(shares.view as usize - 1).max(1),
                )),
                query,
                _lock: None,
            })
        } else if let Some(path) = url.strip_prefix(SQLITE) {
            let path = Path::new(path.split('?').next().unwrap_or(path));
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
                _lock: Some(Arc::new(lock)),
            })
        } else {
            Err(OpenError::Scheme)
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

    /// For what people ask: what takes too long is ended.
    #[must_use]
    pub const fn view(&self) -> &DatabaseConnection {
        &self.view
    }

    /// The same. A search may look at all there is, so few of them run at a time; the others wait for as
    /// long as a statement may take.
    ///
    /// # Errors
    /// Its turn did not come.
    pub async fn view_for(&self, is_search: bool) -> Result<View<'_>, DbErr> {
        let turn = match is_search {
            true => Some(self.turn().await?),
            false => None,
        };
        Ok(View {
            view: &self.view,
            _turn: turn,
        })
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, DbErr> {
        let turn = tokio::time::timeout(self.query, self.searches.acquire()).await;
        let turn = turn.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        turn.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))
    }

    /// Has every statement told to `hear` that clones made from now on run: to see what is asked, and to
    /// have it explained.
    pub fn observe(&mut self, hear: impl Fn(&Statement) + Clone + Send + Sync + 'static) {
        for connections in [&mut self.write, &mut self.read, &mut self.view] {
            let hear = hear.clone();
            connections.set_metric_callback(move |info| hear(info.statement));
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
        self.read.close_by_ref().await
    }
}

/// Applies what is missing of the schema, under a lock: of any number of processes that start at
/// once, one does it and the others wait.
///
/// # Errors
/// The database cannot be reached, or refuses a change; or a newer version made its schema.
pub async fn migrate(db: &Db, url: &str) -> Result<(), OpenError> {
    let up = with_migrator(db, url, async |connection| {
        Migrator::up(&connection, None).await
    });
    up.await.map_err(|error| match unknown_change(&error) {
        Some(name) => OpenError::Newer(name),
        None => OpenError::Database(error),
    })
}

/// The change of the schema that the migrator misses, if that is what it says.
fn unknown_change(error: &DbErr) -> Option<String> {
    let said = error.to_string();
    let (_, rest) = said.split_once("Migration file of version '")?;
    Some(rest.split_once('\'')?.0.to_owned())
}

/// Takes back the newest `steps` changes of the schema.
///
/// # Errors
/// The database cannot be reached, or refuses.
pub async fn take_back(db: &Db, url: &str, steps: u32) -> Result<(), DbErr> {
    with_migrator(db, url, async |connection| {
        Migrator::down(&connection, Some(steps)).await
    })
    .await
}

/// Every change of the schema, oldest first, and whether it is applied.
///
/// # Errors
/// The database cannot be reached.
pub async fn schema(db: &Db, url: &str) -> Result<Vec<(String, bool)>, DbErr> {
    with_migrator(db, url, async |connection| {
        let migrations = Migrator::get_migration_with_status(&connection).await?;
        let entry = |m: &tocsin_migration::Migration| {
            (
                m.name().to_owned(),
                m.status() == tocsin_migration::MigrationStatus::Applied,
            )
        };
        Ok(migrations.iter().map(entry).collect())
    })
    .await
}

/// Runs `work` on a connection of its own, under the lock that migrations are applied under.
///
/// # Errors
/// The database cannot be reached, or what `work` says.
async fn with_migrator<T>(
    db: &Db,
    url: &str,
    work: impl AsyncFnOnce(DatabaseConnection) -> Result<T, DbErr>,
) -> Result<T, DbErr> {
    if db.backend() == DbBackend::Sqlite {
        return work(db.write().clone()).await;
    }
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .min_connections(1)
        .sqlx_logging(false);
    let connection = Database::connect(options).await?;
    // The pool has one connection, so the session that holds the lock is the one that works.
    let lock = |verb: &str| {
        let sql = format!("SELECT pg_advisory_{verb}({MIGRATION_LOCK})");
        Statement::from_string(DbBackend::Postgres, sql)
    };
    connection.execute_raw(lock("lock")).await?;
    let result = work(connection.clone()).await;
    connection.execute_raw(lock("unlock")).await?;
    connection.close().await?;
    result
}

/// How PostgreSQL's connections are shared out. Who holds one to write may wait for one to read, never
/// the other way round: so they cannot wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    write: u32,
    read: u32,
    view: u32,
}

impl Shares {
    fn of(connections: u32) -> Self {
        let part = (connections / 6).max(1);
        Self {
            write: connections.saturating_sub(2 * part).max(1),
            read: part,
            view: part,
        }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn postgres(url: &str, connections: u32, within: &str) -> ConnectOptions {
    let within = within.to_owned();
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| {
            options.application_name("tocsin").options([
                ("statement_timeout", within.as_str()),
                ("lock_timeout", LOCK_TIMEOUT),
                ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
                // Compiling takes longer than any statement here, and locks are held meanwhile.
                ("jit", "off"),
                ("tcp_keepalives_idle", "10"),
                ("tcp_keepalives_interval", "5"),
                ("tcp_keepalives_count", "3"),
            ])
        });
    options
}

fn sqlite(path: &Path, connections: u32, cache: &'static str) -> ConnectOptions {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .sqlx_logging(false)
        .map_sqlx_sqlite_before_acquire(|connection, _| {
            Box::pin(async { Ok(is_between_transactions(connection)) })
        })
        .map_sqlx_sqlite_opts(move |options| {
            options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(5))
                .pragma("cache_size", cache)
                // Pages of the log that are copied into the file together.
                .pragma("wal_autocheckpoint", "8000")
        });
    options
}

/// Three connections that read, each statement for as long as `query` at most from when its connection was
/// taken.
fn sqlite_view(path: &Path, query: Duration) -> ConnectOptions {
    let mut options = sqlite(path, 3, "-4000");
    options
        // None is made while somebody waits for it: then it would not be asked how long it may take.
        .min_connections(3)
        .map_sqlx_sqlite_before_acquire(move |connection, _| {
            Box::pin(async move {
                let until = Instant::now() + query;
                let mut handle = connection.lock_handle().await?;
                handle.set_progress_handler(STEPS, move || Instant::now() < until);
                Ok(true)
            })
        });
    options
}

/// SQLite ends a transaction by itself where it cannot undo one statement alone, as on a full disk.
/// Then the rollback that follows fails, and the driver takes the connection to be in a transaction
/// for good: what is begun next is a part of that, and may never be committed. Such a connection is
/// closed, and another takes its place.
fn is_between_transactions(connection: &sqlx::SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

/// Locks the database's file, which is made if it is not there, and readable to nobody else. The operating
/// system gives the lock back when the process ends, however it ends, and knows the file by whatever name.
/// SQLite's own locks are of another kind, and do not meet this one. They end when the process closes any
/// handle of the file, so this one stays open.
fn lock_file(database: &Path) -> Result<File, OpenError> {
    let refused = |error| OpenError::File {
        path: database.to_owned(),
        error,
    };
    // SQLite opens a file that it may only read without a word, and fails at the first statement.
    let mut options = File::options();
    let file = options.append(true).create(true).mode(0o600);
    let file = file.open(database).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(database.to_owned())),
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}
