//! What people do, wherever they do it: by the API, on a page, or by a button. Each deed is done and
//! written into the audit in the transaction that it is given; what must follow it is pushed when
//! that is committed.

pub mod incident;
pub mod mute;
pub mod repair;

use sea_orm::DbErr;

pub use crate::outbox::FollowUp as Due;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such incident.
    #[error("there is no such incident")]
    NoIncident,
    /// There is no such anomaly.
    #[error("there is no such anomaly")]
    NoAnomaly,
    /// It makes no sense.
    #[error("{0}")]
    Senseless(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] DbErr),
}
