//! Why a level or a tier holds: as data, so that it can be translated and compared.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::counting::Unit;
use super::frequency::{Window, figure};
use super::level::Level;
use crate::time::Timestamp;

/// The largest number of restarts that a reason states; it means "or more".
pub const RESTARTS_AT_MOST: i64 = 100;

/// A reason as a row has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason<R> {
    /// The rule that holds.
    Rule(R),
    /// A sentence of a version that wrote sentences. It is shown as it is and compared with nothing.
    Text(String),
}

/// Why a level holds.
pub type LevelReason = Reason<LevelRule>;
/// Why a tier holds.
pub type TierReason = Reason<TierRule>;

impl<R> Reason<R> {
    /// The rule, if it is known.
    pub const fn rule(&self) -> Option<&R> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Text(_) => None,
        }
    }
}

impl<R: Serialize> Reason<R> {
    /// As a row has it: JSON that names its rule first.
    #[must_use]
    pub fn to_row(&self) -> String {
        match self {
            Self::Rule(rule) => serde_json::to_string(rule).unwrap_or_default(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl<R: DeserializeOwned> Reason<R> {
    /// Reads what a row has. What is no rule of this version is text.
    #[must_use]
    pub fn of_row(row: String) -> Self {
        // Most sentences are distinguished from JSON by their first letter.
        let rule = row
            .starts_with('{')
            .then(|| serde_json::from_str(&row).ok());
        rule.flatten().map_or(Self::Text(row), Self::Rule)
    }
}

impl<R> From<R> for Reason<R> {
    fn from(rule: R) -> Self {
        Self::Rule(rule)
    }
}

/// In English, as the API gives it.
impl<R: fmt::Display> fmt::Display for Reason<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The API gives the sentence; rows have [`Reason::to_row`].
impl<R: fmt::Display> Serialize for Reason<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The rule that a level holds by, with its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum LevelRule {
    /// A number of firings in a window that reaches the rule's threshold.
    Count(Counted),
    /// It lasts.
    Lasts(Lasting),
}

/// A rule that counts, with its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counted {
    /// How often; 100,000 means that or more.
    pub figure: i64,
    /// What was counted.
    pub unit: Unit,
    /// In which window.
    pub window: Window,
    /// In how many incidents they lie, if the rule asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incidents: Option<i64>,
    /// Whether there may be more incidents, because no more were read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub or_more: bool,
    /// How many are enough.
    pub threshold: i64,
    /// In how many incidents they must lie, if that is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<i64>,
}

/// An incident that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lasting {
    /// Since when it fires.
    pub since: Timestamp,
    /// How long is enough, in seconds.
    pub open_for_s: u64,
}

impl LevelRule {
    /// Whether it is the rule that `other` is, whatever the figures.
    #[must_use]
    pub fn has_rule_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Count(one), Self::Count(other)) => {
                let rule = |of: &Counted| (of.window, of.threshold, of.spread);
                rule(one) == rule(other)
            }
            _ => self == other,
        }
    }
}

impl Counted {
    /// In how many incidents they lie, for people, if the rule asks for that: `5` or `5+`.
    #[must_use]
    pub fn incidents(&self) -> Option<String> {
        let or_more = if self.or_more { "+" } else { "" };
        self.incidents.map(|n| format!("{n}{or_more}"))
    }
}

impl Lasting {
    /// How many hours are enough, as people read it.
    #[must_use]
    pub fn hours(&self) -> String {
        (self.open_for_s as f64 / 3600.0).to_string()
    }
}

impl fmt::Display for LevelRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(counted) => counted.fmt(f),
            Self::Lasts(lasting) => {
                let (since, hours) = (lasting.since, lasting.hours());
                write!(f, "fires since {since} (≥ {hours} h)")
            }
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = figure(self.figure);
        let noun = noun(self.unit, &counted);
        write!(f, "{counted} {noun} in {}", self.window.name())?;
        if let Some(incidents) = self.incidents() {
            let noun = self::noun(Unit::Incident, &incidents);
            write!(f, " in {incidents} {noun}")?;
        }
        write!(f, " (≥ {}", self.threshold)?;
        if let Some(spread) = self.spread {
            write!(f, " in {spread}")?;
        }
        f.write_str(")")
    }
}

/// One of them, or more.
fn noun(unit: Unit, figure: &str) -> &'static str {
    match (unit, figure) {
        (Unit::Episode, "1") => "firing",
        (Unit::Episode, _) => "firings",
        (Unit::Delivery, "1") => "delivery",
        (Unit::Delivery, _) => "deliveries",
        (Unit::Incident, "1") => "incident",
        (Unit::Incident, _) => "incidents",
    }
}

/// The rule that a tier holds by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum TierRule {
    /// It happened again after a permanent fix.
    FixFailed,
    /// The level asks for it.
    Level {
        /// The level.
        level: Level,
    },
    /// Restarting was tried so often in 30 days.
    Restarts {
        /// How often; 100 means that or more.
        restarts: i64,
    },
    /// Nothing asks for more.
    Default,
}

/// Restarts as people read them.
#[must_use]
pub fn restarts_figure(restarts: i64) -> String {
    // No more than these are distinguished.
    let or_more = if restarts >= RESTARTS_AT_MOST {
        "+"
    } else {
        ""
    };
    format!("{restarts}{or_more}")
}

impl fmt::Display for TierRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FixFailed => f.write_str("it happened again after a permanent fix"),
            Self::Level { level } => write!(f, "level is {level}"),
            Self::Restarts { restarts } => {
                let restarts = restarts_figure(*restarts);
                write!(f, "restarting was tried {restarts} times in 30 days")
            }
            Self::Default => f.write_str("nothing calls for more"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
