//! Correction for making many tests at once.
//!
//! It does not know what was tested.

/// Holm's step-down adjusted p-values, in the order given ("A simple sequentially rejective
/// multiple test procedure", Scandinavian Journal of Statistics 1979).
///
/// The k-th smallest of m p-values becomes the largest (m − j + 1)·p₍ⱼ₎ over j ≤ k, at most 1.
/// Rejecting what is at or below α errs anywhere with probability at most α, however the tests
/// depend on each other. NaN counts as 1: a test that says nothing rejects nothing.
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let p = |index: usize| if p_values[index].is_nan() { 1.0 } else { p_values[index] };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p(a).total_cmp(&p(b)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(p(index) * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_worked_example_comes_out() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - expected).abs() < 1e-12, "{adjusted:?}");
        }
    }

    #[test]
    fn nothing_tested_gives_nothing_and_nan_rejects_nothing() {
        assert!(holm(&[]).is_empty());
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn between_the_raw_value_and_bonferroni_and_in_the_same_order(
            p in prop::collection::vec(0.0..=1.0f64, 1..40)
        ) {
            let adjusted = holm(&p);
            for (i, &raw) in p.iter().enumerate() {
                prop_assert!(raw <= adjusted[i] && adjusted[i] <= (raw * p.len() as f64).min(1.0));
                for (j, &other) in p.iter().enumerate() {
                    prop_assert!(raw > other || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
