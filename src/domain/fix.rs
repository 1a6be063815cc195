//! The mark that an anomaly was fixed for good, and what it becomes when it is marked again.

use crate::time::Timestamp;

/// The mark of one anomaly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// When it was fixed; `None` if it is not.
    pub at: Option<Timestamp>,
    /// Where that is described.
    pub reference: Option<String>,
}

impl Mark {
    /// Marked at `now`. If the anomaly is fixed already and no firing showed that to have `failed`, this is the same
    /// fix: its time stays, since firings are judged by it, and a reference is added or replaced.
    #[must_use]
    pub fn fixed(&self, reference: Option<String>, failed: bool, now: Timestamp) -> Self {
        match self.at {
            Some(at) if !failed => Self {
                at: Some(at),
                reference: reference.or_else(|| self.reference.clone()),
            },
            _ => Self {
                at: Some(now),
                reference,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_that_is_marked_twice_is_one_until_a_firing_shows_that_it_failed() {
        let mark = |at: Option<i64>, reference: Option<&str>| Mark {
            at: at.map(Timestamp),
            reference: reference.map(str::to_owned),
        };
        for (known, reference, failed, expected) in [
            (mark(None, None), None, false, mark(Some(9), None)),
            (mark(None, None), Some("b"), false, mark(Some(9), Some("b"))),
            (
                mark(Some(1), Some("a")),
                None,
                false,
                mark(Some(1), Some("a")),
            ),
            (
                mark(Some(1), Some("a")),
                Some("b"),
                false,
                mark(Some(1), Some("b")),
            ),
            (mark(Some(1), Some("a")), None, true, mark(Some(9), None)),
            (
                mark(Some(1), Some("a")),
                Some("b"),
                true,
                mark(Some(9), Some("b")),
            ),
        ] {
            let reference = reference.map(str::to_owned);
            assert_eq!(
                known.fixed(reference, failed, Timestamp(9)),
                expected,
                "{known:?}"
            );
        }
    }
}
