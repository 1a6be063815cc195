//! Severities, in the words that senders have for them.

/// What senders call each rank, the commonest word first.
pub const WORDS: [&[&str]; 6] = [
    &["", "none"],
    &[
        "info",
        "informational",
        "information",
        "notice",
        "low",
        "debug",
        "p5",
        "sev5",
    ],
    &["minor", "p4", "sev4"],
    &[
        "warning", "warn", "medium", "moderate", "average", "p3", "sev3",
    ],
    &["error", "err", "high", "major", "p2", "sev2"],
    &[
        "critical",
        "crit",
        "fatal",
        "emergency",
        "disaster",
        "page",
        "p1",
        "sev1",
    ],
];

/// How severe a severity is, from 0 (it has none) up; `None` for a word that the settings do not name, which is
/// neither more nor less severe than another.
#[must_use]
pub fn rank(severity: &str) -> Option<u8> {
    let is = |word: &&str| word.eq_ignore_ascii_case(severity);
    let at = WORDS.iter().position(|words| words.iter().any(is));
    at.and_then(|at| u8::try_from(at).ok())
}

/// The place of an unknown severity in an [`order`]: next below the warnings.
pub const UNKNOWN: i64 = 5;

/// A figure to sort by, the most severe highest: twice the rank, odd and between two ranks for a word that
/// the settings do not name.
#[must_use]
pub fn order(severity: &str) -> i64 {
    rank(severity).map_or(UNKNOWN, |rank| i64::from(rank) * 2)
}

/// How figures name a severity: by the commonest word of its rank, and `other` for those that the settings do not name.
pub const NAMES: [&str; WORDS.len() + 1] = [
    "none", "info", "minor", "warning", "error", "critical", "other",
];

/// The name of a severity of this [`order`].
#[must_use]
pub fn name(order: i64) -> &'static str {
    let rank = usize::try_from(order / 2).unwrap_or(WORDS.len());
    match order % 2 {
        0 => NAMES.get(rank).copied().unwrap_or("other"),
        _ => "other",
    }
}

/// Whether `now` is more severe than `before`.
#[must_use]
pub fn is_worse(now: &str, before: &str) -> bool {
    match (rank(now), rank(before)) {
        (Some(now), Some(before)) => now > before,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_severity_ranks_next_below_warning() {
        let words = ["Critical", "p2", "WARNING", "urgent", "minor", "info", ""];
        let orders = words.map(order);
        assert_eq!(orders, [10, 8, 6, 5, 4, 2, 0]);
        assert_eq!(order("none"), order(""));
    }

    #[test]
    fn only_known_severities_can_be_compared() {
        let table = [
            ("critical", "warning", true),
            ("Critical", "WARNING", true),
            ("warning", "critical", false),
            ("critical", "critical", false),
            ("crit", "critical", false),
            ("critical", "error", true),
            ("warning", "info", true),
            ("warning", "", true),
            ("", "warning", false),
            ("p1", "p2", true),
            ("urgent", "warning", false),
            ("critical", "urgent", false),
        ];
        for (now, before, expected) in table {
            assert_eq!(is_worse(now, before), expected, "{now:?} after {before:?}");
        }
    }
}
