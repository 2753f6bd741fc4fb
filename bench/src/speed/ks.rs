//! How many two-sample Kolmogorov-Smirnov tests a second. It does not know whether they are right.

use std::hint::black_box;

use tidegate_detectors::ks::{Method, Sorted, samples};

use crate::clock::least;
use crate::report::{Rate, Report};

/// Tests of one window each that are timed together.
const TESTS: usize = 50;

/// Prints the rates at a sorted reference of 10,000 against unsorted windows of 1,000.
pub fn print(report: &Report) {
    let mut seed = 3u64;
    let mut throw = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let reference = Sorted::of((0..10_000).map(|_| throw()).collect());
    let windows: Vec<Vec<f64>> =
        (0..TESTS).map(|_| (0..1_000).map(|_| throw()).collect()).collect();
    for (name, method, goal) in [
        ("KS, 10,000 sorted against 1,000, asymptotic", Method::Asymptotic, Some(5_000.0)),
        ("KS, 10,000 sorted against 1,000, exact", Method::Exact, None),
        ("KS, 10,000 sorted against 1,000, exact given ties", Method::ExactGivenTies, None),
    ] {
        let seconds = least(5, || {
            for window in &windows {
                black_box(samples(&reference, &Sorted::of(window.clone()), method));
            }
        });
        let rate = TESTS as f64 / seconds;
        report.rate("detectors", &Rate { name, rate, goal, ..Rate::default() });
    }
}
