//! The three combinations of store and queue.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// Which store and queue Tocsin runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum On {
    /// One process on a SQLite file
    Embedded,
    /// PostgreSQL alone
    Postgres,
    /// PostgreSQL, and Redis for queue and counter
    Fleet,
}

impl On {
    pub(crate) const ALL: [Self; 3] = [Self::Embedded, Self::Postgres, Self::Fleet];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Postgres => "postgres",
            Self::Fleet => "fleet",
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
