//! Metrics: what the collector counts of itself, in the OpenMetrics text format. The only file that
//! names the metrics library. Labels come from the configuration or from short fixed lists.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tidegate_detectors::custom_metric::MetricStatus;
use tidegate_detectors::finding::{Finding, Verdict};
use tidegate_detectors::performance::Metric;

use crate::decision::Decision;
use crate::judgement::Judgement;
use crate::labels::outcomes::LabelStatus;
use crate::state::{Crew, Standing};

/// Findings shown for each model, worst first: a profile may have thousands of features.
const TOP_FINDINGS: usize = 200;

/// Of the gauge that says who decides: this collector.
const LEADS: i64 = 2;

/// Why samples were lost after they had reached the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Loss {
    /// The mind had no room.
    Busy,
    /// The configuration knows no such model.
    UnknownModel,
    /// Cut, encoded, or not what the protocol says.
    Unreadable,
    /// Judged, and not kept: the store had no room, or its storage refused.
    Unkept,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: Loss,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDecision {
    model: String,
    decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFinding {
    model: String,
    feature: String,
    kind: &'static str,
    detector: &'static str,
}

/// What became of labels, as counts of a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    model: String,
    reason: &'static str,
}

/// One of the short fixed list of performance metrics, of a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPerformance {
    model: String,
    version: String,
    metric: &'static str,
}

/// A metric of a model's owner; configured, and few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMetric {
    model: String,
    metric: String,
}

/// The same, of rows that do not count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUncounted {
    model: String,
    metric: String,
    reason: &'static str,
}

type Performances = Family<OfPerformance, Gauge<f64, AtomicU64>>;

/// Handles to all metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    batches: Counter,
    samples: Counter,
    lost: Family<OfReason, Counter>,
    stored: Counter,
    rows: Family<OfModel, Gauge>,
    coverage: Family<OfModel, Gauge<f64, AtomicU64>>,
    verdict: Family<OfModel, Gauge>,
    effect: Family<OfFinding, Gauge<f64, AtomicU64>>,
    decisions: Family<OfDecision, Counter>,
    active: Family<OfDecision, Gauge>,
    acknowledgement: Histogram,
    refusals: Counter,
    journal_failures: Counter,
    envoys: Gauge,
    refusing: Gauge,
    standing: Gauge,
    collectors: Gauge,
    labels: Family<OfOutcome, Counter>,
    kept: Family<OfModel, Gauge>,
    realised: Performances,
    estimated: Performances,
    custom: Family<OfMetric, Gauge<f64, AtomicU64>>,
    custom_rows: Family<OfMetric, Gauge>,
    uncounted_rows: Family<OfUncounted, Gauge>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tidegate");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The collector's build", build);
        let batches = Counter::default();
        registry.register("intake_batches", "Batches taken from filters", batches.clone());
        let samples = Counter::default();
        registry.register("intake_samples", "Samples taken from filters", samples.clone());
        let lost = Family::default();
        registry.register("intake_samples_lost", "Samples lost after they arrived", lost.clone());
        let stored = Counter::default();
        registry.register("store_rows", "Rows of samples that were written", stored.clone());
        let rows = Family::default();
        registry.register("window_rows", "Rows in the last window", rows.clone());
        let coverage = Family::default();
        registry.register(
            "window_coverage",
            "Samples that arrived over exchanges seen, in the last window",
            coverage.clone(),
        );
        let verdict = Family::default();
        registry.register(
            "window_verdict",
            "Verdict of the last window: 0 healthy, 1 inconclusive, 2 warning, 3 alarm",
            verdict.clone(),
        );
        let effect = Family::default();
        registry.register(
            "finding_effect",
            "Effect sizes of the last window's worst findings",
            effect.clone(),
        );
        let decisions = Family::default();
        registry.register("decisions", "Decisions made", decisions.clone());
        let active = Family::default();
        registry.register("decision_active", "Decisions in force", active.clone());
        // From 1 ms to 16 s.
        let acknowledgement = Histogram::new(exponential_buckets(0.001, 2.0, 15));
        registry.register_with_unit(
            "decision_acknowledgement",
            "From the window's close to the acknowledgement of every Envoy",
            Unit::Seconds,
            acknowledgement.clone(),
        );
        let refusals = Counter::default();
        registry.register("xds_refusals", "Configurations that an Envoy refused", refusals.clone());
        let journal_failures = Counter::default();
        registry.register(
            "journal_failures",
            "Lines that the decision log did not take; nothing is decided meanwhile",
            journal_failures.clone(),
        );
        let envoys = Gauge::default();
        registry.register("xds_envoys", "Envoys connected", envoys.clone());
        let refusing = Gauge::default();
        registry.register(
            "xds_envoys_refusing",
            "Envoys that refuse something, and stay with the last that they took",
            refusing.clone(),
        );
        let standing = Gauge::default();
        // A state of its own leaves nobody else to decide.
        standing.set(LEADS);
        registry.register(
            "state_standing",
            "Who decides: 0 nobody that is known, 1 another collector, 2 this one",
            standing.clone(),
        );
        let collectors = Gauge::default();
        collectors.set(1);
        registry.register(
            "state_collectors",
            "Collectors that share the state",
            collectors.clone(),
        );
        let labels = Family::default();
        registry.register(
            "labels",
            "Labels, and rows that got none, by what became of them",
            labels.clone(),
        );
        let kept = Family::default();
        registry.register("labels_kept_rows", "Rows that are kept for labels", kept.clone());
        let (realised, estimated) = (Family::default(), Family::default());
        registry.register(
            "performance_realised",
            "How well the latest labelled answers did",
            realised.clone(),
        );
        registry.register(
            "performance_estimated",
            "How well the answers of the last window probably did",
            estimated.clone(),
        );
        let (custom, custom_rows) = (Family::default(), Family::default());
        registry.register("custom_metric", "The mean of a metric of your own", custom.clone());
        registry.register(
            "custom_metric_rows",
            "Rows that the mean of a metric of your own is of",
            custom_rows.clone(),
        );
        let uncounted_rows = Family::default();
        registry.register(
            "custom_metric_uncounted_rows",
            "Rows that a metric of your own has no value of: missing, or undefined",
            uncounted_rows.clone(),
        );
        Self {
            registry: Arc::new(registry),
            batches,
            samples,
            lost,
            stored,
            rows,
            coverage,
            verdict,
            effect,
            decisions,
            active,
            acknowledgement,
            refusals,
            journal_failures,
            envoys,
            refusing,
            standing,
            collectors,
            labels,
            kept,
            realised,
            estimated,
            custom,
            custom_rows,
            uncounted_rows,
        }
    }
}

impl Metrics {
    /// A batch was taken.
    pub fn batch(&self, samples: u64) {
        self.batches.inc();
        self.samples.inc_by(samples);
    }

    /// Samples were lost.
    pub fn lost(&self, reason: Loss, samples: u64) {
        if samples > 0 {
            self.lost.get_or_create(&OfReason { reason }).inc_by(samples);
        }
    }

    /// Rows of samples were written.
    pub fn stored(&self, rows: u64) {
        self.stored.inc_by(rows);
    }

    /// A window was judged, and another one before it.
    pub fn judged(&self, judgement: &Judgement, before: Option<&Judgement>) {
        let of_model = OfModel { model: judgement.model.clone() };
        let rows = i64::try_from(judgement.rows).unwrap_or(i64::MAX);
        self.rows.get_or_create(&of_model).set(rows);
        match judgement.coverage {
            Some(coverage) => {
                self.coverage.get_or_create(&of_model).set(coverage);
            }
            None => {
                self.coverage.remove(&of_model);
            }
        }
        let verdict = match judgement.verdict {
            Verdict::Healthy => 0,
            Verdict::Inconclusive => 1,
            Verdict::Warning => 2,
            Verdict::Alarm => 3,
        };
        self.verdict.get_or_create(&of_model).set(verdict);
        judgement.metrics.iter().for_each(|metric| self.measured(&judgement.model, metric));
        // What fell out of the list must not stand there for ever.
        for finding in before.into_iter().flat_map(worst) {
            self.effect.remove(&of_finding(&judgement.model, finding));
        }
        for finding in worst(judgement) {
            self.effect.get_or_create(&of_finding(&judgement.model, finding)).set(finding.effect);
        }
    }

    /// A metric of the owner of a model came to this.
    fn measured(&self, model: &str, status: &MetricStatus) {
        let (model, metric) = (model.to_owned(), status.name.clone());
        let of = OfMetric { model: model.clone(), metric: metric.clone() };
        match status.value {
            Some(value) => drop(self.custom.get_or_create(&of).set(value)),
            None => drop(self.custom.remove(&of)),
        }
        let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
        self.custom_rows.get_or_create(&of).set(count(status.rows));
        let uncounted = [("missing", status.missing_rows), ("undefined", status.undefined_rows)];
        for (reason, rows) in uncounted {
            let of = OfUncounted { model: model.clone(), metric: metric.clone(), reason };
            self.uncounted_rows.get_or_create(&of).set(count(rows));
        }
    }

    /// This is how labels of a model stand.
    pub fn labelled(&self, model: &str, status: &LabelStatus) {
        let counts = &status.counts;
        let outcomes = [
            ("joined", counts.joined),
            ("repeated", counts.repeated),
            ("conflicting", counts.conflicting),
            ("unknown", counts.unknown),
            ("row_dropped", counts.dropped_rows),
            ("row_expired", counts.expired_rows),
        ];
        for (reason, count) in outcomes {
            let of = OfOutcome { model: model.to_owned(), reason };
            // `unknown` may fall again: a label that met its answer after all is counted as that.
            let counter = self.labels.get_or_create(&of);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        let rows = i64::try_from(status.kept_rows).unwrap_or(i64::MAX);
        self.kept.get_or_create(&OfModel { model: model.to_owned() }).set(rows);
        for performance in &status.versions {
            let families = [
                (&self.realised, &performance.realised),
                (&self.estimated, &performance.estimated),
            ];
            for (family, measured) in families {
                for metric in Metric::ALL {
                    let of = OfPerformance {
                        model: model.to_owned(),
                        version: performance.version.clone(),
                        metric: metric.name(),
                    };
                    // What can no longer be said must not stand there for ever.
                    match measured.iter().find(|measured| measured.metric == metric) {
                        Some(measured) => drop(family.get_or_create(&of).set(measured.value)),
                        None => drop(family.remove(&of)),
                    }
                }
            }
        }
    }

    /// A decision was made.
    pub fn decided(&self, decision: &Decision) {
        let (model, decision) = (decision.model.clone(), decision.action.name());
        self.decisions.get_or_create(&OfDecision { model, decision }).inc();
    }

    /// The decision in force for a model is this one.
    pub fn in_force(&self, model: &str, active: Option<&Decision>) {
        let active = active.filter(|decision| decision.changes_routes());
        for decision in ["shadow", "canary", "divert", "block"] {
            let now = active.is_some_and(|active| active.action.name() == decision);
            let of_decision = OfDecision { model: model.to_owned(), decision };
            self.active.get_or_create(&of_decision).set(i64::from(now));
        }
    }

    /// The decision log did not take a line.
    pub fn journal_failed(&self) {
        self.journal_failures.inc();
    }

    /// A decision was acknowledged by every Envoy.
    pub fn acknowledged(&self, seconds: f64) {
        self.acknowledgement.observe(seconds);
    }

    /// An Envoy refused a configuration.
    pub fn refused(&self) {
        self.refusals.inc();
    }

    /// So many Envoys are connected, and so many of them refuse something.
    pub fn envoys(&self, connected: usize, refusing: usize) {
        self.envoys.set(i64::try_from(connected).unwrap_or(i64::MAX));
        self.refusing.set(i64::try_from(refusing).unwrap_or(i64::MAX));
    }

    /// The collectors that share the state stand like this.
    pub fn crew(&self, crew: &Crew) {
        self.standing.set(match crew.standing {
            Standing::Lost { .. } => 0,
            Standing::Follows { .. } => 1,
            Standing::Leads => LEADS,
        });
        self.collectors.set(i64::try_from(crew.members).unwrap_or(i64::MAX));
    }

    /// All of it, as Prometheus reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

fn worst(judgement: &Judgement) -> impl Iterator<Item = &Finding> {
    judgement.findings.iter().take(TOP_FINDINGS)
}

fn of_finding(model: &str, finding: &Finding) -> OfFinding {
    OfFinding {
        model: model.to_owned(),
        feature: finding.feature.clone().unwrap_or_default(),
        kind: finding.kind.name(),
        detector: finding.detector.name(),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_detectors::custom_metric::MetricStatus;
    use tidegate_detectors::finding::Verdict;

    use super::Metrics;
    use crate::fixture::judgement;

    #[test]
    fn a_metric_of_ones_own_is_shown_while_there_is_a_value() {
        let metrics = Metrics::default();
        let mut status = MetricStatus {
            name: "approval_rate".to_owned(),
            value: Some(0.25),
            interval: Some((0.2, 0.3)),
            rows: 400,
            missing_rows: 3,
            undefined_rows: 0,
            min: None,
            max: Some(0.4),
        };
        let judged = |status: &MetricStatus| {
            metrics.judged(&judgement(Verdict::Healthy).measured(vec![status.clone()]), None);
            metrics.text()
        };
        let text = judged(&status);
        let labels = "model=\"census\",metric=\"approval_rate\"";
        for line in [
            format!("tidegate_custom_metric{{{labels}}} 0.25"),
            format!("tidegate_custom_metric_rows{{{labels}}} 400"),
            format!("tidegate_custom_metric_uncounted_rows{{{labels},reason=\"missing\"}} 3"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        status.value = None;
        let text = judged(&status);
        assert!(!text.contains("tidegate_custom_metric{"), "{text}");
    }
}
