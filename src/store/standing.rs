//! What the database says of itself, and how much is in it.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult};

use super::rows::statement;

/// What the database says of itself.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Standing {
    /// Its version.
    pub version: String,
    /// Whether a commit is on the disk when it is done: `on`, or what it is instead.
    pub synchronous: String,
}

/// Asks the database about itself.
///
/// # Errors
/// What the database says.
pub async fn ask(db: &impl ConnectionTrait) -> Result<Standing, DbErr> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT 'PostgreSQL ' || current_setting('server_version') AS version, \
                 CASE WHEN current_setting('fsync') = 'off' THEN 'fsync off' \
                     ELSE current_setting('synchronous_commit') END AS synchronous"
        }
        _ => "SELECT 'SQLite ' || sqlite_version() AS version, 'on' AS synchronous",
    };
    let found = Standing::find_by_statement(statement(backend, sql, []))
        .one(db)
        .await?;
    found.ok_or_else(|| DbErr::RecordNotFound("the version".to_owned()))
}

/// How much is in the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Books {
    /// Episodes, and deliveries where they are counted.
    pub occurrences: i64,
    /// Incidents.
    pub incidents: i64,
    /// Anomalies.
    pub anomalies: i64,
    /// What was ever counted.
    pub counted: i64,
}

/// Counts every row: for several readers, keep the answer.
///
/// # Errors
/// What the database says.
pub async fn books(db: &impl ConnectionTrait) -> Result<Books, DbErr> {
    let sql = "SELECT (SELECT count(*) FROM occurrences) AS occurrences, \
                   (SELECT count(*) FROM incidents) AS incidents, \
                   count(*) AS anomalies, \
                   CAST(COALESCE(sum(total), 0) AS bigint) AS counted \
               FROM anomalies";
    let found = Books::find_by_statement(statement(db.get_database_backend(), sql, []))
        .one(db)
        .await?;
    Ok(found.unwrap_or_default())
}
