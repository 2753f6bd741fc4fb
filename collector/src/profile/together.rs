//! What numbers do together, as people know it: Pearson's and Spearman's coefficients of the rows that
//! were drawn, and where clusters of rows lie. It does not judge; what windows are held against is the
//! reference's own ([`tidegate_detectors::joint`]).

use serde::{Deserialize, Serialize};
use tidegate_detectors::correlation::{pearson, spearman};
use tidegate_detectors::joint::{self, Joint};
use tidegate_detectors::reference::{Observation, Reference};
use tidegate_detectors::resampling::KeptColumn;

use crate::profile::document::digits;

/// Coefficients of the columns of numbers that move most with another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correlations {
    /// Rows that were drawn of the data; all of them, where there are few.
    pub rows: u64,
    /// The columns, those that move most with another one first.
    pub columns: Vec<String>,
    /// Pearson's r: for each column a row with a value for each column; null where one does not vary.
    pub pearson: Vec<Vec<Option<f64>>>,
    /// Spearman's ρ, in the same order.
    pub spearman: Vec<Vec<Option<f64>>>,
}

/// Clusters of rows by some numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    /// Rows that were counted; others were drawn to find the clusters.
    pub rows: u64,
    /// The numbers that they are clusters of.
    pub columns: Vec<String>,
    /// The share of the rows in each cluster, the largest first as they were found.
    pub shares: Vec<f64>,
    /// The share of the rows in none.
    pub noise: f64,
    /// What the numbers are at the centre of each cluster.
    pub centres: Vec<Vec<f64>>,
}

/// What a document tells of the columns that were learned of together, where they were.
pub(super) fn told(
    reference: &Reference,
    kept: &[KeptColumn],
) -> (Option<Correlations>, Option<Clusters>) {
    let joint = reference.joints.first();
    let correlations = joint.and_then(|joint| Correlations::of(reference, joint, kept));
    let clusters = joint.and_then(|joint| joint.clusters.as_ref());
    (correlations, clusters.map(|clusters| Clusters::of(reference, clusters)))
}

/// How two columns move together; `None` where one does not vary.
type Coefficient = fn(&[f64], &[f64]) -> Option<f64>;

fn names(reference: &Reference, columns: &[usize]) -> Vec<String> {
    columns.iter().map(|&at| reference.features[at].name.clone()).collect()
}

fn to_three_places(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl Correlations {
    /// Of the columns that the reference knows together; `None` where these are fewer than two.
    fn of(reference: &Reference, joint: &Joint, kept: &[KeptColumn]) -> Option<Self> {
        if joint.columns.len() < 2 {
            return None;
        }
        let number = |value| match value {
            Observation::Number(number) => number,
            _ => f64::NAN,
        };
        let values: Vec<Vec<f64>> =
            joint.columns.iter().map(|&at| kept[at].values().map(number).collect()).collect();
        let matrix = |coefficient: Coefficient| {
            let cell = |one: usize, other: usize| {
                coefficient(&values[one], &values[other]).map(to_three_places)
            };
            let row = |one: usize| (0..values.len()).map(|other| cell(one, other)).collect();
            (0..values.len()).map(row).collect()
        };
        Some(Correlations {
            rows: values[0].len() as u64,
            columns: names(reference, &joint.columns),
            pearson: matrix(pearson),
            spearman: matrix(spearman),
        })
    }

    /// The pairs that move together most by Spearman's ρ: their names and the coefficient.
    pub(super) fn strongest(&self) -> Vec<(&str, &str, f64)> {
        let mut pairs = Vec::new();
        for (one, row) in self.spearman.iter().enumerate() {
            for (other, r) in row.iter().enumerate().skip(one + 1) {
                let named = self.columns.get(one).zip(self.columns.get(other));
                if let (Some((one, other)), Some(r)) = (named, r) {
                    pairs.push((one.as_str(), other.as_str(), *r));
                }
            }
        }
        pairs.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
        pairs
    }
}

impl Clusters {
    /// As people read them.
    fn of(reference: &Reference, clusters: &joint::Clusters) -> Self {
        let masses = &clusters.map.masses;
        let share = |rows: u64| to_three_places(rows as f64 / masses.rows().max(1) as f64);
        Clusters {
            rows: masses.rows(),
            columns: names(reference, &clusters.columns),
            shares: masses.clusters.iter().map(|&rows| share(rows)).collect(),
            noise: share(masses.noise),
            centres: clusters
                .centres(reference)
                .into_iter()
                .map(|centre| centre.into_iter().map(|value| digits(value, 3)).collect())
                .collect(),
        }
    }
}
