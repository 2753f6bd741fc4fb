//! Quantiles against quantiles: where the values of a window lie that as large a share of its values is below as
//! of the reference's is below another. It tests nothing; it is what people look at when a test found something.
//!
//! Wilk & Gnanadesikan, "Probability plotting methods for the analysis of data", Biometrika 55, 1968.
//! The band is the one of Dvoretzky, Kiefer & Wolfowitz for two samples, with the constant of Massart (1990):
//! without a change, both distributions differ nowhere by more than √(ln(2/α)/2 · (1/m + 1/n)), but in a share
//! α of windows. What the sketches may be off is added.

use serde::{Deserialize, Serialize};

use crate::quantile::QuantileSketch;

/// One share of the values, and where it ends on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The share of values at most so large, in (0, 1).
    pub share: f64,
    /// Where it ends in the reference.
    pub was: f64,
    /// Where it ends in the window.
    pub now: f64,
    /// Without a change `now` is, but in a share of windows, from `low` to `high` at all points together; absent
    /// where the band has no end: values as rare as these may lie anywhere.
    pub low: Option<f64>,
    /// As `low`.
    pub high: Option<f64>,
}

/// So many points, denser towards both ends, where tails are; and the band that a share `outside` of windows without a
/// change leaves anywhere. Empty where either side has no values.
#[must_use]
pub fn points(was: &QuantileSketch, now: &QuantileSketch, count: u32, outside: f64) -> Vec<Point> {
    let rows = 1.0 / was.count().max(1) as f64 + 1.0 / now.count().max(1) as f64;
    let chance = ((2.0 / outside).ln() / 2.0 * rows).sqrt();
    let doubt = chance + was.rank_error() + now.rank_error();
    let point = |at: u32| {
        let angle = std::f64::consts::PI * (f64::from(at) + 0.5) / f64::from(count);
        let share = 0.5 - angle.cos() / 2.0;
        Some(Point {
            share,
            was: was.quantile(share)?,
            now: now.quantile(share)?,
            low: was.quantile(share - doubt).filter(|_| share > doubt),
            high: was.quantile(share + doubt).filter(|_| share + doubt < 1.0),
        })
    };
    (0..count).filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    fn sketch(values: impl Iterator<Item = f64>) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        values.for_each(|value| assert!(sketch.insert(value)));
        sketch
    }

    fn uniform(seed: u64, count: usize) -> impl Iterator<Item = f64> {
        let mut random = Random::seeded(seed);
        (0..count).map(move |_| random.unit())
    }

    #[test]
    fn a_shift_and_a_scale_are_a_straight_line() {
        let was = sketch(uniform(1, 4_000));
        let now = sketch(uniform(1, 4_000).map(|value| 3.0 + 2.0 * value));
        let points = points(&was, &now, 31, 0.05);
        assert_eq!(points.len(), 31);
        for point in &points {
            assert!((point.now - (3.0 + 2.0 * point.was)).abs() < 0.01, "{point:?}");
            assert!(
                (point.was - point.share).abs() < 0.03
                    && point.high.is_none_or(|high| high < point.now),
                "{point:?}"
            );
        }
        assert!((points[15].share - 0.5).abs() < 1e-12);
    }

    #[test]
    fn windows_without_a_change_leave_the_band_as_seldom_as_it_says() {
        let leaves = |seed: &u64| {
            let was = sketch(uniform(seed + 1_000, 2_000));
            let points = points(&was, &sketch(uniform(*seed, 500)), 60, 0.05);
            points.iter().any(|point| {
                point.low.is_some_and(|low| point.now < low)
                    || point.high.is_some_and(|high| point.now > high)
            })
        };
        let left = (100..300).filter(leaves).count();
        assert!(left <= 16, "{left} of 200");
    }

    #[test]
    fn nothing_has_no_quantiles() {
        let some = sketch(uniform(3, 10));
        assert_eq!(points(&some, &QuantileSketch::default(), 9, 0.05), []);
        assert_eq!(points(&QuantileSketch::default(), &some, 9, 0.05), []);
        assert_eq!(points(&some, &some, 0, 0.05), []);
    }
}
