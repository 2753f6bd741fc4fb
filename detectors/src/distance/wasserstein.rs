//! Wasserstein's first distance, ∫ |F − G|: how far values moved in the mean, in the column's own
//! unit. It does not know a scale that makes it comparable between columns.
//!
//! Without a change any rows of both samples together could have been the window's. So windows are drawn
//! anew from all of them, from a fixed seed, and p is the share of draws at least as far away
//! (a permutation test: Fisher, "The design of experiments", 1935; with the sample itself
//! among the draws, Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010). That needs neither a limit
//! law nor a mean, and holds with heavy tails and with ties; p is never below 1/1000.

use super::redrawn::among;
use super::{Distance, nearest};
use crate::forest::random::Random;
use crate::quantile::{Knot, QuantileSketch, ranks_at};

/// Windows that are drawn.
const DRAWS: u32 = 999;
/// Stretches that are joined reach over this part of all rows at most.
const STRETCH: f64 = 1.0 / 64.0;
/// In the tails, over this part of the rows further out.
const OF_TAIL: f64 = 1.0 / 8.0;

/// A stretch of the line: how wide it is, and the rows of both samples on it, spread evenly. A value
/// with rows of its own is one of no width.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Stretch {
    width: f64,
    was: f64,
    now: f64,
}

impl Stretch {
    fn all(&self) -> f64 {
        self.was + self.now
    }
}

/// The distance of two sketches. `None` where either side has no values, or their span is more than a
/// number holds.
///
/// It is exact where both know all their values. Else it is that at the knots of the reference, and at
/// those of the window where the reference's ranks are known; values of unknown order between two of
/// these are spread evenly, and ranks that are not known there are taken to differ as little as they may.
#[must_use]
pub fn distance(reference: &QuantileSketch, window: &QuantileSketch) -> Option<Distance> {
    let ((was, m), (now, n)) = (reference.read(), window.read());
    if m == 0 || n == 0 {
        return None;
    }
    let stretches = stretches((&was, m), (&now, n));
    let span: f64 = stretches.iter().map(|stretch| stretch.width).sum();
    if !span.is_finite() {
        return None;
    }
    let (m, n) = (m as f64, n as f64);
    let apart = |stretches: &[Stretch]| between(stretches, (m, n), |stretch| stretch.now);
    let value = apart(&stretches);
    let joined = joined(&stretches, m + n);
    let seen = apart(&joined);
    let mut random = Random::seeded(1);
    let (mut at_least, mut sum) = (0_u32, 0.0);
    for _ in 0..DRAWS {
        let (mut rows, mut wanted) = (m + n, n);
        let drawn = between(&joined, (m, n), |stretch| {
            let now = among(stretch.all(), wanted, rows, &mut random);
            rows -= stretch.all();
            wanted -= now;
            now
        });
        sum += drawn;
        at_least += u32::from(drawn >= seen);
    }
    let p_value = f64::from(at_least + 1) / f64::from(DRAWS + 1);
    Some(Distance { value, expected: sum / f64::from(DRAWS), p_value })
}

/// ∫ |F − G| over the stretches, where so many of the rows on each are the window's.
fn between(
    stretches: &[Stretch],
    (m, n): (f64, f64),
    mut of_window: impl FnMut(&Stretch) -> f64,
) -> f64 {
    let (mut was, mut now, mut before, mut sum) = (0.0, 0.0, 0.0_f64, 0.0);
    for stretch in stretches {
        let of_window = of_window(stretch);
        now += of_window;
        was += stretch.all() - of_window;
        let after = was / m - now / n;
        sum += stretch.width * mean_of_line(before, after);
        before = after;
    }
    sum
}

/// The mean of |x| along a straight line between two values.
fn mean_of_line(from: f64, to: f64) -> f64 {
    let whole = from.abs() + to.abs();
    if from * to >= 0.0 { whole / 2.0 } else { (from * from + to * to) / (2.0 * whole) }
}

/// The line in stretches between places where ranks are known, and at them.
fn stretches((was, m): (&[Knot], u64), (now, n): (&[Knot], u64)) -> Vec<Stretch> {
    let mut places: Vec<f64> = was.iter().map(|knot| knot.value).collect();
    places.extend(now.iter().map(|knot| knot.value).filter(|&value| {
        let ranks = ranks_at(was, m, was.partition_point(|knot| knot.value < value), value);
        ranks.le_min == ranks.le_max && ranks.lt_min == ranks.lt_max
    }));
    places.sort_unstable_by(f64::total_cmp);
    places.dedup();
    let mut stretches = Vec::with_capacity(2 * places.len() + 1);
    let (mut last, mut upto) = (None, (0.0, 0.0));
    let mut push = |width: f64, to: (f64, f64)| {
        let (of_was, of_now) = ((to.0 - upto.0).max(0.0), (to.1 - upto.1).max(0.0));
        upto = (upto.0 + of_was, upto.1 + of_now);
        if width > 0.0 || of_was + of_now > 0.0 {
            stretches.push(Stretch { width, was: of_was, now: of_now });
        }
    };
    let (rows_was, rows_now) = (m as f64, n as f64);
    let nearest = |was: (u64, u64), now: (u64, u64)| {
        let share = |(low, high): (u64, u64), of: f64| (low as f64 / of, high as f64 / of);
        let (f, g) = nearest(share(was, rows_was), share(now, rows_now));
        ((f * rows_was).round(), (g * rows_now).round())
    };
    for place in places {
        let ranks = |knots: &[Knot], count: u64| {
            ranks_at(knots, count, knots.partition_point(|knot| knot.value < place), place)
        };
        let (a, b) = (ranks(was, m), ranks(now, n));
        let below = nearest((a.lt_min, a.lt_max), (b.lt_min, b.lt_max));
        push(last.map_or(0.0, |last| place - last), below);
        push(0.0, nearest((a.le_min, a.le_max), (b.le_min, b.le_max)));
        last = Some(place);
    }
    stretches
}

/// Neighbouring stretches as one where few rows lie on them: draws are as good on fewer.
fn joined(stretches: &[Stretch], rows: f64) -> Vec<Stretch> {
    let mut joined: Vec<Stretch> = Vec::new();
    let mut below = 0.0;
    for stretch in stretches {
        let upto = below + stretch.all();
        let tail = below.min(rows - upto).max(0.0);
        let most = (tail * OF_TAIL).min(rows * STRETCH);
        match joined.last_mut() {
            Some(last) if last.all() + stretch.all() <= most => {
                last.width += stretch.width;
                last.was += stretch.was;
                last.now += stretch.now;
            }
            _ => joined.push(*stretch),
        }
        below = upto;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::specimen::{normal, sketch};

    #[test]
    fn distances_are_scipys() {
        // scipy.stats.wasserstein_distance
        let (a, b) = (
            sketch([1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 7.5]),
            sketch([2.0, 3.0, 4.0, 4.0, 5.0, 6.0, 6.0, 8.0, 9.0, 9.0]),
        );
        assert!((distance(&a, &b).unwrap().value - 2.4125).abs() < 1e-12);
        let apart = distance(&sketch([0.0, 1.0, 3.0]), &sketch([5.0, 6.0, 8.0])).unwrap();
        assert!((apart.value - 5.0).abs() < 1e-12);
    }

    /// Of 150 windows of 300 rows, how many have p at most .2; and what comes over what is expected.
    fn vain(mut value: impl FnMut(&mut Random) -> f64) -> (usize, f64) {
        let mut random = Random::seeded(9);
        let (mut vain, mut values, mut expected) = (0, 0.0, 0.0);
        for _ in 0..150 {
            let mut reference = sketch((0..3_000).map(|_| value(&mut random)));
            reference.condense(1_150);
            let window = sketch((0..300).map(|_| value(&mut random)));
            let found = distance(&reference, &window).unwrap();
            vain += usize::from(found.p_value <= 0.2);
            values += found.value;
            expected += found.expected;
        }
        (vain, values / expected)
    }

    #[test]
    fn chance_alone_is_what_it_is_said_to_be_with_heavy_tails_and_ties() {
        let pareto = |random: &mut Random| random.positive().powf(-1.0 / 1.5);
        let ties = |random: &mut Random| (normal(random) * 2.0).floor();
        // A mean of distances of Pareto's, whose variance is infinite, is one of few rows: ten seeds gave
        // .85 to 1.22.
        for (name, (vain, ratio), near) in [
            ("normal", vain(normal), 0.9..1.12),
            ("Pareto", vain(pareto), 0.8..1.3),
            ("ties", vain(ties), 0.9..1.12),
        ] {
            // Three standard deviations of 150 are 15.
            assert!((15..=45).contains(&vain), "{name}: {vain} of 150");
            assert!(near.contains(&ratio), "{name}: {ratio}");
        }
    }

    #[test]
    fn a_shift_is_told_in_the_units_of_the_column() {
        let mut random = Random::seeded(4);
        let reference = sketch((0..5_000).map(|_| normal(&mut random) * 10.0));
        let window = sketch((0..1_000).map(|_| normal(&mut random) * 10.0 + 5.0));
        let moved = distance(&reference, &window).unwrap();
        assert!((4.0..6.0).contains(&moved.value) && moved.p_value == 0.001, "{moved:?}");
    }

    #[test]
    fn what_has_no_distance_has_none() {
        let (nothing, one) = (sketch([]), sketch([3.0; 50]));
        assert!(distance(&nothing, &one).is_none() && distance(&one, &nothing).is_none());
        let same = distance(&one, &one).unwrap();
        assert_eq!((same.value, same.expected, same.p_value), (0.0, 0.0, 1.0));
        let wide = (sketch([-f64::MAX, 0.0]), sketch([f64::MAX, 0.0]));
        assert_eq!(distance(&wide.0, &wide.1), None);
    }
}
