//! Periodic work, and when each was last done.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::DbErr;

use crate::jobs::{RECOUNT, VERIFY};
use crate::store::{Db, maintenance, marks};
use crate::time::Clock;

/// Missed runs in a row after which a routine counts as stopped.
const MISSES: u32 = 3;

/// Periodic work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Routine {
    /// What only time changes, and pending work.
    Recount,
    /// Whether figures are what the rows say.
    Verify,
    /// Rows that are older than the settings say.
    Pruning,
}

impl Routine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Recount, Self::Verify, Self::Pruning];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recount => RECOUNT.name,
            Self::Verify => VERIFY.name,
            Self::Pruning => "pruning",
        }
    }

    /// How often it is done.
    #[must_use]
    pub const fn every(self) -> Duration {
        match self {
            Self::Recount => RECOUNT.every,
            Self::Verify => VERIFY.every,
            // What is kept for weeks may stay an hour longer.
            Self::Pruning => Duration::from_secs(3600),
        }
    }

    /// The name of the mark that says when the last one began that was done, by the queue's clock.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Recount => "tick",
            Self::Verify => "verified",
            Self::Pruning => "pruning",
        }
    }

    /// Whether the last run is so old that the routine counts as stopped.
    #[must_use]
    pub fn is_overdue(self, ago: Duration) -> bool {
        ago > self.every() * MISSES
    }
}

/// How long ago each was last done; none for one that never was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last([Option<Duration>; Routine::ALL.len()]);

impl Last {
    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = (Routine, Option<Duration>)> {
        Routine::ALL.into_iter().zip(self.0)
    }

    /// Those that are not done any more, and for how long.
    pub fn overdue(self) -> impl Iterator<Item = (Routine, Duration)> {
        let overdue = |(routine, ago): (Routine, Option<Duration>)| {
            let ago = ago.filter(|ago| routine.is_overdue(*ago))?;
            Some((routine, ago))
        };
        self.each().filter_map(overdue)
    }
}

/// When each was last done.
pub async fn last(db: &Db, clock: &Clock) -> Result<Last, DbErr> {
    let db = db.read();
    let now = clock.of_store(maintenance::now(db).await?);
    let moments: HashMap<String, _> = marks::moments(db).await?.into_iter().collect();
    let ago = |routine: Routine| moments.get(routine.mark()).map(|at| now.since(*at));
    Ok(Last(Routine::ALL.map(ago)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routine_missed_three_times_is_overdue() {
        for (routine, ago, overdue) in [
            (Routine::Recount, 180, false),
            (Routine::Recount, 181, true),
            (Routine::Verify, 3 * 3600, false),
            (Routine::Verify, 3 * 3600 + 1, true),
            (Routine::Pruning, 181, false),
        ] {
            let found = routine.is_overdue(Duration::from_secs(ago));
            assert_eq!(found, overdue, "{routine:?} {ago}");
        }
        let last = Last([Some(Duration::from_secs(200)), None, Some(Duration::ZERO)]);
        let overdue: Vec<_> = last.overdue().map(|(routine, _)| routine).collect();
        assert_eq!(overdue, [Routine::Recount]);
    }
}
