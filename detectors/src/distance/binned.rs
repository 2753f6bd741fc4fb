//! The population stability index, and Jensen and Shannon's divergence, of counts in bins. It does
//! not know values between the bins' edges.
//!
//! Bins that expect fewer than five rows of either sample are pooled, levels as the χ² test pools
//! them ([`crate::chi2`]) and tenths of numbers with their neighbours: with many rare bins the law that
//! both distances have by chance does not hold. So a distance of levels that are mostly rare is less than
//! one that takes every level for itself.

use super::{Distance, nearest};
use crate::chi2::{is_large, pooled};
use crate::gamma::upper_regularised;
use crate::quantile::QuantileSketch;
use crate::summary::CategorySummary;

/// Bins of numbers: the reference's tenths.
const BINS: usize = 10;
/// Added to each count, so that an empty bin is no infinite distance (Jeffreys' prior).
const PRIOR: f64 = 0.5;

/// Counts of both samples in the same bins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Binned(Vec<(u64, u64)>);

impl Binned {
    /// Numbers in the tenths of the reference; ties make some of them one, and ranks that a sketch does
    /// not know differ as little as they may. `None` where either side
    /// has no values, or all are in one bin.
    #[must_use]
    pub fn numbers(reference: &QuantileSketch, window: &QuantileSketch) -> Option<Self> {
        let mut edges: Vec<f64> = Vec::with_capacity(BINS);
        for tenth in 1..BINS {
            let edge = reference.quantile(tenth as f64 / BINS as f64)?;
            if edges.last().is_none_or(|last| *last < edge) && Some(edge) < reference.max() {
                edges.push(edge);
            }
        }
        let sizes = (reference.count(), window.count());
        if sizes.1 == 0 {
            return None;
        }
        let (m, n) = (sizes.0 as f64, sizes.1 as f64);
        let upto = |edge: f64| {
            let (was, now) = nearest(reference.cdf(edge), window.cdf(edge));
            ((was * m).round() as u64, (now * n).round() as u64)
        };
        let mut bins: Vec<(u64, u64)> = Vec::with_capacity(edges.len() + 1);
        let mut below = (0, 0);
        for edge in edges.into_iter().map(Some).chain([None]) {
            let here = edge.map_or(sizes, upto);
            let bin = (here.0.saturating_sub(below.0), here.1.saturating_sub(below.1));
            match bins.last_mut() {
                Some(last) if !is_large(*last, sizes) || !is_large(bin, sizes) => {
                    *last = (last.0 + bin.0, last.1 + bin.1);
                }
                _ => bins.push(bin),
            }
            below = here;
        }
        (bins.len() > 1).then_some(Self(bins))
    }

    /// Levels, the rare ones pooled. `None` where either side has no values, or all rows are in one
    /// group.
    #[must_use]
    pub fn categories(reference: &CategorySummary, window: &CategorySummary) -> Option<Self> {
        if reference.count() == 0 || window.count() == 0 {
            return None;
        }
        let bins = pooled(reference, window);
        (bins.len() > 1).then_some(Self(bins))
    }

    fn shares(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let smoothed = PRIOR * self.0.len() as f64;
        let (m, n) = self.sizes();
        let share = move |count: u64, of: f64| (count as f64 + PRIOR) / (of + smoothed);
        self.0.iter().map(move |(was, now)| (share(*was, m), share(*now, n)))
    }

    fn sizes(&self) -> (f64, f64) {
        let sum = |of: fn(&(u64, u64)) -> u64| self.0.iter().map(of).sum::<u64>() as f64;
        (sum(|bin| bin.0), sum(|bin| bin.1))
    }

    /// What is about χ² with one degree less than there are bins, once divided by `scale`.
    fn chi_squared(&self, value: f64, scale: f64) -> Distance {
        let degrees = (self.0.len() - 1) as f64;
        let p_value = upper_regularised(degrees / 2.0, value / scale / 2.0);
        Distance { value, expected: degrees * scale, p_value }
    }

    /// The population stability index, Σ (p − q)·ln(p/q): Jeffreys' divergence. Without a change it
    /// is about χ²·(1/m + 1/n) (Yurdakul, "Statistical properties of population stability index",
    /// 2018).
    #[must_use]
    pub fn stability_index(&self) -> Distance {
        let (m, n) = self.sizes();
        let value = self.shares().map(|(p, q)| (p - q) * (p / q).ln()).sum();
        self.chi_squared(value, 1.0 / m + 1.0 / n)
    }

    /// Jensen and Shannon's divergence, 0 to ln 2; its root is what scipy calls their distance.
    /// Without a change it is about χ²·(1/m + 1/n)/8: the second-order term that all such
    /// divergences share (Menéndez et al., J. Franklin Inst. 334, 1997).
    #[must_use]
    pub fn jensen_shannon(&self) -> Distance {
        let (m, n) = self.sizes();
        let value: f64 = self
            .shares()
            .map(|(p, q)| {
                let middle = (p + q) / 2.0;
                (p * (p / middle).ln() + q * (q / middle).ln()) / 2.0
            })
            .sum();
        self.chi_squared(value.max(0.0), (1.0 / m + 1.0 / n) / 8.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::specimen::{normal, sketch};
    use crate::forest::random::Random;

    fn levels(counts: &[(&str, u64)]) -> CategorySummary {
        let mut summary = CategorySummary::default();
        counts.iter().for_each(|(level, count)| summary.add(level, *count));
        summary
    }

    #[test]
    fn distances_are_scipys() {
        // scipy.spatial.distance.jensenshannon, squared, and the sum, of counts with a half more
        let (was, now) = (
            levels(&[("a", 30), ("b", 50), ("c", 20)]),
            levels(&[("a", 10), ("b", 60), ("c", 25)]),
        );
        let binned = Binned::categories(&was, &now).unwrap();
        assert!((binned.jensen_shannon().value - 0.029161948650362188).abs() < 1e-15);
        assert!((binned.stability_index().value - 0.24137509787176287).abs() < 1e-14);
    }

    /// Of 400 pairs of columns without a change, how many of either distance have p at most .05, and
    /// what comes over what is expected.
    fn vain(mut pair: impl FnMut() -> Binned) -> [(usize, f64); 2] {
        let mut told = [(0, 0.0, 0.0); 2];
        for _ in 0..400 {
            let binned = pair();
            let both = [binned.stability_index(), binned.jensen_shannon()];
            for ((vain, values, expected), distance) in told.iter_mut().zip(both) {
                *vain += usize::from(distance.p_value <= 0.05);
                *values += distance.value;
                *expected += distance.expected;
            }
        }
        told.map(|(vain, values, expected)| (vain, values / expected))
    }

    fn hold(told: [(usize, f64); 2]) {
        for (vain, ratio) in told {
            // Three standard deviations of 400 are 13.
            assert!((8..=34).contains(&vain) && (0.9..1.12).contains(&ratio), "{vain} {ratio}");
        }
    }

    #[test]
    fn chance_alone_is_what_it_is_said_to_be_of_numbers() {
        let mut random = Random::seeded(9);
        hold(vain(|| {
            let reference = sketch((0..5_000).map(|_| normal(&mut random)));
            let window = sketch((0..500).map(|_| normal(&mut random)));
            Binned::numbers(&reference, &window).unwrap()
        }));
    }

    #[test]
    fn chance_alone_is_what_it_is_said_to_be_of_many_rare_levels() {
        // Zipf's law on two hundred levels.
        let weights: Vec<f64> = (1..=200).map(|rank| 1.0 / f64::from(rank)).collect();
        let all: f64 = weights.iter().sum();
        let mut random = Random::seeded(9);
        let mut column = |rows: usize| {
            let mut counts = vec![0; weights.len()];
            for _ in 0..rows {
                let mut left = random.unit() * all;
                let level = weights.iter().position(|weight| {
                    left -= weight;
                    left < 0.0
                });
                counts[level.unwrap_or(0)] += 1;
            }
            let mut summary = CategorySummary::default();
            for (level, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                summary.add(&level.to_string(), *count);
            }
            summary
        };
        hold(vain(|| Binned::categories(&column(5_000), &column(500)).unwrap()));
    }

    #[test]
    fn a_shift_is_seen() {
        let mut random = Random::seeded(4);
        let reference = sketch((0..5_000).map(|_| normal(&mut random) * 10.0));
        let window = sketch((0..1_000).map(|_| normal(&mut random) * 10.0 + 5.0));
        let binned = Binned::numbers(&reference, &window).unwrap();
        assert!(binned.stability_index().p_value < 1e-20);
    }

    #[test]
    fn what_has_no_distance_has_none() {
        let (nothing, one) = (sketch([]), sketch([3.0; 50]));
        assert!(Binned::numbers(&one, &one).is_none() && Binned::numbers(&one, &nothing).is_none());
        let (a, none) = (levels(&[("a", 90)]), levels(&[]));
        assert!(Binned::categories(&a, &a).is_none() && Binned::categories(&a, &none).is_none());
        // Too few rows for two groups.
        let few = |level| levels(&[(level, 4)]);
        assert!(Binned::categories(&few("a"), &few("b")).is_none());
        let new = Binned::categories(&a, &levels(&[("b", 90)])).unwrap().stability_index();
        assert!(new.value.is_finite() && new.p_value < 0.01, "{new:?}");
    }
}
