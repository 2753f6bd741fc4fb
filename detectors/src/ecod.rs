//! ECOD: a row is strange where its values lie far out in the tails of their features. It needs
//! nothing but each feature's distribution, so a sketch is enough; and it does not see that two
//! usual values may be strange together.
//!
//! Li, Zhao, Hu, Botta, Ionescu & Chen, "ECOD: Unsupervised outlier detection using empirical
//! cumulative distribution functions", IEEE TKDE 2022: the score is Σ −ln(tail) over features. As
//! in the authors' library, PyOD, a feature counts with its rarer tail, and with the product of both
//! where its skewness is exactly 0.
//!
//! A tail is (1 + values at least as far out) / (1 + values), so it is never 0. A missing value
//! (NaN) adds nothing; an infinite one lies beyond all others.

use serde::{Deserialize, Serialize};

use crate::outlier::{Blame, Scorer};
use crate::quantile::QuantileSketch;

/// Values of a feature that its table names at most.
const KNOTS: usize = 256;
/// Product of tails below which a logarithm is taken, long before it underflows.
const SMALL: f64 = 1e-150;

/// Both tails of one feature, as a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct Tails {
    values: Vec<f64>,
    /// For each value the values below it, and those at or below it, as shares.
    shares: Vec<[f64; 2]>,
    /// By how much the share rises over a half of the way from the value before.
    slopes: Vec<f64>,
    /// The tail of what lies beyond all values.
    least: f64,
    symmetric: bool,
}

/// A table as it is written.
#[derive(Serialize, Deserialize)]
struct Table {
    values: Vec<f64>,
    shares: Vec<[f64; 2]>,
    least: f64,
    symmetric: bool,
}

/// What is wrong with a table as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Values that do not rise, or more than a table has.
    #[error("the values of a table of tails are not finite and rising")]
    Values,
    /// Shares that fall, or lie outside 0 to 1.
    #[error("the shares of a table of tails do not rise from 0 to 1")]
    Shares,
}

impl Tails {
    /// The tails of these values, in any order; those that are not finite are left out.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let distinct = sorted.chunk_by(|a, b| a == b).count();
        let (mut values, mut shares) = (vec![], vec![]);
        let (mut below, mut place) = (0, 0);
        for tied in sorted.chunk_by(|a, b| a == b) {
            let at_most = below + tied.len();
            if distinct <= KNOTS || chosen(place, below, at_most, sorted.len()) {
                values.push(tied[0]);
                shares.push([below as f64 / count, at_most as f64 / count]);
            }
            (below, place) = (at_most, place + 1);
        }
        let symmetric = third_moment(&sorted) == 0.0;
        Tails::prepared(Table { values, shares, least: 1.0 / (count + 1.0), symmetric })
    }

    /// The tails of the values that a sketch saw. The middle of its certified interval is taken.
    #[must_use]
    pub fn of_sketch(sketch: &QuantileSketch) -> Self {
        let count = sketch.count() as f64;
        let mut values: Vec<f64> = grid(KNOTS).filter_map(|share| sketch.quantile(share)).collect();
        values.extend(sketch.min().into_iter().chain(sketch.max()));
        values.sort_by(f64::total_cmp);
        values.dedup();
        let middle = |value: f64| {
            let (low, high) = sketch.cdf(value);
            f64::midpoint(low, high)
        };
        let mut before = 0.0;
        let shares = values
            .iter()
            .map(|&value| {
                let below = middle(value.next_down()).clamp(before, 1.0);
                before = middle(value).clamp(below, 1.0);
                [below, before]
            })
            .collect();
        Tails::prepared(Table { values, shares, least: 1.0 / (count + 1.0), symmetric: false })
    }

    fn prepared(Table { values, shares, least, symmetric }: Table) -> Self {
        let slope = |place: usize| {
            let last = place.checked_sub(1)?;
            // Halves, because the distance of two large values may overflow.
            let way = values[place] / 2.0 - values[last] / 2.0;
            Some((shares[place][0] - shares[last][1]) / way)
        };
        let slopes = (0..values.len()).map(|place| slope(place).unwrap_or_default()).collect();
        Tails { values, shares, slopes, least, symmetric }
    }

    /// The left tail, P(X ≤ value), and the right, P(X ≥ value). Between two values of the table
    /// shares are interpolated. (1, 1) for NaN and where no value was seen.
    #[must_use]
    pub fn at(&self, value: f64) -> (f64, f64) {
        let Some((below, at_most)) = self.shares_at(value) else { return (1.0, 1.0) };
        let tail = |share: f64| share * (1.0 - self.least) + self.least;
        (tail(at_most), tail(1.0 - below))
    }

    /// The rarer tail of a value, and its rank, 0 to 1: the middle of where it stands. `None` for NaN and
    /// infinities, and where no value was seen.
    #[must_use]
    pub fn tail_and_rank(&self, value: f64) -> Option<(f64, f64)> {
        let (below, at_most) = self.shares_at(value).filter(|_| value.is_finite())?;
        let rarer = at_most.min(1.0 - below);
        Some((rarer * (1.0 - self.least) + self.least, f64::midpoint(below, at_most)))
    }

    /// The shares of values below this one, and at most this one.
    fn shares_at(&self, value: f64) -> Option<(f64, f64)> {
        if value.is_nan() || self.values.is_empty() {
            return None;
        }
        let place = self.values.partition_point(|&knot| knot < value);
        Some(match self.values.get(place) {
            None => (1.0, 1.0),
            Some(&knot) if knot == value => (self.shares[place][0], self.shares[place][1]),
            Some(_) if place == 0 => (0.0, 0.0),
            Some(_) => {
                let (last, left) = (self.values[place - 1], self.shares[place - 1][1]);
                let share = left + self.slopes[place] * (value / 2.0 - last / 2.0);
                let share = share.min(self.shares[place][0]);
                (share, share)
            }
        })
    }

    /// The tail that counts: −ln of it is what the feature adds to the score.
    fn counted(&self, value: f64) -> f64 {
        let (left, right) = self.at(value);
        if self.symmetric { left * right } else { left.min(right) }
    }
}

/// Whether a distinct value is one of the table's: the outermost, then ever fewer towards the
/// middle, so that a tail is off by a small part of itself.
fn chosen(place: usize, below: usize, at_most: usize, count: usize) -> bool {
    let cell = |rank: usize| {
        let rank = rank as f64 / count as f64;
        // Two geometric scales that meet at one half.
        let near = |share: f64| (share * count as f64 + 1.0).log2() / (count as f64).log2();
        let scaled = if rank <= 0.5 { near(rank) } else { 2.0 - near(1.0 - rank) };
        (scaled * (KNOTS / 2 - 4) as f64) as usize
    };
    place == 0 || at_most == count || cell(below) != cell(at_most)
}

/// Shares in (0, 1), dense at both ends.
fn grid(count: usize) -> impl Iterator<Item = f64> {
    let half = count / 2;
    (0..2 * half).map(move |at| {
        let step = at.min(2 * half - 1 - at) as f64 / half as f64;
        // From 1e-6 to 1/2.
        let share = 1e-6 * 500_000f64.powf(step);
        if at < half { share } else { 1.0 - share }
    })
}

/// −ln of the product of these tails. One logarithm of a product is cheaper than many.
pub(crate) fn minus_log(tails: impl Iterator<Item = f64>) -> f64 {
    let (mut product, mut sum) = (1.0, 0.0);
    for tail in tails {
        product *= tail;
        if product < SMALL {
            sum -= f64::ln(product);
            product = 1.0;
        }
    }
    sum - f64::ln(product)
}

fn third_moment(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| value / count).sum::<f64>();
    values.iter().map(|value| (value - mean).powi(3)).sum()
}

impl From<Tails> for Table {
    fn from(tails: Tails) -> Self {
        let Tails { values, shares, least, symmetric, .. } = tails;
        Table { values, shares, least, symmetric }
    }
}

impl TryFrom<Table> for Tails {
    type Error = Broken;

    fn try_from(table: Table) -> Result<Self, Broken> {
        let Table { values, shares, least, symmetric } = table;
        let rising =
            values.is_sorted_by(|a, b| a < b) && values.iter().all(|value| value.is_finite());
        if !rising || values.len() > 2 * KNOTS {
            return Err(Broken::Values);
        }
        let flat = shares.as_flattened();
        let within = flat.iter().chain([&least]).all(|share| (0.0..=1.0).contains(share));
        if shares.len() != values.len() || !within || !flat.is_sorted() || least == 0.0 {
            return Err(Broken::Shares);
        }
        Ok(Tails::prepared(Table { values, shares, least, symmetric }))
    }
}

/// A scorer of rows: one table for each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ecod {
    features: Vec<Tails>,
}

impl Ecod {
    /// From the tails of each feature, in the order of a row.
    #[must_use]
    pub fn of(features: Vec<Tails>) -> Self {
        Ecod { features }
    }

    /// From rows, all of the width of the first; others are left out.
    #[must_use]
    pub fn fit(rows: &[&[f64]]) -> Self {
        let width = rows.first().map_or(0, |row| row.len());
        let column =
            |at: usize| rows.iter().filter(|row| row.len() == width).map(move |row| row[at]);
        Ecod { features: (0..width).map(|at| Tails::of(column(at))).collect() }
    }

    fn fits(&self, row: &[f64]) -> bool {
        row.len() == self.features.len() && row.iter().any(|value| !value.is_nan())
    }
}

impl Scorer for Ecod {
    fn features(&self) -> usize {
        self.features.len()
    }

    fn score(&self, row: &[f64]) -> Option<f64> {
        if !self.fits(row) {
            return None;
        }
        let tails = self.features.iter().zip(row).map(|(tails, &value)| tails.counted(value));
        Some(minus_log(tails).max(0.0))
    }

    /// Shares of −ln of the tails. Every value of a row has one, so a share stands out when
    /// it is well above those of others.
    fn blame(&self, row: &[f64]) -> Option<Blame> {
        if !self.fits(row) {
            return None;
        }
        Some(Blame::of(
            self.features.iter().zip(row).map(|(tails, &value)| -tails.counted(value).ln()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    #[test]
    fn tails_of_four_values_by_hand() {
        let tails = Tails::of([1.0, 2.0, 2.0, 5.0, f64::NAN, f64::INFINITY]);
        // With one more for each tail, of five.
        assert!(near(tails.at(2.0), (0.8, 0.8)));
        assert!(near(tails.at(1.0), (0.4, 1.0)));
        assert!(near(tails.at(0.0), (0.2, 1.0)));
        assert!(near(tails.at(f64::INFINITY), (1.0, 0.2)));
        // Half way from 2 to 5 nothing is known but the shares of either end: three quarters.
        assert!(near(tails.at(3.5), (0.8, 0.4)));
    }

    fn near(a: (f64, f64), b: (f64, f64)) -> bool {
        (a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12
    }

    #[test]
    fn a_score_is_the_sum_over_features_and_the_far_one_is_blamed() {
        let ecod = Ecod::of(vec![Tails::of([1.0, 2.0, 2.0, 5.0]), Tails::of([0.0, 1.0, 2.0, 4.0])]);
        let score = ecod.score(&[1.0, 9.0]).unwrap();
        assert!((score - (-(0.4f64.ln()) - 0.2f64.ln())).abs() < 1e-12);
        assert_eq!(ecod.blame(&[1.0, 9.0]).unwrap().most(), Some(1));
    }

    #[test]
    fn a_symmetric_feature_counts_with_both_tails() {
        let ecod = Ecod::of(vec![Tails::of([-1.0, 0.0, 1.0])]);
        // Tails (2/4, 4/4) at −1 and (3/4, 3/4) at 0.
        assert!((ecod.score(&[0.0]).unwrap() + (0.75f64 * 0.75).ln()).abs() < 1e-12);
        assert!((ecod.score(&[-1.0]).unwrap() + 0.5f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn odd_input_has_stated_answers() {
        let ecod = Ecod::fit(&[&[1.0, f64::NAN], &[3.0, f64::NAN], &[4.0, f64::NAN]]);
        assert_eq!(ecod.score(&[1.0]), None);
        assert_eq!(ecod.score(&[f64::NAN, f64::NAN]), None);
        assert_eq!(ecod.score(&[f64::NAN, 1.0]), Some(0.0));
        assert!(ecod.score(&[f64::INFINITY, 1.0]).unwrap() > ecod.score(&[4.0, 1.0]).unwrap());
        assert_eq!(Ecod::fit(&[]).score(&[]), None);
        let constant = Tails::of([7.0; 9]);
        assert!(near(constant.at(7.0), (1.0, 1.0)) && near(constant.at(8.0), (1.0, 0.1)));
    }

    #[test]
    fn a_table_of_many_values_keeps_tails_within_a_tenth() {
        let mut random = Random::seeded(1);
        let values: Vec<f64> = (0..20_000).map(|_| random.unit().powi(4)).collect();
        let tails = Tails::of(values.iter().copied());
        assert!(tails.values.len() <= KNOTS, "{}", tails.values.len());
        for at in 0..500 {
            let value = values[at * 40];
            let left = values.iter().filter(|&&other| other <= value).count() as f64;
            let right = values.iter().filter(|&&other| other >= value).count() as f64;
            let (ours_left, ours_right) = tails.at(value);
            for (ours, count) in [(ours_left, left), (ours_right, right)] {
                let exact = (count + 1.0) / 20_001.0;
                assert!((ours / exact - 1.0).abs() < 0.1, "{ours} {exact}");
            }
        }
    }

    #[test]
    fn a_sketch_gives_nearly_the_tails_of_its_values() {
        let mut random = Random::seeded(2);
        let values: Vec<f64> = (0..20_000).map(|_| (random.unit() * 50.0).floor()).collect();
        let mut sketch = QuantileSketch::default();
        for &value in &values {
            sketch.insert(value);
        }
        let (exact, sketched) = (Tails::of(values), Tails::of_sketch(&sketch));
        for at in -2..104 {
            let value = f64::from(at) / 2.0;
            let (a, b) = (exact.at(value), sketched.at(value));
            assert!((a.0 - b.0).abs() < 0.02 && (a.1 - b.1).abs() < 0.02, "{value} {a:?} {b:?}");
        }
    }

    #[test]
    fn a_table_survives_writing_and_a_bent_one_is_refused() {
        let tails = Tails::of([1.0, 2.0, 2.0, 5.0]);
        let text = serde_json::to_string(&tails).unwrap();
        assert_eq!(serde_json::from_str::<Tails>(&text).unwrap(), tails);
        let bent = text.replace("[1.0,2.0,5.0]", "[2.0,1.0,5.0]");
        assert!(serde_json::from_str::<Tails>(&bent).is_err());
    }
}
