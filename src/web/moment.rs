//! A moment as a query says it: a time, or how long ago it is.

use serde::{Deserialize, Deserializer};

use crate::config::Span;
use crate::domain::refusal::{Code, Refusal, refuse};
use crate::time::Timestamp;

/// A time, or an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// At this time.
    At(Timestamp),
    /// This long ago.
    Ago(Span),
}

impl Moment {
    /// Reads an RFC 3339 time or a span such as `24h`.
    ///
    /// # Errors
    /// It is neither.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        if let Ok(span) = Span::read(text) {
            return Ok(Self::Ago(span));
        }
        Timestamp::parse(text).map(Self::At).ok_or_else(|| {
            let detail =
                "must be a time such as 2026-11-30T09:41:00Z, or how long ago, such as 24h";
            Refusal::new(Code::InvalidParameter, detail).value(text)
        })
    }

    /// When it is.
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.before(span.0),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).map_err(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        let now = Timestamp::parse("2026-11-30T09:41:00Z").unwrap();
        for (text, expected) in [
            ("24h", Some("2026-11-29T09:41:00Z")),
            ("0", Some("2026-11-30T09:41:00Z")),
            ("2026-11-01T00:00:00Z", Some("2026-11-01T00:00:00Z")),
            ("2026-11-01T08:00:00+08:00", Some("2026-11-01T00:00:00Z")),
            ("yesterday", None),
            ("", None),
        ] {
            let found = Moment::read(text).ok().map(|moment| moment.at(now));
            assert_eq!(found, expected.and_then(Timestamp::parse), "{text}");
        }
    }
}
