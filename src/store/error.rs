//! The consequence of a database error for the work that met it.

use std::time::Duration;

use sea_orm::sqlx::error::{DatabaseError, Error as SqlxError};
use sea_orm::{DbErr, RuntimeErr};

use crate::jobs::JobError;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The store is unreachable, locked, out of connections, deadlocked or asks to serialize; or it lets
    /// no connection in, lacks a table, or is damaged: the same work will do later.
    Store,
    /// The data does not fit: the same work will fail again.
    Data,
    /// Something else, most likely our own mistake.
    Other,
}

/// Tells what an error is about, by SQLSTATE on PostgreSQL and by result code on SQLite.
#[must_use]
pub fn cause(error: &DbErr) -> Cause {
    let runtime = match error {
        DbErr::ConnectionAcquire(_) => return Cause::Store,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return Cause::Other,
    };
    let RuntimeErr::SqlxError(error) = runtime else {
        return Cause::Other;
    };
    match error.as_ref() {
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => Cause::Store,
        SqlxError::Database(error) => of_code(error.as_ref()),
        _ => Cause::Other,
    }
}

fn of_code(error: &dyn DatabaseError) -> Cause {
    let Some(code) = error.code() else {
        return Cause::Other;
    };
    if error
        .try_downcast_ref::<sea_orm::sqlx::postgres::PgDatabaseError>()
        .is_some()
    {
        return match &code[..2.min(code.len())] {
            "22" | "23" => Cause::Data,
            // Connection, transaction state and rollback, login, catalog, resources, lock not available,
            // operator, system, configuration file, internal error (a damaged page).
            "08" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" | "58" | "F0" | "XX" => {
                Cause::Store
            }
            // A right withdrawn; a table or column that is not there, as while a backup is restored.
            _ if matches!(&*code, "42501" | "42P01" | "42703") => Cause::Store,
            _ => Cause::Other,
        };
    }
    // SQLite's extended codes carry the primary one in the low byte.
    match code.parse::<u32>().map(|code| code & 0xff) {
        // PERM, BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, AUTH, NOTADB.
        Ok(3 | 5 | 6 | 8 | 10 | 11 | 13 | 14 | 23 | 26) => Cause::Store,
        // TOOBIG, CONSTRAINT, MISMATCH.
        Ok(18..=20) => Cause::Data,
        _ => Cause::Other,
    }
}

/// Whether the store ended a statement because it took too long.
#[must_use]
pub fn took_too_long(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    let SqlxError::Database(error) = error.as_ref() else {
        return false;
    };
    // PostgreSQL's query_canceled, SQLite's INTERRUPT.
    matches!(error.code().as_deref(), Some("57014" | "9"))
}

/// How long work waits for a store that cannot serve it now.
pub const STORE_DELAY: Duration = Duration::from_secs(1);

impl From<DbErr> for JobError {
    fn from(error: DbErr) -> Self {
        match cause(&error) {
            Cause::Store => Self::RetryAfter {
                after: STORE_DELAY,
                why: error.to_string(),
            },
            Cause::Data | Cause::Other => Self::Retry(error.to_string()),
        }
    }
}
