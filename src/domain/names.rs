//! Limits of new anomalies. The value that a sender puts into a label that names a service may be another
//! name each time; each would be a row, a set of counts and a message, for more than a year.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Room for new anomalies, in one process.
#[derive(Debug)]
pub struct Names {
    per_minute: u32,
    total: u64,
    room: Mutex<Room>,
}

#[derive(Debug)]
struct Room {
    /// New ones that may be made at once; it fills again with time.
    left: f64,
    /// When that was.
    at: Instant,
    /// How many anomalies there are, as far as is known.
    known: u64,
}

impl Names {
    /// At most `per_minute` new ones at once and in each minute after that, and none while there are `total`.
    #[must_use]
    pub fn new(per_minute: u32, total: u64) -> Self {
        Self {
            per_minute,
            total,
            room: Mutex::new(Room {
                left: f64::from(per_minute),
                at: Instant::now(),
                known: 0,
            }),
        }
    }

    /// Room for any number.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::new(u32::MAX, u64::MAX)
    }

    /// Sets the number of anomalies, as just counted in the store.
    pub fn counted(&self, known: u64) {
        self.room().known = known;
    }

    /// How many there may be in all.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Reserves room for `wanted` new anomalies, or for as many as fit. The room is freed unless they are
    /// [made](Reservation::made).
    pub fn take(&self, wanted: usize) -> Reservation<'_> {
        Reservation {
            names: self,
            room: match wanted {
                0 => 0,
                wanted => self.take_at(wanted, Instant::now()),
            },
        }
    }

    fn give_back(&self, taken: usize) {
        let mut room = self.room();
        room.left += taken as f64;
        room.known = room.known.saturating_sub(taken as u64);
    }

    fn take_at(&self, wanted: usize, now: Instant) -> usize {
        let mut room = self.room();
        let most = f64::from(self.per_minute);
        let passed = now.saturating_duration_since(room.at);
        let filled = passed.as_secs_f64() / MINUTE.as_secs_f64() * most;
        room.left = (room.left + filled).min(most);
        room.at = room.at.max(now);
        let in_all = self.total.saturating_sub(room.known);
        let taken = (wanted as u64).min(room.left as u64).min(in_all);
        room.left -= taken as f64;
        room.known += taken;
        usize::try_from(taken).unwrap_or(wanted)
    }

    fn room(&self) -> std::sync::MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// Room for new anomalies that are about to be made. A commit that fails, or is given up, gives it back.
#[derive(Debug)]
#[must_use]
pub struct Reservation<'a> {
    names: &'a Names,
    room: usize,
}

impl Reservation<'_> {
    /// For how many.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// They were made.
    pub fn made(mut self) {
        self.room = 0;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.room > 0 {
            self.names.give_back(self.room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_room_for_so_many_and_all_time_for_no_more_than_all() {
        let (names, start) = (Names::new(60, 100), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (wanted, seconds, expected) in [
            (50, 0, 50),
            (20, 0, 10),
            (1, 0, 0),
            // One a second.
            (5, 3, 3),
            // Not more than a minute's, however long nothing was new.
            (100, 1000, 37),
            (1, 2000, 0),
        ] {
            assert_eq!(names.take_at(wanted, at(seconds)), expected, "at {seconds}");
        }
        // Some were pruned.
        names.counted(98);
        assert_eq!(names.take_at(5, at(3000)), 2);
        names.give_back(1);
        assert_eq!(names.take_at(5, at(3000)), 1);
        let names = Names::new(60, 3);
        drop(names.take(3));
        let taken = names.take(2);
        assert_eq!(taken.room(), 2, "who failed gave it back");
        taken.made();
        assert_eq!(names.take(2).room(), 1);
        assert_eq!(Names::unbounded().take_at(1_000_000, at(0)), 1_000_000);
    }
}
