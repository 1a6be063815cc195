//! Wilson's interval of a share.

/// The two-sided 95 % of the normal distribution.
const Z: f64 = 1.96;

/// The lower bound of Wilson's score interval (E. B. Wilson, 1927) for `k` of `n`: the least share that is likely,
/// from 0 to 1; 0 where nothing is known. `k` and `n` may be weighed, and need not be whole.
#[must_use]
pub fn lower_bound(k: f64, n: f64) -> f64 {
    // Of none the bound is 0 whatever rounding makes of it: it is compared with shares that are.
    if n <= 0.0 || k <= 0.0 {
        return 0.0;
    }
    let (p, z2) = ((k / n).clamp(0.0, 1.0), Z * Z);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((p + z2 / (2.0 * n) - spread) / (1.0 + z2 / n)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_none_no_share_is_likely_whatever_their_number() {
        for n in 1..10_000 {
            assert_eq!(lower_bound(0.0, f64::from(n) / 7.0), 0.0, "{n}");
        }
    }

    #[test]
    fn the_bound_rises_with_the_share_and_with_what_is_known() {
        for (k, n, expected) in [
            (0.0, 0.0, 0.0),
            (0.0, 5.0, 0.0),
            (1.0, 1.0, 0.207),
            (2.0, 2.0, 0.342),
            (3.0, 3.0, 0.439),
            (4.0, 4.0, 0.510),
            (10.0, 10.0, 0.722),
            (2.0, 9.0, 0.063),
            (3.0, 4.0, 0.301),
            (8.0, 10.0, 0.490),
            (80.0, 100.0, 0.711),
        ] {
            let found = lower_bound(k, n);
            assert!((found - expected).abs() < 0.0006, "{k} of {n}: {found}");
        }
    }
}
