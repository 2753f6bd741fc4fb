//! Isolation Forest: a row is strange where random cuts isolate it early. It does not change
//! after it is fitted; [`super::Forest`] does.
//!
//! Liu, Ting & Zhou, "Isolation Forest", ICDM 2008: each tree cuts a subsample of ψ rows at random
//! places of random features, down to depth ⌈log₂ ψ⌉. The score is 2^(−h̄/c(ψ)) with the mean depth h̄, as
//! scikit-learn's `-score_samples`: near 1 for what is isolated at once, below ½ for what is not.
//! h counts cuts, plus c(n) where n rows were left together; c(n) = 2 H(n − 1) − 2 (n − 1)/n is the
//! mean depth of an unsuccessful search in a binary tree of n.
//!
//! A missing value (NaN) goes where more rows went; an infinite one compares as it is. Rows
//! with either are not fitted on.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::{Error, MOST_POINTS, MOST_TREES, within};
use crate::outlier::{Blame, Scorer};

/// The size of an isolation forest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Trees.
    pub trees: usize,
    /// Rows of each tree's subsample, ψ.
    pub rows: usize,
}

impl Default for Size {
    /// The paper's and scikit-learn's: 100 trees of 256 rows.
    fn default() -> Self {
        Size { trees: 100, rows: 256 }
    }
}

/// A node: rows up to `cut` go to the node `below`, others to the one after that. A leaf has
/// `below` 0, for the root is nobody's child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    cut: f64,
    feature: u32,
    below: u32,
    rows: u32,
}

/// An isolation forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct IsolationForest {
    features: usize,
    /// ψ, or the number of rows where these were fewer.
    rows: usize,
    trees: Vec<Vec<Node>>,
}

/// A forest as it was saved, not yet trusted.
#[derive(Deserialize)]
struct Saved {
    features: usize,
    rows: usize,
    trees: Vec<Vec<Node>>,
}

/// c(n), the mean depth of an unsuccessful search among n: 0 up to one, 1 for two.
fn mean_depth(rows: usize) -> f64 {
    // scikit-learn's form, with the logarithm for the harmonic number.
    const EULER: f64 = 0.577_215_664_901_532_9;
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = rows as f64;
            2.0 * ((n - 1.0).ln() + EULER) - 2.0 * (n - 1.0) / n
        }
    }
}

impl IsolationForest {
    /// Fits a forest on rows of the width of the first. Rows of another width, and rows with a
    /// value that is not finite, are left out.
    ///
    /// # Errors
    /// A size is out of bounds, or no row is left.
    pub fn fit(rows: &[&[f64]], size: Size, seed: u64) -> Result<Self, Error> {
        let features = rows.first().map_or(0, |row| row.len());
        within("features", features, 1, usize::from(u16::MAX))?;
        within("trees", size.trees, 1, MOST_TREES)?;
        within("rows in a tree", size.rows, 2, MOST_POINTS)?;
        let whole =
            |row: &&[f64]| row.len() == features && row.iter().all(|value| value.is_finite());
        let mut rows: Vec<&[f64]> = rows.iter().copied().filter(whole).collect();
        within("finite rows", rows.len(), 1, usize::MAX)?;
        let mut random = Random::seeded(seed);
        let held = size.rows.min(rows.len());
        let trees = (0..size.trees)
            .map(|_| {
                random.choose_first(&mut rows, held);
                grow(&mut rows[..held], &mut random)
            })
            .collect();
        Ok(IsolationForest { features, rows: held, trees })
    }

    fn fits(&self, row: &[f64]) -> bool {
        row.len() == self.features && row.iter().any(|value| !value.is_nan())
    }
}

/// Cuts until each row is alone, or rows are equal, or the depth is reached.
fn grow(rows: &mut [&[f64]], random: &mut Random) -> Vec<Node> {
    let deepest = (rows.len() as f64).log2().ceil() as u32;
    let leaf = |rows: usize| Node { cut: 0.0, feature: 0, below: 0, rows: rows as u32 };
    let mut nodes = vec![leaf(rows.len())];
    let mut waiting = vec![(0, 0..rows.len(), 0)];
    while let Some((place, range, depth)) = waiting.pop() {
        let here = &mut rows[range.clone()];
        if depth == deepest || here.len() < 2 {
            continue;
        }
        let Some((feature, cut)) = draw(here, random) else { continue };
        let mut left = 0;
        for at in 0..here.len() {
            if here[at][feature] <= cut {
                here.swap(at, left);
                left += 1;
            }
        }
        let below = nodes.len();
        nodes[place] = Node { cut, feature: feature as u32, below: below as u32, ..nodes[place] };
        let middle = range.start + left;
        for (child, range) in [(below, range.start..middle), (below + 1, middle..range.end)] {
            nodes.push(leaf(range.len()));
            waiting.push((child, range, depth + 1));
        }
    }
    nodes
}

/// A feature that is not constant among the rows, and a place between its least and its largest
/// value; `None` where all rows are equal.
fn draw(rows: &[&[f64]], random: &mut Random) -> Option<(usize, f64)> {
    let ends = |feature: usize| {
        rows.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), row| {
            (low.min(row[feature]), high.max(row[feature]))
        })
    };
    let width = rows[0].len();
    let mut feature = random.below(width);
    let (mut low, mut high) = ends(feature);
    if low == high {
        let varying: Vec<usize> = (0..width)
            .filter(|&feature| {
                let (low, high) = ends(feature);
                low < high
            })
            .collect();
        feature = *varying.get(random.below(varying.len()))?;
        (low, high) = ends(feature);
    }
    // Halves, because the distance of two large values may overflow.
    let share = random.unit();
    let cut = 2.0 * (low / 2.0 + share * (high / 2.0 - low / 2.0));
    Some((feature, if cut < high { cut.max(low) } else { low }))
}

/// The way of a row: each node it leaves with the child it goes to, then its leaf's rows.
fn walk(nodes: &[Node], row: &[f64], mut step: impl FnMut(&Node, &Node)) -> u32 {
    let mut node = &nodes[0];
    while node.below != 0 {
        let below = node.below as usize;
        let value = row[node.feature as usize];
        let right = if value.is_nan() {
            nodes[below + 1].rows > nodes[below].rows
        } else {
            value > node.cut
        };
        let child = &nodes[below + usize::from(right)];
        step(node, child);
        node = child;
    }
    node.rows
}

impl Scorer for IsolationForest {
    fn features(&self) -> usize {
        self.features
    }

    /// From 0 to 1. ½ for every row where only one row was fitted on, as scikit-learn's limit.
    fn score(&self, row: &[f64]) -> Option<f64> {
        if !self.fits(row) {
            return None;
        }
        let mut depths = 0.0;
        for nodes in &self.trees {
            let mut cuts = 0u32;
            let left = walk(nodes, row, |_, _| cuts += 1);
            depths += f64::from(cuts) + mean_depth(left as usize);
        }
        let usual = mean_depth(self.rows);
        if usual == 0.0 {
            return Some(0.5);
        }
        Some((-depths / self.trees.len() as f64 / usual).exp2())
    }

    /// By the row's paths: a cut that halves the rows tells nothing, so a feature is blamed for
    /// what its cuts leave behind beyond that, log₂(rows before / rows after) − 1.
    fn blame(&self, row: &[f64]) -> Option<Blame> {
        if !self.fits(row) {
            return None;
        }
        let mut amounts = vec![0.0; self.features];
        for nodes in &self.trees {
            walk(nodes, row, |node, child| {
                let told = (f64::from(node.rows) / f64::from(child.rows)).log2() - 1.0;
                amounts[node.feature as usize] += told.max(0.0);
            });
        }
        Some(Blame::of(amounts))
    }
}

impl TryFrom<Saved> for IsolationForest {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self, Error> {
        let Saved { features, rows, trees } = saved;
        within("features", features, 1, usize::from(u16::MAX))?;
        within("trees", trees.len(), 1, MOST_TREES)?;
        within("rows in a tree", rows, 1, MOST_POINTS)?;
        for (place, nodes) in trees.iter().enumerate() {
            // Children lie behind their parent, so every walk ends.
            let sound = |(at, node): (usize, &Node)| {
                let below = node.below as usize;
                node.rows > 0
                    && (below == 0 || (below > at && below + 1 < nodes.len()))
                    && (node.feature as usize) < features
                    && node.cut.is_finite()
            };
            if nodes.is_empty() || !nodes.iter().enumerate().all(sound) {
                return Err(Error::Damaged(place));
            }
        }
        Ok(IsolationForest { features, rows, trees })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Vec<Vec<f64>> {
        (0..400u32).map(|at| vec![f64::from(at % 20), f64::from(at / 20), 3.0]).collect()
    }

    fn fitted() -> IsolationForest {
        let rows = grid();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        IsolationForest::fit(&rows, Size::default(), 1).unwrap()
    }

    #[test]
    fn mean_depths_are_those_of_scikit_learn() {
        // sklearn.ensemble._iforest._average_path_length of 1, 2, 5, 10, 256.
        let expected = [0.0, 1.0, 2.327_020_052, 3.748_880_484, 10.244_770_92];
        for (rows, expected) in [1, 2, 5, 10, 256].into_iter().zip(expected) {
            assert!((mean_depth(rows) - expected).abs() < 1e-8, "{rows}: {}", mean_depth(rows));
        }
    }

    #[test]
    fn two_rows_score_as_by_hand() {
        let forest = IsolationForest::fit(&[&[0.0], &[1.0]], Size::default(), 1).unwrap();
        // One cut, then alone: 2^(−1/1).
        assert_eq!(forest.score(&[0.0]), Some(0.5));
    }

    #[test]
    fn a_far_row_is_isolated_early_and_its_feature_is_blamed() {
        let forest = fitted();
        let usual = forest.score(&[10.0, 10.0, 3.0]).unwrap();
        let far = forest.score(&[10.0, 60.0, 3.0]).unwrap();
        assert!(usual < 0.5 && far > usual + 0.05, "{usual} {far}");
        assert_eq!(forest.blame(&[10.0, 60.0, 3.0]).unwrap().most(), Some(1));
        assert_eq!(forest.blame(&[10.0, 60.0, 3.0]).unwrap().shares()[2], 0.0);
    }

    #[test]
    fn odd_rows_have_stated_answers() {
        let forest = fitted();
        assert_eq!(forest.score(&[1.0]), None);
        assert_eq!(forest.score(&[f64::NAN; 3]), None);
        assert!(forest.score(&[f64::NAN, 10.0, 3.0]).unwrap() < 0.55);
        let beyond = [f64::INFINITY, 10.0, 3.0];
        assert!(forest.score(&beyond) > forest.score(&[10.0, 10.0, 3.0]));
        let constant: [&[f64]; 3] = [&[1.0]; 3];
        let constant = IsolationForest::fit(&constant, Size::default(), 1).unwrap();
        assert_eq!(constant.score(&[1.0]), constant.score(&[9.0]));
        assert!(matches!(
            IsolationForest::fit(&[&[f64::NAN]], Size::default(), 1),
            Err(Error::Size { what: "finite rows", given: 0, .. })
        ));
    }

    #[test]
    fn a_restored_forest_scores_to_the_very_bit_and_a_ring_is_refused() {
        let forest = fitted();
        let mut saved = serde_json::to_value(&forest).unwrap();
        let restored: IsolationForest = serde_json::from_value(saved.clone()).unwrap();
        assert_eq!(restored, forest);
        let inner = forest.trees[0][1..].iter().position(|node| node.below != 0).unwrap() + 1;
        saved["trees"][0][inner]["below"] = inner.into();
        assert!(serde_json::from_value::<IsolationForest>(saved).is_err());
    }
}
