//! DBSCAN: clusters of rows that have enough neighbours. It does not choose the radius.
//!
//! Ester, Kriegel, Sander & Xu, KDD 1996, with the conventions of scikit-learn: a row is core when
//! at least `least` rows, itself included, lie within `radius` of it, the radius included; clusters
//! are counted in the order of their first core row; a border row belongs to the first that reaches it.

use serde::{Deserialize, Serialize};

use super::points::{Points, squared};
use super::{Error, Whole};

/// A clustering, and the core rows that new rows are assigned by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dbscan {
    /// The largest distance of neighbours.
    pub radius: f64,
    /// The cluster of each row that was fitted on; `None` for noise.
    pub labels: Vec<Option<u32>>,
    /// Core rows with their clusters.
    cores: Vec<(Vec<f64>, u32)>,
}

impl Dbscan {
    /// Clusters rows of the width of the first. Rows of another width, or with a value that is not
    /// finite, are noise and nobody's neighbour.
    ///
    /// # Errors
    /// The radius is not positive and finite, or `least` is 0.
    pub fn fit(rows: &[&[f64]], radius: f64, least: usize) -> Result<Self, Error> {
        if !(radius > 0.0 && radius.is_finite()) {
            return Err(Error::Radius(radius));
        }
        if least == 0 {
            return Err(Error::Least { what: "neighbours", least: 1, given: 0 });
        }
        let whole = Whole::of(rows)?;
        let tree = Points::new(&whole.rows, whole.features);
        let reach = radius * radius;
        // Places in the tree of the neighbours of a whole row.
        let neighbours = |row: usize| {
            let mut places = vec![];
            tree.within(whole.rows[row], reach, |place, _| {
                places.push(tree.original[place] as usize)
            });
            places
        };
        let count = whole.rows.len();
        let core: Vec<bool> = (0..count).map(|row| neighbours(row).len() >= least).collect();
        let mut labels = vec![None; count];
        let mut next = 0;
        for row in 0..count {
            if !core[row] || labels[row].is_some() {
                continue;
            }
            labels[row] = Some(next);
            let mut waiting = vec![row];
            while let Some(row) = waiting.pop() {
                for other in neighbours(row) {
                    if labels[other].is_none() {
                        labels[other] = Some(next);
                        if core[other] {
                            waiting.push(other);
                        }
                    }
                }
            }
            next += 1;
        }
        let cores = (0..count)
            .filter(|&row| core[row])
            .filter_map(|row| labels[row].map(|label| (whole.rows[row].to_vec(), label)))
            .collect();
        Ok(Dbscan { radius, labels: whole.spread(&labels), cores })
    }

    /// Clusters found.
    #[must_use]
    pub fn clusters(&self) -> usize {
        self.cores.iter().map(|(_, label)| *label as usize + 1).max().unwrap_or(0)
    }

    /// The cluster of the nearest core row within the radius; `None`, noise, where there is none and
    /// for rows of another width or with a value that is not finite. Looks at every core row.
    #[must_use]
    pub fn assign(&self, row: &[f64]) -> Option<u32> {
        let reach = self.radius * self.radius;
        self.cores
            .iter()
            .filter(|(core, _)| core.len() == row.len())
            .map(|(core, label)| (squared(core, row), *label))
            .filter(|&(distance, _)| distance <= reach)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, label)| label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Vec<Vec<f64>> {
        values.iter().map(|&value| vec![value]).collect()
    }

    fn fit(values: &[f64], radius: f64, least: usize) -> Dbscan {
        let rows = line(values);
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        Dbscan::fit(&rows, radius, least).unwrap()
    }

    #[test]
    fn the_radius_is_included_and_a_row_counts_itself() {
        let fitted = fit(&[0.0, 1.0, 2.0, 10.0], 1.0, 3);
        assert_eq!(fitted.labels, [Some(0), Some(0), Some(0), None]);
        assert_eq!(fit(&[0.0, 1.0, 2.0, 10.0], 0.999, 3).clusters(), 0);
    }

    #[test]
    fn a_border_row_belongs_to_the_first_cluster_that_reaches_it() {
        // 2 is within reach of the core rows 1 and 3, and is itself not core.
        let fitted = fit(&[4.0, 3.0, 3.1, 3.2, 2.0, 1.0, 0.9, 0.8, 0.0], 1.0, 4);
        assert_eq!(fitted.labels[4], Some(0));
        assert_eq!(fitted.labels[5], Some(1));
    }

    #[test]
    fn new_rows_go_to_the_nearest_core_row_or_to_noise() {
        let fitted = fit(&[0.0, 0.5, 1.0, 5.0, 5.5, 6.0], 1.0, 3);
        let assigned = [0.2, 6.3, 3.0, f64::NAN].map(|value| fitted.assign(&[value]));
        assert_eq!(assigned, [Some(0), Some(1), None, None]);
        assert_eq!(fitted.assign(&[0.0, 0.0]), None);
    }

    #[test]
    fn odd_input_has_stated_answers() {
        let fitted = fit(&[0.0, f64::NAN, 0.0, f64::INFINITY], 1.0, 2);
        assert_eq!(fitted.labels, [Some(0), None, Some(0), None]);
        assert_eq!(Dbscan::fit(&[], 1.0, 2).unwrap().labels, []);
        assert!(Dbscan::fit(&[], f64::NAN, 2).is_err() && Dbscan::fit(&[], 1.0, 0).is_err());
    }
}
