//! ECOD and Isolation Forest: rows scored each CPU second. It does not know whether the scores are
//! any good.

use tidegate_detectors::ecod::Ecod;
use tidegate_detectors::forest::isolation::{IsolationForest, Size};
use tidegate_detectors::forest::random::Random;
use tidegate_detectors::outlier::Scorer;

use super::forest::normal;
use crate::clock;
use crate::report::{Rate, Report};

const ROWS: usize = 50_000;
const FEATURES: usize = 9;

/// Prints both rates at nine features.
pub fn print(report: &Report) {
    let mut random = Random::seeded(1);
    let rows: Vec<Vec<f64>> =
        (0..ROWS).map(|_| (0..FEATURES).map(|_| normal(&mut random)).collect()).collect();
    let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let ecod = Ecod::fit(&rows);
    rate(report, "ECOD, score, 9 features", Some(1e6), &ecod, &rows);
    let forest = IsolationForest::fit(&rows, Size::default(), 1).expect("a usual size");
    rate(report, "isolation forest, score, 9 features, 100 × 256", None, &forest, &rows);
}

fn rate(report: &Report, name: &str, goal: Option<f64>, scorer: &impl Scorer, rows: &[&[f64]]) {
    let seconds = clock::least(3, || {
        let total: f64 = rows.iter().filter_map(|row| scorer.score(row)).sum();
        assert!(total > 0.0);
    });
    let rate = rows.len() as f64 / seconds;
    report.rate("detectors", &Rate { name, rate, goal, ..Rate::default() });
}
