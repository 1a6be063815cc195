//! Programs that behave badly with PostgreSQL.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction,
    Statement, TransactionTrait as _,
};
use tocsin_kit::PATIENCE;
use tokio::task::JoinHandle;

/// How long a server may refuse a connection before that is its answer.
const REFUSED: Duration = Duration::from_secs(1);
/// More than a server takes here.
const MOST: usize = 100;

/// Connections that nobody uses.
#[derive(Debug)]
pub(crate) struct Idle(Vec<DatabaseConnection>);

impl Idle {
    /// As many as the server gives to this role. A superuser sees whether it was refused for that.
    pub(crate) async fn all(url: &str, superuser: &str) -> anyhow::Result<Self> {
        let (began, mut connections) = (Instant::now(), Vec::new());
        while connections.len() < MOST {
            match connect(url).await {
                Ok(connection) => connections.push(connection),
                Err(_) if is_full(superuser).await.unwrap_or(false) => {
                    return Ok(Self(connections));
                }
                // A busy machine takes its time.
                Err(error) => ensure!(began.elapsed() < PATIENCE, "connecting: {error}"),
            }
        }
        anyhow::bail!("{MOST} connections are not all")
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        for connection in self.0 {
            connection.close().await?;
        }
        Ok(())
    }
}

/// Whether all connections are taken but those that are reserved for superusers.
async fn is_full(superuser: &str) -> anyhow::Result<bool> {
    const FULL: &str = "SELECT count(*) >= current_setting('max_connections')::int \
            - current_setting('superuser_reserved_connections')::int AS is_full \
        FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let db = connect(superuser).await?;
    let full = Statement::from_string(db.get_database_backend(), FULL);
    let row = db.query_one_raw(full).await?.context("no answer")?;
    let is_full = row.try_get("", "is_full")?;
    db.close().await?;
    Ok(is_full)
}

/// A session that holds a lock, and one that waits for it.
#[derive(Debug)]
pub(crate) struct Waiting {
    holds: DatabaseTransaction,
    waits: JoinHandle<anyhow::Result<()>>,
}

impl Waiting {
    pub(crate) async fn start(url: &str) -> anyhow::Result<Self> {
        const LOCK: &str = "LOCK TABLE orders";
        let (one, other) = (connect(url).await?, connect(url).await?);
        one.execute_unprepared("CREATE TABLE IF NOT EXISTS orders (id bigint)")
            .await?;
        let holds = one.begin().await?;
        holds.execute_unprepared(LOCK).await?;
        let waits = tokio::spawn(async move {
            let waits = other.begin().await?;
            waits.execute_unprepared(LOCK).await?;
            Ok(waits.rollback().await?)
        });
        Ok(Self { holds, waits })
    }

    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.holds.rollback().await?;
        self.waits.await.context("the session that waited")?
    }
}

pub(crate) async fn connect(url: &str) -> Result<DatabaseConnection, sea_orm::DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .connect_timeout(REFUSED)
        .acquire_timeout(REFUSED)
        .sqlx_logging(false);
    Database::connect(options).await
}
