//! Maintenance windows: when the notifications of the anomalies that they name are suppressed, planned ahead, once or
//! every week. Whether one holds follows from the time alone, so no job begins or ends one.

use chrono::{DateTime, Datelike as _, Days, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta};
use chrono::{TimeZone as _, Weekday};
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::mute::LONGEST;
pub use super::routing::Names;
use super::routing::{Hour, List, Pattern, Zone};
use crate::time::Timestamp;

/// The most texts that one matcher may have.
const TEXTS: usize = 50;
/// The longest text of a matcher, in characters.
const TEXT: usize = 200;
/// Days that are looked at for the next occurrence: two weeks, since a time zone may skip the first, the day before,
/// whose occurrence may end on the next, and some for days that a time zone skips.
const DAYS: u64 = 17;
/// The longest gap of a time zone's clock, in minutes: a whole day was skipped where the date line moved.
const LONGEST_GAP: i64 = 25 * 60;

/// Which anomalies a window is about. They are those of routes that name an anomaly and not an incident, whose severity
/// and level change. What is not given matches.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult, ToSchema,
)]
#[serde(default, deny_unknown_fields)]
#[schema(as = MaintenanceMatchers)]
pub struct Matchers {
    /// Services, with `*` for any part.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub service: List<Pattern>,
    /// Namespaces, with `*` for any part.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub namespace: List<Pattern>,
    /// Names of alerts, with `*` for any part.
    #[serde(skip_serializing_if = "List::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub alert_name: List<Pattern>,
}

impl Matchers {
    /// Whether an anomaly of these names is meant.
    #[must_use]
    pub fn matches(&self, names: Names<'_>) -> bool {
        self.service.matches(names.service)
            && self.namespace.matches(names.namespace)
            && self.alert_name.matches(names.alert_name)
    }

    /// Each matcher with its name.
    #[must_use]
    pub const fn all(&self) -> [(&'static str, &List<Pattern>); 3] {
        [
            ("service", &self.service),
            ("namespace", &self.namespace),
            ("alert_name", &self.alert_name),
        ]
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MaintenanceDay)]
#[allow(missing_docs)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// From Monday on.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    const fn of(day: Weekday) -> Self {
        match day {
            Weekday::Mon => Self::Mon,
            Weekday::Tue => Self::Tue,
            Weekday::Wed => Self::Wed,
            Weekday::Thu => Self::Thu,
            Weekday::Fri => Self::Fri,
            Weekday::Sat => Self::Sat,
            Weekday::Sun => Self::Sun,
        }
    }
}

/// A time of every week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MaintenanceWeekly)]
pub struct Weekly {
    /// The days on which it begins.
    pub days: Vec<Day>,
    /// When it begins, such as `22:00`.
    #[schema(value_type = String, pattern = "^[0-9]{2}:[0-9]{2}$")]
    pub from: Hour,
    /// When it ends; at or before `from`: on the next day.
    #[schema(value_type = String, pattern = "^[0-9]{2}:[0-9]{2}$")]
    pub to: Hour,
    /// Where that is the time: a name of the tz database.
    #[schema(value_type = String)]
    pub zone: Zone,
}

/// A time during which a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// From this moment on.
    pub since: Timestamp,
    /// Until before this one.
    pub until: Timestamp,
}

impl Occurrence {
    /// Whether that is at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

/// When a window holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule<'a> {
    /// Never before.
    pub starts_at: Timestamp,
    /// Never from then on; `None` only for one of every week.
    pub ends_at: Option<Timestamp>,
    /// At these times of every week alone.
    pub weekly: Option<&'a Weekly>,
}

impl Schedule<'_> {
    /// The occurrence that holds at `now`, or else the next one; `None` if it is over.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Occurrence> {
        let ends_at = self.ends_at.unwrap_or(Timestamp(i64::MAX));
        let clipped = |found: Occurrence| Occurrence {
            since: found.since.max(self.starts_at),
            until: found.until.min(ends_at),
        };
        let is_ahead = |found: &Occurrence| found.since < found.until && now < found.until;
        let Some(weekly) = self.weekly else {
            let whole = Occurrence {
                since: self.starts_at,
                until: ends_at,
            };
            return Some(whole).filter(is_ahead);
        };
        let from = DateTime::from_timestamp_millis(now.max(self.starts_at).0)?;
        let today = from.with_timezone(&weekly.zone.0).date_naive();
        let first = today.pred_opt()?;
        let days = (0..DAYS).filter_map(|day| first.checked_add_days(Days::new(day)));
        days.filter_map(|day| weekly.on(day))
            .map(clipped)
            .find(is_ahead)
    }

    /// What cannot be planned, if it is that: the field, and why.
    ///
    /// # Errors
    /// It ends before it begins, is over already, or lasts for too long; or it is at no time of the week.
    pub fn check(&self, now: Timestamp) -> Result<(), (&'static str, String)> {
        if let Some(weekly) = self.weekly {
            if weekly.days.is_empty() {
                return Err(("weekly.days", "name at least one day".to_owned()));
            }
            if weekly.from == weekly.to {
                let why = "from and to must differ; a whole day is from 00:00 to 23:59";
                return Err(("weekly.to", why.to_owned()));
            }
        }
        let Some(ends_at) = self.ends_at else {
            return match self.weekly {
                Some(_) => Ok(()),
                None => Err((
                    "ends_at",
                    "give ends_at, for, or the times of every week".to_owned(),
                )),
            };
        };
        if ends_at <= self.starts_at {
            return Err(("ends_at", "it must end after it starts".to_owned()));
        }
        if ends_at <= now {
            return Err(("ends_at", "its end must be in the future".to_owned()));
        }
        if self.weekly.is_none() && ends_at > self.starts_at.after(LONGEST) {
            return Err(("ends_at", "it can last 30 days at most".to_owned()));
        }
        if self.next(now).is_none() {
            let why = "it would never hold: no such time of the week is before its end";
            return Err(("ends_at", why.to_owned()));
        }
        Ok(())
    }
}

impl Matchers {
    /// What cannot be matched, if it is that: the field, and why.
    ///
    /// # Errors
    /// It names nothing, which would be everything; or a text is empty, too long, or cannot be in a name.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let all = self.all();
        if all.iter().all(|(_, texts)| texts.is_empty()) {
            let why = "name a service, a namespace or an alert_name; \"*\" means all of them";
            return Err(("service", why.to_owned()));
        }
        let is_wrong = |Pattern(text): &Pattern| {
            let long = text.chars().count() > TEXT;
            text.trim().is_empty() || long || text.chars().any(char::is_control)
        };
        match all
            .into_iter()
            .find(|(_, texts)| texts.0.len() > TEXTS || texts.0.iter().any(is_wrong))
        {
            Some((field, _)) => Err((
                field,
                format!("at most {TEXTS} texts of 1 to {TEXT} characters"),
            )),
            None => Ok(()),
        }
    }
}

impl Weekly {
    /// The occurrence that begins on a day.
    fn on(&self, day: NaiveDate) -> Option<Occurrence> {
        if !self.days.contains(&Day::of(day.weekday())) {
            return None;
        }
        let last = match self.to.0 > self.from.0 {
            true => day,
            false => day.succ_opt()?,
        };
        Some(Occurrence {
            since: moment(day.and_time(self.from.0), self.zone)?,
            until: moment(last.and_time(self.to.0), self.zone)?,
        })
    }
}

/// The moment at which clocks in the zone show a time. Of two, where they are put back, the first; where they are put
/// forward past it, when that happens.
#[must_use]
pub fn moment(shown: NaiveDateTime, zone: Zone) -> Option<Timestamp> {
    (0..=LONGEST_GAP).find_map(|minutes| {
        let shown = shown.checked_add_signed(TimeDelta::minutes(minutes))?;
        match zone.0.from_local_datetime(&shown) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => {
                Some(Timestamp(at.timestamp_millis()))
            }
            MappedLocalTime::None => None,
        }
    })
}

#[cfg(test)]
mod tests;
