//! Figures of an action: verdicts counted, weighed by age, and compared with doing nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::times::quantile_ms;
use super::wilson::lower_bound;
use crate::domain::verdict::{Baseline, Verdict};
use crate::time::Timestamp;

/// Figures are kept by periods of four weeks, in milliseconds.
pub const PERIOD_MS: i64 = 28 * 86_400_000;

/// The period of a moment.
#[must_use]
pub const fn period(at: Timestamp) -> i64 {
    at.0 / PERIOD_MS
}

/// The first period of which everything is kept that is younger than `kept`.
#[must_use]
pub fn first_period(now: Timestamp, kept: Duration) -> i64 {
    period(now.before(kept)) + 1
}

/// Repairs with an action, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Repairs that finished.
    pub attempts: i64,
    /// Those that were reported to have helped.
    pub claimed: i64,
    /// By verdict.
    pub verified: i64,
    /// By verdict.
    pub disproved: i64,
    /// By verdict.
    pub superseded: i64,
    /// By verdict.
    pub unknown: i64,
}

impl Counted {
    /// Adds `n` repairs with this verdict.
    pub fn judged(&mut self, verdict: Verdict, n: i64) {
        *match verdict {
            Verdict::Verified => &mut self.verified,
            Verdict::Disproved => &mut self.disproved,
            Verdict::Superseded => &mut self.superseded,
            Verdict::Unknown => &mut self.unknown,
        } += n;
    }

    /// Those that silence said something of.
    #[must_use]
    pub const fn verdicts(&self) -> i64 {
        self.verified + self.disproved
    }

    /// Those of which there is only what was reported: not judged yet.
    #[must_use]
    pub const fn unjudged(&self) -> i64 {
        self.attempts - self.verified - self.disproved - self.superseded - self.unknown
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.claimed += other.claimed;
        self.verified += other.verified;
        self.disproved += other.disproved;
        self.superseded += other.superseded;
        self.unknown += other.unknown;
    }
}

/// One action as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// By period.
    pub periods: BTreeMap<i64, Counted>,
    /// Times to quiet of what was verified, by bucket.
    pub times: BTreeMap<i64, i64>,
    /// The last repair with it.
    pub last_at: Timestamp,
}

/// What an action was worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Worth {
    /// Counted in all.
    pub counted: Counted,
    /// Verified, weighed by age.
    pub weighed_verified: f64,
    /// Verified and disproved, weighed by age.
    pub weighed_verdicts: f64,
    /// The least share that is likely: Wilson's lower bound of the weighed ones.
    pub lower_bound: f64,
    /// Median of the times to quiet, in milliseconds, to within a tenth.
    pub median_ms: Option<i64>,
    /// Nine in ten were as short.
    pub p90_ms: Option<i64>,
    /// The last repair with it.
    pub last_at: Timestamp,
}

impl Worth {
    /// Weighs what is kept of an action: what is older by `half_life` counts half.
    #[must_use]
    pub fn of(kept: &Kept, half_life: Duration, now: Timestamp) -> Self {
        let mut counted = Counted::default();
        let (mut verified, mut verdicts) = (0.0, 0.0);
        for (period, of_period) in &kept.periods {
            counted.add(of_period);
            let weight = weight(*period, half_life, now);
            verified += of_period.verified as f64 * weight;
            verdicts += of_period.verdicts() as f64 * weight;
        }
        Self {
            counted,
            weighed_verified: verified,
            weighed_verdicts: verdicts,
            lower_bound: lower_bound(verified, verdicts),
            median_ms: quantile_ms(&kept.times, 0.5),
            p90_ms: quantile_ms(&kept.times, 0.9),
            last_at: kept.last_at,
        }
    }

    /// Whether there are enough verdicts to say something of the action.
    #[must_use]
    pub fn is_judged(&self, least: i64) -> bool {
        self.counted.verdicts() >= least.max(1)
    }

    /// Whether the action does better than nothing: none if too few verdicts are there to say, or if it held and what
    /// happens by itself is not known. What is counted must be enough, and what is likely must beat what happens by
    /// itself.
    #[must_use]
    pub fn is_effective(&self, nothing: Baseline, least: i64) -> Option<bool> {
        let is_compared = nothing.episodes > 0 || self.counted.verified == 0;
        let is_known = self.is_judged(least) && is_compared;
        is_known.then(|| self.lower_bound > nothing.share())
    }
}

impl Baseline {
    /// The share that held; zero where nothing is known.
    #[must_use]
    pub fn share(&self) -> f64 {
        match self.episodes {
            0 => 0.0,
            all => self.held as f64 / all as f64,
        }
    }
}

/// By the middle of a period; that of now has its full weight.
fn weight(of: i64, half_life: Duration, now: Timestamp) -> f64 {
    if of >= period(now) || half_life.is_zero() {
        return 1.0;
    }
    let middle = of * PERIOD_MS + PERIOD_MS / 2;
    let age = (now.0 - middle).max(0) as f64;
    (-age / (half_life.as_millis() as f64)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(730 * PERIOD_MS + 1000);
    const QUARTER: Duration = Duration::from_secs(90 * 86_400);

    fn kept(periods: &[(i64, i64, i64)]) -> Kept {
        let of = |(ago, verified, disproved): &(i64, i64, i64)| {
            let counted = Counted {
                attempts: verified + disproved,
                verified: *verified,
                disproved: *disproved,
                ..Counted::default()
            };
            (period(NOW) - ago, counted)
        };
        Kept {
            periods: periods.iter().map(of).collect(),
            ..Kept::default()
        }
    }

    #[test]
    fn what_is_old_counts_less_and_is_known_less_well() {
        let fresh = Worth::of(&kept(&[(0, 4, 0)]), QUARTER, NOW);
        let old = Worth::of(&kept(&[(13, 4, 0)]), QUARTER, NOW);
        assert_eq!((fresh.counted.verified, old.counted.verified), (4, 4));
        assert!((fresh.weighed_verdicts - 4.0).abs() < 1e-9);
        assert!(old.weighed_verdicts < 0.3, "{old:?}");
        assert!(old.lower_bound < fresh.lower_bound, "{old:?} {fresh:?}");
        let never = Worth::of(&kept(&[(13, 4, 0)]), Duration::ZERO, NOW);
        assert!((never.weighed_verdicts - 4.0).abs() < 1e-9);
    }

    #[test]
    fn an_action_is_effective_if_what_is_likely_beats_nothing() {
        let nothing = |held, episodes| Baseline { episodes, held };
        for (verified, disproved, baseline, expected) in [
            // There is nothing to compare with; what never held is no better all the same.
            (4, 0, nothing(0, 0), None),
            (0, 3, nothing(0, 0), Some(false)),
            (4, 0, nothing(0, 10), Some(true)),
            (4, 0, nothing(3, 10), Some(true)),
            // It ends by itself as often as not: four good ones are too few to tell.
            (4, 0, nothing(6, 10), Some(false)),
            (100, 0, nothing(10, 10), Some(false)),
            (2, 7, nothing(1, 10), Some(false)),
            (2, 0, nothing(0, 10), None),
            (0, 3, nothing(0, 10), Some(false)),
        ] {
            let worth = Worth::of(&kept(&[(0, verified, disproved)]), QUARTER, NOW);
            let found = worth.is_effective(baseline, 3);
            assert_eq!(found, expected, "{verified} {disproved} {baseline:?}");
        }
    }
}
