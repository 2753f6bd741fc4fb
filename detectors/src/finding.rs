//! What a detector found in a window: the evidence a decision is made of, as people and programs read it.
//!
//! It does not know how a finding came about, nor what a policy will make of it.

use serde::{Deserialize, Serialize};

/// What a finding concludes, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Enough evidence, and no effect that matters.
    Healthy,
    /// Too little evidence to say.
    Inconclusive,
    /// An effect that matters, with evidence for this look alone.
    Warning,
    /// An effect that matters, with evidence that holds at every look.
    Alarm,
}

/// What kind of trouble a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Values are distributed otherwise than in the reference.
    DataDrift,
    /// The model's answers are distributed otherwise than in the reference.
    OutputDrift,
    /// The model errs more than it did, or a metric of its owner's is beyond its limit.
    ConceptDrift,
    /// Exchanges break the contract.
    DataFormatDrift,
    /// Values are missing more, or less, often than in the reference, or exchanges than is usual.
    Completeness,
    /// Rows come later than they may, or values stand still.
    Timeliness,
    /// More rows lie far out than in the reference.
    Outliers,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::DataDrift,
        Self::OutputDrift,
        Self::ConceptDrift,
        Self::DataFormatDrift,
        Self::Completeness,
        Self::Timeliness,
        Self::Outliers,
    ];

    /// The word that rules and people use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DataDrift => "data_drift",
            Self::OutputDrift => "output_drift",
            Self::ConceptDrift => "concept_drift",
            Self::DataFormatDrift => "data_format_drift",
            Self::Completeness => "completeness",
            Self::Timeliness => "timeliness",
            Self::Outliers => "outliers",
        }
    }
}

/// Which test was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// [`crate::ks`] on a column of numbers.
    KolmogorovSmirnov,
    /// [`crate::chi2`] on a column of categories.
    ChiSquared,
    /// [`crate::proportion`] on missing values.
    NullRate,
    /// [`crate::proportion`] on contract violations.
    ViolationRate,
    /// [`crate::limit`] on what the contract allows.
    Limit,
    /// [`crate::association`] on pairs of columns of numbers.
    Correlation,
    /// [`crate::cluster::mass`] on how rows fall into clusters.
    ClusterMass,
    /// [`crate::joint`] on rows that stand out.
    OutlierRate,
    /// [`crate::copula`] on rows whose numbers contradict each other.
    Copula,
    /// [`crate::mmd`] on the joint law of columns of numbers.
    Mmd,
    /// [`crate::volume`] on how many exchanges there are.
    Volume,
    /// [`crate::limit`] on rows that come late.
    LateRate,
    /// A column of numbers of which one has taken the place of many.
    Stuck,
    /// [`crate::performance::decline`] on rows that a label has joined.
    RealisedError,
    /// [`crate::custom_metric`] on a metric of its owner's.
    Metric,
}

impl Detector {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::KolmogorovSmirnov,
        Self::ChiSquared,
        Self::NullRate,
        Self::ViolationRate,
        Self::Limit,
        Self::Correlation,
        Self::ClusterMass,
        Self::OutlierRate,
        Self::Copula,
        Self::Mmd,
        Self::Volume,
        Self::LateRate,
        Self::Stuck,
        Self::RealisedError,
        Self::Metric,
    ];

    /// The word that metrics and people use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KolmogorovSmirnov => "kolmogorov_smirnov",
            Self::ChiSquared => "chi_squared",
            Self::NullRate => "null_rate",
            Self::ViolationRate => "violation_rate",
            Self::Limit => "limit",
            Self::Correlation => "correlation",
            Self::ClusterMass => "cluster_mass",
            Self::OutlierRate => "outlier_rate",
            Self::Copula => "copula",
            Self::Mmd => "mmd",
            Self::Volume => "volume",
            Self::LateRate => "late_rate",
            Self::Stuck => "stuck",
            Self::RealisedError => "realised_error",
            Self::Metric => "metric",
        }
    }
}

/// Which way the window moved away from the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The window's values, or its rate, are higher.
    Higher,
    /// The window's values, or its rate, are lower.
    Lower,
}

impl Direction {
    /// The way of a difference, window less reference; `None` where there is none.
    #[must_use]
    pub fn of(difference: f64) -> Option<Self> {
        match difference {
            difference if difference > 0.0 => Some(Self::Higher),
            difference if difference < 0.0 => Some(Self::Lower),
            _ => None,
        }
    }
}

/// Evidence that holds however often one looks; see [`crate::sequential`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What bets against no change have grown to: an e-value, 0 or more.
    pub value: f64,
    /// From how much on it is an alarm: one over the level.
    pub enough: f64,
    /// Since when values seem changed, in Unix milliseconds; `None` where nothing speaks for it.
    pub since_unix_ms: Option<i64>,
}

/// Which values of a feature the window has more of than the reference; see [`crate::excess`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excess {
    /// Numbers above the one and up to the other; `None` where there is no such end.
    Range {
        /// Greater than this.
        above: Option<f64>,
        /// At most this.
        upto: Option<f64>,
    },
    /// These levels.
    Levels(Vec<String>),
    /// No value at all.
    Missing,
}

/// One detector's judgement of one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The test that was made.
    pub detector: Detector,
    /// The kind of trouble it looks for.
    pub kind: Kind,
    /// The feature, or the name of the metric; `None` where the whole exchange, or several features together, are judged.
    pub feature: Option<String>,
    /// Of several features together, those to blame, the most to blame first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// The conclusion.
    pub verdict: Verdict,
    /// The test's statistic: D, χ², or the difference of rates, of correlations or from a limit.
    pub statistic: f64,
    /// How large the change is, 0 to 1: D, total variation distance, |difference of rates|, or half the
    /// |difference of correlations|; beyond a limit as far as [`crate::custom_metric`] says.
    pub effect: f64,
    /// Between what the effect lies with a confidence of 95 % at least, 0 to 1: the band of
    /// Dvoretzky, Kiefer & Wolfowitz for distributions, which by McDiarmid's inequality holds for
    /// shares and their distances, too.
    pub effect_interval: (f64, f64),
    /// The effect from which on a change matters.
    pub min_effect: f64,
    /// Probability of a statistic at least as extreme without any change.
    pub p_value: f64,
    /// The same, corrected for all tests of the window (Holm).
    pub adjusted_p_value: f64,
    /// The level that `adjusted_p_value` must reach for an alarm.
    pub alpha: f64,
    /// The evidence of all rows so far, where somebody bets on them.
    pub evidence: Option<Evidence>,
    /// The smallest effect this window could have shown at `alpha`, 0 to 1.
    pub detectable: f64,
    /// Observations of the window that the test used (rows, or exchanges).
    pub rows: u64,
    /// Observations of the reference that the test used.
    pub reference_rows: u64,
    /// The share of exchanges whose sample was received, 0 to 1; `None` when none was seen.
    pub coverage: Option<f64>,
    /// Which way the window moved; `None` where there is no order, or no movement.
    pub direction: Option<Direction>,
    /// The reference, in a few words.
    pub was: String,
    /// The window, in the same words.
    pub now: String,
    /// Which values there are too many of, where the change matters and its place can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excess: Option<Excess>,
}

impl Finding {
    /// What it is about: its feature, several of them, or `all` where the whole exchange is judged.
    #[must_use]
    pub fn subject(&self, all: &str) -> String {
        match &self.feature {
            Some(feature) => feature.clone(),
            None if self.features.is_empty() => all.to_owned(),
            None => self.features.join(", "),
        }
    }

    /// Whether this feature is what it is about, or one of those to blame.
    #[must_use]
    pub fn is_about(&self, name: &str) -> bool {
        self.feature.iter().chain(&self.features).any(|feature| feature == name)
    }
}
