//! A time series scored by a forest: scaled, shingled, and thresholded. It does not know how long
//! a step lasts, nor what season it is.
//!
//! After ThresholdedRCF of AWS's library. A bare forest on a raw series fails in three ways, and each
//! has its cure here. Its rows are single values, so it sees no shape: a *shingle* puts the last
//! values side by side. The level of a series wanders, and features of different size outweigh each
//! other: values are scaled by a mean and deviation that forget. Its score means nothing by
//! itself, and one strange value stays in the shingle for as many steps: the *strength* compares the
//! logarithm of the score with its own past, and within an episode only what is stranger than
//! all of it so far counts again.

use serde::{Deserialize, Serialize};

use super::{Error, Forest, Plan, within};
use crate::gamma::upper_normal;
use crate::outlier::{Blame, Scorer};

/// Values of a shingle at most.
const MOST_STEPS: usize = 1_024;
/// Scaled values are held within this, so that one of them cannot empty the forest of detail.
const FURTHEST: f64 = 20.0;
/// Strengths end here: beyond, the normal law says nothing about real scores.
const STRONGEST: f64 = 12.0;

/// How a series is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Steps side by side in one shingle.
    pub steps: usize,
    /// The forest.
    pub forest: Plan,
    /// Steps before anything is said.
    pub warm_up: u64,
    /// Steps over which means and deviations forget.
    pub memory: f64,
    /// Strength from which a step is an anomaly: −log₁₀ of the chance of such a score.
    pub threshold: f64,
    /// Calm steps after which an episode is over.
    pub calm: u64,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            steps: 16,
            forest: Plan { trees: 50, points: 256, decay: 0.1 / 256.0 },
            warm_up: 256,
            memory: 1_000.0,
            threshold: 3.0,
            calm: 64,
        }
    }
}

/// What is said of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The forest's score of the shingle; 0 before it is full.
    pub score: f64,
    /// −log₁₀ of the chance of a score at least as large, 0 to 12.
    pub strength: f64,
    /// Whether this begins an episode, or is clearly stranger than all of it so far.
    pub anomaly: bool,
}

/// A mean and a deviation that forget.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Fading {
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Fading {
    /// Takes a value in, after the others have faded to 1 − 1/memory of their weight.
    fn insert(&mut self, value: f64, memory: f64) {
        let fade = 1.0 - 1.0 / memory;
        self.weight = self.weight * fade + 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.weight;
        self.squares = self.squares * fade + delta * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        if self.weight > 0.0 { (self.squares.max(0.0) / self.weight).sqrt() } else { 0.0 }
    }

    /// How many deviations a value lies above the mean; at least `floor` counts as one.
    fn standardised(&self, value: f64, floor: f64) -> f64 {
        let deviation = self.deviation().max(floor);
        if deviation > 0.0 { (value - self.mean) / deviation } else { 0.0 }
    }
}

/// An episode of strange steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Episode {
    strongest: f64,
    calm: u64,
}

/// A series and what it has taught so far. Saved and restored by serde, it goes on to the very bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Series {
    look: Look,
    features: usize,
    seen: u64,
    levels: Vec<Fading>,
    /// The last scaled values, oldest first.
    shingle: Vec<f64>,
    forest: Forest,
    scores: Fading,
    episode: Option<Episode>,
}

/// A series as it was saved, not yet trusted.
#[derive(Deserialize)]
struct Saved {
    look: Look,
    features: usize,
    seen: u64,
    levels: Vec<Fading>,
    shingle: Vec<f64>,
    forest: Forest,
    scores: Fading,
    episode: Option<Episode>,
}

impl TryFrom<Saved> for Series {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self, Error> {
        let Saved { look, features, seen, levels, shingle, forest, scores, episode } = saved;
        check(features, &look)?;
        let full = features * look.steps;
        within("values in a shingle", shingle.len(), 0, full)?;
        within("values in whole steps", shingle.len() % features, 0, 0)?;
        within("levels", levels.len(), features, features)?;
        within("features of its forest", forest.features(), full, full)?;
        Ok(Series { look, features, seen, levels, shingle, forest, scores, episode })
    }
}

fn check(features: usize, look: &Look) -> Result<(), Error> {
    within("steps in a shingle", look.steps, 1, MOST_STEPS)?;
    within("values in a step", features, 1, usize::from(u16::MAX) / look.steps)?;
    if look.memory >= 2.0 && look.memory.is_finite() {
        Ok(())
    } else {
        Err(Error::Memory(look.memory))
    }
}

impl Series {
    /// A series of so many values a step.
    ///
    /// # Errors
    /// A size is out of bounds; `memory` must be at least 2.
    pub fn begin(features: usize, look: Look, seed: u64) -> Result<Self, Error> {
        check(features, &look)?;
        Ok(Series {
            look,
            features,
            seen: 0,
            levels: vec![Fading::default(); features],
            shingle: Vec::with_capacity(features * look.steps),
            forest: Forest::plant(features * look.steps, look.forest, seed)?,
            scores: Fading::default(),
            episode: None,
        })
    }

    /// Takes the next step in and says how strange it is. A value that is not finite is taken for
    /// the mean so far, so it says nothing; `None`, and nothing changes, where the width is another.
    pub fn step(&mut self, values: &[f64]) -> Option<Step> {
        if values.len() != self.features {
            return None;
        }
        let full = self.features * self.look.steps;
        if self.shingle.len() == full {
            self.shingle.drain(..self.features);
        }
        for (level, &value) in self.levels.iter_mut().zip(values) {
            if !value.is_finite() {
                self.shingle.push(0.0);
                continue;
            }
            let value = value.clamp(-1e140, 1e140);
            // A series that never moved has no deviation: then anything else is far away.
            let floor = 1e-6 * level.mean.abs() + f64::MIN_POSITIVE;
            let scaled = if level.weight > 0.0 { level.standardised(value, floor) } else { 0.0 };
            self.shingle.push(scaled.clamp(-FURTHEST, FURTHEST));
            level.insert(value, self.look.memory);
        }
        self.seen += 1;
        if self.shingle.len() < full {
            return Some(Step { score: 0.0, strength: 0.0, anomaly: false });
        }
        let score = self.forest.score_and_learn(&self.shingle)?;
        Some(self.weigh(score))
    }

    fn weigh(&mut self, score: f64) -> Step {
        let logarithm = score.max(1e-3).ln();
        let apart = self.scores.standardised(logarithm, LEAST_DEVIATION);
        let strength = strength(apart);
        let ready = self.seen > self.look.warm_up;
        // A strange score is remembered as a less strange one, so that it does not hide the next.
        let limit = self.scores.mean + 4.0 * self.scores.deviation().max(LEAST_DEVIATION);
        let learned = if ready { logarithm.min(limit) } else { logarithm };
        if self.seen > self.look.warm_up / 2 {
            self.scores.insert(learned, self.look.memory);
        }
        if !ready {
            return Step { score, strength: 0.0, anomaly: false };
        }
        let strange = strength >= self.look.threshold;
        let anomaly = match &mut self.episode {
            None if strange => {
                self.episode = Some(Episode { strongest: strength, calm: 0 });
                true
            }
            None => false,
            Some(episode) => {
                episode.calm = if strange { 0 } else { episode.calm + 1 };
                let stranger = strength >= STRANGER * episode.strongest;
                episode.strongest = episode.strongest.max(strength);
                if episode.calm > self.look.calm {
                    self.episode = None;
                }
                strange && stranger
            }
        };
        Step { score, strength, anomaly }
    }

    /// Which values of the last shingle make its score: by feature, each with its shares by step,
    /// oldest first. `None` before the shingle is full.
    #[must_use]
    pub fn blame(&self) -> Option<Blame> {
        self.forest.blame(&self.shingle)
    }
}

/// Logarithms of scores that differ by less differ by chance alone.
const LEAST_DEVIATION: f64 = 0.05;
/// How much stranger than its episode a step must be to count again.
const STRANGER: f64 = 1.3;

/// −log₁₀ of the chance that a normal number is at least so many deviations above its mean.
fn strength(deviations: f64) -> f64 {
    if deviations <= 0.0 {
        return 0.0;
    }
    (-upper_normal(deviations).log10()).min(STRONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    const SMALL: Look = Look {
        steps: 4,
        forest: Plan { trees: 20, points: 64, decay: 0.001 },
        warm_up: 100,
        memory: 400.0,
        threshold: 3.5,
        calm: 20,
    };

    /// A wave with a little noise.
    fn wave(at: u32, random: &mut Random) -> f64 {
        100.0 + 10.0 * (f64::from(at) / 8.0).sin() + random.unit()
    }

    /// What is said of a wave of 1,000 steps.
    fn said(seed: u64, values: impl Fn(u32, &mut Random) -> f64) -> Vec<Step> {
        let mut random = Random::seeded(seed);
        let mut series = Series::begin(1, SMALL, 1).unwrap();
        (0..1_000).map(|at| series.step(&[values(at, &mut random)]).unwrap()).collect()
    }

    fn strongest(said: &[Step]) -> usize {
        (0..said.len()).max_by(|&a, &b| said[a].strength.total_cmp(&said[b].strength)).unwrap()
    }

    #[test]
    fn a_spike_is_told_once_and_does_not_echo_while_it_leaves_the_shingle() {
        let said = said(1, |at, random| wave(at, random) + if at == 700 { 60.0 } else { 0.0 });
        assert!((700..704).contains(&strongest(&said)));
        assert!(said[700].anomaly && said[701..720].iter().all(|step| !step.anomaly));
    }

    #[test]
    fn a_wave_of_the_usual_height_at_the_wrong_time_is_found() {
        let said = said(2, |at, random| wave(if at >= 792 { at + 25 } else { at }, random));
        let strongest = strongest(&said);
        assert!((792..796).contains(&strongest), "{strongest}");
        assert!(said[792..796].iter().any(|step| step.anomaly));
    }

    #[test]
    fn it_says_nothing_before_it_knows_anything() {
        let mut series = Series::begin(1, SMALL, 1).unwrap();
        let strengths: Vec<f64> = (0..100u8)
            .map(|at| series.step(&[if at == 50 { 1e9 } else { 1.0 }]).unwrap().strength)
            .collect();
        assert!(strengths.iter().all(|&strength| strength == 0.0));
    }

    #[test]
    fn odd_steps_have_stated_answers() {
        let mut series = Series::begin(2, SMALL, 1).unwrap();
        assert_eq!(series.step(&[1.0]), None);
        for _ in 0..300 {
            let said = series.step(&[f64::NAN, 5.0]).unwrap();
            assert!(!said.anomaly && said.score.is_finite());
        }
        assert!(series.step(&[f64::INFINITY, 5.0]).is_some_and(|said| !said.anomaly));
        // A series that never moved moves.
        assert!(series.step(&[f64::NAN, 5.1]).unwrap().anomaly);
        assert_eq!(series.blame().unwrap().most(), Some(7));
    }

    #[test]
    fn a_restored_series_goes_on_to_the_very_bit() {
        let mut random = Random::seeded(3);
        let mut series = Series::begin(1, SMALL, 1).unwrap();
        for at in 0..300 {
            series.step(&[wave(at, &mut random)]);
        }
        let text = serde_json::to_string(&series).unwrap();
        let mut restored: Series = serde_json::from_str(&text).unwrap();
        for at in 300..500 {
            let value = wave(at, &mut random);
            assert_eq!(series.step(&[value]), restored.step(&[value]));
        }
        assert_eq!(series, restored);
        let damaged = text.replace("\"features\":1,\"seen\"", "\"features\":3,\"seen\"");
        assert!(damaged != text && serde_json::from_str::<Series>(&damaged).is_err());
    }

    #[test]
    fn a_strength_is_the_tail_of_the_normal_law() {
        // −log10 of 0.15865525, 0.0013498980 and 9.8659e-10.
        for (deviations, expected) in [(1.0, 0.799_545), (3.0, 2.869_699), (6.0, 9.005_864)] {
            assert!((strength(deviations) - expected).abs() < 1e-5, "{}", strength(deviations));
        }
        assert_eq!((strength(-1.0), strength(0.0), strength(50.0)), (0.0, 0.0, STRONGEST));
    }
}
