//! How numbers move together, as people know it: Pearson's and Spearman's coefficients of the rows that
//! were drawn. It does not judge; what windows are held against is the reference's own
//! ([`tidegate_detectors::joint`]).

use serde::{Deserialize, Serialize};
use tidegate_detectors::correlation::{pearson, spearman};
use tidegate_detectors::joint::Joint;
use tidegate_detectors::reference::{Observation, Reference};
use tidegate_detectors::resampling::KeptColumn;

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

impl Correlations {
    /// Of the columns that the reference knows together; `None` where these are fewer than two.
    pub(super) fn of(reference: &Reference, joint: &Joint, kept: &[KeptColumn]) -> Option<Self> {
        if joint.columns.len() < 2 {
            return None;
        }
        let number = |value| match value {
            Observation::Number(number) => number,
            _ => f64::NAN,
        };
        let values: Vec<Vec<f64>> =
            joint.columns.iter().map(|&at| kept[at].values().map(number).collect()).collect();
        let matrix = |coefficient: &dyn Fn(&[f64], &[f64]) -> Option<f64>| {
            let cell = |one: usize, other: usize| {
                coefficient(&values[one], &values[other]).map(|r| (r * 1e3).round() / 1e3)
            };
            let row = |one: usize| (0..values.len()).map(|other| cell(one, other)).collect();
            (0..values.len()).map(row).collect()
        };
        Some(Correlations {
            rows: values[0].len() as u64,
            columns: joint.columns.iter().map(|&at| reference.features[at].name.clone()).collect(),
            pearson: matrix(&pearson),
            spearman: matrix(&spearman),
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
