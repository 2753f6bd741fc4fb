//! HDBSCAN: clusters of any density, by how long they persist. It does not need a radius.
//!
//! Campello, Moulavi & Sander, PAKDD 2013, as scikit-learn does it: core distances count the row
//! itself, a cluster is born where a component splits into two parts of at least `size` rows, and
//! among a cluster and its descendants those with the larger excess of mass are chosen. The whole
//! set is never one cluster. Scale: λ = 1/distance.
//!
//! New rows are assigned without a new fit (McInnes, Healy & Astels, JOSS 2017): a row joins the
//! branch of its nearest row by mutual reachability, at the λ of that distance.

use serde::{Deserialize, Serialize};

use super::points::Points;
use super::spanning::{self, Components, Edge};
use super::{Error, Whole};

/// Where a merged node of the hierarchy came from.
struct Merge {
    children: [usize; 2],
    lambda: f64,
    rows: usize,
}

/// A cluster of the condensed tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Branch {
    /// Its parent; its own number for the root.
    parent: u32,
    /// λ at which it split off.
    birth: f64,
    /// The chosen cluster that it belongs to.
    label: Option<u32>,
}

/// A clustering with all that new rows are assigned by.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Hdbscan {
    /// The cluster of each row that was fitted on; `None` for noise.
    pub labels: Vec<Option<u32>>,
    clusters: u32,
    least: usize,
    branches: Vec<Branch>,
    rows: Vec<Vec<f64>>,
    cores: Vec<f64>,
    /// The branch that each row fell out of.
    left: Vec<u32>,
    points: Points,
}

/// A clustering as it is written; the k-d tree follows from the rows.
#[derive(Serialize, Deserialize)]
struct Saved {
    labels: Vec<Option<u32>>,
    least: usize,
    branches: Vec<Branch>,
    rows: Vec<Vec<f64>>,
    cores: Vec<f64>,
    left: Vec<u32>,
}

impl Hdbscan {
    /// Clusters rows of the width of the first: clusters of at least `size` rows, core distances to
    /// the `least`-th row, itself the first. Rows of another width, or with a value that is not
    /// finite, are noise.
    ///
    /// # Errors
    /// `size` is below 2, `least` is 0, or there are too many rows.
    pub fn fit(rows: &[&[f64]], size: usize, least: usize) -> Result<Self, Error> {
        if size < 2 {
            return Err(Error::Least { what: "rows", least: 2, given: size });
        }
        if least == 0 {
            return Err(Error::Least { what: "neighbours", least: 1, given: 0 });
        }
        let whole = Whole::of(rows)?;
        let (cores, edges) = spanning::tree(&whole.rows, whole.features, least);
        let merges = hierarchy(whole.rows.len(), &edges);
        let Condensed { mut branches, left, stability } = condense(whole.rows.len(), &merges, size);
        let clusters = choose(&mut branches, stability);
        let labels: Vec<Option<u32>> = left.iter().map(|&at| branches[at as usize].label).collect();
        Ok(Hdbscan {
            labels: whole.spread(&labels),
            clusters,
            least,
            branches,
            points: Points::new(&whole.rows, whole.features),
            rows: whole.rows.iter().map(|row| row.to_vec()).collect(),
            cores,
            left,
        })
    }

    /// Clusters found.
    #[must_use]
    pub fn clusters(&self) -> usize {
        self.clusters as usize
    }

    /// The cluster that a new row would fall into; `None` for noise, for rows of another width and for
    /// rows with a value that is not finite.
    #[must_use]
    pub fn assign(&self, row: &[f64]) -> Option<u32> {
        let width = self.rows.first()?.len();
        if row.len() != width || !row.iter().all(|value| value.is_finite()) {
            return None;
        }
        // Twice as many neighbours as a core has, because a near one with a large core may be
        // further away by mutual reachability than the next.
        let near = self.points.nearest(row, (2 * self.least).min(self.rows.len()));
        // The row counts itself, as those that were fitted on do.
        let core = match self.least {
            1 => 0.0,
            least => near[(least - 2).min(near.len() - 1)].0.sqrt(),
        };
        let (reach, nearest) = near
            .iter()
            .map(|&(apart, place)| {
                let original = self.points.original[place] as usize;
                (apart.sqrt().max(core).max(self.cores[original]), original)
            })
            .min_by(|a, b| a.0.total_cmp(&b.0))?;
        let lambda = 1.0 / reach;
        let mut at = self.left[nearest] as usize;
        while self.branches[at].birth > lambda {
            at = self.branches[at].parent as usize;
        }
        self.branches[at].label
    }
}

/// The single-linkage hierarchy of a spanning tree, lightest edges first.
fn hierarchy(count: usize, edges: &[Edge]) -> Vec<Merge> {
    let mut components = Components::new(count);
    // The node of the hierarchy that each component is now.
    let mut node: Vec<usize> = (0..count).collect();
    let mut merges: Vec<Merge> = Vec::with_capacity(edges.len());
    for edge in edges {
        let (a, b) = (components.of(edge.from as usize), components.of(edge.to as usize));
        let children = [node[a], node[b]];
        let rows = children.map(|child| rows_of(count, &merges, child)).iter().sum();
        components.join(a, b);
        node[b] = count + merges.len();
        // A distance of 0 gives an infinite λ, as it should.
        merges.push(Merge { children, lambda: 1.0 / edge.weight, rows });
    }
    merges
}

fn rows_of(count: usize, merges: &[Merge], node: usize) -> usize {
    node.checked_sub(count).map_or(1, |at| merges[at].rows)
}

/// The hierarchy without parts below the least size.
struct Condensed {
    branches: Vec<Branch>,
    /// The branch that each row fell out of.
    left: Vec<u32>,
    /// Excess of mass of each branch: Σ (λ at which a row left − λ at birth).
    stability: Vec<f64>,
}

fn condense(count: usize, merges: &[Merge], size: usize) -> Condensed {
    let mut branches = vec![Branch { parent: 0, birth: 0.0, label: None }];
    let mut stability = vec![0.0];
    let mut left = vec![0; count];
    let mut waiting: Vec<(usize, u32)> = vec![];
    if let Some(root) = merges.len().checked_sub(1) {
        waiting.push((count + root, 0));
    }
    let mut falling = vec![];
    while let Some((node, branch)) = waiting.pop() {
        let Some(at) = node.checked_sub(count) else {
            // Only where `size` rows are left does a part go on, so a row comes here by none.
            left[node] = branch;
            continue;
        };
        let Merge { children, lambda, .. } = merges[at];
        let sizes = children.map(|child| rows_of(count, merges, child));
        let birth = branches[branch as usize].birth;
        let splits = sizes.iter().all(|&rows| rows >= size);
        for (child, rows) in children.into_iter().zip(sizes) {
            if splits {
                stability[branch as usize] += (lambda - birth) * rows as f64;
                waiting.push((child, branches.len() as u32));
                branches.push(Branch { parent: branch, birth: lambda, label: None });
                stability.push(0.0);
            } else if rows >= size {
                waiting.push((child, branch));
            } else {
                falling.push(child);
                while let Some(node) = falling.pop() {
                    match node.checked_sub(count) {
                        Some(at) => falling.extend(merges[at].children),
                        None => {
                            left[node] = branch;
                            stability[branch as usize] += lambda - birth;
                        }
                    }
                }
            }
        }
    }
    Condensed { branches, left, stability }
}

/// Chooses branches by excess of mass, and labels all below them; returns how many.
fn choose(branches: &mut [Branch], mut stability: Vec<f64>) -> u32 {
    let count = branches.len();
    let mut chosen = vec![true; count];
    let mut below = vec![0.0; count];
    // Children come behind their parent.
    for at in (1..count).rev() {
        if below[at] > stability[at] {
            chosen[at] = false;
            stability[at] = below[at];
        }
        below[branches[at].parent as usize] += stability[at];
    }
    let mut clusters = 0;
    for at in 1..count {
        let above = branches[branches[at].parent as usize].label;
        branches[at].label = above.or_else(|| {
            chosen[at].then(|| {
                clusters += 1;
                clusters - 1
            })
        });
    }
    clusters
}

impl From<Hdbscan> for Saved {
    fn from(fitted: Hdbscan) -> Self {
        let Hdbscan { labels, least, branches, rows, cores, left, .. } = fitted;
        Saved { labels, least, branches, rows, cores, left }
    }
}

impl TryFrom<Saved> for Hdbscan {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self, Error> {
        let Saved { labels, least, branches, rows, cores, left } = saved;
        let width = rows.first().map_or(0, Vec::len);
        let clusters =
            branches.iter().filter_map(|branch| branch.label).map(|label| label + 1).max();
        let clusters = clusters.unwrap_or(0);
        let whole =
            rows.iter().all(|row| row.len() == width && row.iter().all(|value| value.is_finite()));
        // A parent comes first, and the root is born at 0: climbing ends.
        let climbs = branches.iter().enumerate().all(|(at, branch)| {
            branch.birth >= 0.0
                && if at == 0 { branch.birth == 0.0 } else { (branch.parent as usize) < at }
        });
        let fits = cores.len() == rows.len()
            && left.len() == rows.len()
            && rows.len() <= labels.len()
            && left.iter().all(|&at| (at as usize) < branches.len())
            && labels.iter().flatten().all(|&label| label < clusters)
            && cores.iter().all(|core| *core >= 0.0);
        if !(whole && climbs && fits && least > 0 && !branches.is_empty()) {
            return Err(Error::Damaged);
        }
        let views: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let points = Points::new(&views, width);
        Ok(Hdbscan { labels, clusters, least, branches, rows, cores, left, points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    fn blobs(seed: u64) -> Vec<Vec<f64>> {
        let mut random = Random::seeded(seed);
        let mut near = |centre: f64| centre + (0..4).map(|_| random.unit()).sum::<f64>() - 2.0;
        (0..300).map(|at| vec![near(f64::from(at % 3) * 8.0), near(0.0)]).collect()
    }

    fn fit(rows: &[Vec<f64>], size: usize) -> Hdbscan {
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        Hdbscan::fit(&rows, size, size).unwrap()
    }

    #[test]
    fn three_blobs_are_three_clusters_and_new_rows_join_them() {
        let rows = blobs(1);
        let fitted = fit(&rows, 15);
        assert_eq!(fitted.clusters(), 3);
        let names: Vec<_> = (0..3).map(|at| fitted.assign(&[f64::from(at) * 8.0, 0.0])).collect();
        assert!(names.iter().all(Option::is_some) && names[0] != names[1] && names[1] != names[2]);
        for (at, label) in fitted.labels.iter().enumerate() {
            assert!(label.is_none() || *label == names[at % 3]);
        }
        assert_eq!(fitted.assign(&[4.0, 60.0]), None);
    }

    #[test]
    fn a_row_that_was_fitted_on_is_assigned_where_it_was() {
        let rows = blobs(2);
        let fitted = fit(&rows, 15);
        let same =
            rows.iter().zip(&fitted.labels).filter(|(row, label)| fitted.assign(row) == **label);
        // A row that is its own neighbour may come a little nearer than it was.
        assert!(same.count() >= 290);
    }

    #[test]
    fn odd_input_has_stated_answers() {
        assert_eq!(fit(&[], 2).labels, []);
        assert_eq!(fit(&[vec![1.0]], 2).labels, [None]);
        assert_eq!(fit(&[vec![1.0]], 2).assign(&[1.0]), None);
        let constant = fit(&vec![vec![1.0, 1.0]; 40], 5);
        assert_eq!(constant.clusters(), 0);
        let mut rows = blobs(3);
        rows.push(vec![f64::NAN, 0.0]);
        let fitted = fit(&rows, 15);
        assert_eq!((fitted.labels[300], fitted.clusters()), (None, 3));
        assert_eq!(fitted.assign(&[f64::NAN, 0.0]), None);
        assert_eq!(fitted.assign(&[0.0]), None);
    }

    #[test]
    fn a_saved_clustering_assigns_as_before_and_a_damaged_one_is_refused() {
        let fitted = fit(&blobs(4), 15);
        let mut saved = serde_json::to_value(&fitted).unwrap();
        let restored: Hdbscan = serde_json::from_value(saved.clone()).unwrap();
        for row in blobs(5) {
            assert_eq!(restored.assign(&row), fitted.assign(&row));
        }
        saved["branches"][1]["parent"] = 1.into();
        assert!(serde_json::from_value::<Hdbscan>(saved).is_err());
    }
}
