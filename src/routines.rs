//! Periodic work, and when each was last done.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::DbErr;

use crate::jobs::{Part, VERIFY};
use crate::store::{Db, maintenance, marks};
use crate::time::{Clock, Timestamp};

/// Missed runs in a row after which a routine counts as stopped.
const MISSES: u32 = 3;

/// Periodic work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Routine {
    /// What only time changes, and pending work: all parts but pruning.
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
            Self::Recount => "recount",
            Self::Verify => VERIFY.name,
            Self::Pruning => "pruning",
        }
    }

    /// How often it is done.
    #[must_use]
    pub const fn every(self) -> Duration {
        match self {
            // No part is done less often.
            Self::Recount => Duration::from_secs(60),
            Self::Verify => VERIFY.every,
            // What is kept for weeks may stay an hour longer.
            Self::Pruning => Duration::from_secs(3600),
        }
    }

    /// The name of the mark that says when the last one began that was done, by the queue's clock. Of recount it says
    /// when all parts were last pushed together, or done together by an older version.
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
    let moments = marks::moments(db).await?;
    // One without a moment never ended.
    let moments = moments.into_iter().filter(|(_, at)| *at > Timestamp(0));
    let moments: HashMap<String, Timestamp> = moments.collect();
    let ago = |routine: Routine| last_of(routine, &moments).map(|at| now.since(at));
    Ok(Last(Routine::ALL.map(ago)))
}

/// When it was last done. Recount: the part that was done least lately of those that ever were.
fn last_of(routine: Routine, moments: &HashMap<String, Timestamp>) -> Option<Timestamp> {
    let together = moments.get(routine.mark()).copied();
    if routine != Routine::Recount {
        return together;
    }
    let parts = Part::ALL
        .into_iter()
        .filter(|part| *part != Part::Pruning)
        .filter_map(|part| moments.get(part.mark()).copied().max(together));
    parts.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recount_is_as_old_as_the_part_that_was_done_least_lately() {
        let at = |of: &[(&str, i64)]| {
            let of = of.iter();
            let moments = of.map(|(name, at)| ((*name).to_owned(), Timestamp(*at)));
            last_of(Routine::Recount, &moments.collect()).map(|at| at.0)
        };
        let (tiers, mutes) = (Part::Tiers.mark(), Part::Mutes.mark());
        assert_eq!(at(&[]), None);
        assert_eq!(at(&[(tiers, 50), (mutes, 40)]), Some(40));
        assert_eq!(
            at(&[(tiers, 50), (mutes, 40), (Part::Pruning.mark(), 1)]),
            Some(40)
        );
        // All were pushed together, or an older version did them.
        assert_eq!(at(&[(tiers, 50), (mutes, 40), ("tick", 45)]), Some(45));
        assert_eq!(at(&[("tick", 45)]), Some(45));
    }

    #[test]
    fn no_part_of_recount_is_done_less_often_than_recount() {
        for part in Part::ALL {
            let every = part.schedule().every;
            assert!(
                part == Part::Pruning || every <= Routine::Recount.every(),
                "{part:?}"
            );
        }
    }

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
