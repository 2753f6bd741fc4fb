//! How well scorers rank outliers above inliers, beside their peers. It does not know how a
//! score arises.

use krcf::{RandomCutForest, RandomCutForestOptions};
use tidegate_detectors::forest::{Forest, Plan};
use tidegate_detectors::outlier::Scorer;

use crate::labelled::{self, Split, auroc};
use crate::report::{Quality, Report};

/// Splits of each set.
const SPLITS: u64 = 5;
/// What ours may fall short of a peer.
const MARGIN: f64 = 0.005;

/// Prints all figures; says whether each is good enough.
#[must_use]
pub fn print(report: &Report) -> bool {
    let mut ok = true;
    for set in labelled::all() {
        let mean = |measure: fn(&Split<'_>, u64) -> f64| {
            (0..SPLITS).map(|seed| measure(&set.split(seed), seed)).sum::<f64>() / SPLITS as f64
        };
        let (ours, theirs) = (mean(forest), mean(krcf));
        ok &= beside(
            report,
            &format!("random cut forest, AUROC, {}", set.name),
            ours,
            "krcf",
            theirs,
        );
    }
    ok
}

fn beside(report: &Report, name: &str, value: f64, peer: &str, theirs: f64) -> bool {
    let least = theirs - MARGIN;
    let goal = format!(">= {least:.4} ({peer} {theirs:.4})");
    report.quality(&Quality { name, value, goal: &goal, ok: value >= least });
    value >= least
}

fn forest(split: &Split<'_>, seed: u64) -> f64 {
    let mut forest =
        Forest::plant(split.fit[0].len(), Plan::default(), seed).expect("a usual size");
    for row in &split.fit {
        forest.learn(row);
    }
    let scores: Vec<f64> =
        split.test.iter().map(|row| forest.score(row).expect("a row of the set")).collect();
    auroc(&scores, &split.outlier)
}

fn krcf(split: &Split<'_>, seed: u64) -> f64 {
    let options = RandomCutForestOptions {
        dimensions: split.fit[0].len(),
        shingle_size: 1,
        num_trees: Some(50),
        sample_size: Some(256),
        random_seed: Some(seed),
        ..RandomCutForestOptions::default()
    };
    let mut forest = RandomCutForest::new(options).expect("a usual size");
    let narrow = |row: &[f64]| row.iter().map(|&value| value as f32).collect::<Vec<f32>>();
    for row in &split.fit {
        forest.update(&narrow(row)).expect("a finite row");
    }
    let scores: Vec<f64> =
        split.test.iter().map(|row| forest.score(&narrow(row)).expect("a finite row")).collect();
    auroc(&scores, &split.outlier)
}
