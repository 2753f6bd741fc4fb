//! How a row's numbers contradict each other: values that are usual one by one, and not together. It does not know
//! where scores come from, nor from which score on a row is strange.
//!
//! The score is −2 ln of the density of the normal copula, less a constant: zᵀ R⁻¹ z − zᵀ z of the normal scores z
//! of a row's values, with R their correlations (Liu, Lafferty & Wasserman, "The nonparanormal", JMLR 10, 2009):
//! by how much the row is further from the middle, as Mahalanobis measures it, than its values are one by one. So
//! columns that go with no other add nothing, and those whose rare values are what they always were do not drown
//! a contradiction, as they do in Mahalanobis' distance. How rare values are one by one is [`crate::ecod`]'s.
//!
//! R is shrunk towards independence, (1 − λ) R + λ I: correlations of pairs that lack values need not be a
//! correlation matrix, and columns that say the same would make the score a difference of rounding errors. λ is
//! .03, and doubled until R is definite. What is missing counts as the mean, so that it adds nothing by itself.

use crate::association::{Column, Known, pairs};
use crate::outlier::{Blame, Scorer};

/// Rows whose scores are found at once, in the processor's wide registers.
const AT_ONCE: usize = 8;
/// λ to begin with.
const SHRUNK: f64 = 0.03;

/// Normal scores and how they go together, made ready for rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Copula {
    columns: Vec<Column>,
    /// Row by row the lower triangle of the inverse of Cholesky's factor of R: zᵀ R⁻¹ z is the square of
    /// what it makes of z.
    whitening: Vec<f64>,
}

impl Copula {
    /// Of columns of which it is known how they move together; `None` of fewer than two.
    #[must_use]
    pub fn of(known: &Known) -> Option<Self> {
        let width = known.columns.len();
        if width < 2 || !known.fits(width) {
            return None;
        }
        let mut shrunk = SHRUNK;
        let factor = loop {
            let r = correlations(known, shrunk);
            match cholesky(r, width, shrunk / 2.0) {
                Some(factor) => break factor,
                // With λ = 1 it is the identity.
                None => shrunk = (2.0 * shrunk).min(1.0),
            }
        };
        Some(Copula { columns: known.columns.clone(), whitening: inverse(&factor, width) })
    }

    /// The score that a row has where it is left out of so many, of which the correlations were learned: its
    /// distance D² = zᵀ R⁻¹ z becomes (n − 1) D² / (n − D²), by Sherman & Morrison's formula. `None` as
    /// [`Scorer::score`].
    pub(crate) fn left_out(&self, row: &[f64], rows: usize) -> Option<f64> {
        let (score, rows) = (self.score(row)?, rows as f64);
        let columns = row.iter().zip(&self.columns);
        let apart: f64 = columns.map(|(&score, column)| column.present(score).powi(2)).sum();
        Some(without(score + apart, rows) - apart)
    }

    /// The score of each of some rows of scores, one row after the other; NaN of a row that has none.
    #[must_use]
    pub fn all(&self, rows: &[f64]) -> Vec<f64> {
        let width = self.columns.len();
        let mut all = Vec::with_capacity(rows.len() / width);
        let mut z = vec![[0.0; AT_ONCE]; width];
        for block in rows.chunks(AT_ONCE * width) {
            let mut sums = [f64::NAN; AT_ONCE];
            for (place, row) in block.chunks_exact(width).enumerate() {
                for ((z, column), &score) in z.iter_mut().zip(&self.columns).zip(row) {
                    z[place] = column.present(score);
                }
                if row.iter().any(|score| !score.is_nan()) {
                    sums[place] = -z.iter().map(|z| z[place] * z[place]).sum::<f64>();
                }
            }
            for weights in triangle(&self.whitening) {
                let mut parts = [0.0; AT_ONCE];
                for (weight, z) in weights.iter().zip(&z) {
                    parts.iter_mut().zip(z).for_each(|(part, z)| *part += weight * z);
                }
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part * part);
            }
            all.extend_from_slice(&sums[..block.len() / width]);
        }
        all
    }
}

impl Scorer for Copula {
    fn features(&self) -> usize {
        self.columns.len()
    }

    /// Above 0 what goes together less than the correlations say, below what goes together more.
    fn score(&self, row: &[f64]) -> Option<f64> {
        let score = self.all(row).first().copied().filter(|_| row.len() == self.columns.len());
        score.filter(|score| !score.is_nan())
    }

    /// Each column's part of the score, where that is not negative.
    fn blame(&self, row: &[f64]) -> Option<Blame> {
        self.score(row)?;
        let columns = row.iter().zip(&self.columns);
        let z: Vec<f64> = columns.map(|(&score, column)| column.present(score)).collect();
        let mut pulls = vec![0.0; z.len()];
        for weights in triangle(&self.whitening) {
            let part: f64 = weights.iter().zip(&z).map(|(weight, z)| weight * z).sum();
            pulls.iter_mut().zip(weights).for_each(|(pull, weight)| *pull += weight * part);
        }
        Some(Blame::of(pulls.iter().zip(&z).map(|(pull, z)| (pull - z) * z)))
    }
}

/// D² of a row that is left out of so many. With R shrunk it may be more than they allow, and is finite even so.
fn without(squared: f64, rows: f64) -> f64 {
    (rows - 1.0) * squared / (rows - squared).max(1.0)
}

/// The rows of a lower triangle.
fn triangle(values: &[f64]) -> impl Iterator<Item = &[f64]> {
    let mut left = values;
    (1..).map_while(move |length| {
        let (row, rest) = left.split_at_checked(length)?;
        left = rest;
        Some(row)
    })
}

/// (1 − λ) R + λ I, row by row.
fn correlations(known: &Known, shrunk: f64) -> Vec<f64> {
    let width = known.columns.len();
    let mut r = vec![0.0; width * width];
    (0..width).for_each(|at| r[at * width + at] = 1.0);
    for ((one, other), pair) in pairs(width).zip(&known.pairs) {
        let pair =
            pair.map(|pair| (1.0 - shrunk) * pair.r).filter(|r| r.is_finite()).unwrap_or(0.0);
        (r[one * width + other], r[other * width + one]) = (pair, pair);
    }
    r
}

/// L of LLᵀ, row by row; `None` where a square of its diagonal is not above `least`.
fn cholesky(mut of: Vec<f64>, width: usize, least: f64) -> Option<Vec<f64>> {
    for row in 0..width {
        for column in 0..=row {
            let known: f64 =
                (0..column).map(|at| of[row * width + at] * of[column * width + at]).sum();
            let left = of[row * width + column] - known;
            of[row * width + column] = if row == column {
                (left > least).then(|| left.sqrt())?
            } else {
                left / of[column * width + column]
            };
        }
    }
    Some(of)
}

/// The lower triangle of L⁻¹, row by row.
fn inverse(l: &[f64], width: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; width * width];
    for row in 0..width {
        for column in 0..=row {
            let known: f64 =
                (column..row).map(|at| l[row * width + at] * inverse[at * width + column]).sum();
            let unit = f64::from(u8::from(row == column));
            inverse[row * width + column] = (unit - known) / l[row * width + row];
        }
    }
    (0..width).flat_map(|row| inverse[row * width..=row * width + row].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::association::Pair;
    use crate::forest::random::Random;

    fn known(columns: usize, r: impl Fn(usize, usize) -> Option<f64>) -> Known {
        let pair = |(one, other)| r(one, other).map(|r| Pair::from((1_000, r, 0.0, 1.0)));
        Known {
            columns: vec![Column::from([0.0, 1.0, -2.5, 2.5]); columns],
            pairs: pairs(columns).map(pair).collect(),
        }
    }

    #[test]
    fn two_columns_by_hand() {
        let of = Copula::of(&known(2, |_, _| Some(0.9))).expect("two columns");
        // Of two columns D² is (a² − 2rab + b²) / (1 − r²), with r shrunk.
        let r: f64 = 0.97 * 0.9;
        let squared = |a: f64, b: f64| (a * a - 2.0 * r * a * b + b * b) / (1.0 - r * r);
        let expected = |a: f64, b: f64| squared(a, b) - a * a - b * b;
        for (a, b) in [(1.0, 1.0), (1.0, -1.0), (0.0, 2.5), (-2.0, 0.3)] {
            let found = of.score(&[a, b]).expect("a row");
            assert!((found - expected(a, b)).abs() < 1e-9, "{a} {b}: {found}");
        }
        assert!(expected(1.0, -1.0) > 13.0 && expected(2.0, 2.0) < 0.0);
        let blame = of.blame(&[0.5, -2.0]).expect("a row");
        assert_eq!(blame.most(), Some(1));
        assert!((blame.shares().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_missing_adds_nothing_by_itself() {
        let of = Copula::of(&known(3, |_, _| Some(0.5))).expect("three columns");
        assert_eq!(of.score(&[f64::NAN, 1.0, 0.5]), of.score(&[0.0, 1.0, 0.5]));
        assert_eq!((of.score(&[f64::NAN; 3]), of.score(&[1.0; 2])), (None, None));
        assert_eq!(Copula::of(&known(1, |_, _| None)), None);
        // However many rows at once.
        let mut random = Random::seeded(5);
        let mut rows: Vec<f64> = (0..3 * 21).map(|_| random.unit() * 4.0 - 2.0).collect();
        rows[9..12].fill(f64::NAN);
        rows[20] = f64::NAN;
        let one_by_one = rows.chunks(3).map(|row| of.score(row));
        let together = of.all(&rows).into_iter().map(|score| Some(score).filter(|s| !s.is_nan()));
        assert!(one_by_one.eq(together));
    }

    #[test]
    fn columns_that_say_the_same_or_what_cannot_be_are_no_trouble() {
        let impossible = |one: usize, other: usize| Some(if one + other == 1 { -1.0 } else { 1.0 });
        for r in [Some(1.0), Some(f64::NAN), None, Some(0.0)] {
            // 0 stands for what cannot be.
            let r = |one, other| if r == Some(0.0) { impossible(one, other) } else { r };
            let of = Copula::of(&known(3, r)).expect("three columns");
            for row in [[2.5, 2.5, 2.5], [2.5, -2.5, 2.5], [0.0, 0.0, 1.0]] {
                let found = of.score(&row).expect("a row");
                assert!(found.is_finite(), "{row:?}: {found}");
            }
        }
        let apart = Copula::of(&known(3, |_, _| None)).expect("three columns");
        assert!(
            apart.score(&[1.0, 2.0, -2.0]).expect("a row").abs() < 1e-12,
            "nothing goes together"
        );
    }

    #[test]
    fn a_row_left_out_is_as_far_as_from_the_others() {
        // Two independent columns of known mean: the correlations of all rows, and of all but one.
        let mut random = Random::seeded(3);
        let rows: Vec<[f64; 2]> =
            (0..40).map(|_| [random.unit() - 0.5, random.unit() - 0.5]).collect();
        let distance = |from: &[[f64; 2]], of: [f64; 2]| {
            let sum = |one: usize, other: usize| {
                from.iter().map(|row| row[one] * row[other]).sum::<f64>() / from.len() as f64
            };
            let (aa, ab, bb) = (sum(0, 0), sum(0, 1), sum(1, 1));
            let [a, b] = of;
            (a * a * bb - 2.0 * a * b * ab + b * b * aa) / (aa * bb - ab * ab)
        };
        let alone = distance(&rows[1..], rows[0]);
        let left_out = without(distance(&rows, rows[0]), rows.len() as f64);
        assert!((left_out / alone - 1.0).abs() < 1e-9, "{left_out} {alone}");
        assert!(without(500.0, 200.0).is_finite());
    }
}
