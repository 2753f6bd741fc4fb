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
    let lens = Lens::all_of(&reference).pop().expect("rows enough");
    let alone = clock::least(3, || {
        let mut pane = Pane::new(&reference);
        for request in rows.chunks(REQUEST) {
            for feature in 0..COLUMNS {
                pane.observe_all(feature, &column(request, feature));
            }
            pane.count(request.len() as u64);
        }
        assert_eq!(pane.rows(), ROWS as u64);
    });
    let together = clock::least(3, || {
        let mut pane = Pane::new(&reference);
        for request in rows.chunks(REQUEST) {
            let mut seen = lens.rows(request.len());
            for feature in 0..COLUMNS {
                let column = column(request, feature);
                pane.observe_all(feature, &column);
                lens.see(&mut seen, feature, 0, &column);
            }
            pane.together(&lens, &seen);
            pane.count(request.len() as u64);
        }
        assert_eq!(pane.rows(), ROWS as u64);
    });
    for (name, seconds, goal) in [
        ("window rows of 20 numbers, each column by itself", alone, None),
        ("window rows of 20 numbers, and together", together, Some(GOAL)),
    ] {
        let rate = ROWS as f64 / seconds;
        report.rate("detectors", &Rate { name, rate, goal, peer: None, peer_rate: None });
    }
}

fn column(request: &[[f64; COLUMNS]], feature: usize) -> Vec<Observation<'static>> {
    request.iter().map(|row| Observation::Number(row[feature])).collect()
}
