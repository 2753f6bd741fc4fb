//! What performance probably is before any label has come: confidence-based performance estimation
//! (`NannyML`'s CBPE; Kivimäki, Białek, Nurminen & Kuberski, "Confidence-based estimators for
//! predictive performance in model monitoring", JAIR 82, 2025).
//!
//! Where a score is worth the probability `p` that a row is positive, the row adds `p` to the
//! positives and `1 − p` to the negatives that are expected among rows like it, and metrics follow.
//!
//! It sees what changes because scores change. It is blind to what it rests on: that a score is
//! worth what it was worth among the rows that the calibration learned from. Where the truth comes
//! to depend otherwise on the inputs (concept drift), estimates go on as if nothing were.
//!
//! Intervals are for what will be realised on these very rows: what they leave to chance, and
//! what the calibration has not learned, each by the delta method. A metric that moves by
//! `gᵢ` with the truth of row `i` has the variance `Σ pᵢ(1 − pᵢ)gᵢ²` of chance; a step of the
//! calibration with the variance `v` moves all rows on it together and adds `v (Σ gᵢ)²`.

use super::calibration::Calibration;
use super::interval::normal;
use super::{Measured, Metric, probabilities, surprise};

/// One row: its score, and what that is worth.
#[derive(Debug, Clone, Copy)]
struct Row {
    score: f64,
    p: f64,
    /// Whether it is said to be positive: 1 or 0.
    said: f64,
}

/// Estimates what [`super::binary::measure`] would give for rows of these scores, once their truth
/// is known. A score that is not finite is passed over; what would not be said then is not now.
#[must_use]
pub fn estimate(scores: &[f64], threshold: f64, calibration: &Calibration) -> Vec<Measured> {
    let finite = scores.iter().filter(|score| score.is_finite());
    let mut rows: Vec<Row> = finite
        .map(|&score| Row {
            score,
            p: calibration.probability(score),
            said: f64::from(u8::from(score >= threshold)),
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    rows.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
    let chance = Chance::of(&rows, calibration);
    let n = rows.len() as f64;
    let sum = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    let (said, positive) = (sum(&|row| row.said), sum(&|row| row.p));
    let hits = sum(&|row| row.said * row.p);
    let mut found = Vec::new();
    let mut say = |metric, value: f64, most, moves: &dyn Fn(usize, &Row) -> f64| {
        let moves: Vec<f64> = rows.iter().enumerate().map(|(at, row)| moves(at, row)).collect();
        let interval = normal(value, chance.error(&rows, &moves), (0.0, most));
        found.push(Measured { metric, value, interval, rows: rows.len() as u64 });
    };
    let right = |row: &Row| row.said * row.p + (1.0 - row.said) * (1.0 - row.p);
    say(Metric::Accuracy, sum(&right) / n, 1.0, &|_, row| (2.0 * row.said - 1.0) / n);
    if said > 0.0 {
        say(Metric::Precision, hits / said, 1.0, &|_, row| row.said / said);
    }
    if positive > 0.0 {
        let recall = hits / positive;
        say(Metric::Recall, recall, 1.0, &|_, row| (row.said - recall) / positive);
    }
    if said + positive > 0.0 {
        let f1 = 2.0 * hits / (said + positive);
        say(Metric::F1, f1, 1.0, &|_, row| (2.0 * row.said - f1) / (said + positive));
    }
    if probabilities(rows.iter().map(|row| row.score)) {
        let expected = |yes: f64, no: f64, p: f64| p * yes + (1.0 - p) * no;
        let loss = |row: &Row| (surprise(row.score), surprise(1.0 - row.score));
        let square = |row: &Row| ((1.0 - row.score).powi(2), row.score.powi(2));
        let of = |row: &Row, (yes, no): (f64, f64)| expected(yes, no, row.p);
        let moves = |(yes, no): (f64, f64)| (yes - no) / n;
        let value = sum(&|row| of(row, loss(row))) / n;
        say(Metric::LogLoss, value, f64::INFINITY, &|_, row| moves(loss(row)));
        let value = sum(&|row| of(row, square(row))) / n;
        say(Metric::Brier, value, 1.0, &|_, row| moves(square(row)));
    }
    if let Some((area, moves)) = area(&rows) {
        say(Metric::RocAuc, area, 1.0, &|at, _| moves[at]);
    }
    found
}

/// The expected area under the curve over pairs of different rows, and how far the truth of each
/// row moves it; `None` where no pair is expected to be of both kinds. Rows are sorted.
fn area(rows: &[Row]) -> Option<(f64, Vec<f64>)> {
    let positive: f64 = rows.iter().map(|row| row.p).sum();
    let negative = rows.len() as f64 - positive;
    let own: f64 = rows.iter().map(|row| row.p * (1.0 - row.p)).sum();
    let pairs = positive * negative - own;
    if pairs <= 1e-9 {
        return None;
    }
    let mut won = 0.0;
    let mut moves = Vec::with_capacity(rows.len());
    let (mut below, mut above) = (0.0, positive);
    for tied in rows.chunk_by(|a, b| a.score == b.score) {
        let hits: f64 = tied.iter().map(|row| row.p).sum();
        let misses = tied.len() as f64 - hits;
        above -= hits;
        for row in tied {
            // Against rows other than itself: as a positive it beats negatives, as a negative
            // it is beaten by positives.
            let beats = below + (misses - (1.0 - row.p)) / 2.0;
            let beaten = above + (hits - row.p) / 2.0;
            won += row.p * beats;
            moves.push(beats - beaten);
        }
        below += misses;
    }
    let area = won / pairs;
    for (moved, row) in moves.iter_mut().zip(rows) {
        let more_pairs = (negative - (1.0 - row.p)) - (positive - row.p);
        *moved = (*moved - area * more_pairs) / pairs;
    }
    Some((area, moves))
}

/// What chance and an imperfect calibration do to metrics of these rows.
struct Chance {
    /// By row, the step of the calibration and how far it is on the way to the next.
    on: Vec<(usize, f64)>,
    /// By step, the variance of its level.
    steps: Vec<f64>,
}

impl Chance {
    fn of(rows: &[Row], calibration: &Calibration) -> Self {
        let on = rows.iter().map(|row| calibration.on(row.score));
        Self { on: on.map(|on| (on.step, on.further)).collect(), steps: calibration.variances() }
    }

    /// The standard error of a metric that rows move so far.
    fn error(&self, rows: &[Row], moves: &[f64]) -> f64 {
        let mut together = vec![0.0; self.steps.len()];
        let mut variance = 0.0;
        for ((row, moved), (step, further)) in rows.iter().zip(moves).zip(&self.on) {
            variance += row.p * (1.0 - row.p) * moved * moved;
            together[*step] += (1.0 - further) * moved;
            if let Some(next) = together.get_mut(step + 1) {
                *next += further * moved;
            }
        }
        let learned = together.iter().zip(&self.steps);
        variance += learned.map(|(moved, variance)| variance * moved * moved).sum::<f64>();
        variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;
    use crate::performance::{Scored, binary};

    /// A model whose scores are worth s² where they say s.
    fn draw(random: &mut Random, bend: f64) -> Scored {
        let score = random.unit().powf(bend);
        Scored { score, positive: random.unit() < score * score }
    }

    fn drawn(random: &mut Random, rows: usize, bend: f64) -> Vec<Scored> {
        (0..rows).map(|_| draw(random, bend)).collect()
    }

    fn value(found: &[Measured], metric: Metric) -> f64 {
        found.iter().find(|measured| measured.metric == metric).unwrap().value
    }

    #[test]
    fn a_small_case_is_what_adding_up_all_truths_gives() {
        let learned: Vec<Scored> =
            [(0.2, false), (0.2, false), (0.2, true), (0.6, true), (0.6, false), (0.9, true)]
                .map(|(score, positive)| Scored { score, positive })
                .to_vec();
        let calibration = Calibration::fit(&learned).unwrap();
        let scores = [0.2, 0.6, 0.6, 0.9];
        let found = estimate(&scores, 0.5, &calibration);
        let p: Vec<f64> = scores.iter().map(|score| calibration.probability(*score)).collect();
        assert!((p[0] - 1.0 / 3.0).abs() < 1e-15 && p[1] == 0.5 && p[3] == 1.0);
        // The area is the ratio of two means over all sixteen truths: pairs won, and pairs.
        let (mut accuracy, mut won, mut pairs) = (0.0, 0.0, 0.0);
        for truths in 0..16_u32 {
            let positive = |at: usize| truths >> at & 1 == 1;
            let chance: f64 =
                (0..4).map(|at| if positive(at) { p[at] } else { 1.0 - p[at] }).product();
            let right = (0..4).filter(|at| positive(*at) == (scores[*at] >= 0.5)).count();
            accuracy += chance * right as f64 / 4.0;
            for a in (0..4).filter(|a| positive(*a)) {
                for b in (0..4).filter(|b| !positive(*b)) {
                    pairs += chance;
                    won += chance
                        * if scores[a] > scores[b] {
                            1.0
                        } else if scores[a] == scores[b] {
                            0.5
                        } else {
                            0.0
                        };
                }
            }
        }
        assert!((value(&found, Metric::Accuracy) - accuracy).abs() < 1e-14);
        assert!((value(&found, Metric::RocAuc) - won / pairs).abs() < 1e-14);
    }

    #[test]
    fn moves_are_the_derivatives() {
        let mut random = Random::seeded(9);
        let calibration = Calibration::fit(&drawn(&mut random, 300, 1.0)).unwrap();
        let mut rows: Vec<Row> = (0..40)
            .map(|_| random.unit())
            .map(|score| Row { score, p: calibration.probability(score), said: 0.0 })
            .collect();
        rows[7].score = rows[8].score;
        rows.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
        let (at_first, moves) = area(&rows).unwrap();
        for at in 0..rows.len() {
            let step = 1e-6;
            rows[at].p += step;
            let (moved, _) = area(&rows).unwrap();
            rows[at].p -= step;
            let slope = (moved - at_first) / step;
            assert!((slope - moves[at]).abs() < 1e-6, "{at}: {slope} {}", moves[at]);
        }
    }

    #[test]
    fn rows_whose_scores_changed_are_estimated_and_the_interval_holds() {
        let mut random = Random::seeded(17);
        let learned = drawn(&mut random, 2_000, 1.0);
        let plays = 300;
        let metrics = [
            Metric::Accuracy,
            Metric::Precision,
            Metric::Recall,
            Metric::F1,
            Metric::Brier,
            Metric::LogLoss,
            Metric::RocAuc,
        ];
        let (mut held, mut off) = ([0; 7], [0.0; 7]);
        for _ in 0..plays {
            // The calibration is learned anew each time: its own error counts.
            let learned = drawn(&mut random, learned.len(), 1.0);
            let calibration = Calibration::fit(&learned).unwrap();
            let rows = drawn(&mut random, 500, 0.6);
            let scores: Vec<f64> = rows.iter().map(|row| row.score).collect();
            let estimated = estimate(&scores, 0.5, &calibration);
            let realised = binary::measure(&rows, 0.5);
            for (at, metric) in metrics.into_iter().enumerate() {
                let was = value(&realised, metric);
                let measured = estimated.iter().find(|found| found.metric == metric).unwrap();
                let (low, high) = measured.interval;
                held[at] += i32::from(low <= was && was <= high);
                off[at] += (measured.value - was).abs() / f64::from(plays);
            }
        }
        for (at, metric) in metrics.into_iter().enumerate() {
            let share = f64::from(held[at]) / f64::from(plays);
            assert!(share >= 0.90, "{metric:?}: held {share}, off {}", off[at]);
            assert!(off[at] < 0.03, "{metric:?}: {}", off[at]);
        }
    }

    #[test]
    fn what_cannot_be_said_is_not_said() {
        let calibration = Calibration::fit(&[Scored { score: 0.4, positive: false }]).unwrap();
        assert_eq!(estimate(&[], 0.5, &calibration), []);
        assert_eq!(estimate(&[f64::NAN, f64::INFINITY], 0.5, &calibration), []);
        let found = estimate(&[0.1, 0.2], 0.5, &calibration);
        let metrics: Vec<Metric> = found.iter().map(|measured| measured.metric).collect();
        // Nobody is positive, and nobody is said to be.
        assert_eq!(metrics, [Metric::Accuracy, Metric::LogLoss, Metric::Brier]);
        assert_eq!(found[0].value, 1.0);
        // One row that taught it is no certainty, all the same.
        assert!(found[0].interval.0 < 0.6, "{:?}", found[0]);
    }
}
