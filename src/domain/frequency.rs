//! Frequency of an anomaly.

use std::time::Duration;

use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::level::Level;
use crate::time::Timestamp;

/// The largest count of an anomaly: it means "or more", because a counter may not keep older firings.
pub const COUNTED_AT_MOST: i64 = 100_000;

/// A count as people read it.
#[must_use]
pub fn figure(count: i64) -> String {
    if count >= COUNTED_AT_MOST {
        format!("{COUNTED_AT_MOST}+")
    } else {
        count.to_string()
    }
}

/// One of the four sliding windows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub enum Window {
    /// The last hour.
    #[serde(rename = "1h")]
    Hour,
    /// The last 24 hours.
    #[serde(rename = "24h")]
    Day,
    /// The last seven days.
    #[serde(rename = "7d")]
    Week,
    /// The last thirty days.
    #[serde(rename = "30d")]
    Month,
}

impl Window {
    /// All four, shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// How far back it reaches.
    #[must_use]
    pub const fn length(self) -> Duration {
        const HOUR: u64 = 3600;
        Duration::from_secs(match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
            Self::Month => 30 * 24 * HOUR,
        })
    }

    /// As it is written in settings and shown to people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }
}

/// What was counted in each window. A moment exactly one length ago is out; the future is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the last hour.
    pub hour: i64,
    /// In the last 24 hours.
    pub day: i64,
    /// In the last seven days.
    pub week: i64,
    /// In the last thirty days.
    pub month: i64,
}

impl Counts {
    /// The count in one window.
    #[must_use]
    pub const fn of(&self, window: Window) -> i64 {
        match window {
            Window::Hour => self.hour,
            Window::Day => self.day,
            Window::Week => self.week,
            Window::Month => self.month,
        }
    }
}

/// One id that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The anomaly it counts for.
    pub anomaly_key: String,
    /// The id. Counting it again changes nothing.
    pub id: Uuid,
    /// When it occurred.
    pub occurred_at: Timestamp,
}

/// An anomaly's frequency as an incident carries it, readable without another query.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult, utoipa::ToSchema,
)]
pub struct FrequencyStats {
    /// Whose counts these are.
    pub anomaly_key: String,
    /// Counted in the last hour.
    pub count_1h: i64,
    /// Counted in the last 24 hours.
    pub count_24h: i64,
    /// Counted in the last seven days.
    pub count_7d: i64,
    /// Counted in the last thirty days.
    pub count_30d: i64,
    /// The first that was ever counted.
    pub first_seen: Option<Timestamp>,
    /// The last that was counted.
    pub last_seen: Option<Timestamp>,
    /// The anomaly's level when these counts were stored.
    pub escalation_level: Level,
}

impl FrequencyStats {
    /// An anomaly's figures at this moment.
    #[must_use]
    pub fn new(
        anomaly_key: &str,
        counts: &Counts,
        seen: (Option<Timestamp>, Option<Timestamp>),
        level: Level,
    ) -> Self {
        Self {
            anomaly_key: anomaly_key.to_owned(),
            count_1h: counts.hour,
            count_24h: counts.day,
            count_7d: counts.week,
            count_30d: counts.month,
            first_seen: seen.0,
            last_seen: seen.1,
            escalation_level: level,
        }
    }

    /// The counts, if they were taken while the anomaly had this level: one that rose or fell since then
    /// was judged by others.
    #[must_use]
    pub fn counts_at(&self, level: Level) -> Option<Counts> {
        (self.escalation_level == level).then_some(Counts {
            hour: self.count_1h,
            day: self.count_24h,
            week: self.count_7d,
            month: self.count_30d,
        })
    }
}
