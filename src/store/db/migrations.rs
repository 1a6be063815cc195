//! Changes of the schema: applied and taken back under a lock, by one process at a time.

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};
use tocsin_migration::{Migrator, MigratorTrait};

use super::{Db, OpenError};

/// What the advisory lock that migrations are applied under is called (PostgreSQL).
const MIGRATION_LOCK: i64 = 0x0074_6f63_7369_6e01;

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
