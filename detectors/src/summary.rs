//! What is remembered of one column: moments and a sketch of numbers, counts of categories.
//!
//! It does not know the column's name, nor whether its rows come from training or from traffic.

use crate::quantile::QuantileSketch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Beyond this magnitude a value counts as this magnitude in mean and variance, so that their
/// sums cannot overflow. The sketch keeps the value itself.
const LARGEST_IN_MOMENTS: f64 = 1e140;

/// Levels that a [`CategorySummary`] names before it counts the rest in `other`.
pub const DEFAULT_LEVELS: usize = 1_000;

/// Bytes of a level's name that are kept; levels that agree so far count as one.
pub const LEVEL_BYTES: usize = 256;

/// Numbers of one column.
///
/// Mean and variance follow Welford (1962) per value and Chan, Golub & LeVeque (1979) on merging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberSummary {
    /// Finite values.
    pub count: u64,
    /// NaN and infinities: counted, otherwise left out.
    pub non_finite: u64,
    mean: f64,
    squares: f64,
    sketch: QuantileSketch,
}

impl Default for NumberSummary {
    fn default() -> Self {
        NumberSummary {
            count: 0,
            non_finite: 0,
            mean: 0.0,
            squares: 0.0,
            sketch: QuantileSketch::default(),
        }
    }
}

impl NumberSummary {
    /// Takes one value in; a non-finite one only raises `non_finite`.
    pub fn insert(&mut self, value: f64) {
        if !self.sketch.insert(value) {
            self.non_finite += 1;
            return;
        }
        let value = value.clamp(-LARGEST_IN_MOMENTS, LARGEST_IN_MOMENTS);
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
    }

    /// Adds everything that `other` saw.
    pub fn merge(&mut self, other: &NumberSummary) {
        self.non_finite += other.non_finite;
        if other.count == 0 {
            return;
        }
        let (here, there) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        self.count += other.count;
        self.mean += delta * (there / (here + there));
        self.squares += other.squares + delta * delta * (here * there / (here + there));
        self.sketch.merge(&other.sketch);
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

    /// The smallest value, exactly.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        self.sketch.min()
    }

    /// The largest value, exactly.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.sketch.max()
    }

    /// The distribution.
    #[must_use]
    pub fn sketch(&self) -> &QuantileSketch {
        &self.sketch
    }

    /// Folds buffered values into the sketch, so that many reads that follow are cheap.
    pub fn settle(&mut self) {
        self.sketch.settle();
    }
}

/// Categories of one column, at most `limit` by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategorySummary {
    counts: BTreeMap<String, u64>,
    other: u64,
    limit: usize,
}

impl Default for CategorySummary {
    fn default() -> Self {
        CategorySummary::with_limit(DEFAULT_LEVELS)
    }
}

impl CategorySummary {
    /// An empty summary that names at most `limit` levels.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        CategorySummary { counts: BTreeMap::new(), other: 0, limit }
    }

    /// An empty summary that counts every level `known` names, and up to `more` levels beside.
    ///
    /// A flood of invented levels can thus never push a known one into `other`.
    #[must_use]
    pub fn knowing(known: &CategorySummary, more: usize) -> Self {
        let counts: BTreeMap<_, _> = known.counts.keys().map(|level| (level.clone(), 0)).collect();
        CategorySummary { limit: counts.len() + more, counts, other: 0 }
    }

    /// Takes one value in.
    pub fn insert(&mut self, level: &str) {
        self.add(level, 1);
    }

    fn add(&mut self, level: &str, times: u64) {
        let level = &level[..level.floor_char_boundary(LEVEL_BYTES)];
        if let Some(count) = self.counts.get_mut(level) {
            *count += times;
        } else if self.counts.len() < self.limit {
            self.counts.insert(level.to_owned(), times);
        } else {
            self.other += times;
        }
    }

    /// Adds everything that `other` saw; levels beyond the limit join `other`.
    pub fn merge(&mut self, other: &CategorySummary) {
        for (level, &count) in &other.counts {
            if count > 0 {
                self.add(level, count);
            }
        }
        self.other += other.other;
    }

    /// Named levels and their counts, in the order of their names. A count may be zero.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Values of levels that have no name here.
    #[must_use]
    pub fn other(&self) -> u64 {
        self.other
    }

    /// All values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.other
    }
}
