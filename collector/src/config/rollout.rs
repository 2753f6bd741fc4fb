//! How a candidate becomes the primary version: by which steps, and how far it may be from the one
//! it replaces. It does not know how far it has come.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_detectors::paired::Limits;

use super::duration;

/// The way of a candidate, and what it is held against on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Percent of the requests that are mirrored to the candidate, 1 to 100.
    pub shadow: u8,
    /// Percent of the requests that it answers, step by step, rising, each 1 to 99; none goes from
    /// the shadow to the whole.
    pub steps: Vec<u8>,
    /// How long each step lasts at least.
    #[serde(with = "duration::text")]
    pub hold: Duration,
    /// How long all of it may take; then the primary serves alone again.
    #[serde(with = "duration::text")]
    pub lasts: Duration,
    /// Exchanges answered by both that a step needs.
    pub min_pairs: u64,
    /// The least share of the pairs that should be there which must be; below, nothing is known.
    pub min_coverage: f64,
    /// From when on the candidate is too far from the primary.
    pub limits: Limits,
    /// How far numbers may be apart and still agree, as a share of the output's range.
    pub tolerance: f64,
    /// From how many times the primary's time on an answer is slow.
    pub slow_factor: f64,
    /// Who takes it a step further.
    pub promote: Promote,
}

/// The most steps of a rollout.
pub const MAX_STEPS: usize = 16;
/// Percent of the requests that may be mirrored.
pub const SHADOW: RangeInclusive<u8> = 1..=100;

/// A step that may not stand where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misstep {
    /// Its place.
    pub at: usize,
    /// What it may be at least; at most 99.
    pub least: u8,
}

impl Misstep {
    /// The first step that is not more than the one before, or not from 1 to 99.
    #[must_use]
    pub fn of(steps: &[u8]) -> Option<Self> {
        let mut least = 1;
        for (at, step) in steps.iter().enumerate() {
            if !(least..=99).contains(step) {
                return Some(Self { at, least });
            }
            least = step + 1;
        }
        None
    }
}

impl Display for Misstep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} to 99, more than the step before", self.least)
    }
}

impl Plan {
    /// What is wrong with a plan that somebody asks for, in words.
    ///
    /// # Errors
    /// Where its shadow is not a percentage, or there are too many steps, or one may not stand where
    /// it does.
    pub fn check(&self) -> Result<(), String> {
        let Self { shadow, steps, .. } = self;
        if !SHADOW.contains(shadow) {
            let (least, most) = (SHADOW.start(), SHADOW.end());
            return Err(format!("a shadow of {shadow} %; give from {least} to {most}"));
        }
        if steps.len() > MAX_STEPS {
            return Err(format!("{} steps; give at most {MAX_STEPS}", steps.len()));
        }
        Misstep::of(steps).map_or(Ok(()), |misstep| {
            Err(format!("a step of {} %; give {misstep}", steps[misstep.at]))
        })
    }
}

/// Who takes a rollout a step further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    /// A person, each time.
    Person,
    /// The rollout itself, as soon as a step is healthy.
    Automatic,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            shadow: 20,
            steps: vec![5, 25, 50],
            hold: Duration::from_mins(10),
            lasts: Duration::from_hours(24),
            min_pairs: 500,
            min_coverage: 0.5,
            limits: Limits { disagreement: 0.1, shift: 0.05, errors: 0.02, slow: 0.5 },
            tolerance: 0.05,
            slow_factor: 2.0,
            promote: Promote::Person,
        }
    }
}
