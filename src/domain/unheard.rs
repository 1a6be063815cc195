//! Firings that their sender does not tell of any more: when one is marked as unheard, and when it is
//! closed as unseen. Alertmanager sends no resolve for what was silenced or inhibited when it ended, nor
//! for what ended while it was down.

use std::time::Duration;

use crate::time::Timestamp;

/// How long an open firing may be without news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleLimits {
    /// Without news for so long, it is unheard.
    pub unheard: Duration,
    /// Without news for so long, it is closed as unseen.
    pub unseen: Duration,
}

impl StaleLimits {
    /// Whether an open firing that was last told of at `last_seen` is unheard.
    #[must_use]
    pub fn is_unheard(&self, last_seen: Timestamp, now: Timestamp) -> bool {
        last_seen.after(self.unheard) <= now
    }

    /// Whether it is to be closed as unseen, by what its sender said when it was asked. It is asked
    /// about for as long as `longest` at most: then its row is due to be pruned.
    #[must_use]
    pub fn is_over(
        &self,
        last_seen: Timestamp,
        now: Timestamp,
        said: SourceAnswer,
        longest: Duration,
    ) -> bool {
        let waits = match said {
            SourceAnswer::Nothing | SourceAnswer::Gone => self.unseen,
            SourceAnswer::Unknown => self.unseen * 2,
            SourceAnswer::Fires => longest,
        };
        last_seen.after(self.unseen.max(waits.min(longest))) <= now
    }
}

/// What a sender says of a firing that it does not tell of any more.
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

    #[test]
    fn what_is_not_told_of_is_unheard_after_a_while_and_over_after_a_longer_one() {
        let limits = StaleLimits {
            unheard: 12 * HOUR,
            unseen: 48 * HOUR,
        };
        let seen = Timestamp(0);
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
            let now = seen.after(HOUR * hours);
            assert_eq!(limits.is_unheard(seen, now), unheard, "{hours} h");
            let is_over = all.map(|said| limits.is_over(seen, now, said, HOUR * 24 * 29));
            assert_eq!(is_over, over, "{hours} h");
        }
    }
}
