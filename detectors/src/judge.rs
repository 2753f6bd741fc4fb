//! From statistics to verdicts: every test of a window, corrected together, held against the rules.
//!
//! It does not know time, the model's name or what a verdict leads to.

mod arrival;

use crate::association::Change;
use crate::chi2;
use crate::correction::{cauchy, holm, step_down};
use crate::custom_metric::CustomMetric;
use crate::excess;
use crate::finding::{Detector, Direction, Finding, Kind, Verdict};
use crate::gamma::upper_normal;
use crate::joint::tally::{Outliers, Tally};
use crate::joint::{Clusters, Joint, Threshold};
use crate::ks::{self, Ks};
use crate::limit::{self, Limit, Limited};
use crate::proportion::{self, Rate};
use crate::reference::{Feature, Reference, Values};
use crate::scores::{self, normal_quantile};
use crate::summary::{CategorySummary, NumberSummary};
use crate::window::Window;

/// Seconds of the month over which false alarms are budgeted: 30 days.
const MONTH_SECONDS: f64 = 30.0 * 86_400.0;

/// Tests of what the features of a joint do together, at most.
pub const TOGETHER: usize = 5;

/// Features that are named as those to blame, unless they are so for less than a third of the first.
const BLAMED: usize = 3;
const LESS: f64 = 3.0;

/// The share of intervals that do not hold the true effect.
const DOUBT: f64 = 0.05;

/// The largest level that [`alpha_per_look`] returns, however generous the budget.
const LARGEST_ALPHA: f64 = 0.05;

/// From which effect on a change matters, by kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinEffect {
    /// For D of numbers and the total variation distance of categories, 0 to 1.
    pub data_drift: f64,
    /// For the difference of null rates, 0 to 1.
    pub completeness: f64,
    /// For the difference of violation rates, 0 to 1.
    pub data_format_drift: f64,
    /// For the rise of the error rate, or of the mean rank of errors, 0 to 1.
    pub concept_drift: f64,
    /// For the rise of the share of rows that stand out, 0 to 1.
    pub outliers: f64,
    /// For how many exchanges there are, against how many are usual: the part of the larger count that
    /// the smaller one lacks, 0 to 1.
    pub volume: f64,
    /// For the share of rows that come late, beyond what is allowed, 0 to 1.
    pub timeliness: f64,
}

impl MinEffect {
    /// Every change matters.
    pub const ANY: Self = MinEffect {
        data_drift: 0.0,
        completeness: 0.0,
        data_format_drift: 0.0,
        concept_drift: 0.0,
        outliers: 0.0,
        volume: 0.0,
        timeliness: 0.0,
    };
}

/// When a change counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Level of the alarm, for all tests of a window together; see [`alpha_per_look`].
    pub alpha: f64,
    /// Level of the warning, for all tests of a window together.
    pub warning_alpha: f64,
    /// From which effect on a change matters.
    pub min_effect: MinEffect,
    /// Observations below which a window is inconclusive.
    pub min_rows: u64,
    /// A window that could not have shown an effect of this many `min_effect` is inconclusive.
    pub max_detectable: f64,
    /// Whether rows came in the order of time: then those that depend on each other are worth fewer.
    pub ordered: bool,
    /// What people allow, beside what the reference shows.
    pub limits: Vec<Limit>,
    /// The share of rows that may come late, 0 to 1, where it is counted.
    pub max_late_rate: Option<f64>,
    /// What the model's owner measures it by.
    pub metrics: Vec<CustomMetric>,
    /// How many independent tests those of a window are worth; see
    /// [`crate::resampling::effective_tests`]. Without it
    /// they are corrected for being as many as they are.
    pub effective_tests: Option<f64>,
}

impl Default for Rules {
    /// One false alarm a month at a look every two seconds.
    fn default() -> Self {
        Rules {
            alpha: alpha_per_look(1.0, 2.0),
            warning_alpha: 0.01,
            min_effect: MinEffect {
                data_drift: 0.1,
                completeness: 0.05,
                data_format_drift: 0.02,
                concept_drift: 0.05,
                outliers: 0.05,
                volume: 0.5,
                timeliness: 0.05,
            },
            min_rows: 200,
            max_detectable: 3.0,
            ordered: true,
            limits: Vec::new(),
            max_late_rate: None,
            metrics: Vec::new(),
            effective_tests: None,
        }
    }
}

/// The level each look may spend so that a month of 30 days has at most
/// `false_alarms_per_month` expected looks with a false alarm, when a look is made every
/// `hop_seconds`: the budget divided by the looks (Bonferroni).
///
/// The bound needs no independence: it holds for overlapping windows too, since expectations
/// add whatever the dependence (Dunn, "Multiple comparisons among means", JASA 1961). It does
/// assume that rows within a window are independent. The result is at most 0.05, and 0 (no
/// alarm, ever) where an argument is not a positive number.
#[must_use]
pub fn alpha_per_look(false_alarms_per_month: f64, hop_seconds: f64) -> f64 {
    let alpha = false_alarms_per_month * hop_seconds / MONTH_SECONDS;
    if false_alarms_per_month > 0.0 && hop_seconds > 0.0 { alpha.min(LARGEST_ALPHA) } else { 0.0 }
}

/// Makes every test that `reference` and `window` allow: per feature its values and its null
/// rate, once the rate of contract violations, the limits, the metrics that have any, what features do
/// together (one test of all correlations, one of clusters, one of the joint law, one of the rows
/// that stand out, and one of those whose numbers contradict each other), and how rows come: how many and how late. Findings come in this order; behind them
/// those of numbers that stand still.
///
/// The reference of the violation rate is none in as many exchanges as the training data has
/// rows, since the contract was inferred from them. All p-values of the window are corrected
/// together ([`holm`]).
#[must_use]
pub fn judge(reference: &Reference, window: &Window, rules: &Rules) -> Vec<Finding> {
    let columns = reference.features.iter().zip(window.features.iter().zip(&window.times));
    let set_by_people =
        rules.limits.len() + rules.metrics.iter().filter(|metric| metric.is_limited()).count();
    let arrival = usize::from(window.usual.is_some()) + usize::from(window.late.is_some());
    let tests = 2 * columns.len() + 1 + set_by_people + TOGETHER * reference.joints.len() + arrival;
    // What the smallest p-value of the window must reach.
    let alpha = rules.alpha / tests as f64;
    let mut found = Vec::with_capacity(tests);
    for (was, (now, &time)) in columns {
        let time = if rules.ordered { time } else { 1.0 };
        let drift = match (&was.values, &now.values) {
            (Values::Number(a), Values::Number(b)) => Some(numbers(&was.name, a, b, time, alpha)),
            (Values::Category(a), Values::Category(b)) => {
                Some(categories(&was.name, a, b, time, alpha))
            }
            _ => None,
        };
        found.extend(drift.map(|drift| seldom(drift, was, now, rules)));
        found.push(nulls(was, now, alpha));
    }
    found.push(violations(reference, window, alpha));
    found.extend(rules.limits.iter().filter_map(|limit| limited(limit, window, alpha)));
    found.extend(rules.metrics.iter().filter_map(|metric| measured(metric, window, alpha)));
    found.extend(together(reference, window, rules, alpha));
    found.extend(window.usual.map(arrival::volume));
    let late = window.late.zip(rules.max_late_rate);
    found.extend(late.map(|(late, most)| arrival::late(late, most, alpha)));

    let p_values: Vec<f64> = found.iter().map(|evidence| evidence.p_value).collect();
    let adjusted = match rules.effective_tests {
        // What people set, and how rows come, were not among the tests that were measured.
        Some(effective) => step_down(&p_values, effective + (set_by_people + arrival) as f64),
        None => holm(&p_values),
    };
    let coverage = window.exchanges.coverage();
    let mut findings: Vec<Finding> = found
        .into_iter()
        .zip(adjusted)
        .map(|(evidence, adjusted)| {
            let mut finding = conclude(evidence, adjusted, coverage, rules);
            // Whatever the verdict: a bet may yet make an alarm of an effect that matters.
            if finding.effect >= finding.min_effect {
                finding.excess = excess::of(reference, window, &finding);
            }
            finding
        })
        .collect();
    let columns = reference.features.iter().zip(&window.features);
    let of = |finding: &Finding, (was, now): (&Feature, &Feature)| {
        if finding.feature.as_ref() == Some(&was.name) {
            arrival::stuck(finding, was, now)
        } else {
            None
        }
    };
    let stuck: Vec<Finding> = columns
        .filter_map(|column| findings.iter().find_map(|finding| of(finding, column)))
        .collect();
    findings.extend(stuck);
    findings
}

/// The smallest p-value of the tests that [`judge`] makes of the features' values and null rates, and of
/// what features do together: what [`crate::correction::effective`] is measured from, with windows drawn among
/// rows of training. 1 without features.
///
/// A window that is part of what it is compared with is closer to it than another: its differences vary by
/// 1/n − 1/m, and not by 1/n + 1/m. What each p-value would be of another window is taken, so.
#[must_use]
pub(crate) fn smallest_p(reference: &Reference, window: &Window, part: Part) -> f64 {
    let columns = reference.features.iter().zip(&window.features);
    let of_column = |(was, now): (&Feature, &Feature)| {
        let (before, after) = missing(was, now);
        let drift = match (&was.values, &now.values) {
            (Values::Number(a), Values::Number(b)) => {
                numbers_p(a, b, &ks::sketches(a.sketch(), b.sketch()), 1.0)
            }
            (Values::Category(a), Values::Category(b)) => chi2::compare(a, b, 1.0).p_value,
            _ => 1.0,
        };
        of_others(drift.min(proportion::compare(before, after).p_value), part.alone)
    };
    let rules = Rules { ordered: false, ..Rules::default() };
    let together = together(reference, window, &rules, LARGEST_ALPHA);
    let together = together.iter().map(|evidence| of_others(evidence.p_value, part.together));
    columns.map(of_column).chain(together).fold(1.0, f64::min)
}

/// Which part of the rows that it is compared with a window's own are, 0 to 1: of those behind each feature, and
/// of those that were learned of together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) alone: f64,
    pub(crate) together: f64,
}

/// What a p-value that a window of this part of the reference has would be of a window of other rows: a normal
/// deviation is larger by √((1 + part)/(1 − part)).
fn of_others(p_value: f64, part: f64) -> f64 {
    let part = part.clamp(0.0, 0.5);
    let deviation = -normal_quantile(p_value.clamp(f64::MIN_POSITIVE, 1.0) / 2.0);
    (2.0 * upper_normal(deviation * ((1.0 + part) / (1.0 - part)).sqrt())).min(1.0)
}

/// A finding before all tests of the window are known.
struct Evidence {
    detector: Detector,
    kind: Kind,
    feature: Option<String>,
    features: Vec<String>,
    statistic: f64,
    effect: f64,
    /// How far the effect may be from the truth, with the confidence of [`DOUBT`].
    doubt: f64,
    p_value: f64,
    detectable: f64,
    /// Share of the reference's observations that the test is about: no change among them moves
    /// more than these.
    at_stake: f64,
    rows: u64,
    reference_rows: u64,
    direction: Option<Direction>,
    was: String,
    now: String,
}

fn conclude(
    evidence: Evidence,
    adjusted_p_value: f64,
    coverage: Option<f64>,
    rules: &Rules,
) -> Finding {
    // What a window must be able to show.
    let visible = match evidence.kind {
        Kind::DataDrift | Kind::OutputDrift => rules.min_effect.data_drift,
        Kind::Completeness if evidence.detector == Detector::Volume => rules.min_effect.volume,
        Kind::Completeness => rules.min_effect.completeness,
        Kind::Timeliness => rules.min_effect.timeliness,
        Kind::DataFormatDrift => rules.min_effect.data_format_drift,
        Kind::ConceptDrift => rules.min_effect.concept_drift,
        Kind::Outliers => rules.min_effect.outliers,
    };
    // A metric matters from its owner's limit on.
    let min_effect = if evidence.detector == Detector::Metric { 0.0 } else { visible };
    let matters = evidence.effect >= min_effect;
    // A level of 0 rejects nothing, even a p-value too small for a float.
    let beyond = |alpha: f64| alpha > 0.0 && adjusted_p_value <= alpha;
    let verdict = if evidence.rows < rules.min_rows {
        Verdict::Inconclusive
    } else if matters && beyond(rules.alpha) {
        Verdict::Alarm
    } else if matters && beyond(rules.warning_alpha) {
        Verdict::Warning
    } else if evidence.detectable > rules.max_detectable * visible && evidence.at_stake >= visible {
        Verdict::Inconclusive
    } else {
        Verdict::Healthy
    };
    Finding {
        detector: evidence.detector,
        kind: evidence.kind,
        feature: evidence.feature,
        features: evidence.features,
        verdict,
        statistic: evidence.statistic,
        effect: evidence.effect,
        effect_interval: (
            (evidence.effect - evidence.doubt).max(0.0),
            (evidence.effect + evidence.doubt).min(1.0),
        ),
        min_effect,
        p_value: evidence.p_value,
        adjusted_p_value,
        alpha: rules.alpha,
        evidence: None,
        detectable: evidence.detectable,
        rows: evidence.rows,
        reference_rows: evidence.reference_rows,
        coverage,
        direction: evidence.direction,
        was: evidence.was,
        now: evidence.now,
        excess: None,
    }
}

fn numbers(
    name: &str,
    was: &NumberSummary,
    now: &NumberSummary,
    time: f64,
    alpha: f64,
) -> Evidence {
    let test = ks::sketches(was.sketch(), now.sketch());
    // The test's D may fall short of the true one by what the sketches do not know.
    let hidden = was.sketch().rank_error() + now.sketch().rank_error();
    let median = |side: &NumberSummary| match side.sketch().quantile(0.5) {
        Some(median) => format!("median {}", short(median)),
        None => "no values".to_owned(),
    };
    let (mut was_text, mut now_text) = (median(was), median(now));
    if was_text == now_text && test.statistic > 0.0 {
        let upto = |side: &NumberSummary| {
            let (low, high) = side.sketch().cdf(test.at);
            format!("{} at most {}", percent((low + high) / 2.0), short(test.at))
        };
        (was_text, now_text) = (upto(was), upto(now));
    }
    Evidence {
        detector: Detector::KolmogorovSmirnov,
        kind: Kind::DataDrift,
        feature: Some(name.to_owned()),
        features: Vec::new(),
        statistic: test.statistic,
        effect: test.statistic,
        doubt: ks::detectable(was.count, worth(now.count, time), DOUBT) + hidden,
        p_value: numbers_p(was, now, &test, time),
        detectable: (ks::detectable(was.count, worth(now.count, time), alpha) + hidden).min(1.0),
        at_stake: 1.0,
        rows: now.count,
        reference_rows: was.count,
        direction: test.direction,
        was: was_text,
        now: now_text,
    }
}

/// The p-value of a column of numbers: Kolmogorov-Smirnov's and that of the scores, as one.
fn numbers_p(was: &NumberSummary, now: &NumberSummary, test: &Ks, time: f64) -> f64 {
    let kolmogorov_smirnov = if time > 1.0 {
        ks::p_value(test.statistic, was.count, worth(now.count, time))
    } else {
        test.p_value
    };
    cauchy(kolmogorov_smirnov, scores::sketches(was.sketch(), now.sketch(), time).p_value)
}

/// Independent rows that so many are worth.
fn worth(rows: u64, time: f64) -> u64 {
    ((rows as f64 / time.max(1.0)).round() as u64).max(u64::from(rows > 0))
}

fn categories(
    name: &str,
    was: &CategorySummary,
    now: &CategorySummary,
    time: f64,
    alpha: f64,
) -> Evidence {
    let compared = chi2::compare(was, now, time);
    let (was_text, now_text) = match &compared.moved {
        Some(group) => (
            format!("{} {}", group.name, percent(group.was)),
            format!("{} {}", group.name, percent(group.now)),
        ),
        None => ("no comparison".to_owned(), "no comparison".to_owned()),
    };
    let (reference_rows, rows) = (was.count(), now.count());
    Evidence {
        detector: Detector::ChiSquared,
        kind: Kind::DataDrift,
        feature: Some(name.to_owned()),
        features: Vec::new(),
        statistic: compared.test.statistic,
        effect: compared.total_variation,
        doubt: ks::detectable(reference_rows, worth(rows, time), DOUBT),
        p_value: compared.p_value,
        detectable: chi2::detectable(
            reference_rows,
            worth(rows, time),
            compared.test.degrees,
            alpha,
        ),
        at_stake: 1.0,
        rows,
        reference_rows,
        direction: None,
        was: was_text,
        now: now_text,
    }
}

/// The drift of a feature that seldom had a value in training, as far as there is any to judge.
///
/// Its values are fewer of its rows than `min_effect`, so whatever happens among them moves less
/// than what matters. Where a window has too few of them to compare, it shows no drift, rather
/// than never enough evidence; values that come more often than by chance are for the null rate
/// to report. Enough values are compared like any others.
fn seldom(drift: Evidence, was: &Feature, now: &Feature, rules: &Rules) -> Evidence {
    let (before, after) = missing(was, now);
    let at_stake = 1.0 - before.share();
    // A feature that was never observed is unknown, not absent.
    if before.of() == 0 || at_stake >= rules.min_effect.data_drift {
        return drift;
    }
    if drift.rows >= rules.min_rows {
        return Evidence { at_stake, ..drift };
    }
    Evidence {
        statistic: 0.0,
        effect: 0.0,
        doubt: at_stake,
        p_value: 1.0,
        detectable: at_stake,
        at_stake,
        rows: now.rows,
        reference_rows: was.rows,
        direction: None,
        was: counted("missing", before),
        now: counted("missing", after),
        ..drift
    }
}

fn missing(was: &Feature, now: &Feature) -> (Rate, Rate) {
    (Rate::new(was.missing(), was.rows), Rate::new(now.missing(), now.rows))
}

fn nulls(was: &Feature, now: &Feature, alpha: f64) -> Evidence {
    let (before, after) = missing(was, now);
    let mut evidence = rates("missing", before, after, alpha);
    evidence.feature = Some(was.name.clone());
    evidence
}

fn violations(reference: &Reference, window: &Window, alpha: f64) -> Evidence {
    let before = Rate::new(0, reference.rows);
    let after = Rate::new(window.exchanges.violating, window.exchanges.checked);
    let evidence = rates("violating", before, after, alpha);
    Evidence { detector: Detector::ViolationRate, kind: Kind::DataFormatDrift, ..evidence }
}

/// A limit that people set, in a window that has the feature. Only more than that is a finding.
fn limited(limit: &Limit, window: &Window, alpha: f64) -> Option<Evidence> {
    let feature = window.features.iter().find(|feature| feature.name == limit.feature)?;
    let happened = limit.happened(feature);
    let what = match limit.what {
        Limited::Missing => "missing",
        Limited::Unseen(_) => "not listed",
    };
    let excess = happened.share() - limit.most;
    Some(Evidence {
        detector: Detector::Limit,
        kind: Kind::DataFormatDrift,
        feature: Some(limit.feature.clone()),
        features: Vec::new(),
        statistic: excess,
        effect: excess.max(0.0),
        doubt: ks::detectable(u64::MAX, happened.of(), DOUBT),
        p_value: limit::exceeds(happened, limit.most),
        detectable: limit::detectable(limit.most, happened.of(), alpha),
        at_stake: 1.0,
        rows: happened.of(),
        reference_rows: 0,
        direction: (excess > 0.0).then_some(Direction::Higher),
        was: format!("{what} {} allowed", percent(limit.most)),
        now: counted(what, happened),
    })
}

/// A metric that has limits, in a window that has rows of it. One that waits for labels says nothing
/// before there are any.
fn measured(metric: &CustomMetric, window: &Window, alpha: f64) -> Option<Evidence> {
    let values = window.metrics.get(&metric.definition);
    if metric.labelled && values.is_none() {
        return None;
    }
    let tested = metric.test(&values.cloned().unwrap_or_default(), alpha)?;
    Some(Evidence {
        detector: Detector::Metric,
        kind: Kind::ConceptDrift,
        feature: Some(metric.name.clone()),
        features: Vec::new(),
        statistic: tested.statistic,
        effect: tested.effect,
        doubt: tested.doubt,
        p_value: tested.p_value,
        detectable: tested.detectable,
        at_stake: 1.0,
        rows: tested.rows,
        reference_rows: 0,
        direction: tested.direction,
        was: tested.was,
        now: tested.now,
    })
}

/// What features do together, of inputs and of outputs: all correlations, clusters, their joint law, rows that
/// stand out or contradict themselves. Of those that the window has no rows of there is nothing to say.
fn together(reference: &Reference, window: &Window, rules: &Rules, alpha: f64) -> Vec<Evidence> {
    let times: &[f64] = if rules.ordered { &window.times } else { &[] };
    let name = |at: usize| reference.features.get(at).map(|feature| feature.name.clone());
    let joints = reference.joints.iter().zip(&window.together);
    let joints = joints.filter(|(_, together)| together.has_rows());
    let of_one = |(joint, together): (&Joint, &Tally)| {
        let changes = joint.changes(together, rules.min_rows.max(1), times);
        let clusters = joint.clusters.as_ref();
        let found = [
            correlations(reference, joint, &changes, rules, alpha),
            clusters.and_then(|clusters| in_clusters(reference, clusters, together, rules, alpha)),
            joint_law(reference, joint, together, window, rules, alpha),
            joint.threshold.as_ref().map(|threshold| {
                let named = |place: usize| name(joint.span.start + place);
                outliers(Detector::OutlierRate, threshold, &together.out, named, rules, alpha)
            }),
            joint.copula.as_ref().map(|threshold| {
                let named = |place: usize| name(*joint.columns.get(place)?);
                outliers(Detector::Copula, threshold, &together.contrary, named, rules, alpha)
            }),
        ];
        let kind = joint.is_of_outputs().then_some(Kind::OutputDrift);
        let named = move |of: Evidence| Evidence { kind: kind.unwrap_or(of.kind), ..of };
        found.into_iter().flatten().map(named)
    };
    joints.flat_map(of_one).collect()
}

/// All correlations as one test: each pair's p-value corrected for all of them. It is told of the pair with the least p-value, of those whose change matters where there are any. The effect is half
/// the difference of correlations, which are 2 apart at most.
fn correlations(
    reference: &Reference,
    joint: &Joint,
    changes: &[Change],
    rules: &Rules,
    alpha: f64,
) -> Option<Evidence> {
    let effect = |change: &Change| (change.now - change.was).abs() / 2.0;
    let matters = |change: &&Change| effect(change) >= rules.min_effect.data_drift;
    let least = |changes: &mut dyn Iterator<Item = &Change>| {
        changes.min_by(|a, b| a.p_value.total_cmp(&b.p_value)).copied()
    };
    let change =
        least(&mut changes.iter().filter(matters)).or_else(|| least(&mut changes.iter()))?;
    let pairs = changes.len() as f64;
    // A pair that varies more than any other here could have changed by so much, unseen.
    let widest = changes.iter().map(|change| change.deviation).fold(0.0, f64::max);
    let name = |at: usize| reference.features.get(at).map(|feature| feature.name.clone());
    let text = |r: f64| format!("correlation {r:.2}");
    Some(Evidence {
        detector: Detector::Correlation,
        kind: Kind::DataDrift,
        feature: None,
        features: [change.one, change.other].into_iter().filter_map(name).collect(),
        statistic: change.now - change.was,
        effect: effect(&change),
        doubt: normal_quantile(1.0 - DOUBT / 2.0) * change.deviation / 2.0,
        p_value: joint.any_pair(change.p_value, changes.len()),
        detectable: (normal_quantile(1.0 - (alpha / pairs / 2.0).max(f64::EPSILON)) * widest / 2.0)
            .min(1.0),
        at_stake: 1.0,
        rows: change.rows,
        reference_rows: change.reference_rows,
        direction: Direction::of(change.now - change.was),
        was: text(change.was),
        now: text(change.now),
    })
}

/// Whether rows fall into clusters as often as in training.
fn in_clusters(
    reference: &Reference,
    clusters: &Clusters,
    together: &Tally,
    rules: &Rules,
    alpha: f64,
) -> Option<Evidence> {
    let (change, rows) = together.clusters(clusters, rules.ordered);
    let moved = change.moved?;
    let none = || (Vec::new(), "in no cluster".to_owned());
    let (mut features, words) =
        moved.cluster.map_or_else(none, |cluster| clusters.told(reference, cluster));
    let reference_rows = clusters.map.masses.rows();
    let text = |share: f64| format!("{words} {}", percent(share));
    let mut now = text(moved.now);
    if moved.cluster.is_none()
        && moved.now > moved.was
        && let Some((names, place)) =
            clusters.new_one(reference, together, 1.0 - moved.was / moved.now)
    {
        features = names;
        now = format!("{now}, most of what came near {place}");
    }
    Some(Evidence {
        detector: Detector::ClusterMass,
        kind: Kind::DataDrift,
        feature: None,
        features,
        statistic: change.statistic,
        effect: change.total_variation,
        doubt: ks::detectable(reference_rows, rows, DOUBT),
        p_value: change.p_value,
        detectable: chi2::detectable(reference_rows, rows, change.degrees.max(1), alpha),
        at_stake: 1.0,
        rows,
        reference_rows,
        direction: None,
        was: text(moved.was),
        now,
    })
}

/// Whether numbers have the joint law that they had. Of columns that depend on themselves in time, what
/// they do together does so no more than the one that does most.
fn joint_law(
    reference: &Reference,
    joint: &Joint,
    together: &Tally,
    window: &Window,
    rules: &Rules,
    alpha: f64,
) -> Option<Evidence> {
    let embedding = joint.embedding.as_ref()?;
    let times = embedding.columns.iter().filter_map(|&at| window.times.get(at).copied());
    let time = if rules.ordered { times.fold(1.0, f64::max) } else { 1.0 };
    let change = embedding.compare(&together.embedded, time, rules.min_effect.data_drift, alpha)?;
    let rows = together.embedded.count();
    let name = |at: &usize| Some(reference.features.get(*at)?.name.clone());
    Some(Evidence {
        detector: Detector::Mmd,
        kind: Kind::DataDrift,
        feature: None,
        features: change.columns.iter().filter_map(name).collect(),
        statistic: change.statistic,
        effect: change.effect,
        doubt: ks::detectable(embedding.rows, worth(rows, time), DOUBT),
        p_value: change.p_value,
        detectable: change.detectable,
        at_stake: 1.0,
        rows,
        reference_rows: embedding.rows,
        direction: None,
        was: format!("{} apart by chance", short(change.by_chance)),
        now: format!("{} apart", short(change.effect)),
    })
}

/// Whether more rows stand out than in training, by a score that `detector` is named for; fewer are no trouble.
fn outliers(
    detector: Detector,
    threshold: &Threshold,
    outliers: &Outliers,
    named: impl Fn(usize) -> Option<String>,
    rules: &Rules,
    alpha: f64,
) -> Evidence {
    let what = match detector {
        Detector::Copula => "contradictory",
        _ => "standing out",
    };
    let (before, now) = (Rate::new(threshold.reached, threshold.rows), outliers.rate());
    let time = if rules.ordered { outliers.time() } else { 1.0 };
    let worth = Rate::new(worth(now.hits(), time), worth(now.of(), time));
    let more = now.share() > before.share();
    let blamed = outliers.blamed();
    let most = blamed.first().map_or(0.0, |(_, share)| *share);
    let blamed = blamed.into_iter().filter(|(_, share)| more && *share >= most / LESS).take(BLAMED);
    let evidence = rates(what, before, worth, alpha);
    Evidence {
        detector,
        kind: Kind::Outliers,
        features: blamed.filter_map(|(place, _)| named(place)).collect(),
        statistic: now.share() - before.share(),
        effect: (now.share() - before.share()).max(0.0),
        p_value: if more { evidence.p_value } else { 1.0 },
        rows: now.of(),
        now: counted(what, now),
        ..evidence
    }
}

fn rates(what: &str, was: Rate, now: Rate, alpha: f64) -> Evidence {
    let compared = proportion::compare(was, now);
    Evidence {
        detector: Detector::NullRate,
        kind: Kind::Completeness,
        feature: None,
        features: Vec::new(),
        statistic: compared.difference,
        effect: compared.difference.abs(),
        doubt: ks::detectable(was.of(), now.of(), DOUBT),
        p_value: compared.p_value,
        detectable: proportion::detectable(was, now.of(), alpha),
        at_stake: 1.0,
        rows: now.of(),
        reference_rows: was.of(),
        direction: Direction::of(compared.difference),
        was: counted(what, was),
        now: counted(what, now),
    }
}

fn counted(what: &str, rate: Rate) -> String {
    match rate.of() {
        0 => format!("{what}: nothing to count"),
        _ => format!("{what} {}", percent(rate.share())),
    }
}

/// A share as people read it: whole per cent, finer below one.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let near_an_end = percent.min(100.0 - percent);
    if near_an_end > 0.0 && near_an_end < 1.0 {
        format!("{} %", short(percent))
    } else {
        format!("{percent:.0} %")
    }
}

/// A number as people read it: four significant digits, whole ones in full.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Observation;
    use crate::window::{Exchanges, Pane};

    /// Numbers that look random and are the same every time (splitmix64, Steele et al. 2014).
    struct Dice(u64);

    impl Dice {
        fn throw(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }

        /// The sum of twelve throws, less six: close to the standard normal.
        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.throw()).sum::<f64>() - 6.0
        }
    }

    /// How the traffic differs from the training data.
    #[derive(Clone, Copy, Default)]
    struct Shift {
        age: f64,
        private: f64,
        missing: f64,
    }

    const FEATURES: [&str; 4] = ["age", "wage", "work", "country"];

    /// One row: a normal, one with an atom at zero, a category, and a constant.
    fn row(dice: &mut Dice, shift: Shift, mut observe: impl FnMut(usize, Observation<'_>)) {
        let wage = if dice.throw() < 0.7 { 0.0 } else { dice.throw() };
        let work = match dice.throw() - shift.private {
            share if share < 0.5 => "Private",
            share if share < 0.8 => "State",
            share if share < 0.999 => "None",
            _ => "Unpaid",
        };
        let gone = dice.throw() < 0.03 + shift.missing;
        observe(0, Observation::Number(dice.normal() * 10.0 + 40.0 + shift.age));
        observe(1, if gone { Observation::Missing } else { Observation::Number(wage) });
        observe(2, Observation::Category(work));
        observe(3, Observation::Category("US"));
    }

    fn seen(seen: u64, sampled: u64) -> Exchanges {
        Exchanges { seen, checked: seen, sampled, ..Exchanges::default() }
    }

    fn reference(rows: u64) -> Reference {
        let mut dice = Dice(1);
        let [age, wage, work, country] = FEATURES;
        let features = vec![
            Feature::number(age),
            Feature::number(wage),
            Feature::category(work),
            Feature::category(country),
        ];
        let mut reference = Reference::of(rows, features);
        for _ in 0..rows {
            row(&mut dice, Shift::default(), |i, value| reference.features[i].observe(value));
        }
        reference
    }

    fn window(reference: &Reference, seed: u64, rows: u64, shift: Shift) -> Window {
        let mut dice = Dice(seed);
        let mut panes = vec![Pane::new(reference); 4];
        for number in 0..rows {
            let pane = &mut panes[(number * 4 / rows) as usize];
            pane.count(1);
            row(&mut dice, shift, |i, value| pane.observe(i, value));
        }
        panes[0].exchanges(seen(rows * 2, rows));
        Window::of(reference, &panes)
    }

    fn worst(findings: &[Finding]) -> Verdict {
        findings.iter().map(|finding| finding.verdict).max().unwrap()
    }

    fn of<'a>(findings: &'a [Finding], detector: Detector, feature: &str) -> &'a Finding {
        let named = |f: &&Finding| f.detector == detector && f.feature.as_deref() == Some(feature);
        findings.iter().find(named).unwrap()
    }

    #[test]
    fn a_stable_stream_stays_silent() {
        let reference = reference(20_000);
        let rules = Rules { alpha: alpha_per_look(1.0, 2.0), ..Rules::default() };
        for look in 0..300 {
            let window = window(&reference, 1_000 + look, 500, Shift::default());
            let findings = judge(&reference, &window, &rules);
            assert_eq!(findings.len(), 9);
            assert!(worst(&findings) == Verdict::Healthy, "look {look}: {findings:?}");
        }
    }

    #[test]
    fn without_a_minimum_effect_the_level_itself_is_kept() {
        let reference = reference(20_000);
        let rules = Rules { alpha: 0.1, min_effect: MinEffect::ANY, ..Rules::default() };
        let alarms = (0..400)
            .filter(|look| {
                let window = window(&reference, 5_000 + look, 400, Shift::default());
                worst(&judge(&reference, &window, &rules)) == Verdict::Alarm
            })
            .count();
        // 10 % of 400 are 40; three standard deviations more are 58. Not one would mean that the
        // test cannot fail.
        assert!((5..=58).contains(&alarms), "{alarms} of 400");
    }

    #[test]
    fn a_column_with_a_long_tail_of_levels_keeps_the_level_too() {
        let mut dice = Dice(77);
        // One in k rows has a level of number k or above, without end: new ones keep coming.
        let mut column = |rows: u32, summary: &mut CategorySummary| {
            for _ in 0..rows {
                summary.insert(&format!("{:.0}", 1.0 / (dice.throw() + 1e-6)));
            }
        };
        let (mut low, mut apart) = (0, 0.0f64);
        for _ in 0..300 {
            let mut was = CategorySummary::default();
            column(4_000, &mut was);
            let mut now = CategorySummary::knowing(&was, 100);
            column(500, &mut now);
            let compared = chi2::compare(&was, &now, 1.0);
            low += usize::from(compared.p_value <= 0.05);
            apart = apart.max(compared.total_variation);
        }
        // 5 % of 300 are 15; three standard deviations more are 26.
        assert!((1..=26).contains(&low) && apart < 0.15, "{low} of 300, distance {apart}");
    }

    #[test]
    fn an_older_population_alarms_and_says_how() {
        let reference = reference(20_000);
        let window = window(&reference, 7, 500, Shift { age: 8.0, ..Shift::default() });
        let findings = judge(&reference, &window, &Rules::default());
        let age = of(&findings, Detector::KolmogorovSmirnov, "age");
        assert_eq!((age.verdict, age.direction), (Verdict::Alarm, Some(Direction::Higher)));
        assert!(age.effect > 0.2 && age.adjusted_p_value <= age.alpha, "{age:?}");
        assert_eq!((age.rows, age.reference_rows, age.coverage), (500, 20_000, Some(0.5)));
        assert!(age.was.starts_with("median 40") || age.was.starts_with("median 39"), "{age:?}");
        assert!(age.now.starts_with("median 48") || age.now.starts_with("median 47"), "{age:?}");
        let other = of(&findings, Detector::ChiSquared, "work");
        assert_eq!(other.verdict, Verdict::Healthy, "{other:?}");
    }

    #[test]
    fn other_work_classes_alarm_and_name_the_one_that_moved() {
        let reference = reference(20_000);
        let window = window(&reference, 8, 500, Shift { private: -0.3, ..Shift::default() });
        let findings = judge(&reference, &window, &Rules::default());
        let work = of(&findings, Detector::ChiSquared, "work");
        assert_eq!(work.verdict, Verdict::Alarm, "{work:?}");
        assert!(work.was.starts_with("Private 50 %"), "{work:?}");
    }

    #[test]
    fn vanishing_values_alarm_by_their_null_rate() {
        let reference = reference(20_000);
        let window = window(&reference, 9, 500, Shift { missing: 0.3, ..Shift::default() });
        let findings = judge(&reference, &window, &Rules::default());
        let wage = of(&findings, Detector::NullRate, "wage");
        assert_eq!((wage.verdict, wage.direction), (Verdict::Alarm, Some(Direction::Higher)));
        assert_eq!(wage.kind, Kind::Completeness);
        assert_eq!(of(&findings, Detector::KolmogorovSmirnov, "wage").verdict, Verdict::Healthy);
    }

    /// A window over features of which little is to be seen: numbers and categories with a value
    /// in 3 % of rows, a feature that is always missing, and constants of both types. `odd` is
    /// the share of rows in which the first three have a value, or the constants another one.
    fn barely(
        seed: u64,
        rows: u64,
        odd: Option<f64>,
        mut observe: impl FnMut(usize, Observation<'_>),
    ) {
        let mut dice = Dice(seed);
        for _ in 0..rows {
            let (throw, value) = (dice.throw(), dice.normal());
            let class = if value < 0.3 { "widow" } else { "heir" };
            let comes = |share: f64| throw < odd.unwrap_or(share);
            let number = |comes: bool, value: f64| match comes {
                true => Observation::Number(value),
                false => Observation::Missing,
            };
            observe(0, number(comes(0.03), value));
            observe(
                1,
                if comes(0.03) { Observation::Category(class) } else { Observation::Missing },
            );
            observe(2, number(comes(0.0), value));
            observe(3, Observation::Number(if comes(0.0) { 9.0 } else { 7.0 }));
            observe(4, Observation::Category(if comes(0.0) { "CA" } else { "US" }));
        }
    }

    fn barely_judged(seed: u64, rows: u64, odd: Option<f64>) -> Vec<Finding> {
        let features = vec![
            Feature::number("gain"),
            Feature::category("heir"),
            Feature::number("never"),
            Feature::number("year"),
            Feature::category("country"),
        ];
        let mut reference = Reference::of(20_000, features);
        barely(1, 20_000, None, |i, value| reference.features[i].observe(value));
        let mut pane = Pane::new(&reference);
        barely(seed, rows, odd, |i, value| pane.observe(i, value));
        pane.exchanges(seen(rows, rows));
        judge(&reference, &Window::of(&reference, [&pane]), &Rules::default())
    }

    #[test]
    fn mostly_missing_and_constant_features_stay_healthy_without_drift() {
        for (look, rows) in [200, 500, 3_000, 10_000].into_iter().cycle().take(80).enumerate() {
            let findings = barely_judged(100 + look as u64, rows, None);
            assert_eq!(worst(&findings), Verdict::Healthy, "{rows} rows: {findings:?}");
        }
        let findings = barely_judged(9, 500, None);
        let gain = of(&findings, Detector::KolmogorovSmirnov, "gain");
        assert_eq!((gain.effect, gain.rows), (0.0, 500), "{gain:?}");
        assert!(gain.was.starts_with("missing 97"), "{gain:?}");
    }

    #[test]
    fn values_where_there_were_hardly_any_alarm_by_the_null_rate() {
        for rows in [200, 500, 3_000] {
            let findings = barely_judged(10, rows, Some(0.3));
            for feature in ["gain", "heir", "never"] {
                let nulls = of(&findings, Detector::NullRate, feature);
                let told = (nulls.verdict, nulls.direction);
                assert_eq!(told, (Verdict::Alarm, Some(Direction::Lower)), "{nulls:?}");
            }
        }
    }

    #[test]
    fn a_constant_that_changes_in_some_rows_alarms() {
        let findings = barely_judged(11, 500, Some(0.3));
        let year = of(&findings, Detector::KolmogorovSmirnov, "year");
        assert_eq!((year.verdict, year.direction), (Verdict::Alarm, Some(Direction::Higher)));
        assert_eq!(of(&findings, Detector::ChiSquared, "country").verdict, Verdict::Alarm);
    }

    #[test]
    fn the_few_values_of_a_feature_are_judged_once_there_are_enough() {
        let mut reference = Reference::of(20_000, vec![Feature::number("gain")]);
        barely(1, 20_000, None, |i, value| {
            if i == 0 {
                reference.features[0].observe(value);
            }
        });
        let mut pane = Pane::new(&reference);
        for row in 0..20_000 {
            pane.observe(
                0,
                match row % 33 {
                    0 => Observation::Number(50.0),
                    _ => Observation::Missing,
                },
            );
        }
        let findings = judge(&reference, &Window::of(&reference, [&pane]), &Rules::default());
        let gain = of(&findings, Detector::KolmogorovSmirnov, "gain");
        assert_eq!(gain.verdict, Verdict::Alarm, "{gain:?}");
    }

    #[test]
    fn a_window_without_rows_says_nothing_of_a_missing_feature_either() {
        let findings = barely_judged(12, 0, None);
        assert!(findings.iter().all(|f| f.verdict == Verdict::Inconclusive), "{findings:?}");
    }

    #[test]
    fn a_tiny_shift_is_healthy_however_certain() {
        let reference = reference(200_000);
        let window = window(&reference, 10, 100_000, Shift { age: 0.5, ..Shift::default() });
        let findings = judge(&reference, &window, &Rules::default());
        let age = of(&findings, Detector::KolmogorovSmirnov, "age");
        assert!(age.adjusted_p_value <= age.alpha && age.effect < age.min_effect, "{age:?}");
        assert_eq!(age.verdict, Verdict::Healthy);
    }

    #[test]
    fn an_empty_or_short_window_is_inconclusive_not_healthy() {
        let reference = reference(5_000);
        let empty = Window::of(&reference, []);
        let findings = judge(&reference, &empty, &Rules::default());
        assert!(findings.iter().all(|f| f.verdict == Verdict::Inconclusive), "{findings:?}");
        let short = window(&reference, 11, 199, Shift { age: 30.0, ..Shift::default() });
        let findings = judge(&reference, &short, &Rules::default());
        let age = of(&findings, Detector::KolmogorovSmirnov, "age");
        assert_eq!(age.verdict, Verdict::Inconclusive);
        assert_eq!(findings.last().unwrap().rows, 398);
    }

    #[test]
    fn a_window_that_could_not_have_shown_drift_is_inconclusive() {
        let reference = reference(5_000);
        let window = window(&reference, 12, 60, Shift::default());
        let rules = Rules { min_rows: 10, ..Rules::default() };
        let findings = judge(&reference, &window, &rules);
        let age = of(&findings, Detector::KolmogorovSmirnov, "age");
        assert!(age.detectable > 0.3, "{age:?}");
        assert_eq!(age.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn violations_alarm_even_when_no_row_got_through() {
        let reference = reference(5_000);
        let mut pane = Pane::new(&reference);
        pane.exchanges(Exchanges { violating: 60, ..seen(400, 0) });
        let findings = judge(&reference, &Window::of(&reference, [&pane]), &Rules::default());
        let last = findings.last().unwrap();
        assert_eq!((last.kind, last.verdict), (Kind::DataFormatDrift, Verdict::Alarm));
        assert_eq!((last.was.as_str(), last.now.as_str()), ("violating 0 %", "violating 15 %"));
        assert_eq!((last.feature.as_ref(), last.coverage), (None, Some(0.0)));
    }

    #[test]
    fn garbage_cannot_get_into_a_number() {
        let reference = reference(5_000);
        let mut pane = Pane::new(&reference);
        for value in [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, -0.0] {
            for _ in 0..100 {
                pane.observe(0, Observation::Number(value));
                pane.observe(1, Observation::Category("10k"));
                pane.observe(2, Observation::Number(value));
                pane.observe(99, Observation::Number(value));
            }
        }
        let wild = Exchanges { violating: u64::MAX, ..seen(u64::MAX, u64::MAX) };
        pane.exchanges(wild);
        pane.exchanges(wild);
        let findings = judge(&reference, &Window::of(&reference, [&pane]), &Rules::default());
        for finding in &findings {
            let Finding { statistic, effect, p_value, adjusted_p_value, detectable, .. } = finding;
            assert!(statistic.is_finite(), "{finding:?}");
            for share in [effect, p_value, adjusted_p_value, detectable] {
                assert!((0.0..=1.0).contains(share), "{finding:?}");
            }
        }
        assert!(of(&findings, Detector::NullRate, "wage").effect > 0.95);
    }

    #[test]
    fn findings_are_read_back_as_written() {
        let reference = reference(500);
        let stored: Reference =
            serde_json::from_str(&serde_json::to_string(&reference).unwrap()).unwrap();
        let window = window(&stored, 13, 300, Shift::default());
        let findings = judge(&stored, &window, &Rules::default());
        let text = serde_json::to_string(&findings).unwrap();
        assert!(text.contains(r#""detector":"kolmogorov_smirnov","kind":"data_drift""#), "{text}");
        assert_eq!(serde_json::from_str::<Vec<Finding>>(&text).unwrap(), findings);
        assert_eq!(judge(&reference, &window, &Rules::default()), findings);
    }

    #[test]
    fn the_budget_is_spread_over_the_looks_of_a_month() {
        assert!((alpha_per_look(1.0, 2.0) - 2.0 / 2_592_000.0).abs() < 1e-15);
        assert_eq!(alpha_per_look(1e9, 3_600.0), 0.05);
        for (budget, hop) in [(0.0, 2.0), (-1.0, 2.0), (1.0, 0.0), (f64::NAN, 2.0), (-1.0, -2.0)] {
            assert_eq!(alpha_per_look(budget, hop), 0.0);
        }
    }

    #[test]
    fn numbers_are_short_for_people() {
        let texts = [34.0, 0.1 + 0.2, -12.3456, 123_456.7, 1e12, 0.00001].map(short);
        assert_eq!(texts, ["34", "0.3", "-12.35", "123457", "1.000e12", "1.000e-5"]);
        assert_eq!(
            [0.0, 0.004, 0.38, 0.9991, 1.0].map(percent),
            ["0 %", "0.4 %", "38 %", "99.91 %", "100 %"]
        );
    }

    #[test]
    fn the_interval_of_an_effect_holds_the_true_one() {
        // Ages of standard deviation 10 that are 5 older: D is 2Φ(¼) − 1.
        let (reference, truth) = (reference(20_000), 0.197_412_65);
        let shift = Shift { age: 5.0, ..Shift::default() };
        let held = (0..200).filter(|seed| {
            let found =
                judge(&reference, &window(&reference, *seed, 500, shift), &Rules::default());
            let (low, high) = found[0].effect_interval;
            (low..=high).contains(&truth) && high - low < 0.15
        });
        assert!(held.count() >= 190);
    }
}
