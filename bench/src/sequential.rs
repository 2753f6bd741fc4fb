//! Sequential evidence against its promise: false alarms over long streams, and rows to find a step.
//!
//! It knows no sketch: values are ranked in the true distribution.

use tidegate_detectors::sequential::Bettor;

use crate::clock;
use crate::report::{Quality, Rate, Report};

const FEATURES: usize = 20;
const ROWS: u64 = 100_000;
const STREAMS: u64 = 400;

/// What `g` may differ by without an alarm: as a shift of 0.036 standard deviations does.
const MINIMUM: f64 = 0.02;

/// Each feature may spend its share of .05.
const ALPHA: f64 = 0.05 / FEATURES as f64;

struct Dice(u64);

impl Dice {
    /// A uniform number (splitmix64; Steele, Lea & Flood 2014).
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The rank, among logistic numbers of standard deviation 1, of one that is shifted so far.
    fn shifted(&mut self, by: f64) -> f64 {
        let u = self.throw().clamp(1e-12, 1.0 - 1e-12);
        let scale = std::f64::consts::PI / 3f64.sqrt();
        1.0 / (1.0 + (-((u / (1.0 - u)).ln() + by * scale)).exp())
    }
}

/// Prints the share of streams with any false alarm at minimum effect 0 and the median rows until
/// a step by half a standard deviation, at row 1,000 and at row 50,000, is found.
pub fn quality(report: &Report) {
    let alarmed = (0..STREAMS).filter(|stream| {
        (0..FEATURES as u64).any(|feature| {
            let mut dice = Dice((stream * 64 + feature) << 32);
            let mut bettor = Bettor::new(0.0, ROWS);
            (0..ROWS).for_each(|_| {
                bettor.observe(dice.throw());
            });
            bettor.rejects(ALPHA)
        })
    });
    let value = alarmed.count() as f64 / STREAMS as f64;
    let name = "sequential: streams of 1e5 rows × 20 features with any false alarm";
    report.quality(&Quality { name, value, goal: "<= 0.05", ok: value <= 0.05 });
    for begins in [0, 1_000, 50_000] {
        let mut rows: Vec<u64> = (0..201).map(|seed| rows_to_find(seed, begins)).collect();
        rows.sort_unstable();
        let value = rows[100] as f64;
        let name = format!("sequential: median rows to find a 0.5 sd step at row {begins}");
        report.quality(&Quality { name: &name, value, goal: "<= 150", ok: value <= 150.0 });
    }
}

fn rows_to_find(seed: u64, begins: u64) -> u64 {
    let (mut dice, mut bettor) = (Dice(seed << 33 | 1), Bettor::new(MINIMUM, ROWS));
    (0..begins).for_each(|_| {
        bettor.observe(dice.throw());
    });
    (1..10_000)
        .find(|_| {
            let rank = dice.shifted(0.5);
            bettor.observe(rank);
            bettor.rejects(ALPHA)
        })
        .unwrap_or(10_000)
}

/// Prints how many ranks a second one bettor takes in.
pub fn speed(report: &Report) {
    let mut dice = Dice(3);
    let ranks: Vec<f64> = (0..1_000_000).map(|_| dice.throw()).collect();
    let seconds = clock::least(3, || {
        let mut bettor = Bettor::new(MINIMUM, ROWS);
        ranks.iter().for_each(|&rank| {
            bettor.observe(rank);
        });
        assert!(bettor.evidence().is_finite());
    });
    let rate = ranks.len() as f64 / seconds;
    let name = "sequential evidence, values of one feature";
    report.rate("detectors", &Rate { name, rate, goal: Some(2e6), ..Rate::default() });
}
