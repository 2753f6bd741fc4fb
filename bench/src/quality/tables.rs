//! The tests of a window on real tables: how often any feature of a window without a change is
//! flagged, and how often a change is. Reference and windows are disjoint rows of one table, drawn
//! at random; what is learned of the tests' dependence is learned from the reference's rows alone.

use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_detectors::finding::{Detector, Kind};
use tidegate_detectors::forest::random::Random;
use tidegate_detectors::joint::Joint;
use tidegate_detectors::joint::lens::Lens;
use tidegate_detectors::judge::{MinEffect, Rules, judge};
use tidegate_detectors::ks::{self, Method, Sorted};
use tidegate_detectors::reference::{Feature, Observation, Reference};
use tidegate_detectors::resampling::{KeptColumn, effective_tests};
use tidegate_detectors::window::{Pane, Window};

use super::table::{self, Table, normal};
use crate::report::{Quality, Report};

/// Windows for each figure of one feature; their share is exact to about ±.01.
const WINDOWS: usize = 500;
/// Ways in which a table is halved: what one reference has by chance, another has not.
const HALVINGS: u64 = 50;
/// Windows of each half; the share of all is exact to about ±.007.
const OF_A_HALF: usize = 20;
/// Up to here a share that should be .05 is one.
const CHANCE: f64 = 0.071;
const LEVEL: f64 = 0.05;
/// Share of the rows that make the reference.
const OF_REFERENCE: f64 = 0.5;

/// A table in two: what was learned from one half, and rows of the other.
struct Halves<'a> {
    table: &'a Table,
    reference: Reference,
    lens: Option<Lens>,
    effective: Option<f64>,
    others: Vec<usize>,
}

impl<'a> Halves<'a> {
    fn of(table: &'a Table, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..table.rows()).collect();
        let mut random = Random::seeded(seed);
        let all = order.len();
        random.choose_first(&mut order, all);
        let (known, others) = order.split_at((all as f64 * OF_REFERENCE) as usize);
        let mut features = Vec::new();
        let mut kept = Vec::new();
        for (at, column) in table.columns.iter().enumerate() {
            let mut feature = table.feature(at);
            let mut rows = KeptColumn::default();
            for row in known {
                let observation = column[*row].observation(&feature);
                rows.take(observation);
                feature.observe(observation);
            }
            feature.settle();
            features.push(feature);
            kept.push(rows);
        }
        let mut reference = Reference::of(known.len() as u64, features);
        reference.joints.extend(Joint::learn(&reference, &kept));
        let effective = effective_tests(&reference, &kept);
        let lens = Lens::all_of(&reference).pop();
        Self { table, reference, lens, effective, others: others.to_vec() }
    }

    /// What is flagged in a window of these rows.
    fn flags(&self, rows: &[usize]) -> Flags {
        let mut pane = Pane::new(&self.reference);
        let mut together = self.lens.as_ref().map(|lens| (lens, lens.rows(rows.len())));
        for (at, column) in self.table.columns.iter().enumerate() {
            for (place, row) in rows.iter().enumerate() {
                let observation = column[*row].observation(&self.reference.features[at]);
                pane.observe(at, observation);
                if let Some((lens, rows)) = &mut together {
                    lens.see(rows, at, place, &[observation]);
                }
            }
        }
        if let Some((lens, rows)) = &together {
            pane.together(lens, rows);
        }
        pane.count(rows.len() as u64);
        let window = Window::of(&self.reference, [&pane]);
        let rules = Rules {
            alpha: LEVEL,
            min_effect: MinEffect::ANY,
            effective_tests: self.effective,
            ..Rules::default()
        };
        let findings = judge(&self.reference, &window, &rules);
        let counts = |kind: Kind| kind != Kind::DataFormatDrift;
        let alone =
            |detector| findings.iter().any(|f| f.detector == detector && f.p_value <= LEVEL);
        Flags {
            any: findings.iter().any(|f| counts(f.kind) && f.adjusted_p_value <= LEVEL),
            correlation: alone(Detector::Correlation),
            cluster_mass: alone(Detector::ClusterMass),
            mmd: alone(Detector::Mmd),
            outlier_rate: alone(Detector::OutlierRate),
            copula: alone(Detector::Copula),
        }
    }

    /// What is flagged in so many windows of `size` rows.
    fn flagged(&self, windows: usize, size: usize, seed: u64) -> Vec<Flags> {
        let mut random = Random::seeded(seed);
        let mut order = self.others.clone();
        let flags = (0..windows).map(|_| {
            random.choose_first(&mut order, size);
            self.flags(&order[..size])
        });
        flags.collect()
    }
}

/// What is flagged in a window: anything after the correction for all tests, and either test of what
/// features do together before it.
struct Flags {
    any: bool,
    correlation: bool,
    cluster_mass: bool,
    mmd: bool,
    outlier_rate: bool,
    copula: bool,
}

/// Prints false alarms for each table and size of a window, and what a change in a few rows, and
/// dependence between rows, make of one feature.
pub fn print(report: &Report) {
    for table in table::all() {
        let halves = in_parallel(|seed| Halves::of(&table, seed));
        for size in [500, 1_000] {
            // Windows must be few of many, or they are no longer independent of each other.
            if halves[0].others.len() < 8 * size {
                continue;
            }
            let of_half =
                |seed: u64| halves[seed as usize].flagged(OF_A_HALF, size, size as u64 + seed);
            let flagged: Vec<Flags> = in_parallel(of_half).into_iter().flatten().collect();
            let share = |of: &dyn Fn(&Flags) -> bool| {
                flagged.iter().filter(|flags| of(flags)).count() as f64 / flagged.len() as f64
            };
            let value = share(&|flags| flags.any);
            let worth = halves.iter().filter_map(|half| half.effective).sum::<f64>();
            let (features, name) = (table.columns.len(), &table.name);
            let name = format!(
                "tables: any of {features} features of {name} flagged, windows of {size} (worth {:.1} tests)",
                worth / halves.len() as f64
            );
            let ok = (0.03..=0.05).contains(&value);
            report.quality(&Quality { name: &name, value, goal: "0.03..0.05", ok });
            let clusters =
                halves.iter().filter_map(|half| half.reference.joints.first()?.clusters.as_ref());
            let clusters = clusters.count();
            for (what, value) in [
                ("correlations", share(&|flags| flags.correlation)),
                ("clusters", share(&|flags| flags.cluster_mass)),
                ("joint law", share(&|flags| flags.mmd)),
                ("rows that stand out", share(&|flags| flags.outlier_rate)),
                ("rows that contradict themselves", share(&|flags| flags.copula)),
            ] {
                if what == "clusters" && clusters == 0 {
                    continue;
                }
                let name =
                    format!("tables: {what} of {} flagged at .05, windows of {size}", table.name);
                let ok = value <= CHANCE;
                report.quality(&Quality {
                    name: &name,
                    value,
                    goal: "<= 0.05, by chance 0.071",
                    ok,
                });
            }
        }
    }
    power(report);
    dependence(report);
    large(report);
}

/// What comes of each halving, in their order; all cores work on it.
fn in_parallel<T: Send>(of: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let work = || {
        let one = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < HALVINGS);
        std::iter::from_fn(one).map(|seed| (seed, of(seed))).collect::<Vec<_>>()
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<(u64, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all.into_iter().map(|(_, of)| of).collect()
}

/// One feature, tests of single windows.
fn one(values: impl Iterator<Item = f64>) -> (Reference, Vec<f64>) {
    let values: Vec<f64> = values.collect();
    let mut feature = Feature::number("x");
    values.iter().for_each(|value| feature.observe(Observation::Number(*value)));
    feature.settle();
    (Reference::of(values.len() as u64, vec![feature]), values)
}

fn window(reference: &Reference, values: &[f64]) -> Window {
    let mut pane = Pane::new(reference);
    for value in values {
        pane.count(1);
        pane.observe(0, Observation::Number(*value));
    }
    Window::of(reference, [&pane])
}

fn p_value(reference: &Reference, values: &[f64]) -> f64 {
    judge(reference, &window(reference, values), &Rules::default())[0].p_value
}

fn power(report: &Report) {
    let mut random = Random::seeded(5);
    let (reference, known) = one((0..10_000).map(|_| normal(&mut random)));
    let known = Sorted::of(known);
    for size in [500, 1_000] {
        let (mut ours, mut theirs) = (0, 0);
        for _ in 0..WINDOWS {
            let values: Vec<f64> = (0..size)
                .map(|_| normal(&mut random) + if random.unit() < 0.05 { 2.0 } else { 0.0 })
                .collect();
            ours += usize::from(p_value(&reference, &values) <= LEVEL);
            let ks = ks::samples(&known, &Sorted::of(values), Method::Asymptotic);
            theirs += usize::from(ks.p_value <= LEVEL);
        }
        let share = |count: usize| count as f64 / WINDOWS as f64;
        let (value, ks) = (share(ours), share(theirs));
        let name =
            format!("tables: power where 5 % of {size} rows shift by 2 sd (KS alone {ks:.3})");
        let ok = value >= 0.45 && value >= ks;
        report.quality(&Quality { name: &name, value, goal: ">= 0.45", ok });
    }
    for (what, shift, scale) in [("a shift by .15 sd", 0.15, 1.0), ("a spread of 1.15", 0.0, 1.15)]
    {
        let (mut ours, mut theirs) = (0, 0);
        for _ in 0..WINDOWS {
            let values: Vec<f64> = (0..500).map(|_| normal(&mut random) * scale + shift).collect();
            ours += usize::from(p_value(&reference, &values) <= LEVEL);
            let ks = ks::samples(&known, &Sorted::of(values), Method::Asymptotic);
            theirs += usize::from(ks.p_value <= LEVEL);
        }
        let share = |count: usize| count as f64 / WINDOWS as f64;
        let (value, ks) = (share(ours), share(theirs));
        let name = format!("tables: power for {what}, 500 rows (KS alone {ks:.3})");
        report.quality(&Quality { name: &name, value, goal: ">= KS", ok: value >= ks });
    }
}

/// Stationary first-order series: their windows are worth fewer rows than they have.
fn dependence(report: &Report) {
    let mut random = Random::seeded(6);
    let phi: f64 = 0.9;
    let mut last = 0.0;
    let mut step = move || {
        last = phi * last + (1.0 - phi * phi).sqrt() * normal(&mut random);
        last
    };
    let (reference, _) = one((0..50_000).map(|_| step()));
    let mut vain = 0;
    for _ in 0..WINDOWS {
        // Windows lie apart, so that they are independent of each other.
        (0..200).for_each(|_| {
            step();
        });
        let values: Vec<f64> = (0..1_000).map(|_| step()).collect();
        vain += usize::from(p_value(&reference, &values) <= LEVEL);
    }
    let value = vain as f64 / WINDOWS as f64;
    let name = "tables: false alarms of first-order series, phi = .9";
    report.quality(&Quality { name, value, goal: "<= 0.08", ok: value <= 0.08 });
}

/// A million rows each, and a shift that nobody cares for.
fn large(report: &Report) {
    let mut random = Random::seeded(8);
    let (reference, _) = one((0..1_000_000).map(|_| normal(&mut random)));
    let shifted: Vec<f64> = (0..1_000_000).map(|_| normal(&mut random) + 0.01).collect();
    let rules = Rules { alpha: LEVEL, ..Rules::default() };
    let found = &judge(&reference, &window(&reference, &shifted), &rules)[0];
    let negligible = found.effect < found.min_effect;
    let ok = found.adjusted_p_value <= LEVEL && negligible;
    let name =
        "tables: adjusted p of a shift by 0.01 sd, a million rows each (effect below what matters)";
    let value = found.adjusted_p_value;
    report.quality(&Quality { name, value, goal: "<= 0.05, no alarm", ok });
}
