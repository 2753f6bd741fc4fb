//! A sketch of a distribution that certifies its own error.
//!
//! It does not know what the numbers mean, nor which test will read them.

use serde::{Deserialize, Serialize};

/// Knots kept by [`QuantileSketch::default`].
pub const DEFAULT_CAPACITY: usize = 1_000;

/// Mergeable sketch of finite numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantileSketch {
    capacity: usize,
}

impl Default for QuantileSketch {
    fn default() -> Self {
        QuantileSketch { capacity: DEFAULT_CAPACITY }
    }
}

impl QuantileSketch {
    /// Takes one value in; `false`, and nothing changes, where it is not finite.
    pub fn insert(&mut self, value: f64) -> bool {
        let _ = value;
        todo!()
    }
    /// Adds everything that `other` saw.
    pub fn merge(&mut self, other: &QuantileSketch) {
        let _ = other;
        todo!()
    }
    /// Values so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        todo!()
    }
    /// The smallest value, exactly.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        todo!()
    }
    /// The largest value, exactly.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        todo!()
    }
    /// The share of values at or below `x`: an interval that holds the truth, 0 to 1.
    #[must_use]
    pub fn cdf(&self, x: f64) -> (f64, f64) {
        let _ = x;
        todo!()
    }
    /// The value below which a share `q` (0 to 1) of the values lies; `None` without values.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let _ = q;
        todo!()
    }
    /// The width of the widest interval that [`QuantileSketch::cdf`] can return, 0 to 1.
    #[must_use]
    pub fn rank_error(&self) -> f64 {
        todo!()
    }
    /// Folds buffered values in, so that many reads that follow are cheap.
    pub fn settle(&mut self) {
        todo!()
    }
}
