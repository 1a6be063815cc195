//! Figures: quantiles, and how they are written.

/// The value that a share of the `sorted` ones does not exceed; none of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let last = sorted.len().checked_sub(1)?;
    sorted.get(rank.saturating_sub(1).min(last)).copied()
}

/// 34,120, 512, 61.3 or 1.62: as precise as one can tell two runs apart.
pub(crate) fn written(value: f64) -> String {
    let size = value.abs();
    if size < 9.995 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    if size < 99.95 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{size:.0}");
    let mut text = if value < 0.0 { "-" } else { "" }.to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&sorted, 0.5), Some(50.0));
        assert_eq!(quantile(&sorted, 0.99), Some(99.0));
        assert_eq!(quantile(&sorted, 1.0), Some(100.0));
        assert_eq!(quantile(&sorted, 0.0), Some(1.0));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn figures_are_as_precise_as_they_are_large() {
        let texts = [1_234_567.8, 34_120.4, 512.0, 99.97, 61.34, 30.0, 1.618, 0.0].map(written);
        let expected = [
            "1,234,568",
            "34,120",
            "512",
            "100",
            "61.3",
            "30",
            "1.62",
            "0",
        ];
        assert_eq!(texts, expected);
    }
}
