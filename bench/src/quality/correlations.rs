//! Correlations beside pandas', and how often the change of any pair is found where there is none.

use serde_json::Value;
use tidegate_detectors::correlation::{Correlations, spearman};
use tidegate_detectors::forest::random::Random;
use tidegate_detectors::joint::lens::Lens;
use tidegate_detectors::joint::tally::Tally;
use tidegate_detectors::reference::Observation;

use crate::peers;
use crate::report::{Quality, Report};
use crate::speed::forest::normal;
use crate::training;

const COLUMNS: usize = 8;
const WINDOWS: usize = 1_000;
const TRAINING: u64 = 20_000;
const LEVEL: f64 = 0.05;

/// Prints the largest difference from pandas, and the shares of windows with a false alarm.
pub fn print(report: &Report) {
    let (mut pearsons, mut spearmans, mut cells) = (0.0f64, 0.0f64, 0);
    for line in peers::ask("correlations.py", [""; 0]) {
        let Some(rows) = line["rows"].as_array() else { continue };
        let rows: Vec<Vec<f64>> = rows.iter().map(numbers).collect();
        let width = rows[0].len();
        let mut correlations = Correlations::new(width);
        rows.iter().for_each(|row| correlations.row(row));
        let column = |at: usize| rows.iter().map(|row| row[at]).collect::<Vec<f64>>();
        let matrix = correlations.matrix();
        for (one, row) in matrix.chunks(width).enumerate() {
            for (other, r) in row.iter().enumerate() {
                let theirs = |name: &str| numbers(&line[name][one])[other];
                pearsons = pearsons.max((r - theirs("pearson")).abs());
                let rho = spearman(&column(one), &column(other)).unwrap_or(f64::NAN);
                spearmans = spearmans.max((rho - theirs("spearman")).abs());
                cells += 1;
            }
        }
    }
    if cells > 0 {
        for (name, value) in [("Pearson", pearsons), ("Spearman", spearmans)] {
            let name =
                format!("correlations: {name}, largest difference from pandas, {cells} pairs");
            report.quality(&Quality { name: &name, value, goal: "<= 1e-12", ok: value <= 1e-12 });
        }
    }
    for rows in [500, 1_000] {
        for (what, shape) in SHAPES {
            let value = false_alarms(rows, shape);
            let name = format!(
                "correlations: any pair of {COLUMNS} columns said to change, {what}, {rows} rows"
            );
            let ok = (0.035..=0.065).contains(&value);
            report.quality(&Quality { name: &name, value, goal: "0.035..0.065", ok });
        }
    }
}

fn numbers(row: &Value) -> Vec<f64> {
    let cells = row.as_array().expect("a row");
    cells.iter().map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect()
}

/// What a normal value becomes.
type Shape = fn(usize, f64) -> f64;

const SHAPES: [(&str, Shape); 3] = [
    ("normal", |_, value| value),
    ("log-normal", |_, value| value.exp()),
    ("mixed with ties", |at, value| match at % 3 {
        0 => value,
        1 => (value * 2.0).floor(),
        _ => value.max(0.5),
    }),
];

fn row(random: &mut Random, shape: Shape) -> [f64; COLUMNS] {
    let common = normal(random);
    std::array::from_fn(|at| shape(at, 0.6 * common + 0.8 * normal(random)))
}

fn false_alarms(rows: usize, shape: Shape) -> f64 {
    let mut random = Random::seeded(rows as u64);
    let reference = training::learned((0..TRAINING).map(|_| row(&mut random, shape)));
    let joint = reference.joints.first().cloned().expect("rows enough");
    let lens = Lens::all_of(&reference).pop().expect("what was learned");
    let alarms = (0..WINDOWS).filter(|_| {
        let mut seen = lens.rows(rows);
        for place in 0..rows {
            for (at, value) in row(&mut random, shape).into_iter().enumerate() {
                lens.see(&mut seen, at, place, &[Observation::Number(value)]);
            }
        }
        let mut tally = Tally::new(&joint);
        tally.rows(&lens, &seen);
        let changes = joint.changes(&tally, 1, &[]);
        let smallest = changes.iter().map(|change| change.p_value).fold(1.0, f64::min);
        joint.any_pair(smallest, changes.len()) <= LEVEL
    });
    alarms.count() as f64 / WINDOWS as f64
}
