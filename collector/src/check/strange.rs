//! The rows of the data that stand out most, and what makes them. It does not judge.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Serialize;
use tidegate_contract::contract::Contract;
use tidegate_detectors::finding::Detector;
use tidegate_detectors::joint::lens::{self, Lens};
use tidegate_detectors::reference::{Observation, Reference};
use tidegate_detectors::resampling::KeptColumn;

use crate::check::text::cut;
use crate::wording::{grouped, short};

/// Rows that are named.
const NAMED: usize = 10;
/// Features that are named of each, unless they make less than a third of what the first does.
const BLAMED: usize = 3;
const LESS: f64 = 3.0;

/// A row that stands out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Strange {
    /// The file that it is in.
    pub file: String,
    /// Its number in that file, from 1.
    pub row: u64,
    /// By which score: `outlier_rate`, of how far out its values lie, or `copula`, of how they contradict
    /// each other.
    pub detector: Detector,
    /// The chance that a row like those of training scores at least as much.
    pub tail: f64,
    /// What makes it, the most first.
    pub features: Vec<Blamed>,
}

/// A feature that makes a row stand out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Blamed {
    /// Its name.
    pub name: String,
    /// How much of the score it makes, 0 to 1.
    pub share: f64,
    /// Its value; none where it is missing, or the contract calls it sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// A value as it was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Number(f64),
    Level(String),
}

/// The data that rows are of: its files with how many rows each has, in the order they were read.
pub(super) struct Place<'a> {
    pub files: &'a [(PathBuf, u64)],
    pub reference: &'a Reference,
    pub contract: &'a Contract,
}

impl Place<'_> {
    /// Of the rows that were kept those that stand out most.
    pub(super) fn strangest(&self, lenses: &[Lens], kept: &[KeptColumn]) -> Vec<Strange> {
        let of_one = |lens: &Lens| lens.strangest(&lens.rows_of(kept), NAMED);
        let mut all: Vec<lens::Strange> = lenses.iter().flat_map(of_one).collect();
        all.sort_by(|a, b| a.tail.total_cmp(&b.tail).then(b.far.total_cmp(&a.far)));
        all.truncate(NAMED);
        all.iter().filter_map(|strange| self.told(strange, kept)).collect()
    }

    fn told(&self, strange: &lens::Strange, kept: &[KeptColumn]) -> Option<Strange> {
        let mut left = kept.first()?.row(strange.row)?;
        let (file, _) = self.files.iter().find(|(_, rows)| {
            let is_here = left < *rows;
            left -= if is_here { 0 } else { *rows };
            is_here
        })?;
        let fields = self.contract.inputs.iter().chain(&self.contract.outputs);
        let sensitive: HashSet<&str> =
            fields.filter(|of| of.sensitive.is_some()).map(|of| of.name.as_str()).collect();
        let blamed = |&(at, share): &(usize, f64)| {
            let name = self.reference.features.get(at)?.name.clone();
            let value = match kept.get(at)?.values().nth(strange.row)? {
                _ if sensitive.contains(name.as_str()) => None,
                Observation::Number(value) => Some(Value::Number(value)),
                Observation::Category(level) => Some(Value::Level(level.to_owned())),
                Observation::Missing | Observation::Foreign => None,
            };
            Some(Blamed { name, share, value })
        };
        let most = strange.blamed.first().map_or(0.0, |(_, share)| *share);
        let named = strange.blamed.iter().filter(|(_, share)| *share >= most / LESS).take(BLAMED);
        Some(Strange {
            file: file.display().to_string(),
            row: left + 1,
            detector: strange.detector,
            tail: strange.tail,
            features: named.filter_map(blamed).collect(),
        })
    }
}

impl Strange {
    /// How seldom a row of training is so.
    pub(super) fn seldom(&self) -> String {
        format!("at most one row of {}", grouped((1.0 / self.tail) as u64))
    }

    /// What it does.
    pub(super) fn does(&self) -> &'static str {
        match self.detector {
            Detector::Copula => "contradicts itself",
            _ => "lies far out",
        }
    }

    /// What makes it.
    pub(super) fn made_by(&self) -> String {
        let value = |of: &Blamed| match &of.value {
            Some(Value::Number(value)) => format!("{} {}", of.name, short(*value)),
            Some(Value::Level(level)) => format!("{} {}", of.name, cut(level)),
            None => of.name.clone(),
        };
        self.features.iter().map(value).collect::<Vec<_>>().join(", ")
    }
}
