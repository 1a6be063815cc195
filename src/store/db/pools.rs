//! Pools of connections, and how they are set up on either database.

use std::fs::{File, TryLockError};
use std::num::NonZero;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sea_orm::ConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection as _};

use super::OpenError;

/// How long a statement waits for another's lock (PostgreSQL).
const LOCK_TIMEOUT: &str = "2s";
/// How long a transaction may do nothing before the server ends it (PostgreSQL).
const IDLE_IN_TRANSACTION: &str = "5s";
/// How long work waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a statement of our own that only reads may take (PostgreSQL). It reads in bounded steps.
pub(super) const READS_WITHIN: &str = "30s";

/// What SQLite does between two looks at whether a statement has taken too long: about 0.1 ms of it.
const STEPS: i32 = 10_000;

/// The sizes of PostgreSQL's connection pools. Who holds one to write may wait for one to read, never
/// the other way round: so they cannot wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PoolSizes {
    pub(super) write: u32,
    pub(super) read: u32,
    pub(super) view: u32,
}

impl PoolSizes {
    pub(super) fn of(connections: u32) -> Self {
        let part = (connections / 6).max(1);
        Self {
            write: connections.saturating_sub(2 * part).max(1),
            read: part,
            view: part,
        }
    }
}

pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

pub(super) fn postgres(url: &str, connections: u32, within: &str) -> ConnectOptions {
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

pub(super) fn sqlite(path: &Path, connections: u32, cache: &'static str) -> ConnectOptions {
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
pub(super) fn sqlite_view(path: &Path, query: Duration) -> ConnectOptions {
    let mut options = sqlite(path, 3, "-4000");
    options
        // None is made while a caller waits for it: then it would not be asked how long it may take.
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

/// Locks the database's file, which is created if it is missing, readable to this user alone. The operating
/// system gives the lock back when the process ends, however it ends, and knows the file by whatever name.
/// SQLite's own locks are of another kind, and do not meet this one. They end when the process closes any
/// handle of the file, so this one stays open.
pub(super) fn lock_file(database: &Path) -> Result<File, OpenError> {
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
