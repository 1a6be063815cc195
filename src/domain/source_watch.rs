//! What people are told once of a source: that it is quiet against its habit, that its sender leaves out alerts, that
//! none of its alerts is ever said to be over.

use std::time::Duration;

use crate::time::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// A habit that was not kept for so long is none any more.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// For how many weeks in a row a source must have delivered in an hour for that to be its habit.
pub const WEEKS: i64 = 4;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// It delivered nothing in an hour of the week in which it always does.
    Quiet,
    /// Its sender left out alerts.
    Truncated,
    /// Its firings expire, and none is resolved.
    Unresolved,
}

/// When each is told.
#[derive(Clone, Copy, Debug)]
pub struct WarningLimits {
    /// So many deliveries in an hour are a habit; 0: never.
    pub quiet: u32,
    /// Whether alerts that were left out are told.
    pub truncated: bool,
    /// So many expired firings within 24 hours, with none resolved; 0: never.
    pub unresolved: u32,
}

/// What a source delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFigures {
    /// Alerts that its sender left out in the last 24 hours.
    pub truncated: i64,
    /// Alerts that were said to be over in the last 24 hours.
    pub resolved: i64,
    /// Firings that expired in the last 24 hours.
    pub expired: i64,
    /// In how many of the last four weeks it delivered enough in what was the last whole hour.
    pub weeks: i64,
    /// What it delivered since that hour began.
    pub delivered: i64,
    /// When it delivered last, if that was in the last two weeks or at this time of the weeks before.
    pub delivered_at: Option<Timestamp>,
}

/// When it is looked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// Since when processes take alerts without a break; none if they do not now.
    pub listens_since: Option<Timestamp>,
}

impl Moment {
    /// When the last whole hour began.
    #[must_use]
    pub fn hour(&self) -> Timestamp {
        let hour = HOUR.as_millis() as i64;
        Timestamp((self.now.0.div_euclid(hour) - 1) * hour)
    }
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is told, from then on.
    Since(Timestamp),
    /// What was told holds; what was not told is not.
    AsBefore,
    /// Nothing is to be told.
    Over,
}

impl Warning {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quiet, Self::Truncated, Self::Unresolved];

    /// As metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Truncated => "truncated",
            Self::Unresolved => "unresolved",
        }
    }

    /// The name of its alert.
    #[must_use]
    pub const fn alert(self) -> &'static str {
        match self {
            Self::Quiet => "SourceQuiet",
            Self::Truncated => "AlertsLeftOut",
            Self::Unresolved => "ResolvesMissing",
        }
    }

    /// What the store calls the watch of it.
    #[must_use]
    pub fn watch(self, source: &str) -> String {
        format!("source {}: {source}", self.name())
    }

    /// Whether it can be told of this source. Others have no setting to send the ends of alerts.
    #[must_use]
    pub fn is_of(self, source: &str) -> bool {
        self != Self::Unresolved || matches!(source, "alertmanager" | "grafana" | "signoz")
    }

    /// What to tell; `late` says since when it was told.
    #[must_use]
    pub fn judge(
        self,
        source: &SourceFigures,
        limits: &WarningLimits,
        late: Option<Timestamp>,
        at: &Moment,
    ) -> Told {
        match self {
            Self::Quiet if limits.quiet == 0 => Told::Over,
            Self::Quiet => quiet(source, late, at),
            Self::Truncated if limits.truncated && source.truncated > 0 => Told::Since(at.now),
            Self::Truncated => Told::Over,
            Self::Unresolved if limits.unresolved == 0 => Told::Over,
            Self::Unresolved if source.resolved > 0 || source.expired == 0 => Told::Over,
            Self::Unresolved if source.expired >= i64::from(limits.unresolved) => {
                Told::Since(at.now)
            }
            Self::Unresolved => Told::AsBefore,
        }
    }
}

fn quiet(source: &SourceFigures, late: Option<Timestamp>, at: &Moment) -> Told {
    let hour = at.hour();
    if let Some(late) = late {
        let is_back = source.delivered_at > Some(late);
        // An hour of the same kind as the first one that it missed is over, and it missed that, too: from then on no hour
        // is a habit.
        let is_habit = hour.since(late) < WEEK;
        return match is_back || !is_habit {
            true => Told::Over,
            false => Told::AsBefore,
        };
    }
    // Ingresses write what they took within seconds.
    let is_written = at.now.since(hour.after(HOUR)) >= MINUTE;
    // Tocsin that was down, or whose clock jumped, did not hear it.
    let was_heard = at.listens_since.is_some_and(|since| since <= hour);
    match source.weeks >= WEEKS && source.delivered == 0 && is_written && was_heard {
        true => Told::Since(hour),
        false => Told::AsBefore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WarningLimits = WarningLimits {
        quiet: 5,
        truncated: true,
        unresolved: 20,
    };
    const H: i64 = 3_600_000;

    fn at(now: i64, listens_since: Option<i64>) -> Moment {
        Moment {
            now: Timestamp(now),
            listens_since: listens_since.map(Timestamp),
        }
    }

    #[test]
    fn a_source_is_quiet_after_an_hour_in_which_it_always_delivered() {
        let habit = SourceFigures {
            weeks: 4,
            ..SourceFigures::default()
        };
        let judge = |figures: &SourceFigures, now, since| {
            Warning::Quiet.judge(figures, &LIMITS, None, &at(now, since))
        };
        let now = 10 * H + 60_000;
        assert_eq!(judge(&habit, now, Some(0)), Told::Since(Timestamp(9 * H)));
        let last = Some(9 * H);
        assert_eq!(judge(&habit, now, last), Told::Since(Timestamp(9 * H)));
        // Too early in the hour, Tocsin was down in it, or is.
        assert_eq!(judge(&habit, now - 1, Some(0)), Told::AsBefore);
        assert_eq!(judge(&habit, now, Some(9 * H + 1)), Told::AsBefore);
        assert_eq!(judge(&habit, now, None), Told::AsBefore);
        let three = SourceFigures { weeks: 3, ..habit };
        assert_eq!(judge(&three, now, Some(0)), Told::AsBefore);
        let one = SourceFigures {
            delivered: 1,
            ..habit
        };
        assert_eq!(judge(&one, now, Some(0)), Told::AsBefore);
        let off = WarningLimits { quiet: 0, ..LIMITS };
        let told = Warning::Quiet.judge(&habit, &off, None, &at(now, Some(0)));
        assert_eq!(told, Told::Over);
    }

    #[test]
    fn it_is_over_when_it_delivers_or_after_a_week() {
        let judge = |delivered_at: Option<i64>, now| {
            let figures = SourceFigures {
                delivered_at: delivered_at.map(Timestamp),
                ..SourceFigures::default()
            };
            Warning::Quiet.judge(&figures, &LIMITS, Some(Timestamp(9 * H)), &at(now, None))
        };
        assert_eq!(judge(None, 20 * H), Told::AsBefore);
        assert_eq!(judge(Some(8 * H), 20 * H), Told::AsBefore);
        assert_eq!(judge(Some(9 * H + 1), 20 * H), Told::Over);
        assert_eq!(judge(None, 9 * H + 169 * H - 1), Told::AsBefore);
        assert_eq!(judge(None, 9 * H + 169 * H), Told::Over);
    }

    #[test]
    fn a_source_that_is_gone_is_told_once() {
        const WEEK_OF_HOURS: i64 = 168;
        // It delivered each hour until it was gone.
        let gone = 1000;
        let delivered = |hour: i64| hour < gone;
        let (mut late, mut tellings) = (None, Vec::new());
        for minute in 0..15 * 24 * 60 {
            let moment = at(gone * H + minute * 60_000, Some(0));
            let hour = moment.hour().0 / H;
            let weeks = (1..=WEEKS).filter(|week| delivered(hour - week * WEEK_OF_HOURS));
            let figures = SourceFigures {
                weeks: weeks.count() as i64,
                delivered: i64::from(delivered(hour)),
                delivered_at: Some(Timestamp(gone * H - 1)),
                ..SourceFigures::default()
            };
            match Warning::Quiet.judge(&figures, &LIMITS, late, &moment) {
                Told::Since(since) => {
                    tellings.push(since);
                    late = Some(since);
                }
                Told::AsBefore => {}
                Told::Over => late = None,
            }
        }
        assert_eq!(tellings, [Timestamp(gone * H)]);
        assert_eq!(late, None);
    }

    #[test]
    fn missing_resolves_are_told_of_many_expired_firings_and_no_resolve() {
        let told = |expired, resolved| {
            let figures = SourceFigures {
                expired,
                resolved,
                ..SourceFigures::default()
            };
            Warning::Unresolved.judge(&figures, &LIMITS, None, &at(7, None))
        };
        assert_eq!(told(20, 0), Told::Since(Timestamp(7)));
        assert_eq!(told(19, 0), Told::AsBefore);
        assert_eq!(told(20, 1), Told::Over);
        assert_eq!(told(0, 0), Told::Over);
        assert!(Warning::Unresolved.is_of("grafana") && !Warning::Unresolved.is_of("generic/x"));
    }
}
