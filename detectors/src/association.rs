//! Whether columns of numbers still move together as they did: the change of every pair's
//! correlation of scores. It does not know what the columns are, nor how large a change matters.
//!
//! A value's score is the normal quantile of its rank in the reference, cut, so that r of the scores
//! is about that of a normal pair whatever the columns' own distributions (van der Waerden's normal
//! scores; a Spearman correlation that weighs the tails). Fisher's z, the inverse hyperbolic tangent
//! of r, is compared between reference and window (Fisher, Metron 1, 1921). Its variance is not taken
//! as 1/(n − 3), which holds for normal pairs only, but from the fourth moments of the scores
//! (Hawkins, "Using U statistics to derive the asymptotic distribution of Fisher's Z", Am. Stat. 43,
//! 1989), so that columns with ties and joint tails keep the level.

use serde::{Deserialize, Serialize};

use crate::gamma::upper_regularised;
use crate::scores::normal_quantile;
use crate::summary::NumberSummary;

/// Scores beyond this are this.
const CUT: f64 = 2.5;
/// Correlations closer to one than this are as close as this: z must stay finite.
const CLOSEST: f64 = 1e-9;
/// Rows below which nothing is said of a pair. Rows count for less where a few hold nearly all of a
/// column's spread: divided by the column's kurtosis, which is 3 for a normal one, and one over the
/// share of rows that differ for one that hardly varies.
const LEAST_ROWS: f64 = 30.0;
const NORMAL_KURTOSIS: f64 = 3.0;
/// The least spread, a hundredth of a normal pair's: a pair that is one column twice has none.
const LEAST_SPREAD: f64 = 0.01;

/// Scores values by a reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Scorer<'a>(&'a NumberSummary);

impl<'a> Scorer<'a> {
    /// Scores by what a column looked like.
    #[must_use]
    pub fn of(reference: &'a NumberSummary) -> Self {
        Scorer(reference)
    }

    /// The score of a value; NaN without one, or without a reference.
    #[must_use]
    pub fn score(&self, value: f64) -> f64 {
        if !value.is_finite() || self.0.count == 0 {
            return f64::NAN;
        }
        let (below, upto) = self.0.sketch().ranks(value);
        score((below + upto) / 2.0)
    }
}

/// The score of a value of this rank, 0 to 1.
#[must_use]
pub fn score(rank: f64) -> f64 {
    normal_quantile(rank.clamp(1e-9, 1.0 - 1e-9)).clamp(-CUT, CUT)
}

/// Sums of a pair's scores, of products up to the fourth power: `[i][j]` of aⁱ·bʲ, `[0][0]` the rows.
/// Scores are bounded, so the sums lose no digits that matter.
type Sums = [[f64; 5]; 5];

/// What the scores of some columns have together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Association {
    columns: usize,
    pairs: Vec<Sums>,
}

/// How the scores of a pair of columns move together. It is written as a list of its three figures, in
/// their order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "(u64, f64, f64)", from = "(u64, f64, f64)")]
pub struct Correlation {
    /// Rows in which both have a value.
    pub rows: u64,
    /// The scores' correlation, −1 to 1.
    pub r: f64,
    /// The variance of Fisher's z times (rows − 3): 1 for a normal pair.
    pub spread: f64,
}

impl From<Correlation> for (u64, f64, f64) {
    fn from(Correlation { rows, r, spread }: Correlation) -> Self {
        (rows, r, spread)
    }
}

impl From<(u64, f64, f64)> for Correlation {
    fn from((rows, r, spread): (u64, f64, f64)) -> Self {
        // What is read back must have a Fisher's z.
        let r = r.clamp(-1.0 + CLOSEST, 1.0 - CLOSEST);
        Correlation { rows, r, spread: spread.max(LEAST_SPREAD) }
    }
}

impl Correlation {
    /// With six digits, which is more than rows can tell.
    #[must_use]
    pub fn rounded(self) -> Self {
        let round = |value: f64| (value * 1e6).round() / 1e6;
        (self.rows, round(self.r), round(self.spread)).into()
    }

    /// The variance of Fisher's z.
    fn variance(&self) -> f64 {
        self.spread / (self.rows as f64 - 3.0).max(1.0)
    }
}

/// A pair of columns, then and now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The column that comes first.
    pub one: usize,
    /// The other.
    pub other: usize,
    /// The scores' correlation in the reference, −1 to 1.
    pub was: f64,
    /// The same in the window.
    pub now: f64,
    /// The standard deviation of their difference.
    pub deviation: f64,
    /// Probability of a difference at least as large without a change.
    pub p_value: f64,
    /// Rows of the reference in which both have a value.
    pub reference_rows: u64,
    /// Rows of the window in which both have a value.
    pub rows: u64,
}

/// The pairs of so many columns, in the order of [`Association::correlations`].
pub fn pairs(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).flat_map(move |one| (one + 1..columns).map(move |other| (one, other)))
}

/// Compares every pair of so many columns with what it was. `time` says how many rows of the window
/// are worth an independent one for a pair, at least 1. Pairs of which one side says nothing are left
/// out.
#[must_use]
pub fn changes(
    columns: usize,
    was: &[Option<Correlation>],
    now: &[Option<Correlation>],
    time: impl Fn(usize, usize) -> f64,
) -> Vec<Change> {
    let sides = was.iter().zip(now);
    let change = |((one, other), (was, now)): ((usize, usize), (&_, &_))| {
        let (was, now): (&Correlation, &Correlation) = (Option::as_ref(was)?, Option::as_ref(now)?);
        let varies = was.variance() + now.variance() * time(one, other).max(1.0);
        let apart = now.r.atanh() - was.r.atanh();
        let squared = apart * apart / varies;
        // One unit of z is so much of r, at the one end and at the other: the larger is taken.
        let slope = |r: f64| 1.0 - r * r;
        Some(Change {
            one,
            other,
            was: was.r,
            now: now.r,
            deviation: varies.sqrt() * slope(was.r).max(slope(now.r)),
            p_value: if squared.is_finite() { upper_regularised(0.5, squared / 2.0) } else { 1.0 },
            reference_rows: was.rows,
            rows: now.rows,
        })
    };
    pairs(columns).zip(sides).filter_map(change).collect()
}

impl Association {
    /// Of so many columns, nothing seen yet.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        let pairs = columns * columns.saturating_sub(1) / 2;
        Self { columns, pairs: vec![[[0.0; 5]; 5]; pairs] }
    }

    /// Takes a row of scores in, NaN where one is missing. A row of another width is passed over.
    pub fn row(&mut self, scores: &[f64]) {
        if scores.len() != self.columns {
            return;
        }
        let mut pairs = self.pairs.iter_mut();
        for (at, &a) in scores.iter().enumerate() {
            for &b in &scores[at + 1..] {
                let Some(sums) = pairs.next() else { return };
                if a.is_nan() || b.is_nan() {
                    continue;
                }
                let mut left = 1.0;
                for (i, sums) in sums.iter_mut().enumerate() {
                    let mut term = left;
                    for sum in &mut sums[..5 - i] {
                        *sum += term;
                        term *= b;
                    }
                    left *= a;
                }
            }
        }
    }

    /// Adds everything that `other` saw; one of another width is passed over.
    pub fn merge(&mut self, other: &Association) {
        if other.columns != self.columns {
            return;
        }
        let here = self.pairs.iter_mut().flatten().flatten();
        for (here, there) in here.zip(other.pairs.iter().flatten().flatten()) {
            *here += there;
        }
    }

    /// How each pair moves together, in the order of [`pairs`]. `None` where there are too few rows, or
    /// a column does not vary.
    #[must_use]
    pub fn correlations(&self) -> Vec<Option<Correlation>> {
        self.pairs.iter().map(correlation).collect()
    }

    /// Compares every pair of a window with what it was, `self`; of another width nothing is said.
    #[must_use]
    pub fn changes(&self, window: &Association) -> Vec<Change> {
        if window.columns != self.columns {
            return Vec::new();
        }
        changes(self.columns, &self.correlations(), &window.correlations(), |_, _| 1.0)
    }
}

fn correlation(sums: &Sums) -> Option<Correlation> {
    let rows = sums[0][0];
    if rows < LEAST_ROWS {
        return None;
    }
    let raw = |i: usize, j: usize| sums[i][j] / rows;
    let (a, b) = (raw(1, 0), raw(0, 1));
    // The moment of (x − a)ⁱ·(y − b)ʲ, by the binomial theorem.
    let central = |i: usize, j: usize| {
        let mut moment = 0.0;
        for k in 0..=i {
            for l in 0..=j {
                let ways = choose(i, k) * choose(j, l);
                let power = |x: f64, n: usize| (0..n).fold(1.0, |power, _| power * -x);
                moment += ways * power(a, i - k) * power(b, j - l) * raw(k, l);
            }
        }
        moment
    };
    let (aa, bb) = (central(2, 0), central(0, 2));
    if aa < 1e-12 || bb < 1e-12 {
        return None;
    }
    let of = |i: i32, j: i32, moment: f64| moment / (aa.powi(i) * bb.powi(j)).sqrt();
    let r = of(1, 1, central(1, 1)).clamp(-1.0 + CLOSEST, 1.0 - CLOSEST);
    let (m22, m31, m13) =
        (of(2, 2, central(2, 2)), of(3, 1, central(3, 1)), of(1, 3, central(1, 3)));
    let (m40, m04) = (of(4, 0, central(4, 0)), of(0, 4, central(0, 4)));
    if rows < LEAST_ROWS * m40.max(m04) / NORMAL_KURTOSIS {
        return None;
    }
    let of_r = m22 * (1.0 + r * r / 2.0) + r * r / 4.0 * (m40 + m04) - r * (m31 + m13);
    let slope = 1.0 / (1.0 - r * r);
    let spread = (of_r * slope * slope).max(LEAST_SPREAD);
    Some(Correlation { rows: rows as u64, r, spread })
}

fn choose(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |ways, i| ways * (n - i) as f64 / (i + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    fn normal(random: &mut Random) -> f64 {
        (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
    }

    fn pair(rows: usize, r: f64, seed: u64) -> Association {
        let (mut association, mut random) = (Association::new(2), Random::seeded(seed));
        for _ in 0..rows {
            let x = normal(&mut random);
            association.row(&[x, r * x + (1.0 - r * r).sqrt() * normal(&mut random)]);
        }
        association
    }

    #[test]
    fn a_normal_pair_has_the_variance_that_fisher_gave_it() {
        let z = pair(200_000, 0.5, 1).correlations()[0].unwrap();
        assert!((z.r - 0.5).abs() < 0.01 && (z.r.atanh() - 0.5493).abs() < 0.02);
        assert!((z.spread - 1.0).abs() < 0.05, "{}", z.spread);
    }

    #[test]
    fn a_change_is_seen_and_none_is_not() {
        let was = pair(20_000, 0.3, 2);
        assert!(was.changes(&pair(500, 0.6, 3))[0].p_value < 1e-6);
        let vain =
            (0..400).filter(|seed| was.changes(&pair(500, 0.3, 10 + seed))[0].p_value <= 0.05);
        let vain = vain.count();
        assert!((8..=34).contains(&vain), "{vain} of 400");
    }

    #[test]
    fn shards_say_what_the_whole_says() {
        let mut random = Random::seeded(4);
        let rows: Vec<[f64; 3]> =
            (0..100).map(|_| [normal(&mut random), normal(&mut random), f64::NAN]).collect();
        let of = |rows: &[[f64; 3]]| {
            let mut association = Association::new(3);
            rows.iter().for_each(|row| association.row(row));
            association
        };
        let mut merged = of(&rows[..40]);
        merged.merge(&of(&rows[40..]));
        let (whole, merged) = (of(&rows), merged);
        let found = (whole.changes(&merged), merged.changes(&merged));
        assert_eq!(
            (found.0.len(), found.0[0].rows),
            (1, 100),
            "a column without values has no pair"
        );
        assert!((found.0[0].was - found.0[0].now).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_compared_is_left_out() {
        let (was, nothing) = (pair(100, 0.5, 5), Association::new(2));
        assert!(was.changes(&nothing).is_empty() && nothing.changes(&was).is_empty());
        assert!(was.changes(&Association::new(3)).is_empty());
        let mut constant = Association::new(2);
        (0..100).for_each(|at| constant.row(&[1.0, f64::from(at) / 50.0]));
        assert!(was.changes(&constant).is_empty());
        // Nine rows of nine thousand hold all that the column varies by.
        let mut rare = Association::new(2);
        (0..9_000).for_each(|at| {
            rare.row(&[f64::from(u8::from(at % 1_000 == 0)), f64::from(at) / 4_500.0]);
        });
        assert_eq!(rare.correlations(), [None]);
        let mut twice = Association::new(2);
        (0..100).for_each(|at| twice.row(&[f64::from(at) / 50.0, f64::from(at) / 50.0]));
        let found = twice.changes(&twice);
        assert_eq!(found[0].p_value, 1.0);
        assert!(Scorer::of(&NumberSummary::default()).score(1.0).is_nan());
    }
}
