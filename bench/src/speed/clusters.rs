//! HDBSCAN and DBSCAN: rows clustered each CPU second. It does not know whether the clusters are
//! right.

use tidegate_detectors::cluster::dbscan::Dbscan;
use tidegate_detectors::cluster::hdbscan::Hdbscan;
use tidegate_detectors::forest::random::Random;

use super::forest::normal;
use crate::clock;
use crate::report::{Rate, Report};

const ROWS: usize = 20_000;
const FEATURES: usize = 8;
const BLOBS: usize = 10;

/// Prints both rates at 20,000 × 8.
pub fn print(report: &Report) {
    let mut random = Random::seeded(1);
    let centres: Vec<Vec<f64>> =
        (0..BLOBS).map(|_| (0..FEATURES).map(|_| random.unit() * 20.0 - 10.0).collect()).collect();
    let rows: Vec<Vec<f64>> = (0..ROWS)
        .map(|at| centres[at % BLOBS].iter().map(|centre| centre + normal(&mut random)).collect())
        .collect();
    let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let hdbscan = clock::least(2, || {
        let fitted = Hdbscan::fit(&rows, 50, 10).expect("usual sizes");
        assert_eq!(fitted.clusters(), BLOBS);
    });
    rate(report, "HDBSCAN, 20,000 × 8", Some(20_000.0), hdbscan);
    let dbscan = clock::least(2, || {
        Dbscan::fit(&rows, 2.0, 10).expect("usual sizes");
    });
    rate(report, "DBSCAN, 20,000 × 8", None, dbscan);
}

fn rate(report: &Report, name: &str, goal: Option<f64>, seconds: f64) {
    let rate = ROWS as f64 / seconds;
    report.rate("detectors", &Rate { name, rate, goal, ..Rate::default() });
}
