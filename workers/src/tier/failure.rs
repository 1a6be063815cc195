//! Why tiers could not be worked out, and what becomes of their jobs.

use sea_orm::DbErr;
use tocsin::jobs::JobError;
use tocsin::store::error::{self, STORE_DELAY, cause};

/// Why incidents could not be worked on.
#[derive(Clone, Debug)]
pub(crate) enum TierError {
    /// The store cannot be reached now.
    Store(String),
    /// Something else.
    Internal(String),
}

impl From<DbErr> for TierError {
    fn from(error: DbErr) -> Self {
        match cause(&error) {
            error::Cause::Store => Self::Store(error.to_string()),
            error::Cause::Data | error::Cause::Other => Self::Internal(error.to_string()),
        }
    }
}

impl From<TierError> for JobError {
    fn from(error: TierError) -> Self {
        match error {
            TierError::Store(why) => Self::RetryAfter {
                after: STORE_DELAY,
                why,
            },
            TierError::Internal(why) => Self::Retry(why),
        }
    }
}
