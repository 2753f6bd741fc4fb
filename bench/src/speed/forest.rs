//! Random Cut Forest: rows scored, then learned, each CPU second, beside `krcf`. It does not know
//! whether the scores are any good.

use krcf::{RandomCutForest, RandomCutForestOptions};
use tidegate_detectors::forest::random::Random;
use tidegate_detectors::forest::{Forest, Plan};

use crate::clock;
use crate::report::{Rate, Report};

const ROWS: usize = 20_000;
const FEATURES: usize = 9;

/// Prints the rate at nine dimensions, fifty trees of 256.
pub fn print(report: &Report) {
    let mut random = Random::seeded(1);
    let rows: Vec<Vec<f64>> =
        (0..ROWS).map(|_| (0..FEATURES).map(|_| normal(&mut random)).collect()).collect();
    let ours = clock::least(3, || {
        let mut forest = Forest::plant(FEATURES, Plan::default(), 1).expect("a usual size");
        let total: f64 = rows.iter().filter_map(|row| forest.score_and_learn(row)).sum();
        assert!(total > 0.0);
    });
    let narrow: Vec<Vec<f32>> =
        rows.iter().map(|row| row.iter().map(|&value| value as f32).collect()).collect();
    let theirs = clock::least(2, || {
        let options = RandomCutForestOptions {
            dimensions: FEATURES,
            shingle_size: 1,
            num_trees: Some(50),
            sample_size: Some(256),
            random_seed: Some(1),
            parallel_execution_enabled: Some(false),
            ..RandomCutForestOptions::default()
        };
        let mut forest = RandomCutForest::new(options).expect("a usual size");
        for row in &narrow {
            forest.score(row).expect("a finite row");
            forest.update(row).expect("a finite row");
        }
    });
    report.rate(
        "detectors",
        &Rate {
            name: "random cut forest, score and learn, 9 features, 50 × 256",
            rate: ROWS as f64 / ours,
            goal: Some(28_000.0),
            peer: Some("krcf"),
            peer_rate: Some(ROWS as f64 / theirs),
        },
    );
}

/// A standard normal number (Box & Muller 1958).
pub fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * random.positive().ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}
