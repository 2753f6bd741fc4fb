//! Whether p of the Kolmogorov-Smirnov test is a probability whatever the samples. It does not
//! know what p should be: unit tests hold it against scipy's literals.

use tidegate_detectors::ks::{Method, Sorted, samples};

use crate::report::{Quality, Report};

/// Pairs of samples.
const CASES: u32 = 100_000;

/// Prints how many of 100,000 pairs give a p or D outside 0 to 1; says whether none does.
#[must_use]
pub fn print(report: &Report) -> bool {
    let mut seed = 11u64;
    let mut throw = |upto: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % upto
    };
    let mut outside = 0u32;
    for _ in 0..CASES {
        // Few levels make ties; an offset makes samples that hardly overlap.
        let (levels, offset) = (1 + throw(500), throw(600));
        let (m, n) = (throw(120), throw(120));
        let was = Sorted::of((0..m).map(|_| throw(levels) as f64).collect());
        let now = Sorted::of((0..n).map(|_| (throw(levels) + offset) as f64).collect());
        for method in [Method::Auto, Method::Exact, Method::ExactGivenTies, Method::Asymptotic] {
            let found = samples(&was, &now, method);
            let inside = |value: f64| (0.0..=1.0).contains(&value);
            outside += u32::from(!inside(found.p_value) || !inside(found.statistic));
        }
    }
    let (name, goal) = ("KS: p or D outside 0 to 1 in 100,000 fuzzed pairs", "= 0");
    report.quality(&Quality { name, value: f64::from(outside), goal, ok: outside == 0 });
    outside == 0
}
