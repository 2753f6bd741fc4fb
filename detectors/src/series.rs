//! The first values of something in their order, until it is known how much they depend on each
//! other. It does not know what they are values of.

use serde::{Deserialize, Serialize};

use crate::autocorrelation;
use crate::reference::Observation;

/// Values that are kept.
const KEPT: usize = 512;
/// Values from which on dependence can be told.
const LEAST: usize = 64;

/// Values in their order, or how many of them were worth an independent one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Series {
    values: Vec<f64>,
    /// Their integrated autocorrelation time, once for each pane that was added up here.
    times: Vec<f64>,
}

impl Series {
    /// Takes values in, in their order. Levels that come in runs depend on each other, whatever numbers
    /// stand for them.
    pub(crate) fn take(&mut self, column: &[Observation<'_>]) {
        for observation in column {
            if !self.has_room() {
                return;
            }
            match *observation {
                Observation::Number(value) => self.number(value),
                Observation::Category(level) => self.values.push(stand_in(level)),
                Observation::Missing | Observation::Foreign => {}
            }
        }
    }

    /// Takes a number; what is not finite is no part of a series.
    pub(crate) fn number(&mut self, value: f64) {
        if value.is_finite() && self.has_room() {
            self.values.push(value);
        }
    }

    fn has_room(&self) -> bool {
        self.values.len() < KEPT && self.times.is_empty()
    }

    /// Lets the values go, where they are enough to tell.
    pub(crate) fn settle(&mut self) {
        if self.values.len() >= LEAST {
            self.times.push(autocorrelation::time(&self.values));
            self.values = Vec::new();
        }
    }

    /// Adds those of another stretch.
    pub(crate) fn merge(&mut self, other: &Series) {
        self.times.extend(&other.times);
        self.values.extend(&other.values);
    }

    /// How many values in a row are worth one independent one, at least 1: the median of what
    /// stretches say, the values of those that were too small to tell as one more.
    pub(crate) fn time(mut self) -> f64 {
        self.settle();
        self.times.sort_by(f64::total_cmp);
        self.times.get(self.times.len() / 2).copied().unwrap_or(1.0)
    }
}

/// A number from 0 to 1 for a level, the same each time (FNV-1a; Fowler, Noll & Vo 1991).
fn stand_in(level: &str) -> f64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = level.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    (hash >> 11) as f64 / (1u64 << 53) as f64
}
