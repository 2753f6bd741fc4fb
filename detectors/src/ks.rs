//! The two-sample Kolmogorov-Smirnov test, on samples and on sketches.
//!
//! It does not know which column it looks at, nor how large a distance matters.
//!
//! D = sup |F(x) − G(x)| over the two empirical distribution functions, ties taken together. On
//! sketches both functions are intervals, so D is one as well. The test uses its lower end: a
//! sketch's error can hide drift, but never invent it.

use crate::finding::Direction;
use crate::kolmogorov;
use crate::quantile::{Knot, QuantileSketch, Ranks, ranks_at};
use crate::smirnov;

/// Products of the sample sizes up to which p is exact. Beyond, the exact count costs more than
/// a look may take, and the asymptotic value serves.
const EXACT_UP_TO: u64 = 100_000;

/// Values of the larger sample up to which [`Method::Auto`] is exact, as in scipy.
const AUTO_EXACT_UP_TO: usize = 10_000;

/// How [`samples`] comes to its p.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Exact up to 10,000 values in the larger sample, else asymptotic: scipy's `auto`.
    #[default]
    Auto,
    /// The law for one continuous distribution, at a cost of about D·m·n steps; ties make it
    /// conservative. scipy's `exact`.
    Exact,
    /// The same, given which values of the pooled sample are tied: exact there as well. At most
    /// m·n steps.
    ExactGivenTies,
    /// The one-sample law at the effective size: scipy's `asymp`.
    Asymptotic,
}

/// The finite values of a sample in ascending order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sorted(Vec<f64>);

impl Sorted {
    /// Leaves NaN and infinities out and sorts the rest.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.retain(|value| value.is_finite());
        // −0 and 0 are one value, and must not be told apart by the order.
        values.iter_mut().for_each(|value| *value += 0.0);
        values.sort_unstable_by(f64::total_cmp);
        Sorted(values)
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }
}

/// What the test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ks {
    /// D as far as it is certain: the lower end, 0 to 1.
    pub statistic: f64,
    /// The upper end; equal to `statistic` where both sides are exact.
    pub statistic_max: f64,
    /// Probability of a D at least as large if both come from one continuous distribution. Ties
    /// make it conservative.
    pub p_value: f64,
    /// Where D is attained: the share of values below or at this value differs most.
    pub at: f64,
    /// Whether the window's values are higher or lower there; `None` where D is 0.
    pub direction: Option<Direction>,
}

/// Compares two sketches. Without values on either side nothing is found: D is 0, p is 1.
#[must_use]
pub fn sketches(reference: &QuantileSketch, window: &QuantileSketch) -> Ks {
    let ((was, m), (now, n)) = (reference.read(), window.read());
    let mut found =
        Ks { statistic: 0.0, statistic_max: 0.0, p_value: 1.0, at: 0.0, direction: None };
    if m == 0 || n == 0 {
        return found;
    }
    let product = m as f64 * n as f64;
    // Counts of one side times the size of the other: differences stay whole numbers.
    let ahead = |one: u64, of_other: u64, two: u64, of_one: u64| {
        i128::from(one) * i128::from(of_other) - i128::from(two) * i128::from(of_one)
    };
    let (mut least, mut most) = (0, 0);
    let (mut i, mut j) = (0, 0);
    loop {
        let value = match (was.get(i), now.get(j)) {
            (Some(left), Some(right)) => left.value.min(right.value),
            (Some(only), None) | (None, Some(only)) => only.value,
            (None, None) => break,
        };
        let (a, b) = (ranks_at(&was, m, i, value), ranks_at(&now, n, j, value));
        // Strictly between knots a bound on D from below is never better than at their edges,
        // but one from above may be worse.
        let (a_gap, b_gap) = (before(&was, m, i), before(&now, n, j));
        most = most
            .max(ahead(a_gap.le_max, n, b_gap.le_min, m))
            .max(ahead(b_gap.le_max, m, a_gap.le_min, n))
            .max(ahead(a.le_max, n, b.le_min, m))
            .max(ahead(b.le_max, m, a.le_min, n));
        for (distance, direction) in [
            (ahead(a.lt_min, n, b.lt_max, m), Direction::Higher),
            (ahead(a.le_min, n, b.le_max, m), Direction::Higher),
            (ahead(b.lt_min, m, a.lt_max, n), Direction::Lower),
            (ahead(b.le_min, m, a.le_max, n), Direction::Lower),
        ] {
            if distance > least {
                least = distance;
                found.at = value;
                found.direction = Some(direction);
            }
        }
        i += usize::from(was.get(i).is_some_and(|knot| knot.value == value));
        j += usize::from(now.get(j).is_some_and(|knot| knot.value == value));
    }
    found.statistic = least as f64 / product;
    found.statistic_max = (most as f64 / product).max(found.statistic);
    found.p_value = p_value(found.statistic, m, n);
    found
}

/// Compares two samples value by value; `statistic` and `statistic_max` are D. Without values on
/// either side nothing is found: D is 0, p is 1.
///
/// The exact methods fall back to the asymptotic one where a sample has 2³¹ values or more.
#[must_use]
pub fn samples(reference: &Sorted, window: &Sorted, method: Method) -> Ks {
    let (was, now) = (reference.values(), window.values());
    let mut found =
        Ks { statistic: 0.0, statistic_max: 0.0, p_value: 1.0, at: 0.0, direction: None };
    if was.is_empty() || now.is_empty() {
        return found;
    }
    let (m, n) = (was.len() as i128, now.len() as i128);
    // m·n·D: differences stay whole numbers.
    let mut most = 0;
    let mut take = |ahead: i128, at: f64, direction| {
        if ahead > most {
            (most, found.at, found.direction) = (ahead, at, Some(direction));
        }
    };
    // Between two values of the window its distribution function stands still, so the distance
    // is largest just before or at one of them.
    let (mut below, mut before) = (0, 0);
    while let Some(&value) = now.get(before) {
        below += ahead(&was[below..], |other| other < value);
        if let Some(last) = below.checked_sub(1) {
            take(below as i128 * n - before as i128 * m, was[last], Direction::Higher);
        }
        let upto = below + ahead(&was[below..], |other| other <= value);
        before += ahead(&now[before..], |other| other <= value);
        take(before as i128 * m - upto as i128 * n, value, Direction::Lower);
        take(upto as i128 * n - before as i128 * m, value, Direction::Higher);
        below = upto;
    }
    take(m * n - before as i128 * m, was[was.len() - 1], Direction::Higher);
    let distance = most as f64 / (m * n) as f64;
    (found.statistic, found.statistic_max) = (distance, distance);
    let small = |size: usize| u32::try_from(size).ok().filter(|&size| size < 1 << 31);
    let exact = match method {
        Method::Asymptotic => false,
        Method::Auto => was.len().max(now.len()) <= AUTO_EXACT_UP_TO,
        Method::Exact | Method::ExactGivenTies => true,
    };
    found.p_value = match (small(was.len()), small(now.len())) {
        (Some(m), Some(n)) if exact => {
            let ends = (method == Method::ExactGivenTies).then(|| last_of_ties(was, now));
            smirnov::tail(most as i64, m, n, ends.as_deref())
        }
        _ => asymptotic(distance, m as f64, n as f64),
    };
    found
}

/// How many values from the first on hold `small`, which holds for a first part only. Doubling
/// steps, since the answer is seldom far.
fn ahead(values: &[f64], small: impl Fn(f64) -> bool) -> usize {
    let mut step = 1;
    while values.get(step - 1).is_some_and(|&value| small(value)) {
        step *= 2;
    }
    let (from, to) = (step / 2, (step - 1).min(values.len()));
    from + values[from..to].partition_point(|&value| small(value))
}

/// For each value of the pooled sample in ascending order, whether the next one is larger.
fn last_of_ties(was: &[f64], now: &[f64]) -> Vec<bool> {
    let mut pooled = [was, now].concat();
    // The stable sort sees two ascending runs, and only merges them.
    pooled.sort_by(f64::total_cmp);
    let mut ends: Vec<bool> = pooled.windows(2).map(|pair| pair[0] < pair[1]).collect();
    ends.push(true);
    ends
}

/// What is known strictly between the knot at `next` and the one before it.
fn before(knots: &[Knot], count: u64, next: usize) -> Ranks {
    let low = next.checked_sub(1).map_or(0, |index| knots[index].ranks.le_min);
    let high = knots.get(next).map_or(count, |knot| knot.ranks.lt_max);
    Ranks { lt_min: low, lt_max: high, le_min: low, le_max: high }
}

/// P(D ≥ `distance`) for samples of sizes `m` and `n` from one continuous distribution; always
/// 0 to 1, and 1 where a size is 0 or `distance` is not above 0.
#[must_use]
pub fn p_value(distance: f64, m: u64, n: u64) -> f64 {
    if m == 0 || n == 0 || distance.is_nan() || distance <= 0.0 {
        return 1.0;
    }
    match m.checked_mul(n) {
        Some(product) if product <= EXACT_UP_TO => {
            // D is a multiple of 1/(m·n); the slack undoes its rounding.
            let threshold = (distance.min(1.0) * product as f64 - 1e-6).ceil() as i64;
            smirnov::tail(threshold.max(1), m as u32, n as u32, None)
        }
        _ => asymptotic(distance.min(1.0), m as f64, n as f64),
    }
}

/// The smallest D that samples of these sizes could have shown at level `alpha`, at most 1.
///
/// From the first term of Kolmogorov's series: √(ln(2/α) · (m + n) / (2·m·n)).
#[must_use]
pub fn detectable(m: u64, n: u64, alpha: f64) -> f64 {
    let (m, n) = (m as f64, n as f64);
    let distance = ((2.0 / alpha).ln() * (m + n) / (2.0 * m * n)).sqrt();
    if distance.is_nan() { 1.0 } else { distance.min(1.0) }
}

/// P for large samples: the one-sample law at the effective size m·n/(m + n), rounded, as
/// scipy's `method='asymp'`.
///
/// Against exact values: with sizes 200 and 5,000 within 1 % down to p = 1e-15; with two equal
/// sizes, where D takes the fewest values, too small by 7 % at p = 0.04 and 16 % at 2e-7.
fn asymptotic(distance: f64, m: f64, n: f64) -> f64 {
    // Half to even, as numpy rounds.
    kolmogorov::tail((m * n / (m + n)).round_ties_even(), distance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Compares two samples exactly; values that are not finite are left out.
    fn kept(reference: &[f64], window: &[f64]) -> Ks {
        let exact = |values: &[f64]| {
            let mut sketch = QuantileSketch::with_capacity(values.len());
            for &value in values {
                sketch.insert(value);
            }
            sketch
        };
        sketches(&exact(reference), &exact(window))
    }

    fn check_p(distance: f64, m: u64, n: u64, expected: f64, tolerance: f64) {
        for (m, n) in [(m, n), (n, m)] {
            let got = p_value(distance, m, n);
            let error = (got - expected).abs();
            assert!(error <= tolerance * expected + 1e-300, "D {distance} of {m}, {n}: {got}");
        }
    }

    #[test]
    fn exact_p_agrees_with_scipys_exact() {
        for (m, n, distance, expected) in [
            (5, 5, 0.6, 0.35714285714285715),
            (7, 7, 0.42857142857142855, 0.5751748251748252),
            (10, 20, 0.35, 0.3686458469067164),
            (8, 5, 0.625, 0.12587412587412586),
            (30, 50, 0.2, 0.39588608458724756),
            (100, 100, 0.3, 0.0002248739317492479),
            (200, 200, 0.5, 4.3551245255930685e-23),
            (100, 300, 0.12, 0.22161880097603315),
            (1, 1, 1.0, 1.0),
            (3, 4, 0.25, 1.0),
            (250, 400, 0.1, 0.08591616947334489),
        ] {
            check_p(distance, m, n, expected, 1e-9);
        }
    }

    #[test]
    fn asymptotic_p_agrees_with_scipys_asymp() {
        for (m, n, distance, expected) in [
            (1000, 1000, 0.05, 0.15866260223815387),
            (1000, 1000, 0.1, 8.342293067263533e-05),
            (200, 200_000, 0.1, 0.03411035080315383),
            (200, 200_000, 0.2, 1.7317874617308334e-07),
            (200, 200_000, 0.3, 1.8482195753126875e-16),
            (5000, 200_000, 0.03, 0.0003009354325087988),
            (10_000, 200_000, 0.05, 3.930223274716417e-21),
            (100_000, 200_000, 0.005, 0.07110564730954372),
            (50_000, 50_000, 0.3, 0.0),
            (400, 300, 0.04, 0.9369752856509017),
        ] {
            check_p(distance, m, n, expected, 1e-9);
        }
    }

    #[test]
    fn ties_are_taken_together_as_scipy_does() {
        let x = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 7.5];
        let y = [2.0, 3.0, 4.0, 4.0, 5.0, 6.0, 6.0, 8.0, 9.0, 9.0];
        let found = kept(&x, &y);
        assert!((found.statistic - 0.55).abs() < 1e-12, "{found:?}");
        assert!((found.p_value - 0.09511403629050688).abs() < 1e-12, "{found:?}");
        assert_eq!((found.at, found.direction), (3.0, Some(Direction::Higher)));
        assert_eq!(kept(&y, &x).direction, Some(Direction::Lower));
        assert_eq!(found.statistic, found.statistic_max);
    }

    #[test]
    fn constants_and_nothing_have_an_answer() {
        assert_eq!(kept(&[3.0; 50], &[3.0; 70]).p_value, 1.0);
        assert_eq!(kept(&[3.0; 50], &[3.0; 70]).direction, None);
        assert_eq!(kept(&[3.0; 500], &[4.0; 700]).statistic, 1.0);
        assert_eq!(kept(&[], &[4.0; 70]).p_value, 1.0);
        assert_eq!(kept(&[f64::NAN, f64::INFINITY], &[4.0]).p_value, 1.0);
        assert_eq!(detectable(0, 9, 0.05), 1.0);
        assert_eq!(detectable(9, 9, 0.0), 1.0);
    }

    /// The largest difference at any value or just below it, by counting.
    fn counted(a: &[f64], b: &[f64]) -> f64 {
        let upto =
            |s: &[f64], x: f64| s.iter().filter(|&&v| v <= x).count() as f64 / s.len() as f64;
        a.iter().chain(b).map(|&x| (upto(a, x) - upto(b, x)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn samples_with_ties_have_scipys_d_and_both_exact_p() {
        let sorted = |values: &[f64]| Sorted::of(values.to_vec());
        let x = sorted(&[1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 7.5, f64::NAN]);
        let y = sorted(&[2.0, 3.0, 4.0, 4.0, 5.0, 6.0, 6.0, 8.0, 9.0, 9.0]);
        let found = samples(&x, &y, Method::Auto);
        assert!((found.statistic - 0.55).abs() < 1e-15, "{found:?}");
        assert!((found.p_value - 0.09511403629050688).abs() < 1e-13, "{found:?}");
        assert_eq!((found.at, found.direction), (3.0, Some(Direction::Higher)));
        assert!(samples(&x, &y, Method::ExactGivenTies).p_value < found.p_value);
        assert_eq!(samples(&x, &sorted(&[]), Method::Auto).p_value, 1.0);
        assert_eq!(samples(&sorted(&[0.0]), &sorted(&[-0.0]), Method::Auto).statistic, 0.0);
        let (low, high) = (Sorted::of(vec![f64::MIN; 5_000]), Sorted::of(vec![f64::MAX; 700]));
        let apart = samples(&low, &high, Method::Auto);
        assert_eq!((apart.statistic, apart.direction), (1.0, Some(Direction::Higher)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_interval_between_sketches_holds_the_true_distance(
            a in prop::collection::vec((0i32..60).prop_map(|v| f64::from(v) / 4.0), 1..300),
            b in prop::collection::vec((10i32..70).prop_map(|v| f64::from(v) / 3.0), 1..300),
        ) {
            let rough = |values: &[f64]| {
                let mut sketch = QuantileSketch::with_capacity(8);
                values.iter().for_each(|&v| { sketch.insert(v); });
                sketch
            };
            let truth = counted(&a, &b);
            let found = sketches(&rough(&a), &rough(&b));
            prop_assert!(found.statistic <= truth + 1e-12, "{found:?} {truth}");
            prop_assert!(found.statistic_max >= truth - 1e-12, "{found:?} {truth}");
            let exact = kept(&a, &b);
            prop_assert!((exact.statistic - truth).abs() < 1e-12, "{exact:?} {truth}");
            prop_assert!(found.p_value >= exact.p_value);
        }

        #[test]
        fn samples_and_sketches_without_error_agree(
            a in prop::collection::vec(-4i32..4, 1..40),
            b in prop::collection::vec(-4i32..4, 1..40),
        ) {
            let values = |side: &[i32]| side.iter().copied().map(f64::from).collect::<Vec<_>>();
            let (a, b) = (values(&a), values(&b));
            let (one, two) = (Sorted::of(a.clone()), Sorted::of(b.clone()));
            let found = samples(&one, &two, Method::Exact);
            let expected = kept(&a, &b);
            prop_assert_eq!(found.statistic, expected.statistic);
            prop_assert_eq!(found.p_value, expected.p_value);
            let tied = samples(&one, &two, Method::ExactGivenTies).p_value;
            prop_assert!((0.0..=found.p_value + 1e-12).contains(&tied), "{} {:?}", tied, found);
        }

        #[test]
        fn p_is_a_probability_and_falls_as_the_distance_grows(
            m in 1u64..3_000, n in 1u64..300_000, d in 0.0..1.0f64, more in 0.001..0.5f64
        ) {
            let (near, far) = (p_value(d, m, n), p_value(d + more, m, n));
            prop_assert!((0.0..=1.0).contains(&near) && (0.0..=1.0).contains(&far));
            prop_assert!(far <= near + 1e-3, "{near} {far}");
        }
    }
}
