//! Distances between two columns that people know by name, each with what it is by chance alone:
//! Wasserstein's, Jensen and Shannon's divergence, and the population stability index.
//!
//! It does not know which column it looks at, nor how large a distance matters. None of them is what
//! an alarm rests on: they are for those who compare with other tools, and a threshold such as
//! "PSI above 0.1" is worth nothing without the distance that chance makes at these sizes.
//!
//! The law of the stability index and of Jensen and Shannon's divergence holds where each bin expects
//! some five rows of either sample. With many rare levels what chance makes is overstated, and p is
//! too large, up to always 1.

use crate::forest::random::Random;
use crate::gamma::upper_regularised;
use crate::quantile::QuantileSketch;
use crate::scores::normal_quantile;
use crate::summary::CategorySummary;

/// Bins of numbers: the reference's tenths.
const BINS: usize = 10;
/// Added to each count, so that an empty bin is no infinite distance (Jeffreys' prior).
const PRIOR: f64 = 0.5;
/// Places of a bridge.
const BRIDGE_STEPS: usize = 128;
/// Brownian bridges that are drawn.
const BRIDGES: u32 = 199;

/// A distance and what chance makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// The distance, 0 or more.
    pub value: f64,
    /// Its mean where nothing has changed, at these sizes.
    pub expected: f64,
    /// Probability of a distance at least as large where nothing has changed.
    pub p_value: f64,
}

/// Counts of both samples in the same bins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Binned(Vec<(f64, f64)>);

impl Binned {
    /// Numbers in the tenths of the reference; ties make some of them one. `None` where either side
    /// has no values, or the reference only one.
    #[must_use]
    pub fn numbers(reference: &QuantileSketch, window: &QuantileSketch) -> Option<Self> {
        let mut edges: Vec<f64> = Vec::with_capacity(BINS);
        for tenth in 1..BINS {
            let edge = reference.quantile(tenth as f64 / BINS as f64)?;
            if edges.last().is_none_or(|last| *last < edge) && Some(edge) < reference.max() {
                edges.push(edge);
            }
        }
        let (m, n) = (reference.count() as f64, window.count() as f64);
        if n == 0.0 || edges.is_empty() {
            return None;
        }
        let upto = |sketch: &QuantileSketch, edge: f64| {
            let (low, high) = sketch.cdf(edge);
            (low + high) / 2.0
        };
        let mut bins = Vec::with_capacity(edges.len() + 1);
        let mut below = (0.0, 0.0);
        for edge in edges.iter().map(|edge| Some(*edge)).chain([None]) {
            let here = edge.map_or((1.0, 1.0), |e| (upto(reference, e), upto(window, e)));
            bins.push(((here.0 - below.0).max(0.0) * m, (here.1 - below.1).max(0.0) * n));
            below = here;
        }
        Some(Self(bins))
    }

    /// Levels, those that neither side names in one bin. `None` where either side has no values, or
    /// both only one level.
    #[must_use]
    pub fn categories(reference: &CategorySummary, window: &CategorySummary) -> Option<Self> {
        let count = |side: &CategorySummary, level: &String| {
            side.counts().get(level).copied().unwrap_or(0) as f64
        };
        let known = reference.counts();
        let new = window.counts().keys().filter(|level| !known.contains_key(*level));
        let mut bins: Vec<(f64, f64)> = known
            .keys()
            .chain(new)
            .map(|level| (count(reference, level), count(window, level)))
            .chain([(reference.other() as f64, window.other() as f64)])
            .collect();
        bins.retain(|(was, now)| was + now > 0.0);
        let whole = reference.count() > 0 && window.count() > 0;
        (whole && bins.len() > 1).then_some(Self(bins))
    }

    fn shares(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let smoothed = PRIOR * self.0.len() as f64;
        let (m, n) = self.sizes();
        let share = move |count: f64, of: f64| (count + PRIOR) / (of + smoothed);
        self.0.iter().map(move |(was, now)| (share(*was, m), share(*now, n)))
    }

    fn sizes(&self) -> (f64, f64) {
        let sum = |of: fn(&(f64, f64)) -> f64| self.0.iter().map(of).sum::<f64>();
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

/// Wasserstein's first distance, ∫ |F − G|: how far values moved in the mean, in the column's own
/// unit. `None` where either side has no values, or their span is more than a number holds. Values of
/// unknown order between two knots of a sketch are spread evenly.
///
/// Without a change √(mn/(m + n)) times it is about ∫ |B(F(x))| dx for a Brownian bridge B (del
/// Barrio, Giné & Matrán, Ann. Probab. 27, 1999); bridges are drawn along the reference from a
/// fixed seed, so that p is never below 1/200. That holds for light tails: with heavy ones p is too
/// large and the expected distance off, and where ∫ √(F(1 − F)) is infinite there is no such limit.
#[must_use]
pub fn wasserstein(reference: &QuantileSketch, window: &QuantileSketch) -> Option<Distance> {
    let (m, n) = (reference.count(), window.count());
    if m == 0 || n == 0 {
        return None;
    }
    let (reference, window) = (settled(reference), settled(window));
    let mut places = [knots(&reference), knots(&window)].concat();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let middle = |(low, high): (f64, f64)| (low + high) / 2.0;
    // Widths, and the share of the reference below each.
    let steps: Vec<(f64, f64, f64)> = places
        .windows(2)
        .map(|pair| {
            let (f, g) = (middle(reference.cdf(pair[0])), middle(window.cdf(pair[0])));
            (pair[1] - pair[0], f, (f - g).abs())
        })
        .collect();
    let span: f64 = steps.iter().map(|(width, ..)| width).sum();
    if !span.is_finite() {
        return None;
    }
    let value: f64 = steps.iter().map(|(width, _, apart)| width * apart).sum();
    // A bridge is as good along fewer places.
    let few = steps.len().div_ceil(BRIDGE_STEPS).max(1);
    let steps: Vec<(f64, f64)> = steps
        .chunks(few)
        .map(|steps| (steps.iter().map(|step| step.0).sum(), steps[steps.len() / 2].1))
        .collect();
    let scale = (1.0 / m as f64 + 1.0 / n as f64).sqrt();
    let mut random = Random::seeded(1);
    let (mut at_least, mut sum) = (0_u32, 0.0);
    for _ in 0..BRIDGES {
        let drawn = scale * bridge(&steps, &mut random);
        sum += drawn;
        at_least += u32::from(drawn >= value);
    }
    let p_value = f64::from(at_least + 1) / f64::from(BRIDGES + 1);
    Some(Distance { value, expected: sum / f64::from(BRIDGES), p_value })
}

/// ∫ |B(F(x))| dx of one bridge: a walk along the shares, tied down at its end.
fn bridge(steps: &[(f64, f64)], random: &mut Random) -> f64 {
    let (mut walk, mut at) = (0.0, 0.0);
    let mut walked = Vec::with_capacity(steps.len());
    for (_, share) in steps {
        walk += (share - at).max(0.0).sqrt() * normal(random);
        at = at.max(*share);
        walked.push(walk);
    }
    let end = walk + (1.0 - at).max(0.0).sqrt() * normal(random);
    steps.iter().zip(walked).map(|((width, share), walk)| width * (walk - share * end).abs()).sum()
}

fn normal(random: &mut Random) -> f64 {
    normal_quantile(random.unit().clamp(1e-12, 1.0 - 1e-12))
}

/// The same sketch, with nothing buffered: it is read many times.
fn settled(sketch: &QuantileSketch) -> QuantileSketch {
    let mut settled = sketch.clone();
    settled.settle();
    settled
}

fn knots(sketch: &QuantileSketch) -> Vec<f64> {
    sketch.read().0.iter().map(|knot| knot.value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(values: impl IntoIterator<Item = f64>) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        for value in values {
            sketch.insert(value);
        }
        sketch
    }

    fn levels(counts: &[(&str, u64)]) -> CategorySummary {
        let mut summary = CategorySummary::default();
        for (level, count) in counts {
            (0..*count).for_each(|_| summary.insert(level));
        }
        summary
    }

    #[test]
    fn distances_are_scipys() {
        // scipy.stats.wasserstein_distance
        let (a, b) = (
            sketch([1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 7.5]),
            sketch([2.0, 3.0, 4.0, 4.0, 5.0, 6.0, 6.0, 8.0, 9.0, 9.0]),
        );
        assert!((wasserstein(&a, &b).unwrap().value - 2.4125).abs() < 1e-12);
        let apart = wasserstein(&sketch([0.0, 1.0, 3.0]), &sketch([5.0, 6.0, 8.0])).unwrap();
        assert!((apart.value - 5.0).abs() < 1e-12);
        // scipy.spatial.distance.jensenshannon, squared, and the sum, of counts with a half more
        let (was, now) = (
            levels(&[("a", 30), ("b", 50), ("c", 20)]),
            levels(&[("a", 10), ("b", 60), ("c", 25)]),
        );
        let binned = Binned::categories(&was, &now).unwrap();
        assert!((binned.jensen_shannon().value - 0.029161948650362188).abs() < 1e-15);
        assert!((binned.stability_index().value - 0.24137509787176287).abs() < 1e-14);
    }

    #[test]
    fn chance_alone_is_what_it_is_said_to_be() {
        let mut random = Random::seeded(9);
        let reference = sketch((0..5_000).map(|_| normal(&mut random)));
        let (mut vain, mut values, mut expected) = ([0, 0, 0], [0.0; 3], [0.0; 3]);
        for _ in 0..400 {
            let window = sketch((0..500).map(|_| normal(&mut random)));
            let binned = Binned::numbers(&reference, &window).unwrap();
            let all = [
                binned.stability_index(),
                binned.jensen_shannon(),
                wasserstein(&reference, &window).unwrap(),
            ];
            for (at, distance) in all.into_iter().enumerate() {
                vain[at] += i32::from(distance.p_value <= 0.05);
                values[at] += distance.value;
                expected[at] += distance.expected;
            }
        }
        for at in 0..3 {
            assert!((8..=34).contains(&vain[at]), "{at}: {} of 400", vain[at]);
            let ratio = values[at] / expected[at];
            assert!((0.9..1.12).contains(&ratio), "{at}: {ratio}");
        }
    }

    #[test]
    fn a_shift_is_told_in_the_units_of_the_column() {
        let mut random = Random::seeded(4);
        let reference = sketch((0..5_000).map(|_| normal(&mut random) * 10.0));
        let window = sketch((0..1_000).map(|_| normal(&mut random) * 10.0 + 5.0));
        let moved = wasserstein(&reference, &window).unwrap();
        assert!((4.0..6.0).contains(&moved.value) && moved.p_value <= 0.005, "{moved:?}");
        let binned = Binned::numbers(&reference, &window).unwrap();
        assert!(binned.stability_index().p_value < 1e-20);
    }

    #[test]
    fn what_has_no_distance_has_none() {
        let (nothing, one) = (sketch([]), sketch([3.0; 50]));
        assert!(wasserstein(&nothing, &one).is_none() && wasserstein(&one, &nothing).is_none());
        assert_eq!(wasserstein(&one, &one).unwrap().value, 0.0);
        assert!(Binned::numbers(&one, &one).is_none() && Binned::numbers(&one, &nothing).is_none());
        let (a, none) = (levels(&[("a", 9)]), levels(&[]));
        assert!(Binned::categories(&a, &a).is_none() && Binned::categories(&a, &none).is_none());
        let new = Binned::categories(&a, &levels(&[("b", 9)])).unwrap().stability_index();
        assert!(new.value.is_finite() && new.p_value < 0.01, "{new:?}");
        let wide = (sketch([-f64::MAX, 0.0]), sketch([f64::MAX, 0.0]));
        assert_eq!(wasserstein(&wide.0, &wide.1), None);
    }
}
