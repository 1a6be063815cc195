//! Which database `database_url` names.

use std::path::Path;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgConnectOptions;

use super::Config;

/// What the URL of a SQLite file begins with.
const SQLITE: &str = "sqlite://";

/// The database that a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind<'a> {
    /// A PostgreSQL server.
    Postgres,
    /// The SQLite file at this path.
    Sqlite(&'a Path),
}

/// Why a URL names no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It names neither of the two.
    #[error("database_url must start with sqlite:// or postgres://")]
    Scheme,
    /// It cannot be parsed. It is not part of the error: a password may be in it.
    #[error("invalid database_url: {0}")]
    Malformed(sqlx::Error),
}

impl<'a> DatabaseKind<'a> {
    /// The database at `url`, from the URL alone: nothing is opened.
    ///
    /// # Errors
    /// See [`DatabaseUrlError`].
    pub fn of(url: &'a str) -> Result<Self, DatabaseUrlError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            url.parse::<PgConnectOptions>()
                .map_err(DatabaseUrlError::Malformed)?;
            return Ok(Self::Postgres);
        }
        let path = url.strip_prefix(SQLITE).ok_or(DatabaseUrlError::Scheme)?;
        Ok(Self::Sqlite(Path::new(
            path.split('?').next().unwrap_or(path),
        )))
    }
}

impl Config {
    /// Whether the store is one SQLite file, which serves one process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.database_url.expose().starts_with("sqlite:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_postgresql_or_a_sqlite_file() {
        let file = |path| Some(DatabaseKind::Sqlite(Path::new(path)));
        for (url, expected) in [
            ("postgres://u:p@h/d", Some(DatabaseKind::Postgres)),
            ("postgresql://h/d?x=1", Some(DatabaseKind::Postgres)),
            ("postgres://h:port/d", None),
            ("sqlite://tocsin.db", file("tocsin.db")),
            ("sqlite:///var/tocsin.db?mode=rwc", file("/var/tocsin.db")),
            ("mysql://h/d", None),
            ("tocsin.db", None),
        ] {
            assert_eq!(DatabaseKind::of(url).ok(), expected, "{url}");
        }
    }
}
