//! Mean, variance, skewness and kurtosis of a stream of numbers, in one pass and mergeable.
//!
//! It does not know quantiles, and keeps no value.
//!
//! Central sums are kept, never powers of the values, so that a large mean costs no digits: one
//! value at a time by Terriberry's update, and two parts by Pébay's ("Formulas for robust, one-pass
//! parallel computation of covariances and arbitrary-order statistical moments", Sandia report
//! SAND2008-6212, equations 2.1 and following). A block of values is summed around its own mean in
//! two passes and then merged, which is both quicker and nearer to the truth.

use serde::{Deserialize, Serialize};

/// Beyond this magnitude a value counts as this magnitude, so that sums of fourth powers of
/// differences cannot overflow.
const LARGEST: f64 = 1e70;

/// The first four moments of finite numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// Sums of the second, third and fourth powers of differences from the mean.
    squares: f64,
    cubes: f64,
    fourths: f64,
}

impl Moments {
    /// Takes one finite value in.
    pub fn insert(&mut self, value: f64) {
        let value = value.clamp(-LARGEST, LARGEST);
        let before = self.count as f64;
        self.count += 1;
        let n = self.count as f64;
        let delta = value - self.mean;
        let step = delta / n;
        let square = step * step;
        let term = delta * step * before;
        self.mean += step;
        self.fourths += term * square * (n * n - 3.0 * n + 3.0) + 6.0 * square * self.squares
            - 4.0 * step * self.cubes;
        self.cubes += term * step * (n - 2.0) - 3.0 * step * self.squares;
        self.squares += term;
    }

    /// Takes finite values in.
    pub fn extend(&mut self, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        let n = values.len() as f64;
        // Around the first value, so that the sum of a block far from zero loses no digits.
        let origin = values[0].clamp(-LARGEST, LARGEST);
        let offset = lanes(values, |value| [value.clamp(-LARGEST, LARGEST) - origin, 0.0, 0.0])[0];
        let mean = origin + offset / n;
        let [squares, cubes, fourths] = lanes(values, |value| {
            let delta = value.clamp(-LARGEST, LARGEST) - mean;
            let square = delta * delta;
            [square, square * delta, square * square]
        });
        self.merge(&Moments { count: values.len() as u64, mean, squares, cubes, fourths });
    }

    /// Adds everything that `other` saw.
    pub fn merge(&mut self, other: &Moments) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = *other;
            }
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let n = a + b;
        let delta = other.mean - self.mean;
        let step = delta / n;
        let square = delta * delta;
        self.fourths += other.fourths
            + square * step * step * (a * b / n) * (a * a - a * b + b * b)
            + 6.0 * step * step * (a * a * other.squares + b * b * self.squares)
            + 4.0 * step * (a * other.cubes - b * self.cubes);
        self.cubes += other.cubes
            + square * step * (a * b / n) * (a - b)
            + 3.0 * step * (a * other.squares - b * self.squares);
        self.squares += other.squares + square * (a * b / n);
        self.mean += step * b;
        self.count += other.count;
    }

    /// Values so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The arithmetic mean; `None` without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// The sample variance (divisor n − 1); `None` with fewer than two values.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.squares.max(0.0) / (self.count - 1) as f64)
    }

    /// The skewness g₁ = m₃ / m₂^1.5, as scipy's `skew` has it; `None` where all values are equal.
    #[must_use]
    pub fn skewness(&self) -> Option<f64> {
        self.varies().then(|| (self.count as f64).sqrt() * self.cubes / self.squares.powf(1.5))
    }

    /// The excess kurtosis g₂ = m₄ / m₂² − 3, as scipy's `kurtosis` has it: 0 for a normal
    /// distribution; `None` where all values are equal.
    #[must_use]
    pub fn kurtosis(&self) -> Option<f64> {
        let n = self.count as f64;
        self.varies().then(|| n * self.fourths / (self.squares * self.squares) - 3.0)
    }

    /// Whether the spread is more than what rounding leaves of equal values.
    fn varies(&self) -> bool {
        let noise = f64::EPSILON * self.mean.abs();
        self.squares > 0.0
            && self.squares * self.squares > 0.0
            && self.squares > self.count as f64 * noise * noise
    }
}

/// Sums of three terms of each value, in eight lanes so that none waits for another.
fn lanes(values: &[f64], terms: impl Fn(f64) -> [f64; 3]) -> [f64; 3] {
    let mut sums = [[0.0; 8]; 3];
    let mut groups = values.chunks_exact(8);
    for eight in groups.by_ref() {
        for lane in 0..8 {
            let of = terms(eight[lane]);
            for power in 0..3 {
                sums[power][lane] += of[power];
            }
        }
    }
    for (lane, &value) in groups.remainder().iter().enumerate() {
        let of = terms(value);
        for power in 0..3 {
            sums[power][lane] += of[power];
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|&value| moments.insert(value));
        moments
    }

    fn near(a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-7 * b.abs().max(1.0),
            (a, b) => a == b,
        }
    }

    /// scipy 1.17: `skew`, `kurtosis` and numpy's `mean`, `var(ddof=1)` of these eight values.
    #[test]
    fn the_oracle_agrees() {
        let values = [2.0, 8.0, 0.0, 4.0, 1.0, 9.0, 9.0, 0.0];
        let moments = one_by_one(&values);
        assert!(near(moments.mean(), Some(4.125)));
        assert!(near(moments.variance(), Some(15.839_285_714_285_714)));
        assert!(near(moments.skewness(), Some(0.265_055_412_269_857_3)));
        assert!(near(moments.kurtosis(), Some(-1.666_001_075_283_850_8)));
    }

    #[test]
    fn a_mean_far_from_zero_costs_no_digits() {
        let values: Vec<f64> = (0..1_000).map(|i| 1e9 + f64::from(i % 10)).collect();
        let mut block = Moments::default();
        block.extend(&values);
        for moments in [one_by_one(&values), block] {
            // Ten equally likely whole numbers: variance 8.25, kurtosis -1.2242424.
            assert!((moments.variance().unwrap() - 8.25 * 1_000.0 / 999.0).abs() < 1e-6);
            assert!(moments.skewness().unwrap().abs() < 1e-6);
            assert!((moments.kurtosis().unwrap() + 1.224_242_424).abs() < 1e-6);
        }
    }

    #[test]
    fn equal_values_have_no_skewness_and_nothing_has_no_mean() {
        let same = one_by_one(&[0.1; 1_000]);
        assert_eq!((same.skewness(), same.kurtosis()), (None, None));
        assert!(same.variance().unwrap() < 1e-30);
        let none = Moments::default();
        assert_eq!((none.mean(), none.variance(), none.skewness()), (None, None, None));
        assert_eq!(one_by_one(&[2.0]).variance(), None);
    }

    #[test]
    fn no_value_makes_a_moment_infinite() {
        let mut moments = one_by_one(&[f64::MAX, f64::MIN, 1.0]);
        moments.extend(&[f64::MAX, f64::MIN, f64::MAX]);
        moments.merge(&moments.clone());
        for moment in [moments.mean(), moments.variance(), moments.skewness(), moments.kurtosis()] {
            assert!(moment.unwrap().is_finite());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn shards_blocks_and_single_values_agree(
            a in prop::collection::vec(-1e3..1e3f64, 0..70),
            b in prop::collection::vec(500.0..2e3f64, 0..70),
        ) {
            let all = [a.clone(), b.clone()].concat();
            let whole = one_by_one(&all);
            let mut merged = one_by_one(&a);
            merged.merge(&one_by_one(&b));
            let mut blocks = Moments::default();
            blocks.extend(&a);
            blocks.extend(&b);
            for other in [merged, blocks] {
                prop_assert_eq!(other.count(), all.len() as u64);
                prop_assert!(near(other.mean(), whole.mean()));
                prop_assert!(near(other.variance(), whole.variance()));
                prop_assert!(near(other.skewness(), whole.skewness()));
                prop_assert!(near(other.kurtosis(), whole.kurtosis()));
            }
        }
    }
}
