//! Why a level holds: written as data when the level is decided, and read back, so that it can be told
//! in any language and compared.

use std::fmt;

use super::aggregation::Unit;
use super::frequency::Window;
use crate::time::Timestamp;

/// Why a level holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// So often in a window, where so many are enough.
    Count(Counted<'a>),
    /// It lasts.
    Lasts {
        /// Since when.
        since: Timestamp,
        /// How many hours are enough.
        hours: &'a str,
    },
    /// Something else, in its own words.
    Other(&'a str),
}

/// A rule that holds, with its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// How often, as people read it.
    pub figure: &'a str,
    /// What was counted; firings, if that was not written down.
    pub unit: Unit,
    /// In which window.
    pub window: Window,
    /// In how many incidents they lie, as people read it, if that was looked at.
    pub incidents: Option<&'a str>,
    /// How many are enough.
    pub threshold: &'a str,
    /// In how many incidents they must lie, if that is more than one.
    pub spread: Option<&'a str>,
}

impl<'a> Reason<'a> {
    /// Reads a stored reason.
    #[must_use]
    pub fn read(reason: &'a str) -> Self {
        let counted = || Counted::read(reason).map(Self::Count);
        counted()
            .or_else(|| Self::lasts(reason))
            .unwrap_or(Self::Other(reason))
    }

    /// Whether it is by the rule that `other` is by, whatever the figures.
    #[must_use]
    pub fn has_rule_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Count(one), Self::Count(other)) => {
                let rule = |of: &Counted<'a>| (of.window, of.threshold, of.spread);
                rule(one) == (other.window, other.threshold, other.spread)
            }
            _ => self == other,
        }
    }

    fn lasts(reason: &'a str) -> Option<Self> {
        let rest = reason.strip_prefix("fires since ")?;
        let (since, hours) = rest.strip_suffix(" h)")?.split_once(" (≥ ")?;
        let since = Timestamp::parse(since)?;
        Some(Self::Lasts { since, hours })
    }
}

impl<'a> Counted<'a> {
    /// Without what was counted, too: older versions did not write it down.
    fn read(reason: &'a str) -> Option<Self> {
        let (seen, rule) = reason.strip_suffix(')')?.split_once(" (≥ ")?;
        let (threshold, spread) = match rule.split_once(" in ") {
            Some((threshold, spread)) => (threshold, Some(spread)),
            None => (rule, None),
        };
        let mut parts = seen.split(" in ");
        let figure = parts.next()?;
        let (figure, unit) = match figure.split_once(' ') {
            Some((figure, noun)) => (figure, unit(noun)?),
            None => (figure, Unit::Episode),
        };
        let window = parts.next()?;
        let window = Window::ALL.into_iter().find(|w| w.name() == window)?;
        let incidents = parts.next().and_then(|part| part.split_once(' '));
        Some(Self {
            figure,
            unit,
            window,
            incidents: incidents.map(|(n, _)| n),
            threshold,
            spread,
        })
    }
}

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = noun(self.unit, self.figure);
        write!(f, "{} {counted} in {}", self.figure, self.window.name())?;
        if let Some(incidents) = self.incidents {
            let nouns = noun(Unit::Incident, incidents);
            write!(f, " in {incidents} {nouns}")?;
        }
        write!(f, " (≥ {}", self.threshold)?;
        if let Some(spread) = self.spread {
            write!(f, " in {spread}")?;
        }
        f.write_str(")")
    }
}

const UNITS: [Unit; 3] = [Unit::Episode, Unit::Delivery, Unit::Incident];

/// One of them, and more.
const fn nouns(unit: Unit) -> [&'static str; 2] {
    match unit {
        Unit::Episode => ["firing", "firings"],
        Unit::Delivery => ["delivery", "deliveries"],
        Unit::Incident => ["incident", "incidents"],
    }
}

fn noun(unit: Unit, figure: &str) -> &'static str {
    let [one, more] = nouns(unit);
    if figure == "1" { one } else { more }
}

fn unit(noun: &str) -> Option<Unit> {
    UNITS.into_iter().find(|unit| nouns(*unit).contains(&noun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_so_is_what_older_versions_wrote() {
        let counted = |figure, unit, incidents, threshold, spread| Counted {
            figure,
            unit,
            window: Window::Day,
            incidents,
            threshold,
            spread,
        };
        let table = [
            (
                "50 firings in 24h in 1 incident (≥ 5)",
                counted("50", Unit::Episode, Some("1"), "5", None),
            ),
            (
                "12 firings in 24h in 15+ incidents (≥ 10 in 3)",
                counted("12", Unit::Episode, Some("15+"), "10", Some("3")),
            ),
            (
                "100000+ deliveries in 24h (≥ 5)",
                counted("100000+", Unit::Delivery, None, "5", None),
            ),
            (
                "1 incident in 24h (≥ 1)",
                counted("1", Unit::Incident, None, "1", None),
            ),
        ];
        for (written, expected) in table {
            assert_eq!(expected.to_string(), written);
            assert_eq!(Reason::read(written), Reason::Count(expected));
        }
        let older = counted("7", Unit::Episode, None, "5", None);
        assert_eq!(Reason::read("7 in 24h (≥ 5)"), Reason::Count(older));
        let lasts = "fires since 2026-11-22T21:28:29.102Z (≥ 4 h)";
        let expected = Reason::Lasts {
            since: Timestamp(1_795_382_909_102),
            hours: "4",
        };
        assert_eq!(Reason::read(lasts), expected);
        for other in [
            "somehow",
            "7 pods in 24h (≥ 5)",
            "7 in 25h (≥ 5)",
            "7 (≥ 5)",
        ] {
            assert_eq!(Reason::read(other), Reason::Other(other));
        }
    }

    #[test]
    fn reasons_by_one_rule_are_known_whatever_their_figures() {
        let is_same = |one, other| Reason::read(one).has_rule_of(&Reason::read(other));
        let older = "7 in 24h (≥ 5)";
        let newer = "9 firings in 24h in 2 incidents (≥ 5)";
        assert!(is_same(older, newer));
        for other in [
            "9 firings in 7d in 2 incidents (≥ 5)",
            "9 firings in 24h in 2 incidents (≥ 6)",
            "9 firings in 24h in 5 incidents (≥ 5 in 5)",
            "fires since 2026-11-22T21:28:29.102Z (≥ 4 h)",
        ] {
            assert!(!is_same(newer, other), "{other}");
        }
    }
}
