//! Realised performance of a model that answers yes or no. It does not know what is positive about
//! a positive, nor whether the rows are many enough to say so.

use super::interval::{mean, normal, wilson};
use super::{Measured, Metric, Scored, probabilities, roc, surprise};

/// The answers that were right and wrong, each way; whole rows, or weights of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Confusion {
    pub(super) true_positives: f64,
    pub(super) false_positives: f64,
    pub(super) true_negatives: f64,
    pub(super) false_negatives: f64,
}

impl Confusion {
    pub(super) fn rows(&self) -> f64 {
        self.right() + self.false_positives + self.false_negatives
    }

    pub(super) fn right(&self) -> f64 {
        self.true_positives + self.true_negatives
    }

    /// What was said to be positive.
    pub(super) fn said(&self) -> f64 {
        self.true_positives + self.false_positives
    }

    /// What was positive.
    pub(super) fn positive(&self) -> f64 {
        self.true_positives + self.false_negatives
    }

    pub(super) fn f1(&self) -> Option<f64> {
        let of = self.said() + self.positive();
        (of > 0.0).then(|| 2.0 * self.true_positives / of)
    }
}

/// Measures rows whose score is a number; a score of at least `threshold` is a yes.
///
/// Shares have Wilson's interval. F1 has that of F* = TP / (TP + FP + FN), which is a share, carried
/// over by F1 = 2 F* / (1 + F*) (Hand, Christen & Kirielle, "F*: an interpretable transformation of
/// the F-measure", Machine Learning 110, 2021). Log loss and Brier score have that of a mean, and
/// are there where the scores are probabilities; the area under the curve: see its own module.
#[must_use]
pub fn measure(rows: &[Scored], threshold: f64) -> Vec<Measured> {
    let rows: Vec<Scored> = rows.iter().filter(|row| !row.score.is_nan()).copied().collect();
    let mut confusion = Confusion::default();
    for row in &rows {
        let cell = match (row.score >= threshold, row.positive) {
            (true, true) => &mut confusion.true_positives,
            (true, false) => &mut confusion.false_positives,
            (false, false) => &mut confusion.true_negatives,
            (false, true) => &mut confusion.false_negatives,
        };
        *cell += 1.0;
    }
    let mut found = Vec::new();
    let mut say = |metric, value: f64, interval: (f64, f64)| {
        found.push(Measured { metric, value, interval, rows: rows.len() as u64 });
    };
    let shares = [
        (Metric::Accuracy, confusion.right(), confusion.rows()),
        (Metric::Precision, confusion.true_positives, confusion.said()),
        (Metric::Recall, confusion.true_positives, confusion.positive()),
    ];
    for (metric, hits, of) in shares.into_iter().filter(|(_, _, of)| *of > 0.0) {
        say(metric, hits / of, wilson(hits, of));
    }
    if let Some(f1) = confusion.f1() {
        let any = confusion.said() + confusion.false_negatives;
        let (low, high) = wilson(confusion.true_positives, any);
        let carried = |share: f64| 2.0 * share / (1.0 + share);
        say(Metric::F1, f1, (carried(low), carried(high)));
    }
    if probabilities(rows.iter().map(|row| row.score)) {
        let truth = |row: &Scored| if row.positive { row.score } else { 1.0 - row.score };
        let losses: Vec<f64> = rows.iter().map(|row| surprise(truth(row))).collect();
        let squares: Vec<f64> = rows.iter().map(|row| (1.0 - truth(row)).powi(2)).collect();
        let of_means = [(Metric::LogLoss, losses, f64::INFINITY), (Metric::Brier, squares, 1.0)];
        for (metric, values, most) in of_means {
            if let Some((value, error)) = mean(&values) {
                say(metric, value, normal(value, error, (0.0, most)));
            }
        }
    }
    if let Some((area, interval)) = roc::area(&rows) {
        say(Metric::RocAuc, area, interval);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::performance::specimen;

    fn rows(of: &[(f64, u8)]) -> Vec<Scored> {
        of.iter().map(|&(score, truth)| Scored { score, positive: truth == 1 }).collect()
    }

    fn value(found: &[Measured], metric: Metric) -> Option<f64> {
        found.iter().find(|measured| measured.metric == metric).map(|measured| measured.value)
    }

    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        let found = measure(&specimen(), 0.5);
        let expected = [
            (Metric::Accuracy, ORACLE[0]),
            (Metric::Precision, ORACLE[1]),
            (Metric::Recall, ORACLE[2]),
            (Metric::F1, ORACLE[3]),
            (Metric::LogLoss, ORACLE[4]),
            (Metric::Brier, ORACLE[5]),
            (Metric::RocAuc, ORACLE[6]),
        ];
        assert_eq!(found.len(), expected.len());
        for (measured, (metric, value)) in found.iter().zip(expected) {
            assert_eq!((measured.metric, measured.rows), (metric, 200));
            assert!((measured.value - value).abs() < 1e-12, "{measured:?}, not {value}");
            let (low, high) = measured.interval;
            assert!(low < measured.value && measured.value < high, "{measured:?}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_not_said() {
        assert_eq!(measure(&[], 0.5), []);
        assert_eq!(measure(&rows(&[(f64::NAN, 1)]), 0.5), []);
        // Nothing was positive, nothing was said to be: only the accuracy is something.
        let none = measure(&rows(&[(0.0, 0), (0.0, 0)]), 0.5);
        assert_eq!(none.len(), 1);
        assert_eq!((none[0].metric, none[0].value), (Metric::Accuracy, 1.0));
        assert!(none[0].interval.0 < 0.5 && none[0].interval.1 == 1.0);
        // Scores that are no probabilities have neither a log loss nor a Brier score.
        let logits = measure(&rows(&[(-3.0, 0), (2.0, 1), (0.5, 0)]), 0.0);
        assert_eq!((value(&logits, Metric::LogLoss), value(&logits, Metric::Brier)), (None, None));
        assert_eq!(value(&logits, Metric::RocAuc), Some(1.0));
        assert_eq!(value(&logits, Metric::Accuracy), Some(2.0 / 3.0));
    }

    #[test]
    fn one_row_and_a_certainty_that_was_wrong_are_finite() {
        let one = measure(&rows(&[(0.25, 1)]), 0.5);
        assert_eq!(value(&one, Metric::LogLoss), Some(4.0_f64.ln()));
        let wrong = measure(&rows(&[(1.0, 0), (0.5, 1)]), 0.5);
        let loss = value(&wrong, Metric::LogLoss).unwrap();
        assert!((loss - (36.043_653_389_117_15 + 2.0_f64.ln()) / 2.0).abs() < 1e-12, "{loss}");
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        // Scores whose probability is right: the accuracy at ½ is 3/4, the Brier score 1/6.
        let mut random = crate::forest::random::Random::seeded(11);
        let truths = [
            (Metric::Accuracy, 0.75),
            (Metric::Brier, 1.0 / 6.0),
            (Metric::RocAuc, 5.0 / 6.0),
            (Metric::F1, 0.75),
        ];
        let mut held = [0; 4];
        let plays = 400;
        for _ in 0..plays {
            let draw = |_| {
                let score = random.unit();
                Scored { score, positive: random.unit() < score }
            };
            let found = measure(&(0..250).map(draw).collect::<Vec<_>>(), 0.5);
            for (held, (metric, truth)) in held.iter_mut().zip(truths) {
                let (low, high) = found.iter().find(|m| m.metric == metric).unwrap().interval;
                *held += i32::from(low <= truth && truth <= high);
            }
        }
        for (held, (metric, _)) in held.into_iter().zip(truths) {
            let share = f64::from(held) / f64::from(plays);
            // Four standard errors of 400 plays at 95 % are 4.4 %; F1's interval takes the rows that
            // count to be given, and is a little wide.
            assert!((0.906..=0.994).contains(&share), "{metric:?}: {share}");
        }
    }

    /// scikit-learn 1.9.1: `accuracy_score`, `precision_score`, `recall_score`, `f1_score`,
    /// `log_loss`, `brier_score_loss`, `roc_auc_score`.
    const ORACLE: [f64; 7] = [
        0.72,
        0.732_673_267_326_732_7,
        0.718_446_601_941_747_6,
        0.725_490_196_078_431_3,
        0.772_707_480_722_943_2,
        0.200_014_000_000_000_03,
        0.767_941_147_032_329_1,
    ];
}
