//! When an anomaly usually happens, if that is not chance. Days are counted, not incidents: twenty incidents of
//! one bad afternoon say nothing about afternoons.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chance::at_least;
use super::{BY_CHANCE, FEW};
use crate::time::Timestamp;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Older incidents say nothing about when the anomaly happens now.
const LOOKS_BACK: i64 = 90 * DAY;
/// A usual time has incidents on at least this percentage of its days.
const USUAL: usize = 50;
/// The most hours that are tried.
const TRIED: usize = 200;

/// The time of day at which an anomaly usually happens, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hours {
    /// The earliest, in minutes after midnight.
    pub from_minute: i64,
    /// The latest, in minutes after midnight; less than the earliest where midnight lies between them.
    pub to_minute: i64,
    /// On how many days an incident opened then.
    pub days: i64,
    /// On how many days one opened at all.
    pub of_days: i64,
}

/// The day of the week on which an anomaly usually happens, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Weekday {
    /// 0 is Monday.
    pub weekday: i64,
    /// How many of these days an incident opened on.
    pub days: i64,
    /// On how many days one opened at all.
    pub of_days: i64,
}

/// The hour that holds more days than chance would put there.
pub(super) fn hours(openings: &[Timestamp]) -> Option<Hours> {
    let times = lately(openings);
    // An hour that begins with an incident.
    let mut starts: Vec<i64> = times.iter().map(|at| at.rem_euclid(DAY)).collect();
    starts.sort_unstable_by_key(|start| start / MINUTE);
    starts.dedup_by_key(|start| *start / MINUTE);
    starts.truncate(TRIED);
    let tries = starts.len() as f64;
    let found = starts
        .iter()
        .map(|start| (start, hour_from(&times, *start)));
    let (start, (hour, chance)) =
        found.min_by(|(_, (_, one)), (_, (_, other))| one.total_cmp(other))?;
    let is_usual = hour.days >= FEW && hour.days * 100 >= hour.of_days * USUAL;
    let minute = |at: i64| at.rem_euclid(DAY) / MINUTE;
    (is_usual && chance * tries < BY_CHANCE).then(|| Hours {
        from_minute: minute(*start),
        to_minute: minute(start + hour.latest),
        days: hour.days as i64,
        of_days: hour.of_days as i64,
    })
}

/// What an hour holds.
struct InHour {
    /// Days with an incident in it.
    days: usize,
    /// Days with an incident.
    of_days: usize,
    /// The last of its incidents, from its beginning.
    latest: i64,
}

/// The days with an incident in the hour from `start`, and how likely that number is by chance. Days begin at `start`,
/// too, so that midnight does not cut the hour.
fn hour_from(times: &[i64], start: i64) -> (InHour, f64) {
    let mut hour = InHour {
        days: 0,
        of_days: 0,
        latest: 0,
    };
    let (mut chances, mut at) = (0.0, 0);
    while let Some(first) = times.get(at) {
        let day = (first - start).div_euclid(DAY);
        let of_day = times[at..]
            .iter()
            .take_while(|time| (*time - start).div_euclid(DAY) == day);
        let within = of_day.clone().map(|time| (time - start).rem_euclid(DAY));
        let latest = within.filter(|since| *since < HOUR).max();
        let incidents = of_day.count();
        at += incidents;
        hour.of_days += 1;
        hour.days += usize::from(latest.is_some());
        hour.latest = hour.latest.max(latest.unwrap_or(0));
        // A day with more incidents is more likely to have one in any hour.
        let misses = i32::try_from(incidents).unwrap_or(i32::MAX);
        chances += 1.0 - (23.0_f64 / 24.0).powi(misses);
    }
    let chance = at_least(
        hour.days,
        hour.of_days,
        chances / hour.of_days.max(1) as f64,
    );
    (hour, chance)
}

/// The weekday that holds more days than chance would put there.
pub(super) fn weekday(openings: &[Timestamp]) -> Option<Weekday> {
    let mut days: Vec<i64> = lately(openings)
        .iter()
        .map(|at| at.div_euclid(DAY))
        .collect();
    days.dedup();
    // 1970 began on a Thursday.
    let of = |weekday: i64| {
        days.iter()
            .filter(move |day| (**day + 3).rem_euclid(7) == weekday)
    };
    let (weekday, held) = (0..7)
        .map(|weekday| (weekday, of(weekday).count()))
        .max_by_key(|(_, held)| *held)?;
    let is_usual = held >= FEW && held * 100 >= days.len() * USUAL;
    let chance = at_least(held, days.len(), 1.0 / 7.0) * 7.0;
    (is_usual && chance < BY_CHANCE).then_some(Weekday {
        weekday,
        days: held as i64,
        of_days: days.len() as i64,
    })
}

/// What is recent enough, from old to new.
fn lately(openings: &[Timestamp]) -> Vec<i64> {
    let newest = openings.first().map_or(0, |at| at.0);
    let recent = openings.iter().map(|at| at.0);
    let mut recent: Vec<i64> = recent.filter(|at| *at > newest - LOOKS_BACK).collect();
    recent.sort_unstable();
    recent
}
