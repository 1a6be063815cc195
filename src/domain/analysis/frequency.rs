//! How often an anomaly has incidents, since when, and its trend.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chance::{at_least, at_most};
use super::{History, OPENINGS};
use crate::time::Timestamp;

const DAY: i64 = 24 * 3600 * 1000;
const MONTH: i64 = 30 * DAY;
/// A week is compared with the three before it.
const WEEK: i64 = 7 * DAY;
const WEEKS: i64 = 28 * DAY;
/// Incidents in 30 days from which an anomaly counts as frequent: two a week.
const FREQUENT: i64 = 8;
/// Incidents of a service below which a share of them says nothing.
const SHARED: i64 = 5;
/// With fewer incidents in four weeks no trend is seen.
const LEAST: usize = 8;
/// A trend that chance brings about more often than this is none. It is looked for once an incident, so it may
/// be less certain than what is looked for in many places.
const TREND: f64 = 0.01;

/// How often an anomaly has incidents, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Frequency {
    /// In a word.
    pub pace: Pace,
    /// Incidents in the 30 days until this one, itself included; 1,000 means that or more.
    pub incidents: i64,
    /// When the anomaly was first seen, as far as that is still stored.
    pub first_at: Timestamp,
    /// When the incident before this one opened, if it is still stored.
    pub previous_at: Option<Timestamp>,
    /// The incidents of its service, of which these are a share.
    pub service: Option<Share>,
}

/// How often an anomaly has incidents, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// First seen within 30 days.
    New,
    /// The one before was more than 30 days ago.
    Rare,
    /// Fewer than eight in 30 days.
    Occasional,
    /// Eight or more in 30 days.
    Frequent,
}

/// The incidents of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// The service.
    pub service: String,
    /// The namespace of it that is counted; empty: it has none.
    #[serde(default)]
    pub namespace: String,
    /// How many of all its anomalies there were in the same 30 days.
    pub incidents: i64,
}

/// How a week compares with the three before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trend {
    /// Whether there are more or fewer.
    pub direction: Direction,
    /// Incidents in the seven days until this one, itself included.
    pub week: i64,
    /// Incidents in the 21 days before these.
    pub before: i64,
}

/// More or fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More.
    Up,
    /// Fewer.
    Down,
}

/// How often, and since when; of an incident that is not the anomaly's first.
pub(super) fn frequency(history: &History) -> Option<Frequency> {
    let opened = *history.openings.first()?;
    let oldest = *history.openings.last()?;
    let first_at = history.first_seen.map_or(oldest, |seen| seen.min(oldest));
    let previous_at = history.openings.get(1).copied();
    let is_within = |at: &Timestamp| at.0 > opened.0 - MONTH;
    let incidents = history.openings.iter().filter(|at| is_within(at)).count();
    let incidents = i64::try_from(incidents).unwrap_or(i64::MAX);
    let pace = match previous_at {
        _ if is_within(&first_at) => Pace::New,
        Some(previous) if is_within(&previous) && incidents >= FREQUENT => Pace::Frequent,
        Some(previous) if is_within(&previous) => Pace::Occasional,
        _ => Pace::Rare,
    };
    let is_share = |share: &&Share| {
        let all = share.incidents;
        !share.service.is_empty() && all >= SHARED && all >= incidents
    };
    let service = history.service.as_ref().filter(is_share).cloned();
    Some(Frequency {
        pace,
        incidents,
        first_at,
        previous_at,
        service,
    })
}

/// Whether the last week differs from the three before it by more than chance, of an anomaly that is old
/// enough for that.
pub(super) fn trend(history: &History) -> Option<Trend> {
    let opened = *history.openings.first()?;
    let oldest = *history.openings.last()?;
    let first_seen = history.first_seen.map_or(oldest, |seen| seen.min(oldest));
    let is_cut = history.openings.len() >= OPENINGS && oldest.0 > opened.0 - WEEKS;
    if first_seen.0 > opened.0 - WEEKS || is_cut {
        return None;
    }
    let since = |days: i64| {
        let recent = |at: &&Timestamp| at.0 > opened.0 - days;
        history.openings.iter().filter(recent).count()
    };
    let (week, all) = (since(WEEK), since(WEEKS));
    if all < LEAST {
        return None;
    }
    // If nothing changes, each of them is in the last of four weeks with a probability of a quarter.
    let direction = if at_least(week, all, 0.25) < TREND {
        Direction::Up
    } else if at_most(week, all, 0.25) < TREND {
        Direction::Down
    } else {
        return None;
    };
    Some(Trend {
        direction,
        week: week as i64,
        before: (all - week) as i64,
    })
}
