//! Times to quiet as a histogram: so they can be added, taken away and summed up, and need no rows.

use std::collections::BTreeMap;

use crate::time::millis;
use std::time::Duration;

/// Buckets of a factor of two: a time is known to within a tenth.
const STEPS: f64 = 4.0;

/// The bucket of a time. The first is "at once": less than a second.
#[must_use]
pub fn bucket(time: Duration) -> i64 {
    let seconds = millis(time) as f64 / 1000.0;
    if seconds < 1.0 {
        return 0;
    }
    (seconds.log2() * STEPS).floor() as i64 + 1
}

/// The time that stands for a bucket, in milliseconds: its geometric middle.
#[must_use]
pub fn middle_ms(bucket: i64) -> i64 {
    if bucket <= 0 {
        return 0;
    }
    let seconds = ((bucket as f64 - 0.5) / STEPS).exp2();
    (seconds * 1000.0).round() as i64
}

/// The time below which `share` of all lie, in milliseconds, by the nearest rank.
#[must_use]
pub(super) fn quantile_ms(buckets: &BTreeMap<i64, i64>, share: f64) -> Option<i64> {
    let all: i64 = buckets.values().sum();
    let rank = ((all as f64 * share).ceil() as i64).max(1);
    let mut seen = 0;
    buckets.iter().find_map(|(bucket, n)| {
        seen += n;
        (seen >= rank && *n > 0).then(|| middle_ms(*bucket))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_a_tenth_of_what_is_in_it() {
        for ms in [0, 999] {
            assert_eq!(bucket(Duration::from_millis(ms)), 0, "{ms}");
        }
        for ms in [1000, 1001, 59_999, 61_000, 1_800_000, 86_400_000, 7_654_321] {
            let middle = middle_ms(bucket(Duration::from_millis(ms))) as f64;
            let off = (middle / ms as f64 - 1.0).abs();
            assert!(off < 0.1, "{ms}: {middle}");
        }
    }

    #[test]
    fn a_quantile_is_that_of_the_nearest_rank() {
        let minutes = |minutes: u64| bucket(Duration::from_secs(60 * minutes));
        let buckets = BTreeMap::from([(minutes(1), 5), (minutes(10), 4), (minutes(60), 1)]);
        let of = |share| quantile_ms(&buckets, share);
        assert_eq!(of(0.5), Some(middle_ms(minutes(1))));
        assert_eq!(of(0.6), Some(middle_ms(minutes(10))));
        assert_eq!(of(0.9), Some(middle_ms(minutes(10))));
        assert_eq!(of(1.0), Some(middle_ms(minutes(60))));
        assert_eq!(quantile_ms(&BTreeMap::new(), 0.5), None);
    }
}
