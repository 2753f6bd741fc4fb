//! What labels make of a model: by version, how well its latest labelled answers did, how well those
//! of the last window probably do, and whether the primary errs more than it did.
//!
//! Pure: it is told when. It does not know where answers and labels come from.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use tidegate_detectors::custom_metric::{Value, Values};
use tidegate_detectors::finding::Finding;
use tidegate_detectors::judge::Rules;
use tidegate_detectors::performance::calibration::Calibration;
use tidegate_detectors::performance::decline::{Against, Decline, Error};
use tidegate_detectors::performance::estimate::estimate;
use tidegate_detectors::performance::{Measured, Scored, binary, classes, regression};

use super::kept::{Answered, Joined, Kept, LabelCounts, Met};
use super::label::{Label, Said, Truth};
use crate::config::duration::millis;
use crate::config::model::{Labels, Model, Role, Task};
use crate::custom_metrics::CustomMetrics;
use crate::decision::UnixMillis;
use crate::watch::{MONTH_MS, of_a_bet};

/// Labelled rows from which a calibration is learned, and estimates are made with it.
const CALIBRATED_FROM: usize = 200;
/// The first labelled rows, which later ones are compared with where nobody knows better.
const FIRST_ROWS: usize = 500;
/// Scores of a window that an estimate is made of, the latest ones.
const MAX_ESTIMATED: usize = 20_000;

/// How labels stand for one model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelStatus {
    /// The output that they tell the truth of.
    pub output: String,
    /// Rows of answers that are kept.
    pub kept_rows: usize,
    /// What became of labels so far.
    #[serde(flatten)]
    pub counts: LabelCounts,
    /// How well versions did that were labelled, or asked.
    pub versions: Vec<Performance>,
}

/// How well one version does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Its name.
    pub version: String,
    /// The latest rows with a label, that `realised` is of.
    pub labelled_rows: usize,
    /// How long after the answer labels came, on the average; `None` without any.
    pub delay_seconds: Option<f64>,
    /// What the labelled rows show.
    pub realised: Vec<Measured>,
    /// What the rows of the last window probably will show, by what scores were worth among the
    /// labelled ones. It is blind to concept drift, which the labelled ones do not show yet.
    pub estimated: Vec<Measured>,
}

/// What became of labels that were sent together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// All of them.
    pub accepted: u64,
    /// That met their answer.
    pub joined: u64,
    /// That were there already.
    pub repeated: u64,
    /// That met none; for a minute they wait for one.
    pub unknown: u64,
    /// That say otherwise than an earlier one, which stands.
    pub conflicting: u64,
}

impl Taken {
    /// With others that were sent.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.joined += other.joined;
        self.repeated += other.repeated;
        self.unknown += other.unknown;
        self.conflicting += other.conflicting;
    }
}

/// The labels of one model.
#[derive(Debug)]
pub struct Outcomes {
    labels: Labels,
    kept: Kept,
    versions: Vec<OfVersion>,
    window_ms: UnixMillis,
    metrics: CustomMetrics,
    /// What they came to, and whether rows were joined since.
    values: BTreeMap<String, Values>,
    unmeasured: bool,
}

#[derive(Debug)]
struct OfVersion {
    name: String,
    primary: bool,
    joined: VecDeque<Joined>,
    /// What metrics are of each of them; as long as it, and empty where there are no metrics.
    measured: VecDeque<Box<[Option<Value>]>>,
    /// Whether labels came since `performance` was measured.
    fresh: bool,
    decline: Decline,
    calibration: Option<Calibration>,
    scores: VecDeque<(UnixMillis, f64)>,
    performance: Performance,
}

impl Outcomes {
    /// For a model that awaits labels. Its bets are some of the model's.
    #[must_use]
    pub fn new(model: &Model, labels: &Labels, bets: usize) -> Self {
        let horizon_ms = millis(labels.horizon);
        let against = labels.reference_error.map_or(Against::First(FIRST_ROWS), Against::ErrorRate);
        let alpha = of_a_bet(model, bets);
        let versions = model.versions.iter().map(|version| OfVersion {
            name: version.name.clone(),
            primary: version.role == Role::Primary,
            joined: VecDeque::new(),
            measured: VecDeque::new(),
            fresh: false,
            decline: Decline::new(against, labels.window_rows, alpha, MONTH_MS),
            calibration: None,
            scores: VecDeque::new(),
            performance: Performance { version: version.name.clone(), ..Performance::default() },
        });
        Self {
            labels: labels.clone(),
            kept: Kept::new(labels.max_rows, horizon_ms),
            versions: versions.collect(),
            window_ms: millis(model.window.length),
            metrics: CustomMetrics::default(),
            values: BTreeMap::new(),
            unmeasured: false,
        }
    }

    /// Measures rows that a label has joined by these metrics, too.
    #[must_use]
    pub fn measuring(mut self, metrics: CustomMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// What answers and labels are about: those of something else mean nothing here.
    #[must_use]
    pub fn about(&self) -> String {
        let metrics: Vec<&str> = self.metrics.labelled().collect();
        format!("{}: {:?}; {metrics:?}", self.labels.output, self.labels.task)
    }

    /// The name of the version at this place.
    #[must_use]
    pub fn version(&self, place: usize) -> Option<&str> {
        self.versions.get(place).map(|of| of.name.as_str())
    }

    /// The place of the version of this name.
    #[must_use]
    pub fn place(&self, version: &str) -> Option<usize> {
        self.versions.iter().position(|of| of.name == version)
    }

    /// As [`Kept::early`].
    pub fn early(&self, request_id: &str) -> impl Iterator<Item = &Label> {
        self.kept.early(request_id)
    }

    /// As [`Kept::horizon_ms`].
    #[must_use]
    pub fn horizon_ms(&self) -> UnixMillis {
        self.kept.horizon_ms()
    }

    /// As [`Kept::max_bytes`].
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.kept.max_bytes()
    }

    /// What metrics that look at labels are of the latest rows of the primary that a label has joined,
    /// by definition. Without such a row there is none.
    pub fn values(&mut self) -> BTreeMap<String, Values> {
        if std::mem::take(&mut self.unmeasured) {
            self.values = self.measure();
        }
        self.values.clone()
    }

    fn measure(&self) -> BTreeMap<String, Values> {
        let mut all = BTreeMap::new();
        for (place, metric) in self.metrics.labelled().enumerate() {
            let rows = self.versions.iter().filter(|of| of.primary).flat_map(|of| &of.measured);
            let mut values = rows.filter_map(|row| *row.get(place)?).peekable();
            if values.peek().is_some() {
                let mut of_metric = Values::default();
                values.for_each(|value| of_metric.observe(value));
                of_metric.settle();
                all.insert(metric.to_owned(), of_metric);
            }
        }
        all
    }

    /// Keeps an answer until its labels come.
    pub fn keep(&mut self, answered: Answered, now: UnixMillis) {
        let Some(of) = self.versions.get_mut(answered.version) else { return };
        if matches!(self.labels.task, Task::Binary { .. }) {
            for row in &answered.rows {
                if let Some(Said::Score(score)) = Said::of(&self.labels.task, row) {
                    if of.scores.len() == MAX_ESTIMATED {
                        of.scores.pop_front();
                    }
                    of.scores.push_back((now, score));
                }
            }
        }
        let joined = self.kept.keep(answered, now);
        self.learn(joined);
    }

    /// Takes labels in.
    pub fn take(&mut self, labels: impl IntoIterator<Item = Label>, now: UnixMillis) -> Taken {
        let mut taken = Taken::default();
        for label in labels {
            let (met, joined) = self.kept.join(label, now);
            self.learn(joined);
            taken.accepted += 1;
            *match met {
                Met::Joined => &mut taken.joined,
                Met::Repeated => &mut taken.repeated,
                Met::Conflicting => &mut taken.conflicting,
                Met::Unknown => &mut taken.unknown,
            } += 1;
        }
        taken
    }

    fn learn(&mut self, joined: Vec<Joined>) {
        let measures = self.metrics.labelled().next().is_some();
        for mut row in joined {
            let Some(of) = self.versions.get_mut(row.version) else { continue };
            if let Some(error) = error(&self.labels.task, &row) {
                of.decline.observe(error, i64::try_from(row.answered).unwrap_or(i64::MAX));
            }
            if of.joined.len() == self.labels.window_rows {
                of.joined.pop_front();
                of.measured.pop_front();
            }
            // Once it is measured, nobody needs the rest.
            let beside = std::mem::take(&mut row.beside);
            if measures {
                of.measured.push_back(self.metrics.joined(&beside, &row.truth));
                self.unmeasured = true;
            }
            of.joined.push_back(row);
            of.fresh = true;
        }
    }

    /// Says that a window closed: measures anew, and tells what the primary's labels show.
    pub fn close(&mut self, rules: &Rules, now: UnixMillis) -> Vec<Finding> {
        self.kept.expire(now);
        let begins = now.saturating_sub(self.window_ms);
        for of in &mut self.versions {
            of.decline.close();
            while of.scores.front().is_some_and(|(at, _)| *at < begins) {
                of.scores.pop_front();
            }
            if std::mem::take(&mut of.fresh) {
                of.measure(&self.labels.task);
            }
            of.estimate(&self.labels.task);
        }
        let primaries = self.versions.iter().filter(|of| of.primary);
        primaries.filter_map(|of| of.decline.finding(&self.labels.output, rules)).collect()
    }

    /// How labels stand.
    #[must_use]
    pub fn status(&self) -> LabelStatus {
        let asked = |of: &&OfVersion| !of.joined.is_empty() || !of.performance.estimated.is_empty();
        LabelStatus {
            output: self.labels.output.clone(),
            kept_rows: self.kept.rows(),
            counts: self.kept.counts(),
            versions: self.versions.iter().filter(asked).map(|of| of.performance.clone()).collect(),
        }
    }
}

impl OfVersion {
    /// Measures the labelled rows, and learns from them what scores are worth.
    fn measure(&mut self, task: &Task) {
        let said = |row: &Joined| Said::of(task, &row.said);
        let realised = match task {
            Task::Binary { threshold, .. } => {
                let scored = self.joined.iter().filter_map(|row| match (said(row)?, &row.truth) {
                    (Said::Score(score), Truth::Positive(positive)) => {
                        Some(Scored { score, positive: *positive })
                    }
                    _ => None,
                });
                let scored: Vec<Scored> = scored.collect();
                let enough = scored.len() >= CALIBRATED_FROM;
                self.calibration = enough.then(|| Calibration::fit(&scored)).flatten();
                binary::measure(&scored, *threshold)
            }
            Task::Multiclass => {
                let named = self.joined.iter().filter_map(|row| match (said(row)?, &row.truth) {
                    (Said::Class(said), Truth::Class(truth)) => Some((said, truth)),
                    _ => None,
                });
                let named: Vec<_> = named.collect();
                classes::measure(named.iter().map(|(said, truth)| (&**said, &***truth)))
            }
            Task::Regression => {
                let numbers = self.joined.iter().filter_map(|row| match (said(row)?, &row.truth) {
                    (Said::Number(said), Truth::Number(truth)) => Some((said, *truth)),
                    _ => None,
                });
                regression::measure(&numbers.collect::<Vec<_>>())
            }
        };
        let rows = self.joined.len();
        let delays = self.joined.iter().map(|row| row.known.saturating_sub(row.answered) as f64);
        let delay = delays.sum::<f64>() / 1_000.0 / rows.max(1) as f64;
        self.performance = Performance {
            version: self.name.clone(),
            labelled_rows: rows,
            delay_seconds: (rows > 0).then_some(delay),
            realised,
            estimated: std::mem::take(&mut self.performance.estimated),
        };
    }

    /// Estimates how the rows of the last window will have done.
    fn estimate(&mut self, task: &Task) {
        self.performance.estimated = match (task, &self.calibration) {
            (Task::Binary { threshold, .. }, Some(calibration)) => {
                let scores: Vec<f64> = self.scores.iter().map(|(_, score)| *score).collect();
                estimate(&scores, *threshold, calibration)
            }
            _ => Vec::new(),
        };
    }
}

/// How wrong an answer was; `None` where it says nothing for the task.
fn error(task: &Task, row: &Joined) -> Option<Error> {
    match (task, Said::of(task, &row.said)?, &row.truth) {
        (Task::Binary { threshold, .. }, Said::Score(score), Truth::Positive(positive)) => {
            Some(Error::Wrong((score >= *threshold) != *positive))
        }
        (Task::Multiclass, Said::Class(said), Truth::Class(truth)) => {
            Some(Error::Wrong(said != *truth))
        }
        (Task::Regression, Said::Number(said), Truth::Number(truth)) => {
            Some(Error::By((said - truth).abs()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_contract::contract::Contract;
    use tidegate_detectors::finding::{Kind, Verdict};
    use tidegate_detectors::performance::Metric;
    use tidegate_detectors::reference::{Feature, Reference};

    use super::*;
    use crate::fixture::labelled;
    use crate::sides::Sides;

    /// Answers with a score of 0.2 or 0.8, of which every tenth is wrong, or more often.
    fn answer(outcomes: &mut Outcomes, from: u64, rows: u64, wrong_of_ten: u64, labels: bool) {
        for at in from..from + rows {
            let score = if at % 2 == 0 { 0.8 } else { 0.2 };
            let id = format!("r{at}");
            let rows = vec![Cell::Number(score)];
            let version = 0;
            outcomes.keep(
                Answered { request_id: id.as_str().into(), version, rows, beside: Vec::new() },
                at * 100,
            );
            if labels {
                // Spread, so that no row foretells the next one.
                let wrong = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xffff;
                let positive = (at % 2 == 0) != ((wrong * 10) >> 16 < wrong_of_ten);
                let truth = Truth::Positive(positive);
                let label = Label { request_id: id.into(), row: 0, truth, at: None };
                assert_eq!(outcomes.take([label], at * 100 + 50).joined, 1);
            }
        }
    }

    fn value(measured: &[Measured], metric: Metric) -> f64 {
        measured.iter().find(|m| m.metric == metric).map_or(f64::NAN, |m| m.value)
    }

    #[test]
    fn performance_is_realised_then_estimated_and_a_decline_is_found() {
        let model = labelled("{output: score, window_rows: 500}");
        let labels = model.labels.clone().expect("labels");
        let mut outcomes = Outcomes::new(&model, &labels, 10);
        let rules = Rules::default();
        answer(&mut outcomes, 0, 1_000, 1, true);
        assert_eq!(outcomes.close(&rules, 100_000).len(), 1);
        let status = outcomes.status();
        assert_eq!((status.counts.joined, status.versions.len()), (1_000, 1));
        let of = &status.versions[0];
        assert_eq!(
            (of.version.as_str(), of.labelled_rows, of.delay_seconds),
            ("v1", 500, Some(0.05))
        );
        assert!((value(&of.realised, Metric::Accuracy) - 0.9).abs() < 0.03, "{of:?}");

        // Answers without labels, as good as those were.
        answer(&mut outcomes, 1_000, 100, 1, false);
        outcomes.close(&rules, 110_000);
        let of = &outcomes.status().versions[0];
        assert!((value(&of.estimated, Metric::Accuracy) - 0.9).abs() < 0.03, "{of:?}");
        assert!(of.estimated[0].rows <= 101, "only the window's: {}", of.estimated[0].rows);

        answer(&mut outcomes, 2_000, 800, 4, true);
        let finding = outcomes.close(&rules, 280_000).remove(0);
        assert_eq!(
            (finding.kind, finding.verdict),
            (Kind::ConceptDrift, Verdict::Alarm),
            "{finding:?}"
        );
        assert_eq!(finding.feature.as_deref(), Some("score"));
        let since = finding.evidence.and_then(|evidence| evidence.since_unix_ms);
        assert!(since.is_some_and(|since| (90_000..=210_000).contains(&since)), "{since:?}");
    }

    #[test]
    fn a_version_that_is_not_the_primary_is_measured_and_raises_nothing() {
        let model = labelled("{output: score, reference_error: 0.01}");
        let labels = model.labels.clone().expect("labels");
        let mut outcomes = Outcomes::new(&model, &labels, 10);
        for at in 0..1_000 {
            let id = format!("r{at}");
            let rows = vec![Cell::Number(0.9)];
            outcomes.keep(
                Answered { request_id: id.as_str().into(), version: 2, rows, beside: Vec::new() },
                at,
            );
            let truth = Truth::Positive(false);
            outcomes.take([Label { request_id: id.into(), row: 0, truth, at: None }], at);
        }
        let findings = outcomes.close(&Rules::default(), 1_000);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Inconclusive));
        let of = &outcomes.status().versions[0];
        assert_eq!((of.version.as_str(), value(&of.realised, Metric::Accuracy)), ("v3", 0.0));
    }

    #[test]
    fn metrics_that_look_at_labels_are_of_the_latest_labelled_rows_of_the_primary() {
        let yaml = "{output: score, task: regression, window_rows: 100}
    metrics:
      - {name: missed, expression: abs(outputs.score - label) > inputs.age}";
        let model = labelled(yaml);
        let labels = model.labels.clone().expect("labels");
        let number = |name: &str| Reference::of(0, vec![Feature::number(name)]);
        let sides = Sides::of(&number("age"), &number("score"));
        let metrics = CustomMetrics::of(&model, &Contract::default(), &sides).expect("they fit");
        let mut outcomes = Outcomes::new(&model, &labels, 10).measuring(metrics.clone());
        assert_eq!(outcomes.values(), BTreeMap::new());
        let mut answer = |rows: std::ops::Range<u32>, version: usize, age: f64| {
            for at in rows {
                let (id, score) = (format!("r{at}"), Cell::Number(5.0));
                let columns = vec![Column { name: "score".to_owned(), cells: vec![score.clone()] }];
                let answered = Columns { rows: 1, columns };
                let columns =
                    vec![Column { name: "age".to_owned(), cells: vec![Cell::Number(age)] }];
                let asked = Columns { rows: 1, columns };
                let beside = metrics.beside(Some(&asked), &answered);
                let request_id = id.as_str().into();
                outcomes
                    .keep(Answered { request_id, version, rows: vec![score], beside }, at.into());
                let truth = Truth::Number(1.0);
                outcomes
                    .take([Label { request_id: id.into(), row: 0, truth, at: None }], at.into());
            }
            let values = outcomes.values();
            let of = values.get("missed: abs(outputs.score - label) > inputs.age");
            let status = of.map(|values| metrics.judged()[0].status(values));
            status.map(|status| (status.value, status.rows))
        };
        assert_eq!(answer(0..50, 2, 3.0), None, "a candidate's are not the model's");
        assert_eq!(answer(100..150, 0, 3.0), Some((Some(1.0), 50)));
        assert_eq!(answer(200..250, 0, 9.0), Some((Some(0.5), 100)));
        assert_eq!(answer(300..350, 0, 9.0), Some((Some(0.0), 100)));
    }

    #[test]
    fn nothing_was_said_and_nothing_is_made_up() {
        let model = labelled("{output: price, task: regression}");
        let labels = model.labels.clone().expect("labels");
        let mut outcomes = Outcomes::new(&model, &labels, 10);
        assert_eq!(outcomes.close(&Rules::default(), 0), []);
        assert_eq!(outcomes.status().versions, []);
        // An answer without the output, a version that is not configured, and one without rows.
        let none = Cell::Null;
        for (version, rows) in [(0, vec![none.clone()]), (9, vec![none]), (0, vec![])] {
            outcomes
                .keep(Answered { request_id: "a".into(), version, rows, beside: Vec::new() }, 1);
        }
        let truth = Truth::Number(3.0);
        let label = Label { request_id: "a".into(), row: 0, truth, at: None };
        assert_eq!(outcomes.take([label], 2).joined, 1);
        outcomes.close(&Rules::default(), 3);
        assert_eq!(outcomes.status().versions[0].realised, []);
    }
}
