//! Sequential evidence against its promise: false alarms over long streams, and rows to find a step.
//!
//! It knows no sketch: values are ranked in the true distribution.

use std::sync::Arc;

use tidegate_detectors::reference::{Feature, Observation, Reference};
use tidegate_detectors::sequential::Bettor;
use tidegate_detectors::vigil::Vigil;

use crate::clock;
use crate::report::{Quality, Rate, Report};

const FEATURES: usize = 20;
const ROWS: u64 = 100_000;
const STREAMS: u64 = 400;
/// Rows of a request.
const REQUEST: usize = 50;

/// What the mean rank may differ by without an alarm, as a shift of 0.036 standard deviations does:
/// the error of a reference of 5,500 rows.
const TOLERANCE: f64 = 0.01;

/// Each feature may spend its share of .05.
const ALPHA: f64 = 0.05 / FEATURES as f64;
const ENOUGH: f64 = 1.0 / ALPHA;

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

/// Prints the share of streams with any false alarm and the median rows until
/// a step by half a standard deviation, at row 1,000 and at row 50,000, is found.
pub fn quality(report: &Report) {
    let alarmed = (0..STREAMS).filter(|stream| {
        (0..FEATURES as u64).any(|feature| {
            let mut dice = Dice((stream * 64 + feature) << 32);
            let mut bettor = Bettor::on_ranks(TOLERANCE, ENOUGH);
            (0..ROWS).any(|row| enough(&mut bettor, row, dice.throw()))
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

/// Bets on one more rank, and says whether the evidence is enough.
fn enough(bettor: &mut Bettor, row: u64, rank: f64) -> bool {
    bettor.put_in(1.0 / ROWS as f64, row as i64);
    bettor.observe(rank);
    bettor.evidence() >= ENOUGH
}

fn rows_to_find(seed: u64, begins: u64) -> u64 {
    let mut dice = Dice(seed << 33 | 1);
    let mut bettor = Bettor::on_ranks(TOLERANCE, ENOUGH);
    (0..begins).for_each(|row| {
        enough(&mut bettor, row, dice.throw());
    });
    (1..10_000).find(|row| enough(&mut bettor, begins + row, dice.shifted(0.5))).unwrap_or(10_000)
}

/// Prints how many ranks a second one bettor takes in, and how many rows a whole vigil.
pub fn speed(report: &Report) {
    let mut dice = Dice(3);
    let ranks: Vec<f64> = (0..1_000_000).map(|_| dice.throw()).collect();
    let seconds = clock::least(3, || {
        let mut bettor = Bettor::on_ranks(TOLERANCE, ENOUGH);
        let reached = (0..).zip(&ranks).filter(|(row, rank)| enough(&mut bettor, *row, **rank));
        assert_eq!(reached.count(), 0);
    });
    let rate = ranks.len() as f64 / seconds;
    let name = "sequential evidence, values of one feature";
    report.rate("detectors", &Rate { name, rate, goal: Some(2e6), ..Rate::default() });

    let names = (0..FEATURES).map(|feature| Feature::number(format!("x{feature}")));
    let mut reference = Reference::of(10_000, names.collect());
    for feature in &mut reference.features {
        (0..10_000).for_each(|_| feature.observe(Observation::Number(dice.throw())));
        feature.settle();
    }
    let mut vigil = Vigil::new(Arc::new(reference), ALPHA, 2_592_000_000);
    let rows = 20_000;
    let seconds = clock::least(3, || {
        let rows = ranks[..rows * FEATURES].chunks_exact(FEATURES);
        for (at, request) in (0..).zip(rows.collect::<Vec<_>>().chunks(REQUEST)) {
            vigil.at(at);
            for feature in 0..FEATURES {
                let column = request.iter().map(|row| Observation::Number(row[feature]));
                vigil.observe(feature, &column.collect::<Vec<_>>());
            }
        }
    });
    let rate = rows as f64 / seconds;
    let name = "sequential evidence, rows of 20 features, ranked in the reference";
    report.rate("detectors", &Rate { name, rate, goal: Some(2e6), ..Rate::default() });
}
