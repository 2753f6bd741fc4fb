//! What is remembered of one column: moments and a sketch of numbers, counts of categories.
//!
//! It does not know the column's name, nor whether its rows come from training or from traffic.

use crate::moments::Moments;
use crate::quantile::QuantileSketch;
use crate::radix;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Knots kept of a column of a profile while it is read: see [`NumberSummary::fine`].
const FINE: usize = 2_000;

/// Levels that a [`CategorySummary`] names before it counts the rest in `other`.
pub const DEFAULT_LEVELS: usize = 1_000;

/// Bytes of a level's name that are kept; levels that agree so far count as one.
pub const LEVEL_BYTES: usize = 256;

/// Numbers of one column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NumberSummary {
    /// Finite values.
    pub count: u64,
    /// NaN and infinities: counted, otherwise left out.
    pub non_finite: u64,
    moments: Moments,
    sketch: QuantileSketch,
}

impl NumberSummary {
    /// An empty summary with a finer sketch, for the one that all of a column's values go into.
    #[must_use]
    pub fn fine() -> Self {
        NumberSummary { sketch: QuantileSketch::with_capacity(FINE), ..NumberSummary::default() }
    }

    /// Takes one value in; a non-finite one only raises `non_finite`.
    pub fn insert(&mut self, value: f64) {
        if !self.sketch.insert(value) {
            self.non_finite += 1;
            return;
        }
        self.count += 1;
        self.moments.insert(value);
    }

    /// Takes values in, in their order: as [`NumberSummary::insert`] does one, but for rounding.
    pub fn insert_all(&mut self, values: &[f64]) {
        if !values.iter().all(|value| value.is_finite()) {
            return values.iter().for_each(|value| self.insert(*value));
        }
        self.count += values.len() as u64;
        self.moments.extend(values);
        values.iter().for_each(|value| {
            self.sketch.insert(*value);
        });
    }

    /// Takes a block of values in, the quicker the larger it is; leaves the finite ones of it,
    /// sorted, for whoever wants them so.
    pub fn extend(&mut self, block: &mut Vec<f64>) {
        let all = block.len();
        block.retain(|value| value.is_finite());
        self.non_finite += (all - block.len()) as u64;
        self.count += block.len() as u64;
        self.moments.extend(block);
        // Negative zero equals zero, but sorts apart from it.
        block.iter_mut().for_each(|value| *value += 0.0);
        radix::sort(block);
        self.sketch.extend_sorted(block);
    }

    /// Adds everything that `other` saw.
    pub fn merge(&mut self, other: &NumberSummary) {
        self.non_finite += other.non_finite;
        if other.count == 0 {
            return;
        }
        self.count += other.count;
        self.moments.merge(&other.moments);
        self.sketch.merge(&other.sketch);
    }

    /// The arithmetic mean; `None` without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.moments.mean()
    }

    /// The sample variance (divisor n − 1); `None` with fewer than two values.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        self.moments.variance()
    }

    /// The first four moments.
    #[must_use]
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// Makes the sketch fit into so many bytes when stored: see [`QuantileSketch::condense`].
    pub fn condense(&mut self, bytes: usize) {
        self.sketch.condense(bytes);
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

    /// So many values without their names, of which only completeness can be judged.
    #[must_use]
    pub fn nameless(count: u64) -> Self {
        CategorySummary { counts: BTreeMap::new(), other: count, limit: 0 }
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

    /// Takes one value in that was met so many times.
    pub fn add(&mut self, level: &str, times: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(values: &[f64]) -> NumberSummary {
        let mut summary = NumberSummary::default();
        values.iter().for_each(|&value| summary.insert(value));
        summary
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn merged_moments_are_those_of_all_values(
            a in prop::collection::vec(-1e3..1e3f64, 0..50),
            b in prop::collection::vec(1e3..2e3f64, 2..50),
        ) {
            let mut merged = numbers(&a);
            merged.merge(&numbers(&b));
            let all: Vec<f64> = a.iter().chain(&b).copied().collect();
            let n = all.len() as f64;
            let mean = all.iter().sum::<f64>() / n;
            let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            prop_assert_eq!(merged.count, all.len() as u64);
            prop_assert!((merged.mean().unwrap() - mean).abs() < 1e-8);
            prop_assert!((merged.variance().unwrap() - variance).abs() < 1e-8 * variance.max(1.0));
            prop_assert_eq!(merged.max(), all.iter().copied().reduce(f64::max));
        }
    }

    #[test]
    fn no_value_can_make_the_moments_infinite() {
        let mut summary = numbers(&[f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, 1.0]);
        summary.merge(&summary.clone());
        assert_eq!((summary.count, summary.non_finite), (6, 4));
        assert!(summary.mean().unwrap().is_finite() && summary.variance().unwrap().is_finite());
        assert_eq!((summary.min(), summary.max()), (Some(f64::MIN), Some(f64::MAX)));
    }

    #[test]
    fn one_value_has_a_mean_and_no_variance() {
        assert_eq!((numbers(&[2.0]).mean(), numbers(&[2.0]).variance()), (Some(2.0), None));
        assert_eq!((numbers(&[]).mean(), numbers(&[]).min()), (None, None));
    }

    #[test]
    fn levels_beyond_the_limit_are_counted_together() {
        let mut levels = CategorySummary::with_limit(2);
        ["a", "b", "c", "a", "d"].iter().for_each(|level| levels.insert(level));
        let mut more = CategorySummary::with_limit(9);
        ["b", "e", "e"].iter().for_each(|level| more.insert(level));
        levels.merge(&more);
        let named: Vec<_> = levels.counts().iter().map(|(l, &n)| (l.as_str(), n)).collect();
        assert_eq!((named, levels.other(), levels.count()), (vec![("a", 2), ("b", 2)], 4, 8));
    }

    #[test]
    fn invented_levels_never_push_out_a_known_one() {
        let mut known = CategorySummary::default();
        known.insert("rare");
        let mut levels = CategorySummary::knowing(&known, 3);
        (0..1_000).for_each(|i| levels.insert(&format!("invented-{i}")));
        levels.insert("rare");
        assert_eq!((levels.counts()["rare"], levels.counts().len()), (1, 4));
        assert_eq!(levels.other(), 997);
    }

    #[test]
    fn a_long_name_is_cut_between_two_characters() {
        let mut levels = CategorySummary::default();
        levels.insert(&format!("x{}", "ä".repeat(5_000)));
        let (name, _) = levels.counts().first_key_value().unwrap();
        assert_eq!(name.len(), LEVEL_BYTES - 1);
    }
}
