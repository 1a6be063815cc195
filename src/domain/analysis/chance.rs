//! Probability of a pattern by chance.

/// The probability that of `n` independent tries, each of which succeeds with probability `p`, `k` or more
/// succeed.
pub(super) fn at_least(k: usize, n: usize, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n {
        return 0.0;
    }
    // The logarithm of neither is infinite then.
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    let (hit, miss) = (p.ln(), (1.0 - p).ln());
    let (mut ways, mut sum) = (0.0, 0.0);
    for i in 0..=n {
        if i > 0 {
            ways += ((n - i + 1) as f64 / i as f64).ln();
        }
        if i >= k {
            sum += (ways + i as f64 * hit + (n - i) as f64 * miss).exp();
        }
    }
    f64::min(sum, 1.0)
}

/// The probability that `k` or fewer succeed.
pub(super) fn at_most(k: usize, n: usize, p: f64) -> f64 {
    at_least(n.saturating_sub(k), n, 1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_binomial_distribution() {
        for (k, n, p, expected) in [
            (0, 10, 0.3, 1.0),
            (11, 10, 0.3, 0.0),
            (10, 10, 0.5, 1.0 / 1024.0),
            (9, 10, 0.5, 11.0 / 1024.0),
            (1, 4, 0.25, 1.0 - 0.75_f64.powi(4)),
            (5, 5, 1.0 / 24.0, (1.0_f64 / 24.0).powi(5)),
            (1000, 1000, 1.0, 1.0),
            (1, 1000, 0.0, 0.0),
        ] {
            let found = at_least(k, n, p);
            assert!(
                (found - expected).abs() < 1e-6,
                "{k} of {n} at {p}: {found}"
            );
        }
        assert!((at_most(1, 10, 0.5) - 11.0 / 1024.0).abs() < 1e-9);
        assert!((at_most(10, 10, 0.5) - 1.0).abs() < 1e-9);
    }
}
