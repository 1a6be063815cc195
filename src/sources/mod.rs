//! Who sends alerts. ADD A SOURCE HERE: a file that explains itself (what they send, what we make
//! of it, what must come out), and its line in [`SOURCES`].

pub mod alertmanager;
mod bounded;
pub mod cluster;
pub mod fingerprint;
mod plain;
mod text;

use utoipa::openapi::schema::Schema;

use crate::config::Config;
use crate::jobs::Content;

/// A kind of sender.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name: `POST /api/v1/{name}`.
    pub name: &'static str,
    /// What sends it, as people call it.
    pub sender: &'static str,
    /// What a body must be, for the API's description: nothing in it that [`Source::translate`] takes all the
    /// same may be ruled out.
    pub schema: fn() -> Schema,
    /// A body as it was recorded.
    pub example: &'static str,
    /// Translates a body, by what the settings say of limits, signatures and what is ignored.
    pub translate: fn(&[u8], &Config) -> Result<Translated, Refused>,
}

/// Every source.
pub const SOURCES: [Source; 1] = [alertmanager::SOURCE];

/// What was in a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Translated {
    /// One entry for each alert, in the order of the body: the alert, or why it cannot be used.
    pub alerts: Vec<Content>,
    /// How many alerts the sender says that it left out.
    pub truncated: u64,
    /// How many of the alerts have a time that cannot be read: it is as if it were missing.
    pub misdated: u64,
    /// Which cluster it speaks for, where the body tells.
    pub cluster: Option<String>,
}

/// Why a body as a whole cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not what this source sends.
    #[error("{0}")]
    Malformed(String),
    /// It holds more alerts than a request may.
    #[error("the body holds {count} alerts; at most {most} are taken at once")]
    TooMany {
        /// How many it holds.
        count: usize,
        /// How many it may hold.
        most: usize,
    },
}
