//! Random Cut Forest: a streaming scorer of rows. It does not know what a column means, and it
//! takes rows as they come: scale them before where units differ wildly.
//!
//! Guha, Mishra, Roy & Schrijvers, ICML 2016, with the score of AWS's library: for each tree the
//! expected inverse depth at which the row would be cut off, times log₂(points + 1). About 1 for
//! a typical row, rising with rarity.
//!
//! Values are kept as `f32`, so two that differ by less than 6e-8 of their size are one value.
//! A missing value (NaN) is taken for one that fits; an infinite one for ±1e30. Rows with
//! either are scored but not learned.

pub mod isolation;
pub mod random;
mod sample;
mod tree;

use serde::{Deserialize, Serialize};

use crate::outlier::{Blame, Scorer};
use random::Random;
use sample::{Offer, Sample};
pub use tree::Broken;
use tree::{MOST_POINTS, Tree, padded};

/// Sides beyond this would overflow when they are summed over features.
const LARGEST: f64 = 1e30;
/// Trees that a forest may have.
const MOST_TREES: usize = 10_000;

/// The size of a forest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Trees: the score's noise falls with their square root.
    pub trees: usize,
    /// Points that each tree holds.
    pub points: usize,
    /// How fast older points fade: their weight falls by e every 1/decay rows; 0 keeps all alike.
    pub decay: f64,
}

impl Default for Plan {
    /// Fifty trees of 256 points that remember about 2,560 rows: the defaults of AWS's library.
    fn default() -> Self {
        Plan { trees: 50, points: 256, decay: 0.1 / 256.0 }
    }
}

/// Why a forest cannot be planted or restored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A size out of its bounds.
    #[error("a forest needs {what} between {least} and {most}, not {given}")]
    Size {
        /// What has that size.
        what: &'static str,
        /// What was given.
        given: usize,
        /// The least allowed.
        least: usize,
        /// The most allowed.
        most: usize,
    },
    /// A decay that is negative or not finite.
    #[error("a forest's decay is a rate from 0 to 1, not {0}")]
    Decay(f64),
    /// A saved forest whose trees, samples and sizes do not agree.
    #[error("the saved forest is damaged: tree {0} and its sample do not agree")]
    Damaged(usize),
}

fn within(what: &'static str, given: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&given) {
        Ok(())
    } else {
        Err(Error::Size { what, given, least, most })
    }
}

/// A tree and the sample that says what it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Planted {
    tree: Tree,
    sample: Sample,
}

/// A random cut forest. What is saved by serde and restored goes on to the very bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Forest {
    features: usize,
    decay: f64,
    learned: u64,
    random: Random,
    planted: Vec<Planted>,
}

/// A forest as it was saved, not yet trusted.
#[derive(Deserialize)]
struct Saved {
    features: usize,
    decay: f64,
    learned: u64,
    random: Random,
    planted: Vec<Planted>,
}

impl Forest {
    /// A forest without rows for rows of so many features.
    ///
    /// # Errors
    /// A size or the decay is out of bounds.
    pub fn plant(features: usize, plan: Plan, seed: u64) -> Result<Self, Error> {
        within("features", features, 1, usize::from(u16::MAX))?;
        within("trees", plan.trees, 1, MOST_TREES)?;
        within("points in a tree", plan.points, 2, MOST_POINTS)?;
        if !(0.0..=1.0).contains(&plan.decay) {
            return Err(Error::Decay(plan.decay));
        }
        let planted =
            Planted { tree: Tree::new(features, plan.points), sample: Sample::new(plan.points) };
        Ok(Forest {
            features,
            decay: plan.decay,
            learned: 0,
            random: Random::seeded(seed),
            planted: vec![planted; plan.trees],
        })
    }

    /// Rows learned so far.
    #[must_use]
    pub fn learned(&self) -> u64 {
        self.learned
    }

    /// Learns a row. Says whether it did: not where the row has another width or a value that is
    /// not finite.
    pub fn learn(&mut self, row: &[f64]) -> bool {
        if row.len() != self.features || !row.iter().all(|value| value.is_finite()) {
            return false;
        }
        let point = self.point(row);
        self.take_in(&point);
        true
    }

    /// Scores a row against what was learned before, then learns it: one pass over a stream.
    pub fn score_and_learn(&mut self, row: &[f64]) -> Option<f64> {
        let score = self.score(row);
        self.learn(row);
        score
    }

    fn take_in(&mut self, point: &[f32]) {
        let age = self.decay * self.learned as f64;
        for Planted { tree, sample } in &mut self.planted {
            let (offer, key) = sample.offer(age, &mut self.random);
            match offer {
                Offer::Refused => continue,
                Offer::Room => {}
                Offer::Instead(leaf) => tree.remove(leaf),
            }
            let leaf = tree.insert(point, &mut self.random);
            sample.hold(key, leaf);
        }
        self.learned += 1;
    }

    fn point(&self, row: &[f64]) -> Vec<f32> {
        let mut point = Vec::with_capacity(padded(self.features));
        // Adding zero makes −0 and 0 one value.
        point.extend(row.iter().map(|value| (value.clamp(-LARGEST, LARGEST) + 0.0) as f32));
        point.resize(padded(self.features), 0.0);
        point
    }

    fn fits(&self, row: &[f64]) -> bool {
        row.len() == self.features && row.iter().any(|value| !value.is_nan())
    }

    /// The score of a row, split over features: what lies below the usual values, and above.
    /// The shares add up to the score. `None` as [`Scorer::score`].
    #[must_use]
    pub fn attribute(&self, row: &[f64]) -> Option<Vec<[f64; 2]>> {
        if !self.fits(row) {
            return None;
        }
        let point = self.point(row);
        let mut blame = vec![[0.0; 2]; self.features];
        for Planted { tree, .. } in &self.planted {
            tree.attribute(&point, &mut blame);
        }
        let trees = self.planted.len() as f64;
        for side in blame.as_flattened_mut() {
            *side /= trees;
        }
        Some(blame)
    }
}

impl Scorer for Forest {
    fn features(&self) -> usize {
        self.features
    }

    /// About 1 for a typical row, more for rarer ones; 0 before anything was learned.
    fn score(&self, row: &[f64]) -> Option<f64> {
        if !self.fits(row) {
            return None;
        }
        let point = self.point(row);
        let total: f64 = self.planted.iter().map(|planted| planted.tree.score(&point)).sum();
        Some(total / self.planted.len() as f64)
    }

    fn blame(&self, row: &[f64]) -> Option<Blame> {
        let shares = self.attribute(row)?;
        Some(Blame::of(shares.iter().map(|[below, above]| below + above)))
    }
}

impl TryFrom<Saved> for Forest {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self, Error> {
        let Saved { features, decay, learned, random, planted } = saved;
        within("trees", planted.len(), 1, MOST_TREES)?;
        if !(0.0..=1.0).contains(&decay) {
            return Err(Error::Decay(decay));
        }
        for (place, Planted { tree, sample }) in planted.iter().enumerate() {
            let mut held = vec![0u32; tree.capacity()];
            for leaf in sample.leaves() {
                *held.get_mut(usize::from(leaf)).ok_or(Error::Damaged(place))? += 1;
            }
            let agree = (0..tree.capacity() as u16)
                .all(|leaf| held[usize::from(leaf)] == tree.leaf_mass(leaf));
            let fits = tree.features() == features && tree.capacity() == sample.capacity();
            if !(agree && fits && sample.is_sound()) {
                return Err(Error::Damaged(place));
            }
        }
        Ok(Forest { features, decay, learned, random, planted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Plan = Plan { trees: 20, points: 64, decay: 0.0 };

    /// Rows around the origin, the same for the same seed.
    fn cloud(rows: usize, features: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut random = Random::seeded(seed);
        let mut value = || (0..4).map(|_| random.unit()).sum::<f64>() - 2.0;
        (0..rows).map(|_| (0..features).map(|_| value()).collect()).collect()
    }

    fn grown(plan: Plan) -> Forest {
        let mut forest = Forest::plant(3, plan, 7).unwrap();
        for row in cloud(500, 3, 1) {
            assert!(forest.learn(&row));
        }
        forest
    }

    #[test]
    fn a_far_row_scores_far_above_a_typical_one_and_the_right_feature_is_blamed() {
        let forest = grown(SMALL);
        let typical = forest.score(&[0.1, -0.1, 0.2]).unwrap();
        let far = forest.score(&[0.1, 30.0, 0.2]).unwrap();
        assert!(typical < 1.3 && far > 4.0, "{typical} {far}");
        let shares = forest.attribute(&[0.1, 30.0, 0.2]).unwrap();
        assert!(shares[1][1] > 0.9 * far);
        assert_eq!(forest.blame(&[0.1, -30.0, 0.2]).unwrap().most(), Some(1));
    }

    #[test]
    fn shares_add_up_to_the_score() {
        let forest = grown(SMALL);
        for row in cloud(20, 3, 2) {
            let total: f64 = forest.attribute(&row).unwrap().as_flattened().iter().sum();
            assert!((total - forest.score(&row).unwrap()).abs() < 1e-5);
        }
    }

    #[test]
    fn a_restored_forest_goes_on_to_the_very_bit() {
        let mut forest = grown(Plan { decay: 0.01, ..SMALL });
        let saved = serde_json::to_string(&forest).unwrap();
        let mut restored: Forest = serde_json::from_str(&saved).unwrap();
        assert_eq!(restored, forest);
        for row in cloud(300, 3, 3) {
            let (a, b) = (forest.score_and_learn(&row), restored.score_and_learn(&row));
            assert_eq!(a.unwrap().to_bits(), b.unwrap().to_bits());
        }
        assert_eq!(restored, forest);
    }

    #[test]
    fn the_same_seed_grows_the_same_forest() {
        assert_eq!(grown(SMALL), grown(SMALL));
    }

    #[test]
    fn odd_rows_have_stated_answers() {
        let mut forest = grown(SMALL);
        let learned = forest.learned();
        assert_eq!(forest.score(&[0.0]), None);
        assert_eq!(forest.score(&[f64::NAN; 3]), None);
        assert!(!forest.learn(&[0.0, f64::NAN, 0.0]));
        assert!(!forest.learn(&[0.0, f64::INFINITY, 0.0]));
        assert_eq!(forest.learned(), learned);
        assert!(forest.score(&[0.0, f64::INFINITY, 0.0]).unwrap() > 4.0);
        assert!(forest.score(&[0.1, f64::NAN, 0.2]).unwrap() < 1.5);
        let empty = Forest::plant(3, SMALL, 1).unwrap();
        assert_eq!(empty.score(&[0.0; 3]), Some(0.0));
    }

    #[test]
    fn a_constant_stream_is_typical_and_anything_else_is_not() {
        let mut forest = Forest::plant(2, SMALL, 1).unwrap();
        for _ in 0..1_000 {
            forest.learn(&[5.0, 5.0]);
        }
        assert!(forest.score(&[5.0, 5.0]).unwrap() <= 1.0);
        assert!(forest.score(&[5.0, 6.0]).unwrap() > 5.0);
    }

    #[test]
    fn with_decay_a_new_regime_becomes_typical() {
        let mut forest = Forest::plant(1, Plan { decay: 0.01, ..SMALL }, 1).unwrap();
        for row in cloud(500, 1, 4) {
            forest.learn(&row);
        }
        let before = forest.score(&[20.0]).unwrap();
        for row in cloud(1_000, 1, 5) {
            forest.learn(&[row[0] + 20.0]);
        }
        assert!(before > 4.0 && forest.score(&[20.0]).unwrap() < 1.5);
    }

    #[test]
    fn a_damaged_forest_is_refused() {
        let mut saved = serde_json::to_value(grown(SMALL)).unwrap();
        saved["planted"][3]["sample"]["held"][0]["leaf"] = 63.into();
        saved["planted"][3]["sample"]["held"][1]["leaf"] = 63.into();
        let message = serde_json::from_value::<Forest>(saved).unwrap_err().to_string();
        assert!(message.contains("tree 3"), "{message}");
    }

    #[test]
    fn sizes_are_bounded() {
        assert!(matches!(Forest::plant(0, SMALL, 1), Err(Error::Size { what: "features", .. })));
        let plan = Plan { points: 1 << 20, ..SMALL };
        assert!(Forest::plant(1, plan, 1).is_err());
        assert!(Forest::plant(1, Plan { decay: f64::NAN, ..SMALL }, 1).is_err());
    }
}
