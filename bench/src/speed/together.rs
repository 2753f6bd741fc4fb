//! What a row of a window costs: its values one by one, and what they say together. Decoding is not
//! part of it, nor is the vigil.

use tidegate_detectors::forest::random::Random;
use tidegate_detectors::joint::lens::Lens;
use tidegate_detectors::reference::Observation;
use tidegate_detectors::window::Pane;

use super::forest::normal;
use crate::clock;
use crate::report::{Rate, Report};
use crate::training;

const ROWS: usize = 50_000;
const COLUMNS: usize = 20;
/// Rows of a request.
const REQUEST: usize = 50;
/// What a collector should take in on one core, all in all.
const GOAL: f64 = 150e3;

/// Prints the rate of rows of 20 numbers that depend on each other.
pub fn print(report: &Report) {
    let mut random = Random::seeded(6);
    let rows: Vec<[f64; COLUMNS]> = (0..ROWS)
        .map(|_| {
            let common = normal(&mut random);
            std::array::from_fn(|_| 0.6 * common + 0.8 * normal(&mut random))
        })
        .collect();
    let reference = training::learned(rows.iter().copied());
    let lens = Lens::of(&reference).expect("rows enough");
    let alone = clock::least(3, || {
        let mut pane = Pane::new(&reference);
        for row in &rows {
            observe(&mut pane, row);
        }
        assert_eq!(pane.rows(), ROWS as u64);
    });
    let together = clock::least(3, || {
        let mut pane = Pane::new(&reference);
        for request in rows.chunks(REQUEST) {
            let mut seen = lens.rows(request.len());
            for (at, row) in request.iter().enumerate() {
                observe(&mut pane, row);
                for (feature, value) in row.iter().enumerate() {
                    lens.see(&mut seen, at, feature, Observation::Number(*value));
                }
            }
            pane.together(&lens, &seen);
        }
        assert_eq!(pane.rows(), ROWS as u64);
    });
    for (name, seconds, goal) in [
        ("window rows of 20 numbers, one by one", alone, None),
        ("window rows of 20 numbers, and together", together, Some(GOAL)),
    ] {
        let rate = ROWS as f64 / seconds;
        report.rate("detectors", &Rate { name, rate, goal, peer: None, peer_rate: None });
    }
}

fn observe(pane: &mut Pane, row: &[f64; COLUMNS]) {
    for (feature, value) in row.iter().enumerate() {
        pane.observe(feature, Observation::Number(*value));
    }
    pane.row();
}
