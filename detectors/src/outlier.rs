//! What every scorer of rows shares: a score becomes a tail probability by comparison with rows
//! of the training data that the scorer was not fitted on. It does not know how a score arises.
//!
//! The tail probability is the conformal p-value (Vovk, Gammerman & Shafer, 2005): with n held-out
//! scores, p = (1 + how many are at least as large) / (n + 1). For a row that is exchangeable with
//! the held-out ones P(p ≤ α) ≤ α, whatever the scorer and however few rows. The price is said
//! too: p is never below 1/(n + 1), so a threshold for a smaller α does not exist.

use serde::{Deserialize, Serialize};

/// Held-out scores that are kept one by one; among the lower ones some are passed over.
const KEPT: usize = 4_096;

/// Scores a row: the larger, the stranger.
pub trait Scorer {
    /// Values in a row.
    fn features(&self) -> usize;

    /// The score of a row; `None` where it has another width or no value that is not NaN.
    fn score(&self, row: &[f64]) -> Option<f64>;

    /// Which features make the score. `None` as [`Scorer::score`].
    fn blame(&self, row: &[f64]) -> Option<Blame>;
}

/// Each feature's share of a score: not negative, adding up to 1, or all 0 where nothing stands out.
#[derive(Debug, Clone, PartialEq)]
pub struct Blame {
    shares: Vec<f64>,
}

impl Blame {
    /// Shares in proportion to these amounts; negative ones and NaN count as 0.
    #[must_use]
    pub fn of(amounts: impl IntoIterator<Item = f64>) -> Self {
        let mut shares: Vec<f64> = amounts.into_iter().map(|amount| amount.max(0.0)).collect();
        let largest = shares.iter().copied().fold(0.0, f64::max);
        if largest.is_infinite() {
            for share in &mut shares {
                *share = f64::from(u8::from(share.is_infinite()));
            }
        }
        let total: f64 = shares.iter().sum();
        for share in &mut shares {
            *share = if total > 0.0 { *share / total } else { 0.0 };
        }
        Blame { shares }
    }

    /// The share of each feature, in the order of the row.
    #[must_use]
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// The feature with the largest share; `None` where nothing stands out.
    #[must_use]
    pub fn most(&self) -> Option<usize> {
        self.ranked().first().map(|&(feature, _)| feature)
    }

    /// Features with a share, the largest first.
    #[must_use]
    pub fn ranked(&self) -> Vec<(usize, f64)> {
        let mut ranked: Vec<_> =
            self.shares.iter().copied().enumerate().filter(|&(_, share)| share > 0.0).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked
    }
}

/// A held-out score, how many are at least as large, and how many are larger. It is written as a list of these,
/// in their order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "(f64, u64, u64)", from = "(f64, u64, u64)")]
struct Step {
    score: f64,
    at_least: u64,
    above: u64,
}

impl From<Step> for (f64, u64, u64) {
    fn from(Step { score, at_least, above }: Step) -> Self {
        (score, at_least, above)
    }
}

impl From<(f64, u64, u64)> for Step {
    fn from((score, at_least, above): (f64, u64, u64)) -> Self {
        Step { score, at_least, above }
    }
}

/// Scores of held-out rows, as a table from score to tail probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    rows: u64,
    /// Falling scores, rising counts.
    steps: Vec<Step>,
}

impl Calibration {
    /// From the scores of rows that the scorer was not fitted on; NaN are left out.
    #[must_use]
    pub fn of(scores: impl IntoIterator<Item = f64>) -> Self {
        let mut scores: Vec<f64> = scores.into_iter().filter(|score| !score.is_nan()).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let mut steps: Vec<Step> = vec![];
        for (place, &score) in scores.iter().enumerate() {
            let at_least = place as u64 + 1;
            match steps.last_mut() {
                Some(step) if step.score == score => step.at_least = at_least,
                _ => steps.push(Step { score, at_least, above: place as u64 }),
            }
        }
        let rows = scores.len() as u64;
        let steps = if steps.len() > KEPT { thinned(&steps) } else { steps };
        Calibration { rows, steps }
    }

    /// Held-out rows behind this.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The chance that a row like those of training scores at least this much. Never smaller than
    /// 1/(rows + 1); 1 without held-out rows and for NaN.
    #[must_use]
    pub fn tail(&self, score: f64) -> f64 {
        if score.is_nan() {
            return 1.0;
        }
        let place = self.steps.partition_point(|step| step.score > score);
        let at_least = match self.steps.get(place) {
            Some(step) if step.score == score => step.at_least,
            // Those passed over between two steps may all be larger: the promise counts them so.
            Some(step) => step.above,
            None => self.rows,
        };
        (at_least as f64 + 1.0) / (self.rows as f64 + 1.0)
    }

    /// The least score whose tail probability is at most `alpha`; `None` where there are too few
    /// held-out rows to promise that: 1/alpha − 1 are needed.
    #[must_use]
    pub fn threshold(&self, alpha: f64) -> Option<f64> {
        let allowed = alpha * (self.rows as f64 + 1.0) - 1.0;
        if self.rows == 0 || allowed.is_nan() || allowed < 0.0 {
            return None;
        }
        let over = self.steps.partition_point(|step| step.at_least as f64 <= allowed);
        match self.steps.get(over) {
            None => Some(f64::NEG_INFINITY),
            Some(step) if step.above as f64 <= allowed => Some(step.score.next_up()),
            Some(_) => over.checked_sub(1).map(|at| self.steps[at].score),
        }
    }

    /// The same in a few steps, each of which counts for twice as many rows as the one before: tails are never
    /// smaller than they were, and hardly twice as large.
    #[must_use]
    pub fn condensed(&self) -> Self {
        let mut least = 1;
        let doubles = |step: &&Step| {
            let kept = step.at_least >= least;
            least = if kept { 2 * step.at_least } else { least };
            kept
        };
        Calibration { rows: self.rows, steps: self.steps.iter().filter(doubles).copied().collect() }
    }

    /// How far the promise can be off for these held-out rows: with the given confidence a share
    /// of at most this of future rows has a tail probability up to `alpha`. The share is a Beta
    /// variable (Vovk 2012), bounded here by Dvoretzky, Kiefer & Wolfowitz with Massart's constant:
    /// alpha + √(ln(1/(1 − confidence)) / 2n). 1 without rows.
    #[must_use]
    pub fn surely_at_most(&self, alpha: f64, confidence: f64) -> f64 {
        if self.rows == 0 {
            return 1.0;
        }
        let doubt = (1.0 - confidence).clamp(f64::MIN_POSITIVE, 1.0);
        (alpha + ((1.0 / doubt).ln() / (2.0 * self.rows as f64)).sqrt()).min(1.0)
    }
}

/// The largest half of what is kept one by one, and evenly many below.
fn thinned(steps: &[Step]) -> Vec<Step> {
    let (top, rest) = steps.split_at(KEPT / 2);
    let stride = rest.len().div_ceil(KEPT / 2);
    let last = rest.len() - 1;
    let kept =
        rest.iter().enumerate().filter(|(place, _)| place % stride == stride - 1 || *place == last);
    top.iter().copied().chain(kept.map(|(_, step)| *step)).collect()
}

/// What a calibrated scorer says of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The scorer's own scale.
    pub score: f64,
    /// The chance of a score at least as large without anything being wrong.
    pub tail: f64,
    /// Which features make the score.
    pub blame: Blame,
}

/// A scorer and what its scores mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated<S> {
    /// The scorer, fitted on one part of the training data.
    pub scorer: S,
    /// Its scores of the other part.
    pub calibration: Calibration,
}

impl<S: Scorer> Calibrated<S> {
    /// Calibrates a fitted scorer with rows that it was not fitted on.
    pub fn with<'r>(scorer: S, held_out: impl IntoIterator<Item = &'r [f64]>) -> Self {
        let scores = held_out.into_iter().filter_map(|row| scorer.score(row));
        let calibration = Calibration::of(scores);
        Calibrated { scorer, calibration }
    }

    /// Judges a row. `None` as [`Scorer::score`].
    pub fn judge(&self, row: &[f64]) -> Option<Judged> {
        let score = self.scorer.score(row)?;
        let blame = self.scorer.blame(row)?;
        Some(Judged { score, tail: self.calibration.tail(score), blame })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    #[test]
    fn in_a_few_steps_tails_are_hardly_larger_and_never_smaller() {
        let mut random = Random::seeded(4);
        let whole = Calibration::of((0..3_000).map(|_| (random.unit() * 5_000.0).floor()));
        let condensed = whole.condensed();
        assert!(condensed.steps.len() <= 12, "{}", condensed.steps.len());
        for score in (0..=51).map(|score| f64::from(score) * 100.0) {
            let (exact, few) = (whole.tail(score), condensed.tail(score));
            assert!(exact <= few && few <= 2.1 * exact, "{score}: {exact} {few}");
        }
        assert_eq!(condensed.tail(1e9), whole.tail(1e9));
    }

    #[test]
    fn four_scores_by_hand() {
        let calibration = Calibration::of([1.0, 2.0, 2.0, 4.0, f64::NAN]);
        assert_eq!(calibration.rows(), 4);
        let tails = [5.0, 4.0, 3.0, 2.0, 1.5, 1.0, 0.0].map(|score| calibration.tail(score));
        assert_eq!(tails, [0.2, 0.4, 0.4, 0.8, 0.8, 1.0, 1.0]);
        assert_eq!(calibration.threshold(0.2), Some(4f64.next_up()));
        assert_eq!(calibration.threshold(0.4), Some(2f64.next_up()));
        assert_eq!(calibration.threshold(1.0), Some(f64::NEG_INFINITY));
        assert_eq!(calibration.threshold(0.19), None);
    }

    #[test]
    fn nothing_is_promised_without_rows_or_for_nan() {
        let empty = Calibration::of([]);
        assert_eq!((empty.tail(9.0), empty.threshold(0.5)), (1.0, None));
        assert_eq!(empty.surely_at_most(0.05, 0.95), 1.0);
        assert_eq!(Calibration::of([1.0]).tail(f64::NAN), 1.0);
        assert_eq!(Calibration::of([1.0]).threshold(f64::NAN), None);
    }

    #[test]
    fn a_threshold_has_the_tail_it_was_asked_for() {
        let mut random = Random::seeded(1);
        let calibration = Calibration::of((0..999).map(|_| (random.unit() * 300.0).floor()));
        for alpha in [0.001, 0.01, 0.05, 0.3] {
            let threshold = calibration.threshold(alpha).unwrap();
            assert!(calibration.tail(threshold) <= alpha);
            assert!(calibration.tail(threshold.next_down()) > alpha);
        }
    }

    #[test]
    fn thinning_can_only_make_a_tail_larger_and_keeps_the_rare_end() {
        let mut random = Random::seeded(2);
        let scores: Vec<f64> = (0..50_000).map(|_| random.unit()).collect();
        let thin = Calibration::of(scores.iter().copied());
        assert!(thin.steps.len() <= KEPT + 1);
        for at in 0..200 {
            let score = f64::from(at) / 200.0;
            let exact = scores.iter().filter(|&&other| other >= score).count() as f64 + 1.0;
            let exact = exact / 50_001.0;
            assert!(thin.tail(score) >= exact && thin.tail(score) <= exact + 0.001);
        }
        let highest = scores.iter().copied().fold(0.0, f64::max);
        assert_eq!(thin.tail(highest), 2.0 / 50_001.0);
    }

    #[test]
    fn false_alarms_stay_at_the_level_on_average() {
        let mut random = Random::seeded(3);
        let mut alarms = 0;
        for _ in 0..2_000 {
            let calibration = Calibration::of((0..19).map(|_| random.unit()));
            alarms += u32::from(calibration.tail(random.unit()) <= 0.05);
        }
        // 100 expected; four standard errors are 39.
        assert!(alarms.abs_diff(100) <= 39, "{alarms}");
    }

    #[test]
    fn blame_adds_up_to_one_and_infinities_take_it_all() {
        assert_eq!(Blame::of([1.0, 3.0, -2.0]).shares(), [0.25, 0.75, 0.0]);
        assert_eq!(Blame::of([1.0, f64::INFINITY]).shares(), [0.0, 1.0]);
        assert_eq!(Blame::of([0.0, f64::NAN]).most(), None);
        assert_eq!(Blame::of([1.0, 3.0]).ranked()[0].0, 1);
    }
}
