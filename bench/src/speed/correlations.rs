//! Correlations of twenty columns: rows taken in each CPU second, beside pandas. It does not know
//! what they are.

use tidegate_detectors::correlation::Correlations;
use tidegate_detectors::forest::random::Random;

use super::forest::normal;
use crate::clock;
use crate::peers;
use crate::report::{Rate, Report};

const ROWS: usize = 200_000;
const COLUMNS: usize = 20;

/// Prints the rate of columns and that of single rows.
pub fn print(report: &Report) {
    let mut random = Random::seeded(2);
    let rows: Vec<f64> = (0..ROWS * COLUMNS).map(|_| normal(&mut random)).collect();
    let columns: Vec<Vec<f64>> =
        (0..COLUMNS).map(|at| rows.iter().skip(at).step_by(COLUMNS).copied().collect()).collect();
    let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let in_columns = clock::least(3, || {
        let mut correlations = Correlations::new(COLUMNS);
        correlations.rows(&views);
        assert!(correlations.matrix()[1].is_finite());
    });
    let in_rows = clock::least(3, || {
        let mut correlations = Correlations::new(COLUMNS);
        rows.chunks_exact(COLUMNS).for_each(|row| correlations.row(row));
        assert!(correlations.matrix()[1].is_finite());
    });
    let lines = peers::ask("correlations.py", [""; 0]);
    let peer_rate = lines.iter().find_map(|line| line["rate"].as_f64());
    for (name, seconds) in [
        ("correlations of 20 columns, in columns", in_columns),
        ("correlations of 20 columns, row by row", in_rows),
    ] {
        let peer = peer_rate.map(|_| "pandas");
        let rate = ROWS as f64 / seconds;
        report.rate("detectors", &Rate { name, rate, goal: Some(1e6), peer, peer_rate });
    }
}
