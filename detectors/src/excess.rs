//! Excess: which values of a column a window has too many of, so that what drifted can be told from what
//! did not.
//!
//! It does not know whether the change matters, nor what is done with those rows.
//!
//! For numbers it is the interval (a, b] in which the window has most more of its rows than the
//! reference: the greatest G(b) − G(a), with G the window's distribution function less the reference's
//! (the two deviations of Kuiper, "Tests concerning random points on a circle", 1960, in their order).
//! Many intervals come close to the greatest; of those within a tenth of it the one that holds the least
//! of the reference is taken, since its rows are what training did not see. For categories it is the
//! levels whose share grew, the most grown first, until nine tenths of all growth are named.

use crate::finding::{Detector, Direction, Excess, Finding};
use crate::quantile::QuantileSketch;
use crate::reference::{Feature, Reference, Values};
use crate::summary::CategorySummary;
use crate::window::Window;

/// Quantiles of each side among which the ends of an interval are sought.
const QUANTILES: u32 = 64;
/// The share of the greatest excess that will do.
const ENOUGH: f64 = 0.9;
/// Levels that are named.
const MAX_LEVELS: usize = 16;

/// Which values of a finding's feature the window has too many of; `None` where the change is of
/// another kind, or nothing grew.
#[must_use]
pub fn of(reference: &Reference, window: &Window, finding: &Finding) -> Option<Excess> {
    let at = reference.position(finding.feature.as_deref()?)?;
    let (was, now): (&Feature, &Feature) = (reference.features.get(at)?, window.features.get(at)?);
    match (finding.detector, &was.values, &now.values) {
        (Detector::NullRate, _, _) => {
            (finding.direction == Some(Direction::Higher)).then_some(Excess::Missing)
        }
        (Detector::KolmogorovSmirnov, Values::Number(was), Values::Number(now)) => {
            numbers(was.sketch(), now.sketch())
        }
        (Detector::ChiSquared, Values::Category(was), Values::Category(now)) => levels(was, now),
        _ => None,
    }
}

/// A possible end of an interval.
#[derive(Clone, Copy)]
struct End {
    /// `None` at the ends of all numbers.
    at: Option<f64>,
    /// The reference's distribution function there.
    was: f64,
    /// By how much the window's lies above it.
    apart: f64,
}

fn numbers(was: &QuantileSketch, now: &QuantileSketch) -> Option<Excess> {
    let quantiles = |side: &QuantileSketch| -> Vec<f64> {
        let at = (1..QUANTILES).map(|at| f64::from(at) / f64::from(QUANTILES));
        at.filter_map(|q| side.quantile(q)).collect()
    };
    let mut points = quantiles(was);
    points.extend(quantiles(now));
    points.extend(was.min());
    points.extend(was.max());
    points.sort_by(f64::total_cmp);
    points.dedup();
    let middle = |(low, high): (f64, f64)| (low + high) / 2.0;
    let end = |&at: &f64| {
        let was = middle(was.cdf(at));
        End { at: Some(at), was, apart: middle(now.cdf(at)) - was }
    };
    let mut ends = vec![End { at: None, was: 0.0, apart: 0.0 }];
    ends.extend(points.iter().map(end));
    ends.push(End { at: None, was: 1.0, apart: 0.0 });

    // The widest first: of ends that are as good, that which leaves nothing beyond it.
    let pairs = || {
        let ends = ends.as_slice();
        (0..ends.len()).flat_map(move |a| ends[a + 1..].iter().rev().map(move |b| (ends[a], *b)))
    };
    let greatest = pairs().map(|(a, b)| b.apart - a.apart).fold(0.0, f64::max);
    if greatest <= 0.0 {
        return None;
    }
    let (above, upto) = pairs()
        .filter(|(a, b)| b.apart - a.apart >= ENOUGH * greatest)
        .min_by(|x, y| {
            let mass = |(a, b): &(End, End)| b.was - a.was;
            let excess = |(a, b): &(End, End)| b.apart - a.apart;
            mass(x).total_cmp(&mass(y)).then_with(|| excess(y).total_cmp(&excess(x)))
        })
        .map(|(a, b)| (a.at, b.at))?;
    (above.is_some() || upto.is_some()).then_some(Excess::Range { above, upto })
}

fn levels(was: &CategorySummary, now: &CategorySummary) -> Option<Excess> {
    let share = |count: u64, of: u64| if of == 0 { 0.0 } else { count as f64 / of as f64 };
    let (all_was, all_now) = (was.count(), now.count());
    let mut grown: Vec<(&str, f64)> = now
        .counts()
        .iter()
        .map(|(level, &count)| {
            let before = was.counts().get(level).copied().unwrap_or(0);
            (level.as_str(), share(count, all_now) - share(before, all_was))
        })
        .filter(|(_, growth)| *growth > 0.0)
        .collect();
    grown.sort_by(|a, b| b.1.total_cmp(&a.1));
    let all: f64 = grown.iter().map(|(_, growth)| growth).sum();
    let mut named = 0.0;
    let levels: Vec<String> = grown
        .into_iter()
        .take(MAX_LEVELS)
        .take_while(|(_, growth)| {
            let more = named < ENOUGH * all;
            named += growth;
            more
        })
        .map(|(level, _)| level.to_owned())
        .collect();
    (!levels.is_empty()).then_some(Excess::Levels(levels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(values: impl Iterator<Item = u32>) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        for value in values {
            sketch.insert(f64::from(value));
        }
        sketch
    }

    fn summary(counts: &[(&str, u64)]) -> CategorySummary {
        let mut summary = CategorySummary::default();
        counts.iter().for_each(|(level, count)| summary.add(level, *count));
        summary
    }

    fn range(was: impl Iterator<Item = u32>, now: impl Iterator<Item = u32>) -> (f64, f64) {
        match numbers(&sketch(was), &sketch(now)) {
            Some(Excess::Range { above, upto }) => {
                (above.unwrap_or(f64::NEG_INFINITY), upto.unwrap_or(f64::INFINITY))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_moved_beyond_training_is_what_training_did_not_see() {
        let (above, upto) = range((0..4000).map(|n| 20 + n % 40), (0..400).map(|n| 45 + n % 40));
        assert!((58.0..=60.0).contains(&above) && upto == f64::INFINITY, "{above} {upto}");
        let (above, upto) = range((0..4000).map(|n| 20 + n % 40), (0..400).map(|n| n % 40));
        assert!(above == f64::NEG_INFINITY && (19.0..=21.0).contains(&upto), "{above} {upto}");
    }

    #[test]
    fn what_grew_within_training_is_an_interval() {
        let now = (0..800).map(|n| if n % 2 == 0 { n % 100 } else { 40 + n % 10 });
        let (above, upto) = range((0..4000).map(|n| n % 100), now);
        assert!((36.0..=41.0).contains(&above) && (48.0..=52.0).contains(&upto), "{above} {upto}");
    }

    #[test]
    fn without_values_or_growth_nothing_is_told() {
        let one = sketch([1].into_iter());
        assert_eq!(numbers(&QuantileSketch::default(), &QuantileSketch::default()), None);
        assert_eq!(numbers(&one, &one), None);
        assert_eq!(levels(&summary(&[("a", 3)]), &summary(&[])), None);
    }

    #[test]
    fn levels_that_grew_most_are_named_and_unseen_ones_among_them() {
        let was = summary(&[("a", 50), ("b", 30), ("c", 20)]);
        let now = summary(&[("a", 10), ("b", 30), ("c", 31), ("new", 28), ("seldom", 1)]);
        let Some(Excess::Levels(levels)) = levels(&was, &now) else { panic!("levels grew") };
        assert_eq!(levels, ["new", "c"]);
        let many: Vec<(String, u64)> = (0..100).map(|n| (format!("l{n}"), 1)).collect();
        let many: Vec<(&str, u64)> =
            many.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let Some(Excess::Levels(levels)) = super::levels(&was, &summary(&many)) else {
            panic!("levels grew")
        };
        assert_eq!(levels.len(), MAX_LEVELS);
    }
}
