//! What is learned of features together, and found in windows.

use std::sync::Arc;

use super::*;
use crate::finding::{Detector, Finding, Kind, Verdict};
use crate::forest::random::Random;
use crate::joint::lens::Lens;
use crate::joint::tally::Tally;
use crate::judge::{Rules, judge};
use crate::reference::Feature;
use crate::window::{Exchanges, Pane, Window};

const ROWS: u64 = 6_000;

/// Two numbers that move together as `r` says, and a level that goes with the first one. One of
/// `strange` rows, where it is not 0, has values that each are usual and a level that is not.
fn row(random: &mut Random, r: f64, strange: u64) -> [f64; 3] {
    let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
    let x = normal();
    let y = r * x + (1.0 - r * r).sqrt() * normal();
    let out = strange > 0 && random.unit() * (strange as f64) < 1.0;
    let (x, y) = if out { (x.signum() * 3.2, y.signum() * 3.2) } else { (x, y) };
    [x, y, f64::from(u8::from(random.unit() < 0.5))]
}

fn level(number: f64) -> Observation<'static> {
    Observation::Category(if number > 0.5 { "a" } else { "b" })
}

fn reference(r: f64, seed: u64) -> Reference {
    let features = vec![Feature::number("x"), Feature::number("y"), Feature::category("c")];
    let mut reference = Reference::of(ROWS, features);
    let mut kept = vec![KeptColumn::default(); 3];
    let mut random = Random::seeded(seed);
    for _ in 0..ROWS {
        let [x, y, c] = row(&mut random, r, 0);
        let values = [Observation::Number(x), Observation::Number(y), level(c)];
        for ((feature, kept), value) in reference.features.iter_mut().zip(&mut kept).zip(values) {
            feature.observe(value);
            kept.take(value);
        }
    }
    reference.features.iter_mut().for_each(Feature::settle);
    reference.joints.extend(Joint::learn(&reference, &kept));
    reference
}

fn only_lens(reference: &Reference) -> Lens {
    Lens::all_of(reference).pop().expect("something was learned together")
}

fn pane(reference: &Reference, rows: usize, r: f64, strange: u64, seed: u64) -> Pane {
    let mut pane = Pane::new(reference);
    let lens = only_lens(reference);
    let mut random = Random::seeded(seed);
    let mut seen = lens.rows(rows);
    for at in 0..rows {
        let [x, y, c] = row(&mut random, r, strange);
        let values = [Observation::Number(x), Observation::Number(y), level(c)];
        for (feature, value) in values.into_iter().enumerate() {
            pane.observe(feature, value);
            lens.see(&mut seen, feature, at, &[value]);
        }
        pane.count(1);
    }
    pane.together(&lens, &seen);
    let (seen, sampled) = (rows as u64, rows as u64);
    pane.exchanges(Exchanges { seen, sampled, ..Exchanges::default() });
    pane
}

fn found(reference: &Reference, panes: &[Pane], detector: Detector) -> Finding {
    let rules = Rules { min_rows: 100, ..Rules::default() };
    let mut findings = judge(reference, &Window::of(reference, panes), &rules);
    findings.retain(|finding| finding.detector == detector);
    findings.remove(0)
}

#[test]
fn numbers_that_part_company_are_found_though_neither_moved() {
    let reference = reference(0.8, 1);
    let finding = found(&reference, &[pane(&reference, 800, 0.1, 0, 2)], Detector::Correlation);
    assert_eq!((finding.verdict, finding.kind), (Verdict::Alarm, Kind::DataDrift));
    assert_eq!(finding.features, ["x", "y"]);
    assert!((finding.effect - 0.35).abs() < 0.05, "{finding:?}");
    assert!(finding.effect_interval.0 < 0.35 && finding.effect_interval.1 > 0.35);
    let alone = found(&reference, &[pane(&reference, 800, 0.1, 0, 2)], Detector::KolmogorovSmirnov);
    assert_eq!(alone.verdict, Verdict::Healthy);
    let same = found(&reference, &[pane(&reference, 800, 0.8, 0, 3)], Detector::Correlation);
    assert_eq!(same.verdict, Verdict::Healthy, "{same:?}");
}

#[test]
fn rows_that_stand_out_are_counted_and_blamed() {
    let reference = reference(0.0, 4);
    let threshold = reference.joints[0].threshold.as_ref().unwrap();
    let share = threshold.reached as f64 / threshold.rows as f64;
    assert!((0.005..=0.01).contains(&share), "{threshold:?}");
    let finding = found(&reference, &[pane(&reference, 1_000, 0.0, 10, 5)], Detector::OutlierRate);
    assert_eq!((finding.verdict, finding.kind), (Verdict::Alarm, Kind::Outliers));
    assert!(finding.effect > 0.07 && finding.effect < 0.13, "{finding:?}");
    let mut blamed = finding.features[..2].to_vec();
    blamed.sort_unstable();
    assert_eq!(blamed, ["x", "y"]);
    let same = found(&reference, &[pane(&reference, 1_000, 0.0, 0, 6)], Detector::OutlierRate);
    assert_eq!(same.verdict, Verdict::Healthy, "{same:?}");
}

#[test]
fn rows_whose_numbers_contradict_each_other_are_counted_and_blamed() {
    let reference = reference(0.9, 14);
    // One row of ten has values that are usual one by one, and high where low would be expected.
    let contrary = |every: usize| {
        let (lens, mut random) = (only_lens(&reference), Random::seeded(15));
        let (mut pane, mut seen) = (Pane::new(&reference), lens.rows(1_000));
        for at in 0..1_000 {
            let [x, y, _] = row(&mut random, 0.9, 0);
            let y = if at % every == 0 { -x.signum() * x.abs().max(1.0) } else { y };
            for (feature, value) in [x, y].into_iter().enumerate() {
                pane.observe(feature, Observation::Number(value));
                lens.see(&mut seen, feature, at, &[Observation::Number(value)]);
            }
        }
        pane.count(1_000);
        pane.together(&lens, &seen);
        pane
    };
    let panes = [contrary(10)];
    let finding = found(&reference, &panes, Detector::Copula);
    assert_eq!((finding.verdict, finding.kind), (Verdict::Alarm, Kind::Outliers));
    assert!((0.06..0.12).contains(&finding.effect), "{finding:?}");
    assert_eq!(finding.features.len(), 2, "{finding:?}");
    assert_eq!(found(&reference, &panes, Detector::OutlierRate).verdict, Verdict::Healthy);
    let lens = only_lens(&reference);
    let mut rows = lens.rows(4);
    for (feature, column) in [[0.1, 2.0, 9.0, 1.0], [0.0, -2.0, 9.0, 1.2]].iter().enumerate() {
        lens.see(&mut rows, feature, 0, &column.map(Observation::Number));
    }
    let strange = lens.strangest(&rows, 9);
    let by: Vec<_> = strange.iter().map(|row| (row.row, row.detector)).collect();
    assert!(by.contains(&(1, Detector::Copula)), "{strange:?}");
    assert!(by.contains(&(2, Detector::OutlierRate)), "{strange:?}");
    assert_eq!(by.len(), 2, "{strange:?}");
    assert!(strange.iter().all(|row| row.tail <= 0.01 && row.far >= 0.0), "{strange:?}");
    assert_eq!(lens.strangest(&rows, 1), strange[..1]);
    let same = found(&reference, &[contrary(usize::MAX)], Detector::Copula);
    assert_eq!(same.verdict, Verdict::Healthy, "{same:?}");
}

/// Rows of two camps, in which both numbers are low, or both are high.
fn camps(rows: usize, low: f64, seed: u64) -> Vec<[f64; 2]> {
    let mut random = Random::seeded(seed);
    let row = |_| {
        let camp = if random.unit() < low { -10.0 } else { 10.0 };
        [camp + random.unit(), camp + random.unit()]
    };
    (0..rows).map(row).collect()
}

/// What is learned of rows of numbers.
fn learned<const COLUMNS: usize>(rows: &[[f64; COLUMNS]]) -> Reference {
    let names = (0..COLUMNS).map(|at| Feature::number(format!("x{at}")));
    let mut reference = Reference::of(rows.len() as u64, names.collect());
    let mut kept = vec![KeptColumn::default(); COLUMNS];
    for row in rows {
        let features = reference.features.iter_mut().zip(&mut kept);
        for ((feature, kept), &value) in features.zip(row) {
            feature.observe(Observation::Number(value));
            kept.take(Observation::Number(value));
        }
    }
    reference.features.iter_mut().for_each(Feature::settle);
    reference.joints.extend(Joint::learn(&reference, &kept));
    reference
}

fn filled<const COLUMNS: usize>(reference: &Reference, rows: &[[f64; COLUMNS]]) -> Pane {
    let (lens, mut pane) = (only_lens(reference), Pane::new(reference));
    let mut seen = lens.rows(rows.len());
    for (at, row) in rows.iter().enumerate() {
        for (feature, &value) in row.iter().enumerate() {
            pane.observe(feature, Observation::Number(value));
            lens.see(&mut seen, feature, at, &[Observation::Number(value)]);
        }
        pane.count(1);
    }
    pane.together(&lens, &seen);
    pane
}

#[test]
fn clusters_that_rows_leave_are_named() {
    let reference = learned(&camps(4_000, 0.6, 20));
    let clusters = &reference.joints[0].clusters.as_ref().unwrap();
    assert_eq!(clusters.map.clusters.len(), 2);
    let centres = clusters.centres(&reference);
    assert!(centres[0][0] < -9.0 && centres[1][0] > 10.0, "{centres:?}");
    let window = |low, seed| {
        found(&reference, &[filled(&reference, &camps(800, low, seed))], Detector::ClusterMass)
    };
    let same = window(0.6, 21);
    assert_eq!(same.verdict, Verdict::Healthy, "{same:?}");
    let other = window(0.3, 22);
    assert_eq!(other.verdict, Verdict::Alarm);
    assert!((other.effect - 0.3).abs() < 0.06, "{other:?}");
    assert_eq!(other.features.len(), 2);
    let told = ["x0 high, x1 high", "x1 high, x0 high", "near its median"];
    assert!(told.iter().any(|told| other.was.contains(told)), "{}", other.was);
}

#[test]
fn of_a_busy_pane_the_joint_law_of_some_rows_is_seen_however_they_come() {
    let reference = reference(0.5, 30);
    let lens = only_lens(&reference);
    let mut random = Random::seeded(31);
    let rows: Vec<[f64; 3]> = (0..3_000).map(|_| row(&mut random, 0.5, 0)).collect();
    let tally = |size: usize| {
        let mut tally = Tally::new(&reference.joints[0]);
        for rows in rows.chunks(size) {
            let mut seen = lens.rows(rows.len());
            for feature in 0..2 {
                let column: Vec<_> = rows.iter().map(|r| Observation::Number(r[feature])).collect();
                lens.see(&mut seen, feature, 0, &column);
            }
            tally.rows(&lens, &seen);
        }
        tally
    };
    let whole = tally(3_000);
    // 1,024, and each eighth of 1,976.
    assert_eq!(whole.embedded.count(), 1_024 + 247);
    assert_eq!(tally(700).embedded, whole.embedded);
    assert_eq!(tally(1).embedded, whole.embedded);
}

#[test]
fn rows_like_those_of_training_stand_out_as_seldom() {
    let rates = (0..40).map(|seed| {
        let reference = reference(0.5, 100 + seed);
        let window = Window::of(&reference, &[pane(&reference, 1_000, 0.5, 0, 200 + seed)]);
        [window.together[0].out.rate(), window.together[0].contrary.rate()]
    });
    let rates: Vec<_> = rates.collect();
    for score in 0..2 {
        let (out, all) = rates
            .iter()
            .fold((0, 0), |(out, all), rate| (out + rate[score].hits(), all + rate[score].of()));
        let share = out as f64 / all as f64;
        // 400 of 40,000, give or take their own error and the references'.
        assert!((0.0085..0.0115).contains(&share), "{share}");
    }
}

#[test]
fn panes_add_up_and_survive_being_sent() {
    let reference = reference(0.6, 7);
    let parts: Vec<Pane> = (0..4).map(|part| pane(&reference, 200, 0.1, 0, 300 + part)).collect();
    let sent: Vec<Pane> = parts
        .iter()
        .map(|pane| serde_json::from_str(&serde_json::to_string(pane).unwrap()).unwrap())
        .collect();
    let mut whole = Pane::new(&reference);
    sent.iter().for_each(|pane| assert!(whole.merge(pane)));
    for detector in [Detector::Correlation, Detector::OutlierRate, Detector::Copula] {
        let apart = found(&reference, &parts, detector);
        let together = found(&reference, std::slice::from_ref(&whole), detector);
        assert_eq!(apart.rows, 800);
        assert!((apart.p_value / together.p_value - 1.0).abs() < 1e-6);
    }
}

#[test]
fn what_says_nothing_adds_nothing() {
    let reference = Arc::new(reference(0.5, 8));
    let lens = only_lens(&reference);
    let mut rows = lens.rows(3);
    lens.see(&mut rows, 0, 0, &[Observation::Missing, Observation::Number(f64::NAN)]);
    lens.see(&mut rows, 2, 0, &[Observation::Foreign]);
    lens.see(&mut rows, 9, 1, &[Observation::Number(1.0)]);
    lens.see(&mut rows, 0, 9, &[Observation::Number(1.0)]);
    let strange = Observation::Category("never seen");
    lens.see(&mut rows, 2, 2, &[strange, strange]);
    assert_eq!((rows.score(0), rows.score(1)), (0.0, 0.0));
    assert!((rows.score(2) - (ROWS as f64 + 1.0).ln()).abs() < 1e-9);
    let mut tally = Tally::new(&reference.joints[0]);
    tally.rows(&lens, &rows);
    assert_eq!((tally.out.rate().of(), tally.out.time()), (3, 1.0));
    assert_eq!(Joint::learn(&reference, &[]), None);
}

#[test]
fn of_many_columns_those_that_move_together_are_kept() {
    let mut random = Random::seeded(9);
    let row = |_| -> [f64; 40] {
        let mut row = std::array::from_fn(|_| random.unit());
        row[31] = row[7];
        row
    };
    let reference = learned(&(0..2_000).map(row).collect::<Vec<_>>());
    let joint = &reference.joints[0];
    assert_eq!((joint.columns.len(), &joint.columns[..2]), (MAX_COLUMNS, &[7, 31][..]));
    assert!(joint.fits(&reference) && joint.known.pairs[0].unwrap().r > 0.99);
    let two = joint.within(1);
    assert_eq!((two.columns, two.known.pairs.len()), (vec![7, 31], 1));
}

#[test]
fn a_new_cluster_is_told_by_where_it_is_and_scattered_rows_are_none() {
    let reference = learned(&camps(4_000, 0.6, 30));
    let window = |strange: fn(&mut Random) -> [f64; 2]| {
        let mut random = Random::seeded(31);
        let mut rows = camps(800, 0.6, 32);
        rows.iter_mut().step_by(5).for_each(|row| *row = strange(&mut random));
        // As several collectors would see them.
        let panes: Vec<Pane> = rows.chunks(160).map(|rows| filled(&reference, rows)).collect();
        found(&reference, &panes, Detector::ClusterMass)
    };
    let new = window(|random| [30.0 + random.unit(), -10.0 - random.unit()]);
    assert_eq!(new.verdict, Verdict::Alarm);
    assert!(new.was.starts_with("in no cluster"), "{new:?}");
    let near = "most of what came near x0 30.";
    assert!(new.now.contains(near) && new.now.contains("x1 -10."), "{}", new.now);
    assert_eq!(new.features, ["x0", "x1"]);
    let scattered = window(|random| [0; 2].map(|_| (random.unit() - 0.5) * 600.0));
    assert_eq!(scattered.verdict, Verdict::Alarm);
    assert!(scattered.now.starts_with("in no cluster") && !scattered.now.contains("near"));
}
