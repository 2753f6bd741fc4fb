//! Where a column of numbers lies and how far it spreads, by normal scores of the ranks: powerful
//! where a few rows move far, which Kolmogorov-Smirnov hardly sees.
//!
//! It does not know which column it looks at, nor how large a difference matters.
//!
//! Each value of the pooled samples has the score z = Φ⁻¹(mid-rank / N), cut at ±2, and its square.
//! Given the pooled values, ties and all, the sums of both over the window have a known mean and
//! covariance when every choice of the window's rows is equally likely (Hájek & Šidák, "Theory of
//! Rank Tests", 1967, II.3.1), so that the quadratic form is about χ² with two degrees, or one where
//! ties leave but one direction. This is Neyman's smooth test (1937) on ranks, of order two.
//!
//! Scores are cut so that the approximation holds far out and no single row decides; what is still
//! too light there is made heavier as in Bernstein's inequality.

use crate::gamma::upper_regularised;
use crate::quantile::{Knot, QuantileSketch, ranks_at};

/// Scores beyond this are this.
const CUT: f64 = 2.0;
/// From so many standard deviations on the tail is taken as heavier than the normal's.
const FAR: f64 = 2.5;
/// A second direction with less than this share of the first one's variance is none.
const ONE_DIRECTION: f64 = 1e-9;

/// What the test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// The quadratic form, about as large as there are degrees without a difference.
    pub statistic: f64,
    /// Degrees of freedom: 2, or 1 where two values are all there are, or 0 where one is.
    pub degrees: u32,
    /// Probability of a form at least as large if both come from one distribution.
    pub p_value: f64,
}

/// Values that cannot be told apart: how many of the reference, and of the window.
struct Group {
    was: f64,
    now: f64,
}

/// Compares two sketches. Without values on either side nothing is found: p is 1. Values of unknown
/// order between two knots count as equal. So many of the window's rows are worth an independent one
/// as `time` says, at least 1: the form is divided by it.
#[must_use]
pub fn sketches(reference: &QuantileSketch, window: &QuantileSketch, time: f64) -> Scores {
    let time = time.max(1.0);
    let ((was, m), (now, n)) = (reference.read(), window.read());
    if m == 0 || n == 0 || m + n < 3 {
        return Scores { statistic: 0.0, degrees: 0, p_value: 1.0 };
    }
    let groups = groups(&was, m, &now, n);
    let (m, n) = (m as f64, n as f64);
    let total = m + n;
    let mut below = 0.0;
    let scored: Vec<(f64, &Group)> = groups
        .iter()
        .map(|group| {
            let size = group.was + group.now;
            let middle = (below + size / 2.0) / total;
            below += size;
            (normal_quantile(middle.clamp(1e-9, 1.0 - 1e-9)).clamp(-CUT, CUT), group)
        })
        .collect();
    let mean = |of: &dyn Fn(f64) -> f64| {
        scored.iter().map(|(z, group)| of(*z) * (group.was + group.now)).sum::<f64>() / total
    };
    let (place, spread) = (mean(&|z| z), mean(&|z| z * z));
    // Sums of squares and products over the pooled sample, and sums over the window.
    let (mut vv, mut vw, mut ww, mut sum_v, mut sum_w) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut most_v, mut most_w) = (0.0f64, 0.0f64);
    for (z, group) in &scored {
        let (v, w) = (z - place, z * z - spread);
        let size = group.was + group.now;
        vv += size * v * v;
        vw += size * v * w;
        ww += size * w * w;
        sum_v += group.now * v;
        sum_w += group.now * w;
        most_v = most_v.max(v.abs());
        most_w = most_w.max(w.abs());
    }
    let share = m * n / (total * (total - 1.0));
    let (vv, vw, ww) = (vv * share, vw * share, ww * share);
    if vv <= 0.0 {
        return Scores { statistic: 0.0, degrees: 0, p_value: 1.0 };
    }
    // What the second direction has that the first one does not.
    let slope = vw / vv;
    let (rest, sum_rest) = (ww - slope * vw, sum_w - slope * sum_v);
    // What depends on each other varies by so much more.
    let (vv, rest) = (vv * time, rest * time);
    let first = heavier(sum_v, vv, most_v);
    if rest <= ww * time * ONE_DIRECTION {
        let statistic = first * first;
        let p_value = upper_regularised(0.5, statistic / 2.0);
        return Scores { statistic, degrees: 1, p_value };
    }
    let second = heavier(sum_rest, rest, most_w + slope.abs() * most_v);
    let statistic = first * first + second * second;
    Scores { statistic, degrees: 2, p_value: (-statistic / 2.0).exp() }
}

/// A sum in standard deviations, fewer where it is far out: as in Bernstein's inequality for draws
/// without replacement, whose variance grows by a third of the largest term for each of them.
pub(crate) fn heavier(sum: f64, variance: f64, largest: f64) -> f64 {
    let deviation = variance.sqrt();
    let far = sum.abs() / deviation;
    let beyond = (far - FAR).max(0.0);
    sum / deviation / (1.0 + largest / deviation * beyond / 3.0).sqrt()
}

/// Both samples by groups of ascending value.
fn groups(was: &[Knot], m: u64, now: &[Knot], n: u64) -> Vec<Group> {
    let middle = |low: u64, high: u64| (low as f64 + high as f64) / 2.0;
    let mut groups = Vec::with_capacity(2 * (was.len() + now.len()));
    let (mut i, mut j) = (0, 0);
    let (mut upto_was, mut upto_now) = (0.0, 0.0);
    let mut push = |groups: &mut Vec<Group>, to_was: f64, to_now: f64| {
        let group = Group { was: (to_was - upto_was).max(0.0), now: (to_now - upto_now).max(0.0) };
        if group.was + group.now > 0.0 {
            groups.push(group);
        }
        (upto_was, upto_now) = (upto_was.max(to_was), upto_now.max(to_now));
    };
    loop {
        let value = match (was.get(i), now.get(j)) {
            (Some(left), Some(right)) => left.value.min(right.value),
            (Some(only), None) | (None, Some(only)) => only.value,
            (None, None) => break,
        };
        let (a, b) = (ranks_at(was, m, i, value), ranks_at(now, n, j, value));
        push(&mut groups, middle(a.lt_min, a.lt_max), middle(b.lt_min, b.lt_max));
        push(&mut groups, middle(a.le_min, a.le_max), middle(b.le_min, b.le_max));
        i += usize::from(was.get(i).is_some_and(|knot| knot.value == value));
        j += usize::from(now.get(j).is_some_and(|knot| knot.value == value));
    }
    push(&mut groups, m as f64, n as f64);
    groups
}

/// Φ⁻¹, by Acklam's rational approximations (2003): relative error below 1.2e-9. For 0 < p < 1.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    const CENTRAL: f64 = 0.024_25;
    let horner = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / horner(&D, q)
    };
    if p < CENTRAL {
        tail(p)
    } else if p > 1.0 - CENTRAL {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        q * horner(&A, q * q) / horner(&B, q * q)
    }
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

    struct Dice(u64);

    impl Dice {
        fn throw(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            normal_quantile(self.throw())
        }
    }

    /// The share of 1,000 windows of `rows` with a p-value at most `alpha`.
    fn rejected(rows: usize, alpha: f64, mut value: impl FnMut(&mut Dice) -> f64) -> f64 {
        let mut dice = Dice(rows as u64);
        let reference = sketch((0..10_000).map(|_| dice.normal()));
        let windows = (0..1_000).filter(|_| {
            let window = sketch((0..rows).map(|_| value(&mut dice)));
            sketches(&reference, &window, 1.0).p_value <= alpha
        });
        windows.count() as f64 / 1_000.0
    }

    #[test]
    fn the_level_is_kept_with_and_without_ties() {
        let found = rejected(500, 0.05, Dice::normal);
        assert!((0.03..0.07).contains(&found), "{found}");
        let mut dice = Dice(3);
        let tied = |dice: &mut Dice| (dice.normal().max(0.8) * 2.0).floor();
        let reference = sketch((0..10_000).map(|_| tied(&mut dice)));
        let found = (0..1_000).filter(|_| {
            let window = sketch((0..500).map(|_| tied(&mut dice)));
            sketches(&reference, &window, 1.0).p_value <= 0.05
        });
        let found = found.count();
        assert!((30..70).contains(&found), "{found}");
    }

    #[test]
    fn a_few_rows_that_move_far_are_seen() {
        let moved = |dice: &mut Dice| {
            let far = if dice.throw() < 0.05 { 2.0 } else { 0.0 };
            dice.normal() + far
        };
        assert!(rejected(500, 0.05, moved) > 0.5);
        assert!(rejected(1_000, 0.05, moved) > 0.8);
        assert!(rejected(500, 0.05, |dice| dice.normal() * 1.2) > 0.9);
    }

    #[test]
    fn two_values_are_one_direction_and_one_is_none() {
        let coin = |heads: usize| sketch((0..1_000).map(|at| f64::from(u8::from(at < heads))));
        let found = sketches(&coin(500), &coin(560), 1.0);
        assert_eq!(found.degrees, 1);
        // χ² of the table of 500, 500, 560 and 440 with N − 1 in place of N.
        let expected = 1_999.0 * 60_000.0_f64.powi(2) / (1_060.0 * 940.0 * 1e6);
        assert!((found.statistic / expected - 1.0).abs() < 0.01, "{found:?} {expected}");
        let same = sketches(&coin(0), &coin(0), 1.0);
        assert_eq!((same.degrees, same.p_value), (0, 1.0));
        assert_eq!(sketches(&sketch([]), &coin(3), 1.0).p_value, 1.0);
    }

    #[test]
    fn the_normal_quantiles_are_those_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959963984540054),
            (0.001, -3.090232306167813),
            (1e-9, -5.997807015007687),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-8 * z.abs().max(1.0), "{p}");
        }
    }
}
