//! The one representation of a moment: milliseconds since the Unix epoch, UTC.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::DeriveValueType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// Milliseconds since the Unix epoch, UTC. RFC 3339 wherever a person reads it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType, ToSchema,
)]
#[schema(value_type = String, format = DateTime, examples("2026-11-22T21:28:29.102Z"))]
pub struct Timestamp(pub i64);

/// The last moment that RFC 3339 can write (year 9999).
const LATEST_MS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The computer's clock.
    #[must_use]
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// Reads RFC 3339 with any offset. What lies outside the years 1 to 9999 is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let ms = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
        (ms <= LATEST_MS).then_some(Self(ms))
    }

    /// RFC 3339, UTC, with milliseconds.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        DateTime::from_timestamp_millis(self.0)
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// This much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long ago `earlier` was; zero if it was not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

/// A duration as the milliseconds that the store counts in.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("not an RFC 3339 time: {text}")))
    }
}

/// Where "now" comes from. Decisions take the store's clock; a test can move all of them together. A simulation has
/// a clock that stands still until it is moved.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    shift_ms: Arc<AtomicI64>,
    stands_at: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// This process's clock: what the ingress stamps alerts with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.of_store(Timestamp::now())
    }

    /// A clock that stands still, whatever time it is elsewhere. [`crate::context::Context::simulated`] alone takes it,
    /// so that nothing but a simulation is ever given such a time.
    pub(crate) fn standing_at(at: Timestamp) -> Self {
        Self {
            stands_at: Some(Arc::new(AtomicI64::new(at.0))),
            ..Self::default()
        }
    }

    /// Replaces `{now}` in `sql` with the database's clock, shifted in tests, or with a clock that stands still in
    /// simulations.
    pub(crate) fn in_sql(&self, sql: &str) -> String {
        if let Some(at) = self.stands_at() {
            return sql.replace("{now}", &at.0.to_string());
        }
        match self.of_store(Timestamp(0)).0 {
            0 => sql.to_owned(),
            shift => sql.replace("{now}", &format!("({{now}} + {shift})")),
        }
    }

    /// When it is, if it stands still.
    fn stands_at(&self) -> Option<Timestamp> {
        let at = self.stands_at.as_ref()?;
        Some(Timestamp(at.load(Ordering::Relaxed)))
    }

    /// What a moment read from the store's clock means here.
    #[must_use]
    pub fn of_store(&self, at: Timestamp) -> Timestamp {
        if let Some(at) = self.stands_at() {
            return at;
        }
        Timestamp(at.0.saturating_add(self.shift_ms.load(Ordering::Relaxed)))
    }

    /// Moves this clock, for simulations and tests of what happens hours later.
    pub fn advance(&self, by: Duration) {
        let moved = self.stands_at.as_ref().unwrap_or(&self.shift_ms);
        moved.fetch_add(millis(by), Ordering::Relaxed);
    }

    /// Puts this clock back, for tests of what happens when it was ahead.
    pub fn put_back(&self, by: Duration) {
        let moved = self.stands_at.as_ref().unwrap_or(&self.shift_ms);
        moved.fetch_sub(millis(by), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_nanoseconds_are_read() {
        assert_eq!(
            Timestamp::parse("2026-11-22T23:28:29.102830926+02:00"),
            Timestamp::parse("2026-11-22T21:28:29.102Z"),
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Timestamp::parse("+12345-01-01T00:00:00Z"), None);
    }

    #[test]
    fn a_clock_that_stands_still_is_moved_by_nothing_else() {
        let clock = Clock::standing_at(Timestamp(1000));
        let shared = clock.clone();
        clock.advance(Duration::from_secs(2));
        assert_eq!(shared.now(), Timestamp(3000));
        assert_eq!(shared.of_store(Timestamp(7)), Timestamp(3000));
        clock.put_back(Duration::from_secs(1));
        assert_eq!(shared.now(), Timestamp(2000));
        assert_eq!(Clock::default().stands_at(), None);
    }

    #[test]
    fn a_moment_survives_writing_and_reading() {
        let at = Timestamp(1_795_382_909_102);
        assert_eq!(Timestamp::parse(&at.to_rfc3339()), Some(at));
        assert_eq!(at.to_rfc3339(), "2026-11-22T21:28:29.102Z");
    }
}
