//! Mutes: which notifications are suppressed, for how long, and which are sent all the same.

use std::time::Duration;

use super::escalation::{Level, LevelState};
use super::notification::Kind;
use super::refusal::{Code, Refusal};
use crate::time::Timestamp;

/// The longest mute: what is silent for longer is forgotten.
pub const LONGEST: Duration = Duration::from_secs(LONGEST_DAYS * 24 * 3600);
const LONGEST_DAYS: u64 = 30;

/// When a mute ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// So long from now.
    After(Duration),
    /// At this moment.
    At(Timestamp),
}

impl Ends {
    /// The moment, for a mute that begins at `now`.
    ///
    /// # Errors
    /// It would be over already, or last too long.
    pub fn moment(self, now: Timestamp) -> Result<Timestamp, Refusal> {
        let until = match self {
            Self::After(span) => now.after(span),
            Self::At(moment) => moment,
        };
        if until <= now {
            let detail = "the end of a mute must be in the future";
            return Err(Refusal::new(Code::MuteEndPassed, detail));
        }
        if until > now.after(LONGEST) {
            let detail = "a mute can last 30 days at most";
            return Err(Refusal::new(Code::MuteTooLong, detail).limit(LONGEST_DAYS));
        }
        Ok(until)
    }
}

/// The mute of an anomaly: none, one that holds, or one that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mute {
    /// Muted since.
    pub since: Option<Timestamp>,
    /// Muted until.
    pub until: Option<Timestamp>,
    /// When a rise to `PERMANENT_FIX` was last sent in spite of a mute.
    pub broken_at: Option<Timestamp>,
}

impl Mute {
    /// Whether the anomaly is muted at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// Whether a rise to `PERMANENT_FIX` was sent in spite of the current mute: another one is not.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.since
            .is_some_and(|since| self.broken_at.is_some_and(|at| at >= since))
    }

    /// Whether a pending message is kept back at `now`. One that reports a rise to `PERMANENT_FIX` is not:
    /// `escalated` of such an anomaly does, and so does every other message that was pending when the level
    /// rose. (What is decided after the rise that broke a mute is never pending, so every pending message
    /// was there at that rise.)
    #[must_use]
    pub fn keeps_back(
        &self,
        level: &LevelState,
        kind: Kind,
        owed_since: Timestamp,
        now: Timestamp,
    ) -> bool {
        let rose_since = || level.risen_at.is_some_and(|at| at >= owed_since);
        let tells_the_rise = match kind {
            Kind::Escalated => true,
            Kind::Opened | Kind::Reopened | Kind::Worsened | Kind::Flapping => {
                self.is_broken() || rose_since()
            }
            Kind::Resolved
            | Kind::Repeated
            | Kind::Steady
            | Kind::Digest
            | Kind::Report
            | Kind::Playbook => false,
        };
        self.holds(now) && !(level.level == Level::PermanentFix && tells_the_rise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_382_909_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_mute_ends_in_the_next_thirty_days() {
        let day = 24 * HOUR;
        let table = [
            (Ends::After(HOUR), Ok(NOW.after(HOUR))),
            (Ends::After(30 * day), Ok(NOW.after(30 * day))),
            (Ends::At(NOW.after(day)), Ok(NOW.after(day))),
            (Ends::After(Duration::ZERO), Err(Code::MuteEndPassed)),
            (Ends::At(NOW), Err(Code::MuteEndPassed)),
            (Ends::At(NOW.before(HOUR)), Err(Code::MuteEndPassed)),
            (Ends::After(30 * day + HOUR), Err(Code::MuteTooLong)),
            (Ends::After(Duration::MAX), Err(Code::MuteTooLong)),
        ];
        for (ends, expected) in table {
            let moment = ends.moment(NOW).map_err(|refusal| refusal.code);
            assert_eq!(moment, expected, "{ends:?}");
        }
    }

    #[test]
    fn only_what_tells_the_rise_to_permanent_fix_is_not_kept_back() {
        let (owed, before, after) = (NOW.before(HOUR), NOW.before(2 * HOUR), NOW);
        let table = [
            (Kind::Opened, Level::None, None, None, true),
            (Kind::Opened, Level::Escalate, Some(owed), None, true),
            (Kind::Escalated, Level::Escalate, Some(owed), None, true),
            // It rose long before the incident opened: that is no news.
            (Kind::Opened, Level::PermanentFix, Some(before), None, true),
            (Kind::Opened, Level::PermanentFix, Some(owed), None, false),
            (Kind::Opened, Level::PermanentFix, Some(after), None, false),
            (
                Kind::Escalated,
                Level::PermanentFix,
                Some(after),
                None,
                false,
            ),
            // It waits for a burst to be over.
            (
                Kind::Escalated,
                Level::PermanentFix,
                Some(before),
                None,
                false,
            ),
            (
                Kind::Reopened,
                Level::PermanentFix,
                Some(before),
                None,
                true,
            ),
            (
                Kind::Reopened,
                Level::PermanentFix,
                Some(after),
                None,
                false,
            ),
            (
                Kind::Worsened,
                Level::PermanentFix,
                Some(after),
                None,
                false,
            ),
            (Kind::Resolved, Level::PermanentFix, Some(after), None, true),
            (Kind::Repeated, Level::PermanentFix, Some(after), None, true),
            // The rise that it tells broke this mute, or the one before.
            (
                Kind::Opened,
                Level::PermanentFix,
                Some(before),
                Some(owed),
                false,
            ),
            (
                Kind::Opened,
                Level::PermanentFix,
                Some(before),
                Some(before),
                true,
            ),
            (Kind::Opened, Level::Escalate, Some(owed), Some(owed), true),
        ];
        for (kind, level, risen_at, broken_at, expected) in table {
            let mute = Mute {
                since: Some(NOW.before(HOUR)),
                until: Some(NOW.after(HOUR)),
                broken_at,
            };
            let level_state = LevelState {
                level,
                risen_at,
                ..LevelState::default()
            };
            let keeps_back = |now| mute.keeps_back(&level_state, kind, owed, now);
            let kept = keeps_back(NOW);
            assert_eq!(
                kept, expected,
                "{kind:?} {level} {risen_at:?} {broken_at:?}"
            );
            let over = NOW.after(HOUR);
            assert!(!keeps_back(over), "the mute is over");
        }
    }
}
