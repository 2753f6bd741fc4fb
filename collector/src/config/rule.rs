//! The rules of a policy as the configuration resolves them: which findings lead to which decision.
//! It does not apply them.

use std::fmt;
use std::time::Duration;

use tidegate_contract::segment::Segment;
use tidegate_detectors::finding::{Detector, Kind};

use super::duration;

/// One rule: such findings, so often, lead to this decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The kind of finding that it looks at.
    pub on: Kind,
    /// How bad the finding must be; an alarm also satisfies a rule for warnings.
    pub verdict: Severity,
    /// Only of this detector, where one is named.
    pub detector: Option<Detector>,
    /// Only of this feature, where one is named.
    pub feature: Option<String>,
    /// Only where the window holds evidence enough.
    pub least: Least,
    /// In how many windows in a row; at least 1.
    pub windows: u32,
    /// How bad findings must stay for a decision in force to be carried on: easier to keep than to
    /// reach, so that nothing flaps.
    pub holds: Severity,
    /// What is then done.
    pub then: Action,
    /// After how long the decision ends by itself; above 0, at most 30 days.
    pub expires: Duration,
    /// How long nothing else is decided for the model after this decision; at most 30 days.
    pub cooldown: Duration,
    /// Whether a person must agree first; always [`Approval::Required`] for a canary.
    pub approval: Approval,
}

/// What a finding must have before a rule looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Least {
    /// The effect, 0 to 1, beyond what the detectors ask for.
    pub effect: f64,
    /// Samples that arrived over exchanges seen, 0 to 1. Where nothing was seen there is none.
    pub coverage: f64,
    /// Observations of the window that the test used.
    pub rows: u64,
}

/// The verdicts that a rule can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// Worth acting upon.
    Alarm,
}

/// What a decision does. `to` always names a version of the model that is not its primary.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A copy of a share of the traffic goes to a version; its answers are thrown away.
    Shadow {
        /// The version.
        to: String,
        /// Percent of the traffic, 1 to 100.
        share: u8,
    },
    /// A share of the traffic is served by a candidate.
    Canary {
        /// The version; its role is candidate.
        to: String,
        /// Percent of the traffic, 1 to 99.
        share: u8,
    },
    /// The traffic is served by a fallback.
    Divert {
        /// The version; its role is fallback.
        to: String,
        /// Which of the traffic.
        of: Part,
    },
    /// The model is not asked.
    Block {
        /// For which of the traffic.
        of: Part,
        /// After how long clients may ask again, in seconds; from 1 to a day.
        retry_after_seconds: Option<u32>,
    },
}

impl Action {
    /// Which of the traffic it is about; `None` where that is a matter of shares.
    #[must_use]
    pub fn part(&self) -> Option<&Part> {
        match self {
            Self::Divert { of, .. } | Self::Block { of, .. } => Some(of),
            Self::Shadow { .. } | Self::Canary { .. } => None,
        }
    }
}

/// Which of a model's traffic a decision is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// All of it.
    All,
    /// What belongs to a segment.
    Where(Segment),
    /// What the findings say has drifted; all of it where they cannot say.
    Drifted,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Where(segment) => write!(f, " where {segment}"),
            Self::Drifted => f.write_str(", segment drifted"),
        }
    }
}

/// Whether a person must agree before a decision takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Approval {
    /// It takes effect at once.
    Automatic,
    /// It waits for a person.
    Required,
}

/// The rule as it could be written in one line; decisions carry it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Severity::Warning => "warning",
            Severity::Alarm => "alarm",
        };
        write!(f, "on {}, verdict {verdict}", self.on.name())?;
        if let Some(detector) = self.detector {
            write!(f, ", detector {}", detector.name())?;
        }
        if let Some(feature) = &self.feature {
            write!(f, ", feature {feature}")?;
        }
        for (name, least) in
            [("min_effect", self.least.effect), ("min_coverage", self.least.coverage)]
        {
            if least > 0.0 {
                write!(f, ", {name} {least}")?;
            }
        }
        if self.least.rows > 0 {
            write!(f, ", min_rows {}", self.least.rows)?;
        }
        write!(f, ", windows {}: then ", self.windows)?;
        match &self.then {
            Action::Shadow { to, share } => write!(f, "shadow {share} % to {to}")?,
            Action::Canary { to, share } => write!(f, "canary {share} % to {to}")?,
            Action::Divert { to, of } => write!(f, "divert to {to}{of}")?,
            Action::Block { of, .. } => write!(f, "block{of}")?,
        }
        let approval = match self.approval {
            Approval::Automatic => "automatic",
            Approval::Required => "required",
        };
        write!(f, ", expires {}, approval {approval}", duration::show(self.expires))
    }
}
