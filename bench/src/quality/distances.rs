//! How often distances between two columns without a change have p at most .05: Wasserstein's, Jensen
//! and Shannon's, and the stability index, on values of known laws and on the columns of real tables.
//! References are condensed as profiles store them.

use tidegate_collector::profile::survey::SKETCH_BYTES;
use tidegate_detectors::distance::binned::Binned;
use tidegate_detectors::distance::wasserstein;
use tidegate_detectors::forest::random::Random;
use tidegate_detectors::reference::{Feature, Observation, Values};
use tidegate_detectors::summary::NumberSummary;

use super::table::{self, Table, normal};
use crate::report::{Quality, Report};

const LEVEL: f64 = 0.05;
/// Rows of a window.
const SIZE: usize = 500;
/// Rows of a reference of values of a known law.
const KNOWN: usize = 10_000;
/// References of each law: what one has by chance, another has not.
const REFERENCES: usize = 100;
/// Windows for each of them.
const WINDOWS: usize = 10;
/// Windows for each column of a table, and ways in which the table is halved.
const OF_A_COLUMN: usize = 12;
const HALVINGS: u64 = 5;

/// How a value of a known law is drawn.
type Law = fn(&mut Random) -> f64;

/// Prints false alarms of each distance.
pub fn print(report: &Report) {
    let laws: [(&str, Law); 5] = [
        ("normal", normal),
        ("log-normal", |random| normal(random).exp()),
        ("t with 3 degrees", student),
        ("Pareto 1.5", |random| random.positive().powf(-1.0 / 1.5)),
        ("floor(2z)", |random| (normal(random) * 2.0).floor()),
    ];
    for (name, value) in laws {
        let mut draw = |random: &mut Random| Drawn::Number(value(random));
        law(report, name, (KNOWN, SIZE), (REFERENCES, WINDOWS), &mut draw);
    }
    let mut draw = |random: &mut Random| Drawn::Number(normal(random));
    law(report, "normal", (100_000, 100_000), (25, 20), &mut draw);
    for (name, levels, power) in
        [("6 even levels", 6, 0.0), ("Zipf's 50 levels", 50, 1.0), ("Zipf's 200 levels", 200, 1.0)]
    {
        let mut shares: Vec<f64> = (1..=levels).map(|at| f64::from(at).powf(-power)).collect();
        let all: f64 = shares.iter().sum();
        let mut upto = 0.0;
        for share in &mut shares {
            upto += *share / all;
            *share = upto;
        }
        let mut draw = |random: &mut Random| {
            let place = random.unit();
            Drawn::Level(shares.partition_point(|upto| *upto <= place))
        };
        law(report, name, (KNOWN, SIZE), (REFERENCES, WINDOWS), &mut draw);
    }
    table::large().iter().for_each(|table| columns(report, table));
}

/// A value of a known law.
enum Drawn {
    Number(f64),
    Level(usize),
}

/// A normal value over the root of a mean of three squares.
fn student(random: &mut Random) -> f64 {
    let squares: f64 = (0..3).map(|_| normal(random).powi(2)).sum();
    normal(random) / (squares / 3.0).sqrt()
}

/// So many rows of this law, added to an empty column.
fn filled(
    mut column: Feature,
    rows: usize,
    random: &mut Random,
    draw: &mut dyn FnMut(&mut Random) -> Drawn,
) -> Feature {
    for _ in 0..rows {
        match draw(random) {
            Drawn::Number(number) => column.observe(Observation::Number(number)),
            Drawn::Level(level) => column.observe(Observation::Category(&level.to_string())),
        }
    }
    column
}

/// An empty column as a profile begins it: numbers in a finer sketch than a window's.
fn of_profile(mut column: Feature) -> Feature {
    if let Values::Number(numbers) = &mut column.values {
        *numbers = NumberSummary::fine();
    }
    column
}

/// What each distance makes of two columns: its name, and whether it flags them.
fn flags(reference: &Feature, window: &Feature) -> Vec<(&'static str, bool)> {
    let (moved, binned) = match (&reference.values, &window.values) {
        (Values::Number(was), Values::Number(now)) => (
            wasserstein::distance(was.sketch(), now.sketch()),
            Binned::numbers(was.sketch(), now.sketch()),
        ),
        (Values::Category(was), Values::Category(now)) => (None, Binned::categories(was, now)),
        _ => (None, None),
    };
    let named = [
        ("Wasserstein", moved),
        ("PSI", binned.as_ref().map(Binned::stability_index)),
        ("Jensen-Shannon", binned.as_ref().map(Binned::jensen_shannon)),
    ];
    let flagged = named.into_iter().filter_map(|(name, found)| Some((name, found?.p_value)));
    flagged.map(|(name, p_value)| (name, p_value <= LEVEL)).collect()
}

/// How often each distance flags something, by its name.
#[derive(Default)]
struct Counts(Vec<(&'static str, usize, usize)>);

impl Counts {
    fn add(&mut self, flags: Vec<(&'static str, bool)>) {
        for (name, flagged) in flags {
            let at = self.0.iter().position(|(known, ..)| *known == name).unwrap_or_else(|| {
                self.0.push((name, 0, 0));
                self.0.len() - 1
            });
            self.0[at].1 += usize::from(flagged);
            self.0[at].2 += 1;
        }
    }

    fn print(&self, report: &Report, of: &str) {
        for (distance, flagged, windows) in &self.0 {
            let value = *flagged as f64 / *windows as f64;
            let name = format!("distances: {distance} of {of} flagged at .05");
            let ok = (value - LEVEL).abs() <= 0.015;
            report.quality(&Quality { name: &name, value, goal: "0.035..0.065", ok });
        }
    }
}

fn law(
    report: &Report,
    name: &str,
    (known, size): (usize, usize),
    (references, windows): (usize, usize),
    draw: &mut dyn FnMut(&mut Random) -> Drawn,
) {
    let mut random = Random::seeded(31);
    let mut counts = Counts::default();
    for _ in 0..references {
        let empty = match draw(&mut random) {
            Drawn::Number(_) => Feature::number("x"),
            Drawn::Level(_) => Feature::category("x"),
        };
        let mut reference = filled(of_profile(empty.clone()), known, &mut random, draw);
        reference.condense(SKETCH_BYTES);
        for _ in 0..windows {
            counts.add(flags(&reference, &filled(empty.clone(), size, &mut random, draw)));
        }
    }
    counts.print(report, &format!("{name}, {size} against {known}"));
}

/// Disjoint rows of one table, drawn at random: all columns together.
fn columns(report: &Report, table: &Table) {
    let mut counts = Counts::default();
    for seed in 0..HALVINGS {
        let mut random = Random::seeded(seed);
        let mut order: Vec<usize> = (0..table.rows()).collect();
        let all = order.len();
        random.choose_first(&mut order, all);
        let (known, others) = order.split_at_mut(all / 2);
        for (at, cells) in table.columns.iter().enumerate() {
            let of = |rows: &[usize], mut feature: Feature| {
                for row in rows {
                    let observation = cells[*row].observation(&feature);
                    feature.observe(observation);
                }
                feature
            };
            let mut reference = of(known, of_profile(table.feature(at)));
            reference.condense(SKETCH_BYTES);
            for _ in 0..OF_A_COLUMN {
                random.choose_first(others, SIZE);
                counts.add(flags(&reference, &of(&others[..SIZE], table.feature(at))));
            }
        }
    }
    let columns = table.columns.len();
    counts.print(report, &format!("{columns} columns of {}, windows of {SIZE}", table.name));
}
