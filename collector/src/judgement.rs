//! A judgement: all findings of one window of one model. It does not know what follows from it.

use serde::Serialize;
use tidegate_detectors::cause::{Cause, causes};
use tidegate_detectors::custom_metric::MetricStatus;
use tidegate_detectors::finding::{Finding, Verdict};
use tidegate_detectors::reference::Reference;
use tidegate_detectors::window::Exchanges;

use crate::decision::UnixMillis;

/// What the detectors say of one window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The model.
    pub model: String,
    /// When the window closed.
    pub closed_unix_ms: UnixMillis,
    /// Rows read from samples in it.
    pub rows: u64,
    /// Exchanges that the filter saw in it, sampled or not.
    pub exchanges: u64,
    /// Samples that arrived over exchanges seen; `None` when nothing was seen.
    pub coverage: Option<f64>,
    /// Samples known to be lost on the way or unreadable.
    pub dropped: u64,
    /// The worst of the findings; `inconclusive` when there are none.
    pub verdict: Verdict,
    /// Worst first, then by how far each exceeds the effect that matters.
    pub findings: Vec<Finding>,
    /// What the metrics of the model's owner came to.
    pub metrics: Vec<MetricStatus>,
    /// Which of the findings at warning or worse share a cause, by their places; the worst cause first.
    pub causes: Vec<Cause>,
}

impl Judgement {
    /// Puts findings in order, draws the verdict, and groups what shares a cause by what the reference
    /// knows of the features together.
    #[must_use]
    pub fn of(
        model: &str,
        closed_unix_ms: UnixMillis,
        rows: u64,
        exchanges: Exchanges,
        findings: Vec<Finding>,
        reference: &Reference,
    ) -> Self {
        let judgement = Self {
            model: model.to_owned(),
            closed_unix_ms,
            rows,
            exchanges: exchanges.seen,
            coverage: exchanges.coverage(),
            dropped: exchanges.dropped,
            verdict: Verdict::Inconclusive,
            findings: Vec::new(),
            metrics: Vec::new(),
            causes: Vec::new(),
        };
        judgement.with(findings, reference)
    }

    /// With what the metrics of the model's owner came to.
    #[must_use]
    pub fn measured(self, metrics: Vec<MetricStatus>) -> Self {
        Self { metrics, ..self }
    }

    /// With more findings, of what does not stand in the window's rows.
    #[must_use]
    pub fn with(mut self, more: Vec<Finding>, reference: &Reference) -> Self {
        self.findings.extend(more);
        self.findings.sort_by(|a, b| {
            b.verdict.cmp(&a.verdict).then_with(|| excess(b).total_cmp(&excess(a)))
        });
        self.verdict = self.findings.first().map_or(Verdict::Inconclusive, |worst| worst.verdict);
        self.causes = causes(&self.findings, reference);
        self
    }
}

/// How many times the effect that matters.
fn excess(finding: &Finding) -> f64 {
    finding.effect / finding.min_effect.max(f64::MIN_POSITIVE)
}
