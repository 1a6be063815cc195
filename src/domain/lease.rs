//! Leases: a sender such as Prometheus repeats what fires, and says each time until when that holds.
//!
//! A lease that runs out is no end. Its sender may be down, or cut off: the firing is stale, then closed as
//! unseen, see [`super::stale`].
//!
//! A firing may be sent by several ways of one family. Each way's last word holds as that way's words do:
//! one that gives leases is expected to repeat itself, one that does not (Alertmanager) says something when it
//! changes, or hours later. So a firing is stale when no way's word holds any more. One word of Alertmanager is no
//! word of its own: where nothing repeats an alert until its lease ends, Alertmanager says that it is resolved as of
//! that very moment. It knows no more about it than that the lease ran out, which ends nothing here. It is taken
//! back as a way that sends the firing.

use std::time::Duration;

use crate::time::{Timestamp, millis};

/// What a lease is if its sender does not say until when: Alertmanager's `resolve_timeout`.
pub const USUAL: Duration = Duration::from_secs(300);
/// The longest lease; a longer one is cut to it.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A repeated delivery of a firing is written at least this often.
const WRITTEN_EVERY: Duration = Duration::from_secs(90);

/// Until when a firing holds by its sender's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long it was when it was given.
    pub length: Duration,
    /// When it ends. By the sender's clock: an end that it says later is by the same.
    pub until: Timestamp,
    /// When a way without leases last sent the firing, if any did.
    pub unleased_at: Option<Timestamp>,
}

impl Lease {
    /// One of this length that was given then.
    #[must_use]
    pub fn given(at: Timestamp, length: Duration) -> Self {
        Self {
            length,
            until: at.after(length),
            unleased_at: None,
        }
    }

    /// When it was given.
    #[must_use]
    pub fn given_at(&self) -> Timestamp {
        self.until.before(self.length)
    }

    /// Gives it again. A length that differs by a quarter at most is the same: how long a delivery took makes
    /// that difference.
    pub(super) fn renew(&mut self, at: Timestamp, length: Duration) {
        if length.abs_diff(self.length) > self.length / 4 {
            self.length = length;
        }
        self.until = self.until.max(at.after(length));
    }

    /// For how long it need not be written that a repetition came. Of the usual four in a lease every other one is
    /// written.
    #[must_use]
    pub fn unwritten(&self) -> Duration {
        (self.length * 3 / 8).min(WRITTEN_EVERY)
    }

    /// Whether a way without leases that says that the firing ended then says only that the lease ran out.
    ///
    /// The sender of the leases knows of an end before they run out, and what is written of it is behind by less
    /// than [`Lease::unwritten`] and a repetition. So an end while it repeats itself is before `until`, and the end
    /// of the last lease that it gave is not later than `until` by more than these.
    #[must_use]
    pub fn is_own_end(&self, end: Timestamp) -> bool {
        let behind = millis(self.length) * 7 / 8;
        self.until <= end && end.0 <= self.until.0 + behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(seconds: u32) -> Lease {
        Lease::given(Timestamp(0), SECOND * seconds)
    }

    #[test]
    fn a_lease_is_given_again_and_keeps_its_length_where_only_the_way_was_longer() {
        let mut lease = lease(240);
        for (at, length, expected) in [
            (60, 240, (240, 300)),
            (120, 238, (240, 358)),
            // It overtook the one before.
            (90, 240, (240, 358)),
            (180, 60, (60, 358)),
            (360, 60, (60, 420)),
        ] {
            lease.renew(Timestamp(at * 1000), SECOND * length);
            let found = (lease.length.as_secs(), lease.until.0 / 1000);
            assert_eq!(found, expected, "at {at}");
        }
    }

    #[test]
    fn what_is_repeated_four_times_in_a_lease_is_written_every_other_time_at_least() {
        for (length, expected) in [(240, 90.0), (60, 22.5), (4, 1.5), (24 * 3600, 90.0)] {
            assert_eq!(
                lease(length).unwritten().as_secs_f64(),
                expected,
                "{length}"
            );
        }
    }

    #[test]
    fn an_end_before_the_lease_ended_is_one_and_its_own_end_is_none() {
        let lease = lease(240);
        for (end, expected) in [
            (0, false),
            (239, false),
            (240, true),
            (330, true),
            (450, true),
            (451, false),
            (4000, false),
        ] {
            assert_eq!(lease.is_own_end(Timestamp(end * 1000)), expected, "{end}");
        }
    }
}
