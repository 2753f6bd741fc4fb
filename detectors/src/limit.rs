//! Limits that people set: how often a feature may be missing, and how often it may have a level
//! that is not listed. It does not know who set them, nor what the training data looked like.

use std::collections::BTreeSet;

use crate::gamma::ln_gamma;
use crate::proportion::Rate;
use crate::reference::{Feature, Values};

/// What may happen to a feature in so large a share of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// The feature's name.
    pub feature: String,
    /// What is limited.
    pub what: Limited,
    /// The share of rows in which it may happen, 0 to 1.
    pub most: f64,
}

/// What is limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limited {
    /// That there is no value.
    Missing,
    /// That the value is a level other than these.
    Unseen(BTreeSet<String>),
}

impl Limit {
    /// How often it happened. Of a feature of numbers no level is unseen.
    #[must_use]
    pub fn happened(&self, feature: &Feature) -> Rate {
        match (&self.what, &feature.values) {
            (Limited::Missing, _) => Rate::new(feature.missing(), feature.rows),
            (Limited::Unseen(_), Values::Number(_)) => Rate::new(0, 0),
            (Limited::Unseen(known), Values::Category(levels)) => {
                let unknown = levels.counts().iter().filter(|(level, _)| !known.contains(*level));
                let unseen = unknown.map(|(_, count)| count).sum::<u64>() + levels.other();
                Rate::new(unseen, levels.count())
            }
        }
    }
}

/// The chance of at least so many hits where each trial has one with the chance `most`, exactly:
/// the upper tail of the binomial distribution, summed from its largest term on.
#[must_use]
pub fn exceeds(rate: Rate, most: f64) -> f64 {
    let (hits, of) = (rate.hits(), rate.of());
    if hits == 0 || most >= 1.0 || most.is_nan() {
        return 1.0;
    }
    if most <= 0.0 {
        return 0.0;
    }
    let odds = most / (1.0 - most);
    let ln_p = |k: u64| {
        let (k, n) = (k as f64, of as f64);
        let ways = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
        ways + k * most.ln() + (n - k) * f64::ln_1p(-most)
    };
    let rise = |k: u64| (of - k) as f64 / (k + 1) as f64 * odds;
    let fall = |k: u64| k as f64 / (of - k + 1) as f64 / odds;
    let expected = most * of as f64;
    let tail = if hits as f64 > expected {
        summed(ln_p(hits).exp(), (hits..of).map(rise))
    } else {
        // The lower tail is the smaller one, and falls away from hits − 1.
        1.0 - summed(ln_p(hits - 1).exp(), (1..hits).rev().map(fall))
    };
    tail.clamp(0.0, 1.0)
}

/// A term and those after it, each a ratio of the one before, until they vanish.
fn summed(first: f64, ratios: impl Iterator<Item = f64>) -> f64 {
    let (mut term, mut sum) = (first, first);
    for ratio in ratios {
        term *= ratio;
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

/// The smallest excess over `most` that so many trials could have shown at level `alpha`, 0 to 1.
#[must_use]
pub fn detectable(most: f64, trials: u64, alpha: f64) -> f64 {
    let significant = |hits: u64| exceeds(Rate::new(hits, trials), most) <= alpha;
    let (mut low, mut high) = ((most.clamp(0.0, 1.0) * trials as f64).ceil() as u64, trials);
    if trials == 0 || !significant(high) {
        return 1.0;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if significant(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    (Rate::new(high, trials).share() - most).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Observation;

    #[test]
    fn the_tail_is_exact() {
        // Exact sums of fractions.
        for (hits, of, most, expected) in [
            (12, 100, 0.05, 0.004274182466365915),
            (3, 100, 0.05, 0.8817370188148791),
            (30, 1_000, 0.001, 9.503107515052422e-34),
            (100, 100, 0.5, 7.888609052210118e-31),
            (1, 1_000_000, 1e-9, 0.0009995001671245088),
        ] {
            let p = exceeds(Rate::new(hits, of), most);
            assert!((p / expected - 1.0).abs() < 1e-8, "{hits} of {of} at {most}: {p}");
        }
    }

    #[test]
    fn limits_without_room_and_without_rows_are_handled() {
        assert_eq!(exceeds(Rate::new(0, 100), 0.0), 1.0);
        assert_eq!(exceeds(Rate::new(1, 100), 0.0), 0.0);
        assert_eq!(exceeds(Rate::new(100, 100), 1.0), 1.0);
        assert_eq!(exceeds(Rate::new(0, 0), 0.5), 1.0);
        assert_eq!(exceeds(Rate::new(5, 10), f64::NAN), 1.0);
        assert_eq!((detectable(0.1, 0, 0.01), detectable(0.1, 2, 1e-9)), (1.0, 1.0));
        assert_eq!(detectable(0.0, 100, 0.01), 0.01);
    }

    #[test]
    fn what_happened_is_counted() {
        let mut feature = Feature::category("sex");
        for level in ["F", "M", "X", "F"] {
            feature.observe(Observation::Category(level));
        }
        feature.observe(Observation::Missing);
        let limit = |what| Limit { feature: "sex".to_owned(), what, most: 0.1 };
        let known = BTreeSet::from(["F".to_owned(), "M".to_owned()]);
        assert_eq!(limit(Limited::Unseen(known)).happened(&feature), Rate::new(1, 4));
        assert_eq!(limit(Limited::Missing).happened(&feature), Rate::new(1, 5));
    }
}
