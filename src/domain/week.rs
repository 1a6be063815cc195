//! Moments that come once a week, by the clock of a place.

use chrono::{
    DateTime, Datelike as _, Days, LocalResult, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _,
};
use serde::{Deserialize, Serialize};

use super::routing::Zone;
use crate::time::Timestamp;

/// A day of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    #[default]
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

/// A full hour of a day of the week, where this zone's clock holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// The day.
    pub weekday: Weekday,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// Where that is the time.
    pub zone: Zone,
}

impl Weekly {
    /// The last such moment that is not after `now`.
    #[must_use]
    pub fn last(&self, now: Timestamp) -> Timestamp {
        let Some(utc) = DateTime::from_timestamp_millis(now.0) else {
            return Timestamp(0);
        };
        let today = utc.with_timezone(&self.zone.0).date_naive();
        let ago = (today.weekday().num_days_from_monday() + 7 - self.weekday as u32) % 7;
        let at = |ago: u32| {
            let day = today.checked_sub_days(Days::new(u64::from(ago)));
            day.map(|day| self.moment(day.and_time(self.time())))
        };
        let this = at(ago).filter(|at| *at <= now);
        this.or_else(|| at(ago + 7)).unwrap_or(Timestamp(0))
    }

    /// The one a week before such a moment; a day may have 23 or 25 hours meanwhile.
    #[must_use]
    pub fn before(&self, moment: Timestamp) -> Timestamp {
        self.last(Timestamp(moment.0 - 1))
    }

    fn time(&self) -> NaiveTime {
        NaiveTime::from_hms_opt(u32::from(self.hour.min(23)), 0, 0).unwrap_or_default()
    }

    /// Where the clock shows it twice, the first; where it is left out, when the clock has gone on.
    fn moment(&self, local: NaiveDateTime) -> Timestamp {
        let found = match self.zone.0.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at,
            LocalResult::None => {
                let later = local + TimeDelta::hours(1);
                let later = self.zone.0.from_local_datetime(&later).earliest();
                later.unwrap_or_else(|| self.zone.0.from_utc_datetime(&local))
            }
        };
        Timestamp(found.timestamp_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn weekly(weekday: Weekday, hour: u8, zone: &str) -> Weekly {
        Weekly {
            weekday,
            hour,
            zone: Zone(zone.parse().unwrap()),
        }
    }

    #[test]
    fn the_last_moment_is_the_one_that_the_clock_of_the_place_showed_last() {
        let taipei = weekly(Weekday::Monday, 9, "Asia/Taipei");
        let utc = weekly(Weekday::Sunday, 0, "UTC");
        for (weekly, now, expected) in [
            // 2026-11-30 is a Monday.
            (taipei, "2026-11-30T01:00:00Z", "2026-11-30T01:00:00.000Z"),
            (
                taipei,
                "2026-11-30T00:59:59.999Z",
                "2026-11-23T01:00:00.000Z",
            ),
            (taipei, "2026-12-06T23:00:00Z", "2026-11-30T01:00:00.000Z"),
            (utc, "2026-11-30T01:00:00Z", "2026-11-29T00:00:00.000Z"),
            (utc, "2026-11-29T00:00:00Z", "2026-11-29T00:00:00.000Z"),
        ] {
            assert_eq!(
                weekly.last(at(now)).to_rfc3339(),
                expected,
                "{weekly:?} {now}"
            );
        }
    }

    #[test]
    fn an_hour_that_a_clock_leaves_out_or_shows_twice_comes_once() {
        // In Berlin 02:00 to 03:00 is left out on 2026-03-29, and shown twice on 2026-10-25.
        let berlin = weekly(Weekday::Sunday, 2, "Europe/Berlin");
        let spring = berlin.last(at("2026-03-30T00:00:00Z"));
        assert_eq!(spring.to_rfc3339(), "2026-03-29T01:00:00.000Z");
        assert_eq!(
            berlin.before(spring).to_rfc3339(),
            "2026-03-22T01:00:00.000Z"
        );
        let autumn = berlin.last(at("2026-10-26T00:00:00Z"));
        assert_eq!(autumn.to_rfc3339(), "2026-10-25T00:00:00.000Z");
        assert_eq!(
            berlin.before(autumn).to_rfc3339(),
            "2026-10-18T00:00:00.000Z"
        );
        let after = berlin.last(at("2026-04-05T12:00:00Z"));
        assert_eq!(berlin.before(after), spring);
    }
}
