//! How well a model does: what its answers are worth once it is known what was true, and what they
//! are probably worth before that.
//!
//! It knows rows that a label has joined, and the scores of rows that none has; it does not know
//! where labels come from, nor how late they are. Realised figures are those of scikit-learn, to
//! rounding. What cannot be said of some rows (the recall where nothing was positive, a log loss of
//! scores that are no probabilities) is left out, not made up.

pub mod binary;
pub mod calibration;
pub mod classes;
pub mod decline;
pub mod estimate;
pub(crate) mod interval;
pub mod regression;
mod roc;

use serde::{Deserialize, Serialize};

/// What is measured of a model's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of answers that were right.
    Accuracy,
    /// Of what was said to be positive, the share that was.
    Precision,
    /// Of what was positive, the share that was said to be.
    Recall,
    /// The harmonic mean of precision and recall.
    F1,
    /// The mean of the classes' F1.
    MacroF1,
    /// The mean negative logarithm of the probability that the truth was given.
    LogLoss,
    /// The mean squared difference between the probability and the truth.
    Brier,
    /// The chance that of a positive and a negative row the positive one has the higher score.
    RocAuc,
    /// The mean absolute error.
    MeanAbsoluteError,
    /// The root of the mean squared error.
    RootMeanSquaredError,
    /// The share of the truth's variance that the answers explain.
    RSquared,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Accuracy,
        Self::Precision,
        Self::Recall,
        Self::F1,
        Self::MacroF1,
        Self::LogLoss,
        Self::Brier,
        Self::RocAuc,
        Self::MeanAbsoluteError,
        Self::RootMeanSquaredError,
        Self::RSquared,
    ];

    /// The word that metrics and people use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::MacroF1 => "macro_f1",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
            Self::RocAuc => "roc_auc",
            Self::MeanAbsoluteError => "mean_absolute_error",
            Self::RootMeanSquaredError => "root_mean_squared_error",
            Self::RSquared => "r_squared",
        }
    }
}

/// One metric of some rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
    /// Between what it lies with a confidence of 95 %.
    pub interval: (f64, f64),
    /// Rows that it was measured on.
    pub rows: u64,
}

/// A row of a model that answers yes or no, and what was true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// What the model said: the higher, the more it speaks for a positive.
    pub score: f64,
    /// Whether it was one.
    pub positive: bool,
}

/// Whether all scores can be probabilities, and some are more than a yes or no.
fn probabilities(scores: impl Iterator<Item = f64>) -> bool {
    let (mut all, mut some) = (true, false);
    for score in scores {
        all &= (0.0..=1.0).contains(&score);
        some |= score > 0.0 && score < 1.0;
    }
    all && some
}

/// −ln of a probability, cut as scikit-learn cuts it, so that a certainty that was wrong costs 36,
/// not infinitely much.
fn surprise(probability: f64) -> f64 {
    -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Two hundred rows by a rule that the oracles of the tests were given, too, with ties among the
/// scores.
#[cfg(test)]
fn specimen() -> Vec<Scored> {
    let row = |at: u32| {
        let score = f64::from(at * 37 % 101) / 101.0;
        let positive = f64::from(at * 53 % 97) / 97.0 < score * 0.8 + 0.1;
        Scored { score: (score * 50.0).round() / 50.0, positive }
    };
    (0..200).map(row).collect()
}
