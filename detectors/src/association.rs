//! Whether columns of numbers still move together as they did: the change of every pair's
//! correlation of scores. It does not know what the columns are, nor how large a change matters.
//!
//! A value's score is the normal quantile of its rank in the reference, cut, so that r of the scores
//! is about that of a normal pair whatever the columns' own distributions (van der Waerden's normal
//! scores; a Spearman correlation that weighs the tails).
//!
//! The test is linear in rows. With a and b the scores less their mean in the reference, over their
//! deviation there, ψ = ab − r(a² + b²)/2 is the influence that a row has on r (Devlin, Gnanadesikan &
//! Kettenring, "Robust estimation and outlier detection with correlation coefficients", Biometrika 62,
//! 1975). The mean of ψ over a window is that over the reference, give or take a deviation that the
//! reference tells. Scores are bounded, and so is ψ: what is too light in the normal's tails is made
//! heavier as in Bernstein's inequality. A comparison of Fisher's z instead would need the window's own
//! fourth moments, which columns that are mostly one value do not have in five hundred rows: it flagged
//! 39 % of windows of Census at 5 %.

use serde::{Deserialize, Serialize};

use crate::gamma::upper_regularised;
use crate::scores::{heavier, normal_quantile};

/// Scores beyond this are this.
const CUT: f64 = 2.5;
/// Rows of either side below which nothing is said of a pair.
const LEAST_ROWS: f64 = 30.0;
/// A column whose scores deviate by less does not vary.
const LEAST_DEVIATION: f64 = 1e-6;
/// A pair whose ψ varies by less is one column twice: it counts as varying by so much.
const LEAST_VARIANCE: f64 = 1e-3;

/// Scores of ranks, from a table: between its entries in proportion.
#[derive(Debug, Clone)]
pub struct Scores(Vec<f64>);

impl Scores {
    const STEPS: usize = 2_048;

    /// The table.
    #[must_use]
    pub fn new() -> Self {
        let rank = |step: usize| (step as f64 / Self::STEPS as f64).clamp(1e-9, 1.0 - 1e-9);
        let score = |step| normal_quantile(rank(step)).clamp(-CUT, CUT);
        Scores((0..=Self::STEPS).map(score).collect())
    }

    /// The score of a value of this rank, 0 to 1; −2.5 to 2.5.
    #[must_use]
    pub fn of(&self, rank: f64) -> f64 {
        let at = rank.clamp(0.0, 1.0) * Self::STEPS as f64;
        let step = (at as usize).min(Self::STEPS - 1);
        let (low, high) = (self.0[step], self.0[step + 1]);
        low + (high - low) * (at - step as f64)
    }
}

impl Default for Scores {
    fn default() -> Self {
        Scores::new()
    }
}

/// Sums of a pair's scores over the rows in which both have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    rows: f64,
    a: f64,
    b: f64,
    aa: f64,
    ab: f64,
    bb: f64,
}

impl Sums {
    /// r of these rows; `None` where there are too few, or a column does not vary.
    fn r(&self) -> Option<f64> {
        let Sums { rows, a, b, aa, ab, bb } = *self;
        let deviation =
            |sum: f64, squares: f64| (squares / rows - (sum / rows).powi(2)).max(0.0).sqrt();
        let (of_a, of_b) = (deviation(a, aa), deviation(b, bb));
        if rows < LEAST_ROWS || of_a < LEAST_DEVIATION || of_b < LEAST_DEVIATION {
            return None;
        }
        Some(((ab / rows - a * b / rows / rows) / (of_a * of_b)).clamp(-1.0, 1.0))
    }

    /// The mean of ψ.
    fn influence(&self, one: &Column, other: &Column, r: f64) -> f64 {
        let Sums { rows, a, b, aa, ab, bb } = *self;
        let (m, n) = (one.mean, other.mean);
        let ab = (ab - m * b - n * a + rows * m * n) / (one.deviation * other.deviation);
        let aa = (aa - 2.0 * m * a + rows * m * m) / one.deviation.powi(2);
        let bb = (bb - 2.0 * n * b + rows * n * n) / other.deviation.powi(2);
        (ab - r * (aa + bb) / 2.0) / rows
    }
}

/// What the scores of some columns have together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Association {
    columns: usize,
    whole: Whole,
    /// Of rows that lack a score; empty until one comes.
    pairs: Vec<Sums>,
}

/// Sums over rows that lack no score, of which columns share what each pair of others has alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Whole {
    rows: f64,
    scores: Vec<f64>,
    squares: Vec<f64>,
    /// By pair.
    products: Vec<f64>,
}

/// The scores of a column in the reference. It is written as a list of its figures, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "[f64; 4]", from = "[f64; 4]")]
pub struct Column {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The least of them.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl From<Column> for [f64; 4] {
    fn from(Column { mean, deviation, least, greatest }: Column) -> Self {
        [mean, deviation, least, greatest]
    }
}

impl From<[f64; 4]> for Column {
    fn from([mean, deviation, least, greatest]: [f64; 4]) -> Self {
        Column { mean, deviation: deviation.max(LEAST_DEVIATION), least, greatest }
    }
}

impl Column {
    /// Of these scores; NaN are left out.
    fn of(scores: impl Iterator<Item = f64> + Clone) -> Self {
        let scores = scores.filter(|score| !score.is_nan());
        let rows = scores.clone().count().max(1) as f64;
        let mean = scores.clone().sum::<f64>() / rows;
        let square = scores.clone().map(|score| (score - mean).powi(2)).sum::<f64>() / rows;
        let least = scores.clone().fold(f64::INFINITY, f64::min).clamp(-CUT, CUT);
        let greatest = scores.clone().fold(f64::NEG_INFINITY, f64::max).clamp(-CUT, CUT);
        [rounded(mean), rounded(square.sqrt()), rounded(least), rounded(greatest)].into()
    }

    /// The same of a score that may be missing, which is as the mean.
    pub(crate) fn present(&self, score: f64) -> f64 {
        if score.is_nan() { 0.0 } else { self.standard(score) }
    }

    /// A score in deviations from the mean.
    fn standard(&self, score: f64) -> f64 {
        (score - self.mean) / self.deviation
    }
}

/// How the scores of a pair of columns moved together in the reference. It is written as a list of its
/// figures, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "(u64, f64, f64, f64)", from = "(u64, f64, f64, f64)")]
pub struct Pair {
    /// Rows in which both have a value.
    pub rows: u64,
    /// The scores' correlation, −1 to 1.
    pub r: f64,
    /// The mean of ψ: 0 where neither column has missing values.
    pub centre: f64,
    /// The variance of ψ: (1 − r²)² for a normal pair.
    pub variance: f64,
}

impl From<Pair> for (u64, f64, f64, f64) {
    fn from(Pair { rows, r, centre, variance }: Pair) -> Self {
        (rows, r, centre, variance)
    }
}

impl From<(u64, f64, f64, f64)> for Pair {
    fn from((rows, r, centre, variance): (u64, f64, f64, f64)) -> Self {
        let variance = variance.max(LEAST_VARIANCE);
        Pair { rows, r: r.clamp(-1.0, 1.0), centre, variance }
    }
}

impl Pair {
    /// The greatest |ψ| that two scores of these columns can have.
    fn largest(&self, one: &Column, other: &Column) -> f64 {
        let ends =
            |column: &Column| [column.standard(column.least), column.standard(column.greatest)];
        let psi = |a: f64, b: f64| (a * b - self.r * (a * a + b * b) / 2.0 - self.centre).abs();
        let all = ends(one).into_iter().flat_map(|a| ends(other).map(|b| psi(a, b)));
        all.fold(0.0, f64::max)
    }
}

/// What columns did together in the reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The columns.
    pub columns: Vec<Column>,
    /// Their pairs, in the order of [`pairs`]; `None` where one does not vary, or there are too few
    /// rows.
    pub pairs: Vec<Option<Pair>>,
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

/// The pairs of so many columns.
pub fn pairs(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).flat_map(move |one| (one + 1..columns).map(move |other| (one, other)))
}

fn count(columns: usize) -> usize {
    columns * columns.saturating_sub(1) / 2
}

/// Where the rows of a window come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They are none of the reference's.
    Traffic,
    /// They are some of the reference's own, and so closer to it than others.
    Reference,
}

impl Known {
    /// Learns from rows of scores, one column after the other; NaN where one is missing.
    #[must_use]
    pub fn learn(scores: &[Vec<f64>]) -> Self {
        let columns: Vec<Column> = scores.iter().map(|of| Column::of(of.iter().copied())).collect();
        let pair = |(one, other): (usize, usize)| {
            let rows = || {
                let both = scores[one].iter().copied().zip(scores[other].iter().copied());
                both.filter(|(a, b)| !a.is_nan() && !b.is_nan())
            };
            let mut sums = Sums::default();
            rows().for_each(|(a, b)| sums.add(a, b));
            let r = sums.r()?;
            let (one, other) = (&columns[one], &columns[other]);
            let centre = sums.influence(one, other, r);
            let psi = |(a, b): (f64, f64)| {
                let (a, b) = (one.standard(a), other.standard(b));
                a * b - r * (a * a + b * b) / 2.0 - centre
            };
            let variance = rows().map(|row| psi(row).powi(2)).sum::<f64>() / sums.rows;
            Some((sums.rows as u64, rounded(r), rounded(centre), rounded(variance)).into())
        };
        let pairs = pairs(columns.len()).map(pair).collect();
        Known { columns, pairs }
    }

    /// Whether it can be of so many columns.
    #[must_use]
    pub fn fits(&self, columns: usize) -> bool {
        self.columns.len() == columns && self.pairs.len() == count(columns)
    }

    /// Of the columns at these places.
    #[must_use]
    pub fn of(&self, places: &[usize]) -> Self {
        let all: Vec<(usize, usize)> = pairs(self.columns.len()).collect();
        let pair = |(one, other): (usize, usize)| {
            let (one, other) = (places[one], places[other]);
            let wanted = (one.min(other), one.max(other));
            all.binary_search(&wanted).ok().and_then(|at| *self.pairs.get(at)?)
        };
        Known {
            columns: places.iter().map(|&place| self.columns[place]).collect(),
            pairs: pairs(places.len()).map(pair).collect(),
        }
    }

    /// Compares every pair of a window with what it was. `time` says how many rows of the window are
    /// worth an independent one for a pair, at least 1. Pairs of which one side says nothing are left
    /// out; of another width nothing is said.
    #[must_use]
    pub fn changes(
        &self,
        now: &Association,
        origin: Origin,
        time: impl Fn(usize, usize) -> f64,
    ) -> Vec<Change> {
        if now.columns != self.columns.len() {
            return Vec::new();
        }
        let change = |((one, other), (was, sums)): ((usize, usize), (&Option<Pair>, Sums))| {
            let (was, now) = ((*was)?, sums.r()?);
            let (a, b) = (&self.columns[one], &self.columns[other]);
            let sum = (sums.influence(a, b, was.r) - was.centre) * sums.rows;
            let part = match origin {
                Origin::Traffic => sums.rows / was.rows as f64,
                Origin::Reference => -sums.rows / was.rows as f64,
            };
            let varies = was.variance * sums.rows * (time(one, other).max(1.0) + part).max(0.01);
            let far = heavier(sum, varies, was.largest(a, b));
            Some(Change {
                one,
                other,
                was: was.r,
                now,
                deviation: varies.sqrt() / sums.rows,
                p_value: if far.is_finite() {
                    upper_regularised(0.5, far * far / 2.0)
                } else {
                    1.0
                },
                reference_rows: was.rows,
                rows: sums.rows as u64,
            })
        };
        pairs(now.columns).zip(self.pairs.iter().zip(now.sums())).filter_map(change).collect()
    }
}

/// To five digits after the point, which is more than rows can tell.
fn rounded(value: f64) -> f64 {
    (value * 1e5).round() / 1e5
}

impl Sums {
    fn add(&mut self, a: f64, b: f64) {
        self.rows += 1.0;
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.ab += a * b;
        self.bb += b * b;
    }

    fn merge(&mut self, other: &Sums) {
        self.rows += other.rows;
        self.a += other.a;
        self.b += other.b;
        self.aa += other.aa;
        self.ab += other.ab;
        self.bb += other.bb;
    }
}

impl Association {
    /// Of so many columns, nothing seen yet.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        let whole = Whole {
            rows: 0.0,
            scores: vec![0.0; columns],
            squares: vec![0.0; columns],
            products: vec![0.0; count(columns)],
        };
        Self { columns, whole, pairs: Vec::new() }
    }

    /// The sums of each pair over all rows that have both.
    fn sums(&self) -> impl Iterator<Item = Sums> {
        let Whole { rows, scores, squares, products } = &self.whole;
        let lacking = self.pairs.iter().copied().map(Some).chain(std::iter::repeat(None));
        pairs(self.columns).zip(products).zip(lacking).map(|(((a, b), &ab), lacking)| {
            let (aa, bb) = (squares[a], squares[b]);
            let mut sums = Sums { rows: *rows, a: scores[a], b: scores[b], aa, ab, bb };
            sums.merge(&lacking.unwrap_or_default());
            sums
        })
    }

    /// Takes a row of scores in, NaN where one is missing. A row of another width is passed over.
    pub fn row(&mut self, row: &[f64]) {
        if row.len() != self.columns {
            return;
        }
        if row.iter().any(|score| score.is_nan()) {
            return self.lacking(row);
        }
        let Whole { rows, scores, squares, products } = &mut self.whole;
        *rows += 1.0;
        let mut products = products.as_mut_slice();
        for (at, &a) in row.iter().enumerate() {
            scores[at] += a;
            squares[at] += a * a;
            let rest = &row[at + 1..];
            let (of_this, of_others) = products.split_at_mut(rest.len());
            of_this.iter_mut().zip(rest).for_each(|(product, b)| *product += a * b);
            products = of_others;
        }
    }

    #[cold]
    fn lacking(&mut self, row: &[f64]) {
        self.pairs.resize(count(self.columns), Sums::default());
        let both = pairs(self.columns).map(|(one, other)| (row[one], row[other]));
        for (sums, (a, b)) in self.pairs.iter_mut().zip(both) {
            if !a.is_nan() && !b.is_nan() {
                sums.add(a, b);
            }
        }
    }

    /// Adds everything that `other` saw; one of another width is passed over.
    pub fn merge(&mut self, other: &Association) {
        if other.columns != self.columns {
            return;
        }
        self.whole.rows += other.whole.rows;
        for (here, there) in [
            (&mut self.whole.scores, &other.whole.scores),
            (&mut self.whole.squares, &other.whole.squares),
            (&mut self.whole.products, &other.whole.products),
        ] {
            here.iter_mut().zip(there).for_each(|(here, there)| *here += there);
        }
        if !other.pairs.is_empty() {
            self.pairs.resize(count(self.columns), Sums::default());
        }
        self.pairs.iter_mut().zip(&other.pairs).for_each(|(here, there)| here.merge(there));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    fn normal(random: &mut Random) -> f64 {
        (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
    }

    /// Two columns of normal scores that move together as `r` says.
    fn scores(rows: usize, r: f64, seed: u64) -> Vec<Vec<f64>> {
        let mut random = Random::seeded(seed);
        let row = |_| {
            let x = normal(&mut random);
            (x, r * x + (1.0 - r * r).sqrt() * normal(&mut random))
        };
        let (one, other): (Vec<f64>, Vec<f64>) = (0..rows).map(row).unzip();
        vec![one, other]
    }

    fn association(scores: &[Vec<f64>]) -> Association {
        let mut association = Association::new(scores.len());
        for row in 0..scores[0].len() {
            association.row(&scores.iter().map(|column| column[row]).collect::<Vec<f64>>());
        }
        association
    }

    fn changes(known: &Known, scores: &[Vec<f64>]) -> Vec<Change> {
        known.changes(&association(scores), Origin::Traffic, |_, _| 1.0)
    }

    #[test]
    fn scores_of_the_table_are_normal_quantiles_but_at_its_ends() {
        let scores = Scores::new();
        for at in 1..1_000 {
            let rank = f64::from(at) / 1_000.0;
            let exact = normal_quantile(rank).clamp(-CUT, CUT);
            assert!((scores.of(rank) - exact).abs() < 5e-3, "{rank}");
        }
        assert_eq!((scores.of(0.0), scores.of(1.0), scores.of(-9.0)), (-CUT, CUT, -CUT));
    }

    #[test]
    fn a_normal_pair_has_the_variance_that_theory_gives_it() {
        let known = Known::learn(&scores(200_000, 0.5, 1));
        let pair = known.pairs[0].unwrap();
        assert!((pair.r - 0.5).abs() < 0.01 && pair.centre.abs() < 1e-3, "{pair:?}");
        assert!((pair.variance / 0.75f64.powi(2) - 1.0).abs() < 0.03, "{pair:?}");
    }

    #[test]
    fn a_change_is_seen_and_none_is_not() {
        let known = Known::learn(&scores(20_000, 0.3, 2));
        let found = changes(&known, &scores(500, 0.6, 3))[0];
        assert!(found.p_value < 1e-6 && (found.now - found.was - 0.3).abs() < 0.1, "{found:?}");
        let vain = (0..400)
            .filter(|seed| changes(&known, &scores(500, 0.3, 10 + seed))[0].p_value <= 0.05)
            .count();
        assert!((8..=34).contains(&vain), "{vain} of 400");
    }

    #[test]
    fn columns_that_are_mostly_one_value_raise_no_alarm_by_a_row_or_two() {
        let mut random = Random::seeded(4);
        // Both are 0 but for one row of a hundred, independently.
        let mut rare = |rows: usize| -> Vec<Vec<f64>> {
            let mut column =
                || (0..rows).map(|_| if random.unit() < 0.01 { 2.4 } else { 0.0 }).collect();
            vec![column(), column()]
        };
        let known = Known::learn(&rare(6_000));
        let windows = 2_000;
        let flagged = |level: f64, p: &[f64]| p.iter().filter(|&&p| p <= level).count();
        let p: Vec<f64> = (0..windows)
            .filter_map(|_| Some(changes(&known, &rare(500)).first()?.p_value))
            .collect();
        assert!(flagged(0.001, &p) <= 10, "{}", flagged(0.001, &p));
        assert_eq!(flagged(1e-6, &p), 0);
    }

    #[test]
    fn shards_say_what_the_whole_says() {
        let all = [scores(100, 0.2, 5), vec![vec![f64::NAN; 100]]].concat();
        let part = |rows: std::ops::Range<usize>| -> Vec<Vec<f64>> {
            all.iter().map(|column| column[rows.clone()].to_vec()).collect()
        };
        let mut merged = association(&part(0..40));
        merged.merge(&association(&part(40..100)));
        let known = Known::learn(&all);
        let found = known.changes(&merged, Origin::Traffic, |_, _| 1.0);
        assert_eq!((found.len(), found[0].rows), (1, 100), "a column without values has no pair");
        assert!((found[0].was - found[0].now).abs() < 1e-4 && found[0].p_value > 0.99);
    }

    #[test]
    fn what_cannot_be_compared_is_left_out() {
        let (known, nothing) = (Known::learn(&scores(100, 0.5, 6)), Association::new(2));
        assert!(known.changes(&nothing, Origin::Traffic, |_, _| 1.0).is_empty());
        assert!(known.changes(&Association::new(3), Origin::Traffic, |_, _| 1.0).is_empty());
        let constant = vec![vec![1.0; 100], (0..100).map(|at| f64::from(at) / 50.0).collect()];
        assert_eq!(Known::learn(&constant).pairs, [None]);
        assert!(changes(&known, &constant).is_empty());
        let twice: Vec<f64> = (0..100).map(|at| f64::from(at) / 50.0).collect();
        let known = Known::learn(&[twice.clone(), twice.clone()]);
        assert!(changes(&known, &[twice.clone(), twice])[0].p_value > 0.99);
    }
}
