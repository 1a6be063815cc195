//! Mutes: what is not told, for how long, and what is told all the same.

use std::time::Duration;

use super::escalation::Level;
use super::refusal::{Code, Refusal};
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::notifications::Kind;
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

/// Whether nothing is told of the anomaly at `now`.
#[must_use]
pub fn is_muted(anomaly: &Anomaly, now: Timestamp) -> bool {
    anomaly.muted_until.is_some_and(|until| until > now)
}

/// The anomaly as it is shown at `now`: a mute that is over is none.
#[must_use]
pub fn as_of(now: Timestamp, mut anomaly: Anomaly) -> Anomaly {
    if !is_muted(&anomaly, now) {
        anomaly.muted_since = None;
        anomaly.muted_until = None;
        anomaly.muted_by = None;
        anomaly.muted_why = None;
    }
    anomaly
}

/// Whether a rise to `PERMANENT_FIX` was told in spite of the mute that there is: another one is not.
#[must_use]
pub fn is_broken(anomaly: &Anomaly) -> bool {
    let since = anomaly.muted_since;
    since.is_some_and(|since| anomaly.mute_broken_at.is_some_and(|at| at >= since))
}

/// Whether a message that waits to be sent is kept back at `now`. One that tells that its anomaly
/// rose to `PERMANENT_FIX` is not: `escalated` of such an anomaly does, and so does what else was to
/// be told when the level rose, or while it waited. (What is decided after the rise that broke a mute is
/// never owed, so whatever waits was there at that rise.)
#[must_use]
pub fn keeps_back(anomaly: &Anomaly, kind: Kind, owed_since: Timestamp, now: Timestamp) -> bool {
    let rose_since = || anomaly.risen_at.is_some_and(|at| at >= owed_since);
    let tells_the_rise = match kind {
        Kind::Escalated => true,
        Kind::Opened | Kind::Reopened | Kind::Worsened => is_broken(anomaly) || rose_since(),
        Kind::Resolved | Kind::Repeated | Kind::Digest => false,
    };
    is_muted(anomaly, now) && !(anomaly.level == Level::PermanentFix && tells_the_rise)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_382_909_000);
    const HOUR: Duration = Duration::from_secs(3600);

    /// A muted anomaly.
    pub(in crate::domain) fn anomaly(level: Level, risen_at: Option<Timestamp>) -> Anomaly {
        Anomaly {
            key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            alert_name: "Test".to_owned(),
            service: String::new(),
            namespace: String::new(),
            error_type: String::new(),
            made_of: None,
            first_seen: None,
            last_seen: None,
            total: 1,
            pruned_total: 0,
            pruned_before: None,
            level,
            level_seq: 1,
            risen_at,
            reason: None,
            falling_since: None,
            permanent_fix_at: None,
            permanent_fix_reference: None,
            newest_incident: None,
            newest_number: 1,
            muted_since: Some(NOW.before(HOUR)),
            muted_until: Some(NOW.after(HOUR)),
            muted_by: Some("ann".to_owned()),
            muted_why: Some("known".to_owned()),
            mute_broken_at: None,
        }
    }

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
            let mut anomaly = anomaly(level, risen_at);
            anomaly.mute_broken_at = broken_at;
            let kept = keeps_back(&anomaly, kind, owed, NOW);
            assert_eq!(
                kept, expected,
                "{kind:?} {level} {risen_at:?} {broken_at:?}"
            );
            let over = NOW.after(HOUR);
            assert!(!keeps_back(&anomaly, kind, owed, over), "the mute is over");
        }
    }

    #[test]
    fn a_mute_that_is_over_is_not_shown() {
        let muted = anomaly(Level::None, None);
        assert_eq!(as_of(NOW, muted.clone()), muted);
        let over = as_of(NOW.after(HOUR), muted);
        assert_eq!(
            (
                over.muted_since,
                over.muted_until,
                over.muted_by,
                over.muted_why
            ),
            (None, None, None, None)
        );
    }
}
