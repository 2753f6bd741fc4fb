//! Changes of nothing but the joint law: how often they are found, and by which test. No column changes by
//! itself, and where it is not said, no correlation does.

use tidegate_detectors::finding::{Detector, Finding, Verdict};
use tidegate_detectors::forest::random::Random;
use tidegate_detectors::joint::lens::Lens;
use tidegate_detectors::judge::{Rules, judge};
use tidegate_detectors::reference::{Observation, Reference};
use tidegate_detectors::window::{Pane, Window};

use crate::report::{Quality, Report};
use crate::speed::forest::normal;
use crate::training;

const COLUMNS: usize = 8;
const TRAINING: usize = 10_000;
const REFERENCES: u64 = 4;
/// Windows of each reference.
const WINDOWS: usize = 50;
const ROWS: usize = 500;
const LEVEL: f64 = 0.05;

/// Columns in which nothing but the joint law says whether it is as in training.
type Law = fn(&mut Random, bool) -> [f64; COLUMNS];

/// With the test that is to find the change.
const LAWS: [(&str, Law, Detector, f64); 5] = [
    ("x1 low where x0² is high, not high", of_squares, Detector::Mmd, 0.9),
    ("x1 that no longer follows x0²", of_no_squares, Detector::Mmd, 0.7),
    ("the other sign of x0·x1·x2", of_signs, Detector::Mmd, 0.6),
    ("a correlation of .3, not .6", correlation, Detector::Mmd, 0.7),
    (
        "x1 turned around in one row of eight, of a correlation of .9",
        contrary,
        Detector::Copula,
        0.9,
    ),
];

/// Standard normal columns.
fn columns(random: &mut Random) -> [f64; COLUMNS] {
    std::array::from_fn(|_| normal(random))
}

/// x1 has the sign that `way` says, but for one row of ten: a normal column whatever that is.
fn with_sign(
    random: &mut Random,
    column: usize,
    mut row: [f64; COLUMNS],
    way: f64,
) -> [f64; COLUMNS] {
    let way = if random.unit() < 0.1 { -way } else { way };
    row[column] = row[column].abs() * way.signum();
    row
}

fn of_squares(random: &mut Random, same: bool) -> [f64; COLUMNS] {
    let row = columns(random);
    // Half of the squares of normal values are larger.
    let way = row[0] * row[0] - 0.455;
    with_sign(random, 1, row, if same { way } else { -way })
}

fn of_no_squares(random: &mut Random, same: bool) -> [f64; COLUMNS] {
    if same { of_squares(random, true) } else { columns(random) }
}

fn of_signs(random: &mut Random, same: bool) -> [f64; COLUMNS] {
    let row = columns(random);
    let way = row[0] * row[1];
    with_sign(random, 2, row, if same { way } else { -way })
}

fn correlation(random: &mut Random, same: bool) -> [f64; COLUMNS] {
    let mut row = columns(random);
    let r: f64 = if same { 0.6 } else { 0.3 };
    row[1] = r * row[0] + (1.0 - r * r).sqrt() * row[1];
    row
}

fn contrary(random: &mut Random, same: bool) -> [f64; COLUMNS] {
    let mut row = columns(random);
    let r: f64 = 0.9;
    row[1] = r * row[0] + (1.0 - r * r).sqrt() * row[1];
    if !same && random.unit() < 0.125 {
        row[1] = -row[1];
    }
    row
}

/// What is found in a window of rows.
fn found(reference: &Reference, lens: &Lens, rows: &[[f64; COLUMNS]]) -> Vec<Finding> {
    let mut pane = Pane::new(reference);
    let mut seen = lens.rows(rows.len());
    for (place, row) in rows.iter().enumerate() {
        for (at, &value) in row.iter().enumerate() {
            pane.observe(at, Observation::Number(value));
            lens.see(&mut seen, at, place, &[Observation::Number(value)]);
        }
        pane.count(1);
    }
    pane.together(lens, &seen);
    judge(reference, &Window::of(reference, [&pane]), &Rules::default())
}

/// Prints the share of windows in which each test finds the change.
pub fn print(report: &Report) {
    for (what, law, test, goal) in LAWS {
        let (mut hits, mut others, mut alarms, mut effect) = (0, 0, 0, 0.0);
        for seed in 0..REFERENCES {
            let mut random = Random::seeded(seed);
            let reference = training::learned((0..TRAINING).map(|_| law(&mut random, true)));
            let lens = Lens::all_of(&reference).pop().expect("rows enough");
            for _ in 0..WINDOWS {
                let rows: Vec<_> = (0..ROWS).map(|_| law(&mut random, false)).collect();
                let findings = found(&reference, &lens, &rows);
                let flagged = |detector: Detector| {
                    findings.iter().any(|f| f.detector == detector && f.p_value <= LEVEL)
                };
                hits += usize::from(flagged(test));
                others +=
                    usize::from(flagged(Detector::Correlation) || flagged(Detector::ClusterMass));
                let of_it = findings.iter().find(|finding| finding.detector == test);
                alarms += usize::from(of_it.is_some_and(|f| f.verdict == Verdict::Alarm));
                effect += of_it.map_or(0.0, |finding| finding.effect);
            }
        }
        let windows = (REFERENCES as usize * WINDOWS) as f64;
        let share = |count: usize| count as f64 / windows;
        let (value, others, alarms) = (share(hits), share(others), share(alarms));
        let name = format!(
            "joint law: power at .05 of {} for {what}, {ROWS} rows of {COLUMNS} columns (correlations \
             and clusters {others:.3}; alarms {alarms:.3}, effect {:.2})",
            test.name(),
            effect / windows
        );
        let goal_text = format!(">= {goal}");
        report.quality(&Quality { name: &name, value, goal: &goal_text, ok: value >= goal });
    }
}
