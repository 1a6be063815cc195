//! The level: how urgent an anomaly has become by coming back, or by lasting.

use std::fmt;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

use super::frequency::{Counts, Window, figure};

/// An anomaly's level, in rising order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    EnumIter,
    DeriveActiveEnum,
    utoipa::ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// Nothing out of the ordinary.
    #[default]
    #[sea_orm(string_value = "NONE")]
    None,
    /// It comes back.
    #[sea_orm(string_value = "REPEAT")]
    Repeat,
    /// It comes back so often, or lasts so long, that people are told again.
    #[sea_orm(string_value = "ESCALATE")]
    Escalate,
    /// Repairing it again is not enough.
    #[sea_orm(string_value = "PERMANENT_FIX")]
    PermanentFix,
}

impl Level {
    /// As it is stored, sent and set.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Repeat => "REPEAT",
            Self::Escalate => "ESCALATE",
            Self::PermanentFix => "PERMANENT_FIX",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// "At least `count` in `window` is `level`."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The level that holds.
    pub level: Level,
    /// The window that is looked at.
    pub window: Window,
    /// How many it takes.
    pub count: i64,
}

/// The rules that hold where nothing else is set.
#[must_use]
pub fn default_rules() -> Vec<Rule> {
    let rule = |level, window, count| Rule {
        level,
        window,
        count,
    };
    vec![
        rule(Level::Repeat, Window::Hour, 3),
        rule(Level::Escalate, Window::Day, 5),
        rule(Level::PermanentFix, Window::Day, 10),
    ]
}

/// A level and why it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The highest level that holds.
    pub level: Level,
    /// The rule and its figures, in words. `None` where no rule holds.
    pub reason: Option<String>,
}

/// The highest level whose rule holds. An incident that `lasts` (its alert was seen firing
/// `open_for` or more after it opened) makes it at least [`Level::Escalate`].
#[must_use]
pub fn assess(counts: &Counts, lasts: Option<&str>, rules: &[Rule]) -> Assessment {
    let by_count = rules
        .iter()
        .filter(|rule| counts.of(rule.window) >= rule.count)
        .max_by_key(|rule| rule.level)
        .map(|rule| {
            let figure = figure(counts.of(rule.window));
            let (window, count) = (rule.window.name(), rule.count);
            (rule.level, format!("{figure} in {window} (≥ {count})"))
        });
    let by_age = lasts.map(|why| (Level::Escalate, why.to_owned()));
    match by_count
        .into_iter()
        .chain(by_age)
        .reduce(|a, b| if b.0 > a.0 { b } else { a })
    {
        Some((level, reason)) => Assessment {
            level,
            reason: Some(reason),
        },
        None => Assessment {
            level: Level::None,
            reason: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_rule_that_holds_wins() {
        let table = [
            ((0, 0), None, Level::None),
            ((2, 4), None, Level::None),
            ((3, 3), None, Level::Repeat),
            ((2, 5), None, Level::Escalate),
            ((9, 9), None, Level::Escalate),
            ((10, 10), None, Level::PermanentFix),
            ((0, 0), Some("fires since 4h"), Level::Escalate),
            ((3, 3), Some("fires since 4h"), Level::Escalate),
            ((0, 10), Some("fires since 4h"), Level::PermanentFix),
        ];
        for ((hour, day), lasts, expected) in table {
            let counts = Counts {
                hour,
                day,
                week: day,
                month: day,
            };
            let got = assess(&counts, lasts, &default_rules());
            assert_eq!(got.level, expected, "{hour} in 1h, {day} in 24h, {lasts:?}");
            assert_eq!(got.reason.is_some(), expected != Level::None);
        }
    }

    #[test]
    fn the_reason_names_the_rule_and_the_figure() {
        let counts = Counts {
            hour: 2,
            day: 7,
            week: 7,
            month: 9,
        };
        let got = assess(&counts, None, &default_rules());
        assert_eq!(got.reason.as_deref(), Some("7 in 24h (≥ 5)"));
    }
}
