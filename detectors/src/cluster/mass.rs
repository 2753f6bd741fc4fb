//! Whether rows fall into clusters as often as they did, and whether new clusters have come. It
//! does not find clusters in the reference.
//!
//! Change of mass: the G test of homogeneity over clusters, with noise as a cell of its own;
//! G = 2 Σ o ln(o/e) (Wilks 1938; Sokal & Rohlf, Biometry), e from the pooled shares. Cells that are
//! expected to have fewer than five rows in either sample are pooled into one.
//!
//! New clusters: found among the noise of one half of a window, tested on the other half. Rows
//! that a cluster was found by would always speak for it; the other half has no such bias.

use serde::{Deserialize, Serialize};

use super::Error;
use super::dbscan::Dbscan;
use crate::gamma::upper_regularised;
use crate::proportion::{self, Rate};

/// Expected rows of a cell below which it is pooled.
const LEAST_EXPECTED: f64 = 5.0;

/// Rows in each cluster, and those in none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Masses {
    /// Rows of each cluster, by its number.
    pub clusters: Vec<u64>,
    /// Rows of no cluster.
    pub noise: u64,
}

impl Masses {
    /// Counts labels; those beyond `clusters` count as noise.
    #[must_use]
    pub fn of(labels: impl IntoIterator<Item = Option<u32>>, clusters: usize) -> Self {
        let mut masses = Masses { clusters: vec![0; clusters], noise: 0 };
        labels.into_iter().for_each(|label| masses.count(label));
        masses
    }

    /// Counts one row more.
    pub fn count(&mut self, label: Option<u32>) {
        match label.and_then(|label| self.clusters.get_mut(label as usize)) {
            Some(count) => *count += 1,
            None => self.noise += 1,
        }
    }

    /// Adds those of other rows.
    pub fn merge(&mut self, other: &Masses) {
        self.clusters.resize(self.clusters.len().max(other.clusters.len()), 0);
        for (here, there) in self.clusters.iter_mut().zip(&other.clusters) {
            *here = here.saturating_add(*there);
        }
        self.noise = self.noise.saturating_add(other.noise);
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.clusters.iter().sum::<u64>() + self.noise
    }

    fn cells(&self, count: usize) -> impl Iterator<Item = u64> {
        let clusters = self.clusters.iter().copied().chain(std::iter::repeat(0)).take(count);
        clusters.chain([self.noise])
    }
}

/// A cluster and its share of the rows, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// Its number; `None` for noise.
    pub cluster: Option<u32>,
    /// Share of the reference.
    pub was: f64,
    /// Share of the window.
    pub now: f64,
}

/// What a comparison of masses says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// G.
    pub statistic: f64,
    /// Cells less one.
    pub degrees: u64,
    /// Probability of a G at least as large without a change.
    pub p_value: f64,
    /// The share of rows that moved, 0 to 1.
    pub total_variation: f64,
    /// The cluster whose share moved most; `None` without rows on both sides.
    pub moved: Option<Moved>,
}

/// Compares the masses of a window with those of the reference. Reference rows should be held out:
/// rows that clusters were fitted on are noise less often than new ones.
#[must_use]
pub fn compare(reference: &Masses, window: &Masses) -> Change {
    compared(reference, window, |statistic, _| statistic)
}

/// The same, with G divided by how many rows of the window are worth an independent one, at least 1, and
/// by what it is too large in small cells (Williams, "Improved likelihood ratio tests for complete
/// contingency tables", Biometrika 63, 1976).
#[must_use]
pub fn compare_corrected(reference: &Masses, window: &Masses, time: f64) -> Change {
    compared(reference, window, |statistic, cells| statistic / williams(cells) / time.max(1.0))
}

/// Williams' q of a table of two rows: 1 + (N Σ 1/row − 1)(N Σ 1/column − 1) / 6N(columns − 1).
fn williams(cells: &[(u64, u64)]) -> f64 {
    let (m, n) = cells.iter().fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
    let (m, n, degrees) = (m as f64, n as f64, cells.len() as f64 - 1.0);
    if m == 0.0 || n == 0.0 || degrees < 1.0 {
        return 1.0;
    }
    let all = m + n;
    let rows = all / m + all / n - 1.0;
    let columns = cells.iter().map(|(was, now)| all / (was + now) as f64).sum::<f64>() - 1.0;
    1.0 + rows * columns / (6.0 * all * degrees)
}

fn compared(
    reference: &Masses,
    window: &Masses,
    corrected: impl Fn(f64, &[(u64, u64)]) -> f64,
) -> Change {
    let (m, n) = (reference.rows(), window.rows());
    if m == 0 || n == 0 {
        return Change {
            statistic: 0.0,
            degrees: 0,
            p_value: 1.0,
            total_variation: 0.0,
            moved: None,
        };
    }
    let clusters = reference.clusters.len().max(window.clusters.len());
    let cells: Vec<(u64, u64)> = reference.cells(clusters).zip(window.cells(clusters)).collect();
    let least = m.min(n) as f64 / (m + n) as f64;
    let large = |&&(was, now): &&(u64, u64)| (was + now) as f64 * least >= LEAST_EXPECTED;
    let mut tested: Vec<(u64, u64)> = cells.iter().filter(large).copied().collect();
    let rest = cells.iter().filter(|cell| !large(cell));
    let rest = rest.fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
    if rest != (0, 0) {
        tested.push(rest);
    }
    let (m, n) = (m as f64, n as f64);
    let part = |observed: u64, expected: f64| match observed {
        0 => 0.0,
        _ => 2.0 * observed as f64 * (observed as f64 / expected).ln(),
    };
    let statistic: f64 = tested
        .iter()
        .map(|&(was, now)| {
            let pooled = (was + now) as f64 / (m + n);
            part(was, pooled * m) + part(now, pooled * n)
        })
        .sum();
    let statistic = corrected(statistic.max(0.0), &tested);
    let degrees = tested.len() as u64 - 1;
    let p_value = match degrees {
        0 => 1.0,
        _ => upper_regularised(degrees as f64 / 2.0, statistic / 2.0),
    };
    let shares = cells.iter().map(|&(was, now)| (was as f64 / m, now as f64 / n));
    let total_variation = shares.clone().map(|(was, now)| (was - now).abs()).sum::<f64>() / 2.0;
    let moved = shares
        .enumerate()
        .max_by(|(_, a), (_, b)| (a.0 - a.1).abs().total_cmp(&(b.0 - b.1).abs()))
        .map(|(at, (was, now))| Moved { cluster: (at < clusters).then_some(at as u32), was, now });
    Change { statistic, degrees, p_value, total_variation, moved }
}

/// A cluster that the reference does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Fresh {
    /// The mean of the rows it was found by.
    pub centre: Vec<f64>,
    /// Share of the reference's rows that fall into it.
    pub was: f64,
    /// Share of the other half of the window.
    pub now: f64,
    /// Probability of such a difference by chance, times the clusters found (Bonferroni).
    pub p_value: f64,
}

/// Looks for clusters among rows of a window that belong to none of the reference's.
///
/// `noise` and `reference_noise` are such rows of the window and of held-out reference rows, out of
/// `rows` and `reference_rows`. The rows at even places are searched, with this radius and least
/// number of neighbours; those at odd places tell how many rows fall into what was found.
///
/// # Errors
/// As [`Dbscan::fit`].
pub fn fresh(
    (noise, rows): (&[&[f64]], u64),
    (reference_noise, reference_rows): (&[&[f64]], u64),
    radius: f64,
    least: usize,
) -> Result<Vec<Fresh>, Error> {
    let searched: Vec<&[f64]> = noise.iter().step_by(2).copied().collect();
    let tested: Vec<&[f64]> = noise.iter().skip(1).step_by(2).copied().collect();
    let found = Dbscan::fit(&searched, radius, least)?;
    let clusters = found.clusters();
    let count =
        |rows: &[&[f64]]| Masses::of(rows.iter().map(|row| found.assign(row)), clusters).clusters;
    let (before, after) = (count(reference_noise), count(&tested));
    let fresh = (0..clusters).map(|cluster| {
        let (was, now) =
            (Rate::new(before[cluster], reference_rows), Rate::new(after[cluster], rows / 2));
        let p_value = match proportion::compare(was, now) {
            more if more.difference > 0.0 => (more.p_value * clusters as f64).min(1.0),
            _ => 1.0,
        };
        let members = searched.iter().zip(&found.labels);
        let members: Vec<&[f64]> = members
            .filter(|(_, label)| **label == Some(cluster as u32))
            .map(|(row, _)| *row)
            .collect();
        let centre = (0..members[0].len())
            .map(|at| members.iter().map(|row| row[at] / members.len() as f64).sum())
            .collect();
        Fresh { centre, was: was.share(), now: now.share(), p_value }
    });
    Ok(fresh.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    fn masses(clusters: &[u64], noise: u64) -> Masses {
        Masses { clusters: clusters.to_vec(), noise }
    }

    #[test]
    fn g_is_that_of_scipy() {
        // scipy.stats.chi2_contingency([[50, 30, 20], [30, 45, 25]], correction=False,
        // lambda_="log-likelihood")
        let change = compare(&masses(&[50, 30], 20), &masses(&[30, 45], 25));
        assert!((change.statistic - 8.630_462_173_553_43).abs() < 1e-12, "{}", change.statistic);
        assert!((change.p_value - 0.013_363_461_010_158_045).abs() < 1e-12, "{}", change.p_value);
        assert_eq!(change.degrees, 2);
        assert_eq!(change.moved.unwrap().cluster, Some(0));
        assert!((change.total_variation - 0.2).abs() < 1e-12);
    }

    #[test]
    fn williams_makes_g_smaller_by_hand() {
        let (was, now) = (masses(&[50, 30], 20), masses(&[30, 45], 25));
        // N = 200: (4 - 1)(200/80 + 200/75 + 200/45 - 1) / (1200 · 2)
        let q = 1.0 + 3.0 * (2.5 + 200.0 / 75.0 + 200.0 / 45.0 - 1.0) / 2_400.0;
        let plain = compare(&was, &now).statistic;
        assert!((compare_corrected(&was, &now, 1.0).statistic - plain / q).abs() < 1e-12);
        assert!((compare_corrected(&was, &now, 2.0).statistic - plain / q / 2.0).abs() < 1e-12);
    }

    #[test]
    fn small_cells_are_pooled_and_nothing_says_nothing() {
        let change = compare(&masses(&[100, 1, 2], 0), &masses(&[100, 2, 1], 0));
        assert_eq!(change.degrees, 1);
        let nothing = compare(&masses(&[], 0), &masses(&[3], 1));
        assert_eq!((nothing.p_value, nothing.moved), (1.0, None));
        assert_eq!(compare(&masses(&[10], 0), &masses(&[10], 0)).p_value, 1.0);
    }

    #[test]
    fn labels_that_do_not_exist_are_noise() {
        let counted = Masses::of([Some(0), Some(9), None, Some(0)], 2);
        assert_eq!(counted, masses(&[2, 0], 2));
    }

    #[test]
    fn a_new_cluster_is_found_and_scattered_noise_is_not_one() {
        let mut random = Random::seeded(1);
        let mut wide = |count: usize| -> Vec<Vec<f64>> {
            (0..count).map(|_| vec![random.unit() * 50.0, random.unit() * 50.0]).collect()
        };
        let (before, mut after) = (wide(100), wide(40));
        let mut noise: Vec<&[f64]> = after.iter().map(Vec::as_slice).collect();
        let reference: Vec<&[f64]> = before.iter().map(Vec::as_slice).collect();
        let scattered = fresh((&noise, 1_000), (&reference, 2_500), 2.0, 6).unwrap();
        assert!(scattered.iter().all(|cluster| cluster.p_value > 0.05));
        noise.clear();
        after.extend(
            (0..60).map(|at| vec![70.0 + f64::from(at % 8) * 0.2, f64::from(at / 8) * 0.2]),
        );
        let noise: Vec<&[f64]> = after.iter().map(Vec::as_slice).collect();
        let found = fresh((&noise, 1_000), (&reference, 2_500), 2.0, 6).unwrap();
        let new: Vec<_> = found.iter().filter(|cluster| cluster.p_value < 1e-6).collect();
        assert_eq!(new.len(), 1);
        assert!((new[0].centre[0] - 70.7).abs() < 0.3 && new[0].was == 0.0 && new[0].now > 0.05);
    }
}
