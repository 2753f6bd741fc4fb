//! Correction for making many tests at once, and for two tests of one thing.
//!
//! It does not know what was tested.

/// p-values up to this are corrected for every test: what seldom happens together at a usual level
/// hardly ever does so far out.
const FAR_OUT: f64 = 1e-6;
/// The level at which the effective number of tests is measured.
const MEASURED_AT: f64 = 0.05;
/// One draw of so many is among the smallest, which the effective number is fitted to.
pub(crate) const OF_THE_DRAWS: usize = 12;
/// p-values closer to 1 than this are this far from it: one test that finds nothing at all must not
/// outweigh what another finds.
const LEAST_DOUBT: f64 = 0.01;

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

/// Step-down adjusted p-values as [`holm`]'s where the tests depend on each other so that together
/// they err as often as `effective` independent ones do (Šidák, "Rectangular confidence regions for
/// the means of multivariate normal distributions", JASA 62, 1967): 1 − (1 − p)ᵏ.
///
/// `effective` is measured at the usual level; from there to p = 1e-6 it rises to the number of
/// tests in proportion to ln p. At most as many as there are tests, at least 1.
#[must_use]
pub fn step_down(p_values: &[f64], effective: f64) -> Vec<f64> {
    let all = p_values.len() as f64;
    let effective = if effective.is_nan() { all } else { effective.clamp(1.0, all.max(1.0)) };
    let p = |index: usize| if p_values[index].is_nan() { 1.0 } else { p_values[index] };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p(a).total_cmp(&p(b)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, &index) in order.iter().enumerate() {
        let left = (worth(p(index), effective, all) * (all - rank as f64) / all).max(1.0);
        largest = largest.max(sidak(p(index), left)).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// The p-value of the smallest of `all` p-values, where these tests are worth `effective` independent
/// ones at the usual level: fewer, because they depend on each other, or more, because each of them errs
/// more often there than it should. Further out it counts for `all`, or for `effective` where that is more.
#[must_use]
pub fn any(smallest: f64, effective: f64, all: f64) -> f64 {
    let smallest = if smallest.is_nan() { 1.0 } else { smallest.clamp(0.0, 1.0) };
    let effective = if effective.is_nan() { all } else { effective.max(1.0) };
    sidak(smallest, worth(smallest, effective, all.max(effective))).min(1.0)
}

/// 1 − (1 − p)ᵏ.
fn sidak(p: f64, tests: f64) -> f64 {
    -(tests * (-p).ln_1p()).exp_m1()
}

/// How many independent tests count for a p-value: `effective` at the usual level, and from there to
/// p = 1e-6 in proportion to ln p up to `all`.
fn worth(p: f64, effective: f64, all: f64) -> f64 {
    let usual = (MEASURED_AT / effective).ln();
    let out = ((usual - p.max(f64::MIN_POSITIVE).ln()) / (usual - FAR_OUT.ln())).clamp(0.0, 1.0);
    effective + (all - effective) * out
}

/// How many independent tests err as often as those whose smallest p-values, in draws without any
/// change, are given: the exponential law of −ln(1 − p) fitted to the smallest twelfth (the
/// maximum likelihood with the rest censored): what counts is how often they err at the usual
/// level, and the further out, the less tests depend on each other. `None` with fewer than 120 draws.
#[must_use]
pub fn effective(smallest: &[f64]) -> Option<f64> {
    let mut waits: Vec<f64> = smallest.iter().map(|p| -(-p.clamp(0.0, 1.0)).ln_1p()).collect();
    waits.sort_by(f64::total_cmp);
    let few = waits.len() / OF_THE_DRAWS;
    if few < 10 {
        return None;
    }
    let seen = &waits[..few];
    let total = seen.iter().sum::<f64>() + (waits.len() - few) as f64 * seen[few - 1];
    (total > 0.0).then(|| (few as f64 / total).max(1.0))
}

/// One p-value of two tests of the same thing, however they depend on each other (Liu & Xie,
/// "Cauchy combination test", JASA 115, 2020).
#[must_use]
pub fn cauchy(one: f64, other: f64) -> f64 {
    let weight = |p: f64| {
        let p = if p.is_nan() { 1.0 } else { p.clamp(1e-300, 1.0 - LEAST_DOUBT) };
        // Close to 0 the tangent is 1/(πp), which does not lose p's digits.
        if p < 1e-8 {
            (std::f64::consts::PI * p).recip()
        } else {
            (std::f64::consts::PI * (0.5 - p)).tan()
        }
    };
    let mean = weight(one) / 2.0 + weight(other) / 2.0;
    let p = if mean > 1e8 {
        (std::f64::consts::PI * mean).recip()
    } else {
        0.5 - mean.atan() / std::f64::consts::PI
    };
    p.clamp(0.0, 1.0)
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

    #[test]
    fn two_tests_of_one_thing_are_one() {
        assert!((cauchy(0.03, 0.03) - 0.03).abs() < 1e-12);
        assert!((cauchy(1e-20, 0.7) / 2e-20 - 1.0).abs() < 1e-6);
        assert!((cauchy(1e-5, 1.0) / 2e-5 - 1.0).abs() < 0.01);
        assert!(cauchy(1.0, 1.0) > 0.98 && cauchy(f64::NAN, 0.5) > 0.5);
        assert!(cauchy(0.0, 0.0) < 1e-299);
    }

    #[test]
    fn tests_that_are_one_count_as_one_and_independent_ones_as_many() {
        let mut seed = 5u64;
        let mut throw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((seed >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let once: Vec<f64> = (0..20_000).map(|_| throw()).collect();
        let one = effective(&once).unwrap();
        assert!((0.9..1.1).contains(&one), "{one}");
        let of_forty: Vec<f64> =
            (0..20_000).map(|_| (0..40).map(|_| throw()).fold(1.0, f64::min)).collect();
        let forty = effective(&of_forty).unwrap();
        assert!((36.0..44.0).contains(&forty), "{forty}");
        assert_eq!((effective(&[0.5; 119]), effective(&[0.0; 500])), (None, None));
    }

    #[test]
    fn effective_tests_correct_less_at_the_usual_level_and_not_far_out() {
        let p = [0.012, 0.5, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert!((step_down(&p, 5.0)[0] - 0.0586).abs() < 1e-3);
        let p = [1e-9, 0.5, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert!((step_down(&p, 5.0)[0] / 1e-8 - 1.0).abs() < 1e-3);
        assert!(step_down(&[], 5.0).is_empty());
        assert_eq!(step_down(&[f64::NAN], f64::NAN), [1.0]);
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
            let stepped = step_down(&p, p.len() as f64 / 2.0);
            for (i, &raw) in p.iter().enumerate() {
                prop_assert!(raw <= stepped[i] + 1e-12 && stepped[i] <= adjusted[i] + 1e-12);
            }
        }
    }
}
