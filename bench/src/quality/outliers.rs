//! How well scorers rank outliers above inliers, beside their peers. It does not know how a
//! score arises.

use std::collections::BTreeMap;

use krcf::{RandomCutForest, RandomCutForestOptions};
use tidegate_detectors::ecod::Ecod;
use tidegate_detectors::forest::isolation::{IsolationForest, Size};
use tidegate_detectors::forest::{Forest, Plan};
use tidegate_detectors::outlier::Scorer;

use crate::labelled::{self, Split, auroc};
use crate::peers;
use crate::report::{Quality, Report};

/// Splits of each set.
const SPLITS: u64 = 5;
/// What ours may fall short of a peer.
const MARGIN: f64 = 0.005;
/// What two isolation forests of 100 trees on one set may differ by, by chance alone.
const CHANCE: f64 = 0.02;

/// Prints all figures; says whether each is good enough.
#[must_use]
pub fn print(report: &Report) -> bool {
    let peers = peers();
    let mut ok = true;
    let (mut ours, mut theirs) = (vec![], vec![]);
    for set in labelled::all() {
        let mean = |measure: fn(&Split<'_>, u64) -> f64| {
            (0..SPLITS).map(|seed| measure(&set.split(seed), seed)).sum::<f64>() / SPLITS as f64
        };
        let of = |scorer: &str| format!("{scorer}, AUROC, {}", set.name);
        ok &= beside(report, &of("random cut forest"), mean(forest), mean(krcf) - MARGIN, "krcf");
        if let Some(peer) = peers.get(&(set.name.clone(), "scikit-learn".to_owned())) {
            ok &= beside(
                report,
                &of("isolation forest"),
                mean(isolation),
                peer - CHANCE,
                "scikit-learn",
            );
        }
        if let Some(peer) = peers.get(&(set.name.clone(), "pyod".to_owned())) {
            ours.push(mean(ecod));
            theirs.push(*peer);
        }
    }
    if !ours.is_empty() {
        let mean = |areas: &[f64]| areas.iter().sum::<f64>() / areas.len() as f64;
        let name = format!("ECOD from tables, mean AUROC of {} sets", ours.len());
        ok &= beside(report, &name, mean(&ours), mean(&theirs) - MARGIN, "pyod");
    }
    ok
}

/// AUROC of the peers in Python, by set and peer.
fn peers() -> BTreeMap<(String, String), f64> {
    let lines = peers::ask("outliers.py", [labelled::shared_folder(), labelled::shuttle_file()]);
    lines
        .iter()
        .filter_map(|line| {
            let word = |key: &str| line[key].as_str().map(str::to_owned);
            Some(((word("set")?, word("peer")?), line["auroc"].as_f64()?))
        })
        .collect()
}

fn beside(report: &Report, name: &str, value: f64, least: f64, peer: &str) -> bool {
    let goal = format!(">= {least:.4}, by {peer}");
    report.quality(&Quality { name, value, goal: &goal, ok: value >= least });
    value >= least
}

fn rank(split: &Split<'_>, scorer: &impl Scorer) -> f64 {
    let scores: Vec<f64> =
        split.test.iter().map(|row| scorer.score(row).expect("a row of the set")).collect();
    auroc(&scores, &split.outlier)
}

fn ecod(split: &Split<'_>, _seed: u64) -> f64 {
    rank(split, &Ecod::fit(&split.fit))
}

fn isolation(split: &Split<'_>, seed: u64) -> f64 {
    rank(split, &IsolationForest::fit(&split.fit, Size::default(), seed).expect("a usual size"))
}

fn forest(split: &Split<'_>, seed: u64) -> f64 {
    let mut forest =
        Forest::plant(split.fit[0].len(), Plan::default(), seed).expect("a usual size");
    for row in &split.fit {
        forest.learn(row);
    }
    rank(split, &forest)
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
