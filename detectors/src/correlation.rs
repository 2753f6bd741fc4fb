//! Which columns of numbers move together: Pearson's r of every pair, streamed and merged, and
//! Spearman's of two columns. It does not know what a change of them leads to; see
//! [`crate::association`].
//!
//! A value that is NaN or infinite is missing. Each pair counts the rows in which both are there,
//! as pandas' `DataFrame.corr` does. Sums of squares and products are taken about the means of a
//! block of rows and merged as by Chan, Golub & LeVeque (1979), so that a large mean costs no digits.

use serde::{Deserialize, Serialize};

/// Rows that are summed at once.
const BLOCK: usize = 256;

/// What two columns have together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Pair {
    rows: u64,
    mean: [f64; 2],
    /// The first value of each, and whether any other came: a mean is rounded, so that the squares of
    /// a column that does not vary need not be 0.
    first: [f64; 2],
    varies: [bool; 2],
    /// Sums about the means: of squares of the one, of the other, of products.
    squares: [f64; 2],
    products: f64,
}

impl Pair {
    fn merge(&mut self, other: &Pair) {
        if other.rows == 0 {
            return;
        }
        if self.rows == 0 {
            *self = *other;
            return;
        }
        for side in [0, 1] {
            self.varies[side] |= other.varies[side] || self.first[side] != other.first[side];
        }
        let (here, there) = (self.rows as f64, other.rows as f64);
        let total = here + there;
        let apart = [other.mean[0] - self.mean[0], other.mean[1] - self.mean[1]];
        let weight = here * there / total;
        for (side, apart) in apart.into_iter().enumerate() {
            self.mean[side] += apart * (there / total);
            self.squares[side] += other.squares[side] + apart * apart * weight;
        }
        self.products += other.products + apart[0] * apart[1] * weight;
        self.rows += other.rows;
    }

    /// Of values that may be missing.
    fn of(one: &[f64], other: &[f64]) -> Self {
        let both = || one.iter().zip(other).filter(|(x, y)| x.is_finite() && y.is_finite());
        let (mut rows, mut sums) = (0_u64, [0.0, 0.0]);
        for (x, y) in both() {
            rows += 1;
            sums[0] += x;
            sums[1] += y;
        }
        let mean = sums.map(|sum| sum / rows.max(1) as f64);
        let first = both().next().map_or([0.0; 2], |(x, y)| [*x, *y]);
        let mut pair = Pair { rows, mean, first, ..Pair::default() };
        for (x, y) in both() {
            pair.varies[0] |= *x != first[0];
            pair.varies[1] |= *y != first[1];
            let (dx, dy) = (x - mean[0], y - mean[1]);
            pair.squares[0] += dx * dx;
            pair.squares[1] += dy * dy;
            pair.products += dx * dy;
        }
        pair
    }

    fn r(&self) -> Option<f64> {
        let scale = self.squares[0].sqrt() * self.squares[1].sqrt();
        let r = self.products / scale;
        (self.varies == [true; 2] && r.is_finite()).then(|| r.clamp(-1.0, 1.0))
    }
}

/// Pearson's r of every pair of so many columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correlations {
    columns: usize,
    /// Of columns i < j, row by row of the upper triangle.
    pairs: Vec<Pair>,
    /// Rows that wait for their block to be full, column by column.
    waiting: Vec<Vec<f64>>,
}

impl Correlations {
    /// Of so many columns, nothing seen yet.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        let pairs = columns * columns.saturating_sub(1) / 2;
        Self { columns, pairs: vec![Pair::default(); pairs], waiting: vec![Vec::new(); columns] }
    }

    /// Takes a row in: a value for each column, NaN where it is missing. A row of another width is
    /// passed over.
    pub fn row(&mut self, row: &[f64]) {
        if row.len() != self.columns || self.columns == 0 {
            return;
        }
        for (waiting, value) in self.waiting.iter_mut().zip(row) {
            waiting.push(*value);
        }
        if self.waiting[0].len() == BLOCK {
            let mut block = std::mem::replace(&mut self.waiting, vec![Vec::new(); self.columns]);
            let columns: Vec<&[f64]> = block.iter().map(Vec::as_slice).collect();
            self.block(&columns);
            block.iter_mut().for_each(Vec::clear);
            self.waiting = block;
        }
    }

    /// Takes many rows in, column by column, all of one length; otherwise they are passed over.
    pub fn rows(&mut self, columns: &[&[f64]]) {
        let rows = columns.first().map_or(0, |column| column.len());
        if columns.len() != self.columns || columns.iter().any(|column| column.len() != rows) {
            return;
        }
        for from in (0..rows).step_by(BLOCK) {
            let to = (from + BLOCK).min(rows);
            let block: Vec<&[f64]> = columns.iter().map(|column| &column[from..to]).collect();
            self.block(&block);
        }
    }

    fn block(&mut self, columns: &[&[f64]]) {
        let rows = columns[0].len();
        let whole: Vec<bool> =
            columns.iter().map(|column| column.iter().all(|value| value.is_finite())).collect();
        let mut centred = vec![0.0; rows * columns.len()];
        let mut means = vec![0.0; columns.len()];
        let mut squares = vec![0.0; columns.len()];
        let varies: Vec<bool> =
            columns.iter().map(|column| column.iter().any(|value| *value != column[0])).collect();
        for (at, column) in columns.iter().enumerate().filter(|(at, _)| whole[*at]) {
            let mean = sum(column, |value| value) / rows as f64;
            let centred = &mut centred[at * rows..(at + 1) * rows];
            for (centred, value) in centred.iter_mut().zip(*column) {
                *centred = value - mean;
            }
            means[at] = mean;
            squares[at] = sum(centred, |value| value * value);
        }
        let mut pairs = self.pairs.iter_mut();
        for one in 0..columns.len() {
            for other in one + 1..columns.len() {
                let Some(pair) = pairs.next() else { return };
                if !(whole[one] && whole[other]) {
                    pair.merge(&Pair::of(columns[one], columns[other]));
                    continue;
                }
                let of = |at: usize| &centred[at * rows..(at + 1) * rows];
                pair.merge(&Pair {
                    rows: rows as u64,
                    mean: [means[one], means[other]],
                    first: [columns[one][0], columns[other][0]],
                    varies: [varies[one], varies[other]],
                    squares: [squares[one], squares[other]],
                    products: product(of(one), of(other)),
                });
            }
        }
    }

    /// Adds everything that `other` saw; one of another width is passed over.
    pub fn merge(&mut self, other: &Correlations) {
        if other.columns != self.columns {
            return;
        }
        let other = other.settled();
        for (here, there) in self.pairs.iter_mut().zip(&other.pairs) {
            here.merge(there);
        }
    }

    /// The same without rows that wait.
    fn settled(&self) -> Self {
        let mut settled = self.clone();
        if settled.waiting.first().is_some_and(|waiting| !waiting.is_empty()) {
            let waiting = std::mem::replace(&mut settled.waiting, vec![Vec::new(); self.columns]);
            let columns: Vec<&[f64]> = waiting.iter().map(Vec::as_slice).collect();
            settled.block(&columns);
        }
        settled
    }

    /// r of every pair, −1 to 1, as a square of rows one after the other; NaN where a pair has fewer
    /// than two rows or one of its columns does not vary, 1 on the diagonal.
    #[must_use]
    pub fn matrix(&self) -> Vec<f64> {
        let settled = self.settled();
        let width = self.columns;
        let mut matrix = vec![f64::NAN; width * width];
        let mut pairs = settled.pairs.iter();
        for one in 0..width {
            matrix[one * width + one] = 1.0;
            for other in one + 1..width {
                let r = pairs.next().and_then(Pair::r).unwrap_or(f64::NAN);
                matrix[one * width + other] = r;
                matrix[other * width + one] = r;
            }
        }
        matrix
    }
}

/// A sum in eight parts, which a processor adds at once.
fn sum(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut parts = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|value| of(*value)).sum();
    for chunk in chunks {
        for (part, value) in parts.iter_mut().zip(chunk) {
            *part += of(*value);
        }
    }
    parts.iter().sum::<f64>() + rest
}

/// The sum of products, the same way.
fn product(one: &[f64], other: &[f64]) -> f64 {
    let mut parts = [0.0; 8];
    let (left, right) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    for (left, right) in left.zip(right) {
        for ((part, x), y) in parts.iter_mut().zip(left).zip(right) {
            *part += x * y;
        }
    }
    parts.iter().sum::<f64>() + rest
}

/// Pearson's r of two columns, as [`Correlations`] has it; `None` where it has NaN. Values beyond
/// the shorter column are left out.
#[must_use]
pub fn pearson(one: &[f64], other: &[f64]) -> Option<f64> {
    Pair::of(one, other).r()
}

/// Spearman's ρ of two columns: Pearson's r of the ranks that values have among the rows in which
/// both are there, equal ones the mean of theirs (Spearman, 1904); `None` as [`pearson`].
#[must_use]
pub fn spearman(one: &[f64], other: &[f64]) -> Option<f64> {
    let both = one.iter().zip(other).filter(|(x, y)| x.is_finite() && y.is_finite());
    let (one, other): (Vec<f64>, Vec<f64>) = both.unzip();
    pearson(&ranks(&one), &ranks(&other))
}

/// Ranks from 1, the mean of theirs for equal values, as pandas' `rank`.
#[must_use]
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    // Zero and negative zero are equal, though sorted apart.
    for ties in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let middle = below as f64 + (ties.len() as f64 + 1.0) / 2.0;
        ties.iter().for_each(|&at| ranks[at] = middle);
        below += ties.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Anscombe's first and third sets (Am. Stat. 27, 1973), two values made missing.
    const X: [f64; 11] = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, f64::NAN, 4.0, 12.0, 7.0, 5.0];
    const Y: [f64; 11] = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, f64::NAN, 4.82, 5.68];
    const Z: [f64; 11] = [7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73];

    #[test]
    fn missing_values_leave_out_a_row_of_their_pairs_only() {
        let mut correlations = Correlations::new(3);
        for at in 0..11 {
            correlations.row(&[X[at], Y[at], Z[at]]);
        }
        let matrix = correlations.matrix();
        let whole = |one: &[f64], other: &[f64]| {
            let rows = one.iter().zip(other).filter(|(x, y)| x.is_finite() && y.is_finite());
            let (x, y): (Vec<f64>, Vec<f64>) = rows.unzip();
            // The definition, term by term.
            let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
            let (mx, my) = (mean(&x), mean(&y));
            let dot = |a: &[f64], ma: f64, b: &[f64], mb: f64| {
                a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>()
            };
            dot(&x, mx, &y, my) / (dot(&x, mx, &x, mx) * dot(&y, my, &y, my)).sqrt()
        };
        for (at, expected) in [(1, whole(&X, &Y)), (2, whole(&X, &Z)), (5, whole(&Y, &Z))] {
            assert!((matrix[at] - expected).abs() < 1e-14, "{at}");
        }
        assert_eq!((matrix[0], matrix[1]), (1.0, matrix[3]));
    }

    #[test]
    fn ranks_of_equal_values_are_their_mean() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -0.0, 0.0]), [4.5, 3.0, 4.5, 1.5, 1.5]);
        // By hand: 1 − 6·Σd²/(n³ − n), d² = 1 + 1 + 4 + 4 + 0.
        let rho = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 1.0, 5.0, 2.5, 9.0]);
        let rho_of = |d: f64| 1.0 - 6.0 * d / 120.0;
        assert!((rho.unwrap() - rho_of(1.0 + 1.0 + 1.0 + 1.0)).abs() < 1e-12, "{rho:?}");
    }

    #[test]
    fn what_has_no_correlation_has_none() {
        assert_eq!((pearson(&[], &[]), pearson(&[1.0], &[2.0])), (None, None));
        assert_eq!(pearson(&[3.0; 9], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]), None);
        assert_eq!(spearman(&[f64::NAN; 3], &[1.0, 2.0, 3.0]), None);
        let mut correlations = Correlations::new(2);
        correlations.row(&[1.0]);
        correlations.rows(&[&[1.0], &[]]);
        correlations.merge(&Correlations::new(3));
        assert!(correlations.matrix()[1].is_nan());
        assert!(Correlations::new(0).matrix().is_empty());
    }

    #[test]
    fn a_column_that_does_not_vary_has_no_correlation_however_its_mean_is_rounded() {
        for constant in [0.1, 3.3, 1e6 + 0.1] {
            for rows in [11, 256, 300, 5_000] {
                let (mut by_row, mut one, mut other) =
                    (Correlations::new(3), Correlations::new(3), Correlations::new(3));
                for at in 0..rows {
                    let row = [constant, f64::from(at * 37 % 101), 3.0 * constant];
                    by_row.row(&row);
                    if at < rows / 3 { one.row(&row) } else { other.row(&row) }
                }
                one.merge(&other);
                let same = vec![constant; rows as usize];
                let counted: Vec<f64> = (0..rows).map(f64::from).collect();
                assert_eq!(pearson(&same, &counted), None);
                for matrix in [by_row.matrix(), one.matrix()] {
                    let r = [matrix[1], matrix[2], matrix[5]];
                    assert!(r.iter().all(|r| r.is_nan()), "{constant}, {rows}: {r:?}");
                }
            }
        }
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        let noise = |at: u32| f64::from(at.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
        let (x, y): (Vec<f64>, Vec<f64>) =
            (0..5_000_u32).map(|at| (noise(at), noise(at) + 0.5 * noise(at + 90_000))).unzip();
        let expected = pearson(&x, &y).unwrap();
        let lifted: Vec<f64> = x.iter().map(|x| x + 1e6).collect();
        let mut correlations = Correlations::new(2);
        correlations.rows(&[&lifted, &y]);
        assert!((correlations.matrix()[1] - expected).abs() < 1e-9);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rows_blocks_and_shards_say_the_same(
            rows in prop::collection::vec(prop::array::uniform3(
                prop_oneof![9 => -1e3..1e3f64, 1 => Just(f64::NAN)]), 0..700),
            cut in 0usize..700,
        ) {
            let (mut by_row, mut one, mut other) =
                (Correlations::new(3), Correlations::new(3), Correlations::new(3));
            for (at, row) in rows.iter().enumerate() {
                by_row.row(row);
                if at < cut { one.row(row) } else { other.row(row) }
            }
            one.merge(&other);
            let columns: Vec<Vec<f64>> =
                (0..3).map(|at| rows.iter().map(|row| row[at]).collect()).collect();
            let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let mut by_column = Correlations::new(3);
            by_column.rows(&views);
            for (at, expected) in by_row.matrix().into_iter().enumerate() {
                for found in [one.matrix()[at], by_column.matrix()[at]] {
                    prop_assert!(
                        (found - expected).abs() < 1e-12 || (found.is_nan() && expected.is_nan())
                    );
                }
            }
            prop_assert!(by_row.matrix().iter().all(|r| r.is_nan() || r.abs() <= 1.0));
        }
    }
}
