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
