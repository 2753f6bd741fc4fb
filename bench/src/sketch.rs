//! The compact sketch against the truth: ten million values of four kinds, the whole and in shards.
//!
//! It knows no other sketch: peers stand beside it elsewhere.

use tidegate_detectors::compact::CompactSketch;

use crate::clock;
use crate::report::{Quality, Rate, Report};

const ROWS: usize = 10_000_000;

/// Uniform numbers (splitmix64; Steele, Lea & Flood 2014).
fn uniform(seed: u64, rows: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..rows).map(|_| next()).collect()
}

fn log_normal(u: &[f64]) -> Vec<f64> {
    let pair = |p: &[f64]| {
        let (radius, turn) = ((-2.0 * (1.0 - p[0]).ln()).sqrt(), std::f64::consts::TAU * p[1]);
        [(radius * turn.cos()).exp(), (radius * turn.sin()).exp()]
    };
    u.chunks_exact(2).flat_map(pair).collect()
}

/// Prints the errors in rank, everywhere and at two high quantiles, and the bytes.
pub fn quality(report: &Report) {
    let u = uniform(7, ROWS);
    let kinds: [(&str, Vec<f64>); 4] = [
        ("uniform", u.clone()),
        ("log-normal", log_normal(&u)),
        ("pareto", u.iter().map(|u| (1.0 - u).powf(-1.0 / 1.5)).collect()),
        ("sorted", (0..ROWS).map(|i| i as f64).collect()),
    ];
    for (kind, values) in kinds {
        let mut whole = CompactSketch::default();
        whole.extend(&values);
        let mut merged = CompactSketch::default();
        for shard in values.chunks(ROWS / 1_000) {
            let mut part = CompactSketch::default();
            part.extend(shard);
            merged.merge(&part);
        }
        let mut truth = values;
        truth.sort_unstable_by(f64::total_cmp);
        let one = figures(report, &format!("{kind}, 10M values"), &whole, &truth);
        let many = figures(report, &format!("{kind}, 1,000 shards"), &merged, &truth);
        let name = format!("sketch: {kind}, error of shards over error of one stream");
        let ratio = many / one;
        report.quality(&Quality { name: &name, value: ratio, goal: "<= 1.5", ok: ratio <= 1.5 });
    }
}

/// Prints the figures of what is read back from storage, and returns the largest error.
fn figures(report: &Report, kind: &str, sketch: &CompactSketch, truth: &[f64]) -> f64 {
    let bytes = sketch.to_bytes();
    let read = CompactSketch::from_bytes(&bytes).expect("it was just written");
    let (curve, n) = (read.curve(), truth.len() as f64);
    let error = |q: f64| {
        let value = curve.quantile(q).expect("there are values");
        (truth.partition_point(|&v| v <= value) as f64 / n - q).abs()
    };
    let everywhere = (1..10_000).map(|i| error(f64::from(i) / 1e4)).fold(0.0, f64::max);
    let say = |what: &str, value: f64, goal: &str, ok: bool| {
        report.quality(&Quality { name: &format!("sketch: {kind}, {what}"), value, goal, ok });
    };
    say("largest error in rank", everywhere, "<= 0.0003", everywhere <= 3e-4);
    for q in [0.99, 0.999] {
        say(&format!("error at {q}"), error(q), "<= 0.00002", error(q) <= 2e-5);
    }
    say("bytes", bytes.len() as f64, "<= 4096", bytes.len() <= 4_096);
    everywhere
}

/// Prints how many values a second the sketch takes in.
pub fn speed(report: &Report) {
    let values = uniform(9, 4_000_000);
    let seconds = clock::least(3, || {
        let mut sketch = CompactSketch::default();
        sketch.extend(&values);
        sketch.settle();
        assert_eq!(sketch.count(), 4_000_000);
    });
    let rate = values.len() as f64 / seconds;
    let name = "quantile sketch, updates";
    report.rate("detectors", &Rate { name, rate, goal: Some(40e6), ..Rate::default() });
}
