//! A standby of the database that answers what people ask.
//!
//! It answers only while it is not behind. Once a second it is asked how far it has come, and it is fresh as of the
//! moment at which the database itself was that far. After somebody changed something in this process it answers again
//! once it is fresh as of a moment after that, so that people see what they did. Whenever it may not answer, the
//! database does.

use std::collections::VecDeque;
use std::num::ParseIntError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr, Statement};

/// How often it is asked how far it has come.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How far it may be behind.
const BEHIND: Duration = Duration::from_secs(5);
/// How long a change may go on after it is known to be made: other statements of it may follow.
const CHANGE: Duration = Duration::from_secs(2);
/// How many places of the database are remembered that it has not come to.
const PLACES: usize = 60;

/// A standby, and how fresh it is.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) connections: DatabaseConnection,
    freshness: Arc<Freshness>,
}

/// Moments are milliseconds since this was made; zero: never.
#[derive(Debug)]
struct Freshness {
    since: Instant,
    /// The last moment whose changes it is known to have.
    fresh_as_of: AtomicU64,
    /// When somebody last changed something in this process.
    changed_at: AtomicU64,
}

impl Replica {
    /// A standby of `database`. It is followed until the last clone is dropped.
    pub(super) fn follow(connections: DatabaseConnection, database: DatabaseConnection) -> Self {
        let freshness = Arc::new(Freshness::new());
        let follower = Follower {
            replica: connections.clone(),
            database,
            freshness: Arc::downgrade(&freshness),
            places: VecDeque::new(),
        };
        tokio::spawn(follower.run());
        Self {
            connections,
            freshness,
        }
    }

    /// Whether it may answer now.
    pub(super) fn may_answer(&self) -> bool {
        self.freshness.is_fresh(self.freshness.now())
    }

    /// How far it is behind; `None` if it was never heard of.
    pub(super) fn behind(&self) -> Option<Duration> {
        let fresh = self.freshness.fresh_as_of.load(Ordering::Relaxed);
        let behind = self.freshness.now().saturating_sub(fresh);
        (fresh > 0).then(|| Duration::from_millis(behind))
    }

    /// Somebody changes something in this process now.
    pub(super) fn changes(&self) {
        let now = self.freshness.now();
        self.freshness.changed_at.fetch_max(now, Ordering::Relaxed);
    }
}

impl Freshness {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            fresh_as_of: AtomicU64::new(0),
            changed_at: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        milliseconds(self.since.elapsed()).max(1)
    }

    fn is_fresh(&self, now: u64) -> bool {
        let fresh = self.fresh_as_of.load(Ordering::Relaxed);
        let changed = self.changed_at.load(Ordering::Relaxed);
        let has_change = changed == 0 || fresh > changed + milliseconds(CHANGE);
        fresh > 0 && now <= fresh + milliseconds(BEHIND) && has_change
    }
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Finds out how fresh a standby is.
struct Follower {
    replica: DatabaseConnection,
    database: DatabaseConnection,
    freshness: Weak<Freshness>,
    /// Where the database was, and when, oldest first: what the standby has not come to.
    places: VecDeque<(u64, u64)>,
}

/// Why it is not known how far a standby has come.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("{0}")]
    Database(#[from] DbErr),
    #[error("no answer within {PATIENCE:?}")]
    Slow,
    #[error("it is no standby that replays what a primary writes")]
    NoStandby,
    #[error("what is no place in the log was answered: {0}")]
    Place(#[from] ParseIntError),
}

impl Follower {
    async fn run(mut self) {
        let mut every = tokio::time::interval(ASKED_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut answered = true;
        loop {
            every.tick().await;
            let Some(freshness) = self.freshness.upgrade() else {
                return;
            };
            let asked = tokio::time::timeout(PATIENCE, self.ask(&freshness)).await;
            let asked = asked.unwrap_or(Err(FollowError::Slow));
            match &asked {
                Err(error) => {
                    freshness.fresh_as_of.store(0, Ordering::Relaxed);
                    if answered {
                        tracing::warn!(
                            "the read replica cannot be followed, the database answers instead: {error}"
                        );
                    }
                }
                Ok(()) if !answered => tracing::info!("the read replica can be followed again"),
                Ok(()) => {}
            }
            answered = asked.is_ok();
        }
    }

    async fn ask(&mut self, freshness: &Freshness) -> Result<(), FollowError> {
        let now = freshness.now();
        let place = place_of(
            &self.database,
            "SELECT pg_current_wal_flush_lsn()::text AS place",
        )
        .await?;
        self.places
            .push_back((now, place.ok_or(FollowError::NoStandby)?));
        if self.places.len() > PLACES {
            self.places.pop_front();
        }
        let come = "SELECT pg_last_wal_replay_lsn()::text AS place";
        let come = place_of(&self.replica, come).await?;
        let come = come.ok_or(FollowError::NoStandby)?;
        while let Some((at, place)) = self.places.front().copied()
            && place <= come
        {
            freshness.fresh_as_of.store(at, Ordering::Relaxed);
            self.places.pop_front();
        }
        Ok(())
    }
}

/// A place in the log, as `16/B374D848`: bytes since the log began.
async fn place_of(db: &DatabaseConnection, sql: &str) -> Result<Option<u64>, FollowError> {
    let sql = Statement::from_string(db.get_database_backend(), sql);
    let Some(row) = db.query_one_raw(sql).await? else {
        return Ok(None);
    };
    let text: Option<String> = row.try_get("", "place")?;
    let parts = text.as_deref().and_then(|text| text.split_once('/'));
    let read = |(high, low)| {
        let (high, low) = (
            u64::from_str_radix(high, 16)?,
            u64::from_str_radix(low, 16)?,
        );
        Ok((high << 32) | low)
    };
    parts.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_while_it_is_not_behind_and_has_what_people_did() {
        let freshness = Freshness::new();
        assert!(!freshness.is_fresh(1), "nothing is known of it");
        freshness.fresh_as_of.store(10_000, Ordering::Relaxed);
        assert!(freshness.is_fresh(15_000));
        assert!(!freshness.is_fresh(15_001));
        freshness.changed_at.store(9_000, Ordering::Relaxed);
        assert!(!freshness.is_fresh(10_000));
        freshness.fresh_as_of.store(11_000, Ordering::Relaxed);
        assert!(!freshness.is_fresh(11_000));
        freshness.fresh_as_of.store(11_001, Ordering::Relaxed);
        assert!(freshness.is_fresh(11_001));
    }
}
