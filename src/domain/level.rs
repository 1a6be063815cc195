//! The level: how often an anomaly returns. [`super::escalation`] decides it.

use std::fmt;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

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
    /// It returned often enough, or lasts long enough, to notify again.
    #[sea_orm(string_value = "ESCALATE")]
    Escalate,
    /// Repairing it again is not enough.
    #[sea_orm(string_value = "PERMANENT_FIX")]
    PermanentFix,
}

impl Level {
    /// All of them, in rising order.
    pub const ALL: [Self; 4] = [Self::None, Self::Repeat, Self::Escalate, Self::PermanentFix];

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

/// In how many incidents an anomaly of each level must have fired before more firings can raise the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rises([Option<i64>; Level::ALL.len()]);

impl Rises {
    /// By rules, each with its level and the incidents that it asks for.
    #[must_use]
    pub fn of(rules: &[(Level, i64)]) -> Self {
        let least = |level: Level| {
            let above = rules.iter().filter(|(above, _)| *above > level);
            above.map(|(_, incidents)| *incidents).min()
        };
        Self(Level::ALL.map(least))
    }

    /// Whether more firings can raise this level of an anomaly that has had so many incidents.
    #[must_use]
    pub fn can_rise(&self, level: Level, incidents: i64) -> bool {
        self.0[level as usize].is_some_and(|least| incidents >= least)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
