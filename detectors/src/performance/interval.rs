//! Intervals of 95 % around what was measured. It does not know what that was.

/// Φ⁻¹(0.975).
pub(crate) const STANDARD_ERRORS: f64 = 1.959_963_984_540_054;

/// Around so many hits of so many trials, which may be weights: Wilson's score interval (JASA 22,
/// 1927). It never leaves 0 to 1, and 0 or all hits are no certainty. Without trials it is all.
pub(crate) fn wilson(hits: f64, of: f64) -> (f64, f64) {
    if of <= 0.0 {
        return (0.0, 1.0);
    }
    let (share, z2) = (hits / of, STANDARD_ERRORS * STANDARD_ERRORS);
    let centre = (share + z2 / (2.0 * of)) / (1.0 + z2 / of);
    let half = STANDARD_ERRORS / (1.0 + z2 / of)
        * (share * (1.0 - share) / of + z2 / (4.0 * of * of)).max(0.0).sqrt();
    ((centre - half).clamp(0.0, share), (centre + half).clamp(share, 1.0))
}

/// Around a value with this standard error, within these bounds.
pub(super) fn normal(value: f64, standard_error: f64, bounds: (f64, f64)) -> (f64, f64) {
    let half = STANDARD_ERRORS * standard_error;
    ((value - half).max(bounds.0).min(value), (value + half).min(bounds.1).max(value))
}

/// The mean, and its standard error by the sample variance; of one value nothing is known but that
/// it is there, and the error is infinite.
pub(super) fn mean(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.is_empty() {
        return None;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = if n > 1.0 { (squares / (n - 1.0) / n).sqrt() } else { f64::INFINITY };
    Some((mean, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_is_that_of_the_textbooks_and_honest_at_the_ends() {
        // scipy 1.17.1: binomtest(81, 263).proportion_ci(method="wilson").
        let (low, high) = wilson(81.0, 263.0);
        assert!((low - 0.255_288_519_878_274_2).abs() < 1e-12, "{low}");
        assert!((high - 0.366_209_576_982_800_04).abs() < 1e-12, "{high}");
        let (low, high) = wilson(0.0, 10.0);
        assert!(low == 0.0 && (high - 0.277_532_799_862_889_2).abs() < 1e-12, "{high}");
        assert_eq!(wilson(10.0, 10.0).1, 1.0);
        assert_eq!(wilson(0.0, 0.0), (0.0, 1.0));
    }

    #[test]
    fn the_mean_of_one_value_says_nothing_of_others() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[3.0]), Some((3.0, f64::INFINITY)));
        assert_eq!(normal(3.0, f64::INFINITY, (0.0, f64::INFINITY)), (0.0, f64::INFINITY));
        assert_eq!(mean(&[1.0, 3.0]), Some((2.0, 1.0)));
    }
}
