//! Which period a report is of.

use std::time::Duration;

use crate::domain::refusal::{Code, Refusal};
use crate::store::views::report::Span;
use crate::time::{Timestamp, millis};

/// How long a period is that nobody chose.
pub const USUAL: Duration = Duration::from_secs(7 * 86_400);
/// The longest period.
pub const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// An hour in milliseconds.
const HOUR: i64 = 3_600_000;

/// A period of full hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Period {
    /// From here to there, each brought back to the full hour: what is not given is a week, which ends now.
    ///
    /// # Errors
    /// It is empty, or too long.
    pub fn between(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let full = |at: Timestamp| Timestamp(at.0.div_euclid(HOUR) * HOUR);
        let week = millis(USUAL);
        let from = from.map(full);
        let to = match (from, to.map(full)) {
            (_, Some(to)) => to,
            (Some(from), None) => full(now).min(Timestamp(from.0.saturating_add(week))),
            (None, None) => full(now),
        };
        let from = from.unwrap_or(Timestamp(to.0.saturating_sub(week)));
        let wrong = |detail: &str| Refusal::new(Code::InvalidParameter, detail.to_owned());
        if from >= to {
            let detail = "from must be at least one full hour before to";
            return Err(wrong(detail).parameter("from"));
        }
        if to.since(from) > LONGEST {
            let detail = "a report is of at most 31 days: choose a later from or an earlier to";
            return Err(wrong(detail).parameter("from"));
        }
        Ok(Self { from, to })
    }

    /// The period that ended when this one began, as long.
    #[must_use]
    pub const fn before(self) -> Self {
        Self {
            from: Timestamp(self.from.0 - (self.to.0 - self.from.0)),
            to: self.from,
        }
    }

    /// The period that begins when this one ends, as long.
    #[must_use]
    pub const fn after(self) -> Self {
        Self {
            from: self.to,
            to: Timestamp(self.to.0 + (self.to.0 - self.from.0)),
        }
    }

    pub(super) const fn span(self) -> Span {
        Span {
            before: self.before().from,
            from: self.from,
            to: self.to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Timestamp::parse(text)
    }

    #[test]
    fn a_period_is_of_full_hours_and_a_week_where_nobody_chose() {
        let now = at("2026-11-30T09:41:00Z").unwrap();
        for (from, to, expected) in [
            ("", "", Some(("2026-11-23T09", "2026-11-30T09"))),
            (
                "2026-11-20T10:59:00Z",
                "",
                Some(("2026-11-20T10", "2026-11-27T10")),
            ),
            (
                "2026-11-29T10:59:00Z",
                "",
                Some(("2026-11-29T10", "2026-11-30T09")),
            ),
            (
                "",
                "2026-11-09T00:00:00Z",
                Some(("2026-11-02T00", "2026-11-09T00")),
            ),
            ("2026-11-30T09:10:00Z", "", None),
            ("2026-11-10T00:00:00Z", "2026-11-09T00:00:00Z", None),
            ("2026-10-01T00:00:00Z", "2026-11-09T00:00:00Z", None),
        ] {
            let found = Period::between(at(from), at(to), now).ok();
            let expected = expected.map(|(from, to)| Period {
                from: at(&format!("{from}:00:00Z")).unwrap(),
                to: at(&format!("{to}:00:00Z")).unwrap(),
            });
            assert_eq!(found, expected, "{from} {to}");
        }
    }

    #[test]
    fn periods_follow_each_other() {
        let period = Period {
            from: Timestamp(10 * HOUR),
            to: Timestamp(13 * HOUR),
        };
        assert_eq!(period.before().after(), period);
        assert_eq!(period.before().from, Timestamp(7 * HOUR));
    }
}
