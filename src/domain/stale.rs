//! Stale firings, which their source does not send any more: when one is marked as unheard, and when it is
//! closed as unseen. Alertmanager sends no resolve for what was silenced or inhibited when it ended, nor
//! for what ended while it was down. Prometheus that stops says nothing.

use std::time::Duration;

use super::lease::Lease;
use crate::time::Timestamp;

/// How long an open firing may be without news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleLimits {
    /// Time without a delivery after which it is stale.
    pub unheard: Duration,
    /// Time without a delivery after which it is closed as expired.
    pub unseen: Duration,
    /// Where its source gives leases: the number without a delivery after which it is stale.
    pub unheard_leases: u32,
    /// The number after which it is expired.
    pub unseen_leases: u32,
}

/// When an open firing was last received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When that was.
    pub last_seen: Timestamp,
    /// What its sender said of how long it holds.
    pub lease: Option<Lease>,
}

impl StaleLimits {
    /// When an open firing becomes unheard if it is not received again.
    #[must_use]
    pub fn unheard_at(&self, heard: &Heard) -> Timestamp {
        last_word(heard, self.unheard, self.unheard_leases)
    }

    /// When it is to be closed as unseen, likewise.
    #[must_use]
    pub fn unseen_at(&self, heard: &Heard) -> Timestamp {
        last_word(heard, self.unseen, self.unseen_leases)
    }

    /// Whether an open firing is unheard.
    #[must_use]
    pub fn is_unheard(&self, heard: &Heard, now: Timestamp) -> bool {
        self.unheard_at(heard) <= now
    }

    /// Whether it is to be closed as unseen, by what its sender said when it was asked. It is asked
    /// about for as long as `longest` at most: then its row is due to be pruned.
    #[must_use]
    pub fn is_over(
        &self,
        heard: &Heard,
        now: Timestamp,
        said: SourceAnswer,
        longest: Duration,
    ) -> bool {
        let unseen = self.unseen_at(heard);
        let last = heard.last_seen.after(longest);
        let at = match said {
            SourceAnswer::Nothing | SourceAnswer::Gone => unseen,
            SourceAnswer::Unknown => unseen.after(unseen.since(heard.last_seen)),
            SourceAnswer::Fires => last,
        };
        unseen.max(at.min(last)) <= now
    }
}

/// Until when a way's word holds, the one of all ways that holds longest: see [`super::lease`].
fn last_word(heard: &Heard, unleased: Duration, leases: u32) -> Timestamp {
    let Some(lease) = heard.lease else {
        return heard.last_seen.after(unleased);
    };
    let leased = lease.given_at().after(lease.length * leases);
    let other = lease.unleased_at.map(|at| at.after(unleased));
    other.map_or(leased, |other| other.max(leased))
}

/// What a source says of a firing that it does not send any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceAnswer {
    /// It cannot be asked.
    Nothing,
    /// It did not answer.
    Unknown,
    /// It still has the firing.
    Fires,
    /// It does not have it any more.
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);
    const PATIENCE: StaleLimits = StaleLimits {
        unheard: Duration::from_secs(12 * 3600),
        unseen: Duration::from_secs(48 * 3600),
        unheard_leases: 3,
        unseen_leases: 10,
    };

    #[test]
    fn what_is_not_told_of_is_unheard_after_a_while_and_over_after_a_longer_one() {
        let heard = Heard {
            last_seen: Timestamp(0),
            lease: None,
        };
        let table = [
            (0, false, [false, false, false, false]),
            (11, false, [false, false, false, false]),
            (12, true, [false, false, false, false]),
            (47, true, [false, false, false, false]),
            (48, true, [true, false, false, true]),
            (95, true, [true, false, false, true]),
            (96, true, [true, true, false, true]),
            (29 * 24 - 1, true, [true, true, false, true]),
            (29 * 24, true, [true, true, true, true]),
        ];
        let all = [
            SourceAnswer::Nothing,
            SourceAnswer::Unknown,
            SourceAnswer::Fires,
            SourceAnswer::Gone,
        ];
        for (hours, unheard, over) in table {
            let now = Timestamp(0).after(HOUR * hours);
            assert_eq!(PATIENCE.is_unheard(&heard, now), unheard, "{hours} h");
            let is_over = all.map(|said| PATIENCE.is_over(&heard, now, said, HOUR * 24 * 29));
            assert_eq!(is_over, over, "{hours} h");
        }
    }

    #[test]
    fn a_lease_that_is_not_given_again_makes_it_unheard_after_three_and_unseen_after_ten() {
        let heard = Heard {
            last_seen: Timestamp(0),
            lease: Some(Lease::given(Timestamp(0), MINUTE * 4)),
        };
        for (minutes, unheard, over, unknown) in [
            (4, false, false, false),
            (11, false, false, false),
            (12, true, false, false),
            (39, true, false, false),
            (40, true, true, false),
            (80, true, true, true),
        ] {
            let now = Timestamp(0).after(MINUTE * minutes);
            let is_over = |said| PATIENCE.is_over(&heard, now, said, HOUR * 24 * 29);
            assert_eq!(PATIENCE.is_unheard(&heard, now), unheard, "{minutes} min");
            assert_eq!(is_over(SourceAnswer::Nothing), over, "{minutes} min");
            assert_eq!(is_over(SourceAnswer::Unknown), unknown, "{minutes} min");
            assert!(!is_over(SourceAnswer::Fires));
        }
    }

    #[test]
    fn the_word_of_a_way_without_leases_holds_for_as_long_as_ever() {
        let mut lease = Lease::given(Timestamp(0).after(HOUR), MINUTE * 4);
        lease.unleased_at = Some(Timestamp(0));
        let heard = Heard {
            last_seen: Timestamp(0).after(HOUR),
            lease: Some(lease),
        };
        assert_eq!(PATIENCE.unheard_at(&heard), Timestamp(0).after(HOUR * 12));
        assert_eq!(PATIENCE.unseen_at(&heard), Timestamp(0).after(HOUR * 48));
        lease.renew(Timestamp(0).after(HOUR * 12), MINUTE * 4);
        let heard = Heard {
            lease: Some(lease),
            ..heard
        };
        assert_eq!(
            PATIENCE.unheard_at(&heard),
            Timestamp(0).after(HOUR * 12 + MINUTE * 12)
        );
    }
}
